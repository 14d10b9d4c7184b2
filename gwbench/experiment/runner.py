"""One spec -> one RunRecord, every step in reading order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gwbench.errors import UserError
from gwbench.experiment import environment, record
from gwbench.experiment import loggers as trackers
from gwbench.experiment.data_cache import Workbench
from gwbench.experiment.loggers import Tracked
from gwbench.experiment.record import RunRecord
from gwbench.experiment.recorder import Notebook
from gwbench.experiment.run_directory import (
    CHECKPOINTS,
    drop_checkpoints,
    finished,
    folder_of,
    lenders,
    only_here,
    set_aside,
    sweep,
)
from gwbench.experiment.spec import RunSpec
from gwbench.registry import REGISTRY
from gwbench.training import distributed
from gwbench.training.distributed import Team
from gwbench.utils import progress as progress_bars
from gwbench.utils.files import WRITING, unwritable

if TYPE_CHECKING:
    from gwbench.contracts import Scores
    from gwbench.experiment.context import Laboratory
    from gwbench.nn.detector_encoder import DetectorEncoder
    from gwbench.training.pretrain import Trained
    from gwbench.utils.progress import Progress

DEFAULT_OUT = "runs"


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
        from gwbench.experiment.launch_external import in_company

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
    with only_here(folder):
        done = finished(spec, fingerprint, folder, progress)
        if done and not rerun:
            unlogged = " Nothing is logged." if loggers else ""
            progress.say(f"This run is done already: {folder}. Use --rerun to do it again.{unlogged}")
            return done
        if rerun:
            set_aside(folder)
        sweep(folder)
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
    with only_here(folder):
        Notebook(spec, spec.run_id(fingerprint), fingerprint, device, folder).failed(error)


def _carry_out(
    spec: RunSpec, notebook: Notebook, bench: Workbench, rerun: bool, progress: Tracked, team: Team
) -> RunRecord:
    """The method section."""
    with progress.task("Load libraries", 1) as task:
        from gwbench.evaluation.metrics import evaluate_scores
        from gwbench.experiment.checkpoint import save_encoder

        task.advance()

    with notebook.phase("data") as phase:
        splits, fresh = bench.splits(spec, progress)
        phase.windows = sum(splits.sizes.values()) if fresh else 0

    with notebook.phase("condition") as phase:
        laboratory, fresh = bench.laboratory(spec, notebook.device, progress)
        kept = [len(strain) for strain in laboratory.strain.values() if strain.in_memory]
        phase.windows = sum(kept) if fresh else 0

    if spec.training:
        encoder = _pretrain(laboratory, notebook, rerun, progress, team)
        assert notebook.trained
        progress.start_at(notebook.trained.steps)
        laboratory = replace(laboratory, encoder=encoder)

    labels = len(laboratory.labelled)
    judged = labels + len(splits.val) + len(splits.test)
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
    result = notebook.finished(splits, labels, scores, metrics)
    drop_checkpoints(notebook.folder)
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
    from gwbench.experiment.checkpoint import load_encoder

    spec = laboratory.spec
    for earlier in lenders(spec, notebook.fingerprint, notebook.folder, progress) if spec.baseline or not rerun else ():
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
    trained = _trainer(team)(laboratory, encoder, notebook.folder / CHECKPOINTS, team)
    notebook.pretrained(trained)
    notebook.devices, notebook.nodes = team.devices, team.nodes
    if trained.diagnostics:
        record.write_arrays(notebook.folder / record.DIAGNOSTICS, trained.diagnostics)
    return encoder


def _trainer(team: Team) -> Callable[[Laboratory, DetectorEncoder, Path, Team], Trained]:
    """Who trains: this process, several that it starts, or those it was started with."""
    if team.talk:
        from gwbench.experiment.launch_external import pretrain_in_company

        return pretrain_in_company
    if team.size > 1:
        from gwbench.experiment.launch_local import pretrain_together

        return pretrain_together
    from gwbench.experiment.context import Laboratory

    return Laboratory.pretrain
