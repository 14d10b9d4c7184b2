"""One spec -> one RunRecord, every step in reading order."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gwbench import distributed, environment, record, seeds, trackers
from gwbench import progress as progress_bars
from gwbench.distributed import Team
from gwbench.errors import UserError
from gwbench.evaluate.probe import draw_labelled
from gwbench.files import WRITING, unwritable
from gwbench.notebook import Notebook
from gwbench.record import RunRecord
from gwbench.registry import REGISTRY
from gwbench.spec import RunSpec
from gwbench.trackers import Tracked
from gwbench.workbench import Workbench

if TYPE_CHECKING:
    from gwbench.contracts import Scores
    from gwbench.encoding import DetectorEncoder
    from gwbench.laboratory import Laboratory
    from gwbench.pretrain import Trained
    from gwbench.progress import Progress

DEFAULT_OUT = "runs"
CHECKPOINTS = "checkpoints"


class BusyRunError(UserError):
    """Another process is carrying out the run."""


def run(
    *,
    encoder: str | None = None,
    objective: str | None = None,
    pairing: str | None = None,
    augmentations: Sequence[str] = (),
    baseline: str | None = None,
    dataset: str | None = None,
    settings: Mapping[str, Any] | None = None,
    encoder_groups: str = "shared",
    seed: int = 0,
    data_seed: int = 0,
    precision: str = "auto",
    device: str = "auto",
    devices: int = 1,
    num_nodes: int = 1,
    plugins: Sequence[str] = (),
    out: str | Path = DEFAULT_OUT,
    cache: str | Path | None = None,
    workers: int | None = None,
    loggers: Sequence[str] = (),
    rerun: bool = False,
    progress: Progress | None = None,
) -> RunRecord:
    """Pre-train an encoder without labels, probe it with few, and record what came of it.

        record = gwbench.run()
        record.auc, record.metrics.auc.low, record.metrics.auc.high

    The same call twice does the work once: the second returns the first's record.

    Args:
        encoder, objective, pairing, augmentations, dataset: plugin names; by default the plugins tagged "default".
        baseline: a baseline's name; then it gives the scores, and nothing is pre-trained unless it starts from there.
        settings: parameters by dotted name, such as {"encoder.width": 64, "training.epochs": 20}.
        encoder_groups: "shared", "each", groups of detectors with an encoder each, such as "H1,L1|V1", or "network" for
            an encoder that sees all detectors at once.
        seed: of labels, weights, batches and views.
        data_seed: of simulated data and of splits.
        precision: "fp32", "bf16", or "auto" for bf16 where the processor computes in it.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        devices: how many GPUs, or processes on a CPU, share each batch of pre-training; it is the same run on any.
        num_nodes: machines with so many devices each; torchrun or SLURM starts the same run on all of them.
        plugins: files or modules that register further plugins.
        out: folder that gets one folder per run.
        cache: folder of generated data; by default the user's cache folder.
        workers: threads that generate data; by default one per core.
        loggers: trackers that get the run's figures while it goes on: "csv" and "tensorboard" write into its folder,
            "wandb" and "mlflow" where their environment variables say; they change nothing about the run.
        rerun: do it again though it is done.
        progress: where to report; by default a bar on a terminal, nothing elsewhere.

    Raises:
        UserError: anything that the caller can mend.
    """
    loggers = trackers.check(loggers)
    progress = progress or progress_bars.default()
    with progress.task("Load plugins", 1) as task:
        device = environment.resolve_device(device)
        team = distributed.resolve(devices, num_nodes, device)
        resolved = environment.resolve_precision(precision, device)
        for source in plugins:
            REGISTRY.load_source(source)
        spec = RunSpec.create(
            dataset=dataset,
            encoder=encoder,
            pairing=pairing,
            augmentations=augmentations,
            objective=objective,
            baseline=baseline,
            settings=settings,
            encoder_groups=encoder_groups,
            seed=seed,
            data_seed=data_seed,
            precision=None if precision == "auto" else resolved,
        )
        task.advance()
    if precision == "auto" and spec.trains:
        spec = spec.model_copy(update={"precision": resolved})
    return run_spec(
        spec,
        device=device,
        team=team,
        out=out,
        cache=cache,
        workers=workers,
        loggers=loggers,
        rerun=rerun,
        progress=progress,
    )


def run_spec(
    spec: RunSpec,
    *,
    device: str = "cpu",
    team: Team | None = None,
    out: str | Path = DEFAULT_OUT,
    cache: str | Path | None = None,
    workers: int | None = None,
    loggers: Sequence[str] = (),
    rerun: bool = False,
    progress: Progress | None = None,
    bench: Workbench | None = None,
) -> RunRecord:
    """Carry out a spec, or return the record of an earlier run of it.

    Args:
        spec: the run.
        device: "cpu", "cuda", "cuda:N" or "mps".
        team: who pre-trains, as `distributed.resolve` gives it; by default this process alone.
        out, cache, workers, loggers, rerun, progress: as of `run`.
        bench: shared by runs that follow one another, in place of `cache` and `workers`.

    Raises:
        BusyRunError: another process is at it.
        UserError: anything else that the caller can mend.
    """
    progress = progress or progress_bars.default()
    bench = bench or Workbench(cache, workers)
    team = team or Team()
    _refuse_sharing(spec, team)
    if team.launcher and not team.talk:
        from gwbench.company import in_company

        def carry_out(together: Team) -> RunRecord:
            return run_spec(
                spec,
                device=device,
                team=together,
                out=out,
                loggers=loggers,
                rerun=rerun,
                progress=progress,
                bench=bench,
            )

        return in_company(spec, team, device, bench, carry_out)
    fingerprint = bench.fingerprint(spec)
    run_id = spec.run_id(fingerprint)
    folder = folder_of(spec, fingerprint, out)
    with _only_here(folder):
        finished = _finished(folder, run_id, progress)
        if finished and not rerun:
            unlogged = " Nothing is logged." if loggers else ""
            progress.say(f"This run is done already: {folder}. Use --rerun to do it again.{unlogged}")
            return finished
        if rerun:
            _set_aside(folder)
        _sweep(folder)
        notebook = Notebook(spec, run_id, fingerprint, device, folder)
        try:
            with Tracked(progress, loggers, folder, spec) as tracked:
                result = _carry_out(spec, notebook, bench, rerun, tracked, team)
                tracked.conclude(result)
            return result
        except Exception as error:
            notebook.failed(error)
            if isinstance(error, OSError) and error.errno in WRITING:
                raise unwritable(folder, error) from error
            raise


def fail_spec(spec: RunSpec, error: Exception, *, device: str, out: str | Path, bench: Workbench) -> None:
    """Record that a run failed, for a process that could not do so itself."""
    fingerprint = bench.fingerprint(spec)
    folder = folder_of(spec, fingerprint, out)
    with _only_here(folder):
        Notebook(spec, spec.run_id(fingerprint), fingerprint, device, folder).failed(error)


def folder_of(spec: RunSpec, fingerprint: Mapping[str, str], out: str | Path) -> Path:
    """Where the run's record is or will be."""
    return Path(out) / f"{_slug(spec)}-{spec.run_id(fingerprint)[:8]}"


def find_record(spec: RunSpec, fingerprint: Mapping[str, str], out: str | Path) -> RunRecord | None:
    """The record of this very run, finished or failed; None where there is none that could be trusted."""
    try:
        found = record.read_record(folder_of(spec, fingerprint, out))
    except UserError:
        return None
    known = all(plugin.source_hash for plugin in found.plugins)
    return found if known and found.run_id == spec.run_id(fingerprint) else None


def _carry_out(
    spec: RunSpec, notebook: Notebook, bench: Workbench, rerun: bool, progress: Tracked, team: Team
) -> RunRecord:
    """The method section."""
    with progress.task("Load libraries", 1) as task:
        from gwbench.evaluate.metrics import evaluate_scores
        from gwbench.frozen import save_encoder

        task.advance()

    with notebook.phase("data") as phase:
        splits, fresh = bench.splits(spec, progress)
        phase.windows = sum(splits.sizes.values()) if fresh else 0
        labels = draw_labelled(
            splits.train.label, spec.evaluation.label_fraction, seeds.numpy_generator(spec.seed, "split")
        )

    with notebook.phase("condition") as phase:
        laboratory, fresh = bench.laboratory(spec, labels, notebook.device, progress)
        kept = [len(strain) for strain in laboratory.strain.values() if strain.in_memory]
        phase.windows = sum(kept) if fresh else 0

    if spec.training:
        with notebook.phase("pretrain"):
            encoder = _pretrain(laboratory, notebook, rerun, progress, team)
        assert notebook.trained
        progress.start_at(notebook.trained.steps)
        laboratory = replace(laboratory, encoder=encoder)

    judged = len(labels) + len(splits.val) + len(splits.test)
    if spec.baseline:
        with notebook.phase("baseline") as phase:
            phase.windows = 0 if spec.trains else judged
            scores: Scores = spec.baseline.build("baseline").scores(laboratory)
    else:
        with notebook.phase("evaluate") as phase:
            phase.windows = judged
            scores = laboratory.probe(encoder)
        save_encoder(notebook.folder, encoder, laboratory.conditioner)

    metrics = evaluate_scores(splits.test.label, scores.test, splits.test.snr, knn_score=scores.neighbours)
    arrays = {"label": splits.test.label, "score": scores.test, "snr": splits.test.snr}
    if scores.embeddings is not None:
        arrays["embedding"] = scores.embeddings
    record.write_arrays(notebook.folder / record.PREDICTIONS, arrays)
    result = notebook.finished(splits, len(labels), scores, metrics)
    _drop_checkpoints(notebook.folder)
    return result


def _refuse_sharing(spec: RunSpec, team: Team) -> None:
    """Refuse several devices where they would not be used, or could not be used equally."""
    if team.size == 1:
        return
    if not spec.training:
        assert spec.baseline
        raise UserError(
            f"Several devices share pre-training, and the baseline {spec.baseline.name!r} has none: leave out "
            "--devices and --num-nodes."
        )
    if spec.training.batch_size % team.size:
        lower = spec.training.batch_size // team.size * team.size
        raise UserError(
            f"A batch of {spec.training.batch_size} windows cannot be shared out equally to {team.size} devices: use "
            f"--batch-size {lower or team.size}, or other --devices. (The batch is that of all devices together.)"
        )


def _pretrain(
    laboratory: Laboratory, notebook: Notebook, rerun: bool, progress: Progress, team: Team
) -> DetectorEncoder:
    """The pre-trained encoder: that of a finished run with the same pre-training, or else trained here."""
    from gwbench.frozen import load_encoder

    spec = laboratory.spec
    for earlier in _lenders(spec, notebook, progress) if spec.baseline or not rerun else ():
        assert earlier.folder is not None
        try:
            encoder = load_encoder(earlier.folder).encoder
        except UserError as error:
            progress.say(f"{error} It is pre-trained again now.")
        else:
            progress.say(f"Pre-trained already: {earlier.folder}.")
            notebook.take_over(earlier)
            return encoder
    encoder = laboratory.new_encoder()
    notebook.trained = _trainer(team)(laboratory, encoder, notebook.folder / CHECKPOINTS, team)
    notebook.devices, notebook.nodes = team.devices, team.nodes
    if notebook.trained.diagnostics:
        record.write_arrays(notebook.folder / record.DIAGNOSTICS, notebook.trained.diagnostics)
    return encoder


def _trainer(team: Team) -> Callable[[Laboratory, DetectorEncoder, Path, Team], Trained]:
    """Who trains: this process, several that it starts, or those it was started with."""
    if team.talk:
        from gwbench.company import pretrain_in_company

        return pretrain_in_company
    if team.size > 1:
        from gwbench.workers import pretrain_together

        return pretrain_together
    from gwbench.laboratory import Laboratory

    return Laboratory.pretrain


def _lenders(spec: RunSpec, notebook: Notebook, progress: Progress) -> Iterator[RunRecord]:
    """The finished runs beside this one that kept the encoder which its pre-training gives.

    They differ from it in how the encoder is judged, such as in the share of labels.
    """
    wanted, sources = spec.pretraining.canonical(), _sources(spec.ordinary)
    for path in sorted(notebook.folder.parent.glob(f"{_slug(spec.ordinary)}-*/{record.RECORD}")):
        found = None if path.parent == notebook.folder else _readable(path.parent, progress)
        if (
            found
            and found.status == "ok"
            and found.spec.baseline is None
            and found.data
            and found.data.fingerprint == notebook.fingerprint
            and [(plugin.kind, plugin.name, plugin.version, plugin.source_hash) for plugin in found.plugins] == sources
            and all(plugin.source_hash for plugin in found.plugins)
            and found.spec.pretraining.canonical() == wanted
        ):
            yield found


def _sources(spec: RunSpec) -> list[tuple[str, str, int, str]]:
    return [(plugin.kind, plugin.name, plugin.version, plugin.source_hash) for plugin in spec.plugins()]


def _set_aside(folder: Path) -> None:
    """Before a run is done again: keep its old record under another name, so that an interruption can resume.

    What trackers were told then would be mixed with what they are told now.
    """
    _drop_checkpoints(folder)
    shutil.rmtree(folder / trackers.LOGS, ignore_errors=True)
    if (folder / record.RECORD).exists():
        (folder / record.RECORD).replace(folder / record.SUPERSEDED)


def _drop_checkpoints(folder: Path) -> None:
    """Once a run is recorded its weights are safe, and optimiser states would only fill the disk."""
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)


def _sweep(folder: Path) -> None:
    """Remove what a killed process had half written."""
    for name in (record.RECORD, record.WEIGHTS, record.CONDITIONER, record.PREDICTIONS, record.DIAGNOSTICS):
        for path in folder.glob(f".{name}.*"):
            path.unlink(missing_ok=True)


def _slug(spec: RunSpec) -> str:
    """The method, the data and the seed as the beginning of a folder's name; runs on these differ in what follows."""
    words = f"{spec.title} {spec.dataset.name} s{spec.seed}"
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")[:100]


def _finished(folder: Path, run_id: str, progress: Progress) -> RunRecord | None:
    """The record of this very run, if it is whole and went well.

    A run whose plugins have no source that could be compared is never taken for done.
    """
    found = _readable(folder, progress, then="It is made again now.")
    known = found and all(plugin.source_hash for plugin in found.plugins)
    return found if found and known and found.status == "ok" and found.run_id == run_id else None


def _readable(folder: Path, progress: Progress, then: str = "It is left aside.") -> RunRecord | None:
    """The record in a folder, if there is one; where it is damaged, that and what comes of it is said."""
    if not (folder / record.RECORD).exists():
        return None
    try:
        return record.read_record(folder)
    except UserError as error:
        progress.say(f"{error} {then}")
        return None


@contextmanager
def _only_here(folder: Path) -> Iterator[None]:
    """Hold the run's folder; a second process that wants the same run is told so."""
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock", timeout=0)
        lock.acquire()
    except Timeout:
        raise BusyRunError(f"Another process is carrying out this run in {folder}. Wait for it, or stop it.") from None
    except OSError as error:
        raise unwritable(folder, error) from error
    try:
        yield
    finally:
        lock.release()
