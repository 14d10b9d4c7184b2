"""One spec -> one RunRecord, every step in reading order."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gwbench import environment, record, seeds
from gwbench import progress as progress_bars
from gwbench.errors import UserError
from gwbench.evaluate.probe import draw_labelled
from gwbench.files import WRITING, unwritable
from gwbench.notebook import Notebook
from gwbench.record import RunRecord
from gwbench.registry import REGISTRY
from gwbench.spec import RunSpec

if TYPE_CHECKING:
    from gwbench.contracts import Dataset, Scores
    from gwbench.encoding import DetectorEncoder
    from gwbench.laboratory import Laboratory
    from gwbench.progress import Progress

DEFAULT_OUT = "runs"
CHECKPOINTS = "checkpoints"


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
    plugins: Sequence[str] = (),
    out: str | Path = DEFAULT_OUT,
    cache: str | Path | None = None,
    workers: int | None = None,
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
        encoder_groups: "shared", "each", or groups of detectors with an encoder each, such as "H1,L1|V1".
        seed: of labels, weights, batches and views.
        data_seed: of simulated data and of splits.
        precision: "fp32", "bf16", or "auto" for bf16 where the processor computes in it.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        plugins: files or modules that register further plugins.
        out: folder that gets one folder per run.
        cache: folder of generated data; by default the user's cache folder.
        workers: threads that generate data; by default one per core.
        rerun: do it again though it is done.
        progress: where to report; by default a bar on a terminal, nothing elsewhere.

    Raises:
        UserError: anything that the caller can mend.
    """
    progress = progress or progress_bars.default()
    with progress.task("Load plugins", 1) as task:
        device = environment.resolve_device(device)
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
    return run_spec(spec, device=device, out=out, cache=cache, workers=workers, rerun=rerun, progress=progress)


def run_spec(
    spec: RunSpec,
    *,
    device: str = "cpu",
    out: str | Path = DEFAULT_OUT,
    cache: str | Path | None = None,
    workers: int | None = None,
    rerun: bool = False,
    progress: Progress | None = None,
) -> RunRecord:
    """Carry out a spec, or return the record of an earlier run of it. Arguments as in `run`."""
    progress = progress or progress_bars.default()
    dataset: Dataset = spec.dataset.build("dataset")
    fingerprint = dict(dataset.fingerprint())
    run_id = spec.run_id(fingerprint)
    folder = Path(out) / _folder_name(spec, run_id)
    with _only_here(folder):
        finished = _finished(folder, run_id, progress)
        if finished and not rerun:
            progress.say(f"This run is done already: {folder}. Use --rerun to do it again.")
            return finished
        if rerun:
            _set_aside(folder)
        notebook = Notebook(spec, run_id, fingerprint, device, folder)
        try:
            return _carry_out(spec, dataset, notebook, cache, workers, progress)
        except Exception as error:
            notebook.failed(error)
            if isinstance(error, OSError) and error.errno in WRITING:
                raise unwritable(folder, error) from error
            raise


def _carry_out(
    spec: RunSpec,
    dataset: Dataset,
    notebook: Notebook,
    cache: str | Path | None,
    workers: int | None,
    progress: Progress,
) -> RunRecord:
    """The method section."""
    with progress.task("Load libraries", 1) as task:
        from gwbench.data.store.cache import CacheContext
        from gwbench.evaluate.metrics import evaluate_scores
        from gwbench.frozen import save_encoder
        from gwbench.laboratory import Laboratory

        task.advance()

    with notebook.phase("data") as phase:
        context = CacheContext.of(
            REGISTRY.get("dataset", spec.dataset.name),
            spec.dataset.parameters,
            spec.data_seed,
            notebook.fingerprint,
            root=cache,
            workers=workers,
            progress=progress,
        )
        splits = dataset.load(context)
        phase.windows = sum(splits.sizes.values())
        labels = draw_labelled(
            splits.train.label, spec.evaluation.label_fraction, seeds.numpy_generator(spec.seed, "split")
        )

    with notebook.phase("condition") as phase:
        laboratory = Laboratory.set_up(spec, splits, labels, notebook.device, progress, cache)
        phase.windows = len(splits.train) if laboratory.strain["train"].in_memory else 0

    if spec.training:
        with notebook.phase("pretrain"):
            encoder = _pretrain(laboratory, notebook, progress)
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


def _pretrain(laboratory: Laboratory, notebook: Notebook, progress: Progress) -> DetectorEncoder:
    """The pre-trained encoder; a baseline takes that of the finished ordinary run beside its own, if there is one."""
    from gwbench.frozen import load_encoder

    spec = laboratory.spec
    if spec.baseline:
        run_id = spec.ordinary.run_id(notebook.fingerprint)
        folder = notebook.folder.parent / _folder_name(spec.ordinary, run_id)
        if earlier := _finished(folder, run_id, progress):
            try:
                encoder = load_encoder(folder).encoder
            except UserError as error:
                progress.say(f"{error} It is pre-trained again now.")
            else:
                progress.say(f"Pre-trained already: {folder}.")
                notebook.take_over(earlier)
                return encoder
    encoder = laboratory.new_encoder()
    notebook.trained = laboratory.pretrain(encoder, notebook.folder / CHECKPOINTS)
    return encoder


def _set_aside(folder: Path) -> None:
    """Before a run is done again: keep its old record under another name, so that an interruption can resume."""
    _drop_checkpoints(folder)
    if (folder / record.RECORD).exists():
        (folder / record.RECORD).replace(folder / record.SUPERSEDED)


def _drop_checkpoints(folder: Path) -> None:
    """Once a run is recorded its weights are safe, and optimiser states would only fill the disk."""
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)


def _folder_name(spec: RunSpec, run_id: str) -> str:
    words = f"{spec.title} {spec.dataset.name} s{spec.seed}"
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")[:100] + f"-{run_id[:8]}"


def _finished(folder: Path, run_id: str, progress: Progress) -> RunRecord | None:
    """The record of this very run, if it is whole and went well.

    A run whose plugins have no source that could be compared is never taken for done.
    """
    if not (folder / record.RECORD).exists():
        return None
    try:
        found = record.read_record(folder)
    except UserError as error:
        progress.say(f"{error} It is made again now.")
        return None
    known = all(plugin.source_hash for plugin in found.plugins)
    return found if known and found.status == "ok" and found.run_id == run_id else None


@contextmanager
def _only_here(folder: Path) -> Iterator[None]:
    """Hold the run's folder; a second process that wants the same run is told so."""
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock", timeout=0)
        lock.acquire()
    except Timeout:
        raise UserError(f"Another process is carrying out this run in {folder}. Wait for it, or stop it.") from None
    except OSError as error:
        raise unwritable(folder, error) from error
    try:
        yield
    finally:
        lock.release()
