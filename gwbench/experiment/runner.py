"""One spec -> one RunRecord, every step in reading order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gwbench.errors import UserError
from gwbench.experiment import environment, record
from gwbench.experiment.data_cache import DataCache
from gwbench.experiment.loggers import AsyncLogger, check_loggers
from gwbench.experiment.record import RunRecord
from gwbench.experiment.recorder import RunRecorder
from gwbench.experiment.run_directory import (
    CHECKPOINTS,
    directory_of,
    exclusive,
    finished,
    remove_checkpoints,
    reusable_runs,
    set_aside,
    sweep,
)
from gwbench.experiment.spec import RunSpec
from gwbench.registry import REGISTRY
from gwbench.training import distributed
from gwbench.training.distributed import ProcessGroup
from gwbench.utils import progress as progress_bars
from gwbench.utils.files import WRITING, unwritable

if TYPE_CHECKING:
    from gwbench.contracts import Scores
    from gwbench.experiment.context import ExperimentContext
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
        loggers: loggers that get the run's figures while it goes on: "csv" and "tensorboard" write into its folder,
            "wandb" and "mlflow" where their environment variables say; they change nothing about the run.
        rerun: do it again though it is done.
        progress: where to report; by default a bar on a terminal, nothing elsewhere.

    Raises:
        UserError: anything that the caller can mend.
    """
    loggers = check_loggers(loggers)
    progress = progress or progress_bars.default()
    with progress.task("Load plugins", 1) as task:
        device = environment.resolve_device(device)
        process_group = distributed.resolve(devices, num_nodes, device)
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
        process_group=process_group,
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
    process_group: ProcessGroup | None = None,
    out: str | Path = DEFAULT_OUT,
    cache: str | Path | None = None,
    workers: int | None = None,
    loggers: Sequence[str] = (),
    rerun: bool = False,
    progress: Progress | None = None,
    data_cache: DataCache | None = None,
) -> RunRecord:
    """Carry out a spec, or return the record of an earlier run of it.

    Args:
        spec: the run.
        device: "cpu", "cuda", "cuda:N" or "mps".
        process_group: who pre-trains, as `distributed.resolve` gives it; by default this process alone.
        out, cache, workers, loggers, rerun, progress: as of `run`.
        data_cache: shared by runs that follow one another, in place of `cache` and `workers`.

    Raises:
        BusyRunError: another process is at it.
        UserError: anything else that the caller can mend.
    """
    progress = progress or progress_bars.default()
    data_cache = data_cache or DataCache(cache, workers)
    process_group = process_group or ProcessGroup()
    _refuse_sharing(spec, process_group)
    if process_group.launcher and not process_group.channel:
        from gwbench.experiment.launch_external import run_external

        def carry_out(together: ProcessGroup) -> RunRecord:
            return run_spec(
                spec,
                device=device,
                process_group=together,
                out=out,
                loggers=loggers,
                rerun=rerun,
                progress=progress,
                data_cache=data_cache,
            )

        return run_external(spec, process_group, device, data_cache, carry_out)
    fingerprint = data_cache.fingerprint(spec)
    run_id = spec.run_id(fingerprint)
    folder = directory_of(spec, fingerprint, out)
    with exclusive(folder):
        done = finished(spec, fingerprint, folder, progress)
        if done and not rerun:
            unlogged = " Nothing is logged." if loggers else ""
            progress.say(f"This run is done already: {folder}. Use --rerun to do it again.{unlogged}")
            return done
        if rerun:
            set_aside(folder)
        sweep(folder)
        recorder = RunRecorder(spec, run_id, fingerprint, device, folder)
        try:
            with AsyncLogger(progress, loggers, folder, spec) as tracked:
                result = _carry_out(spec, recorder, data_cache, rerun, tracked, process_group)
                tracked.conclude(result)
            return result
        except Exception as error:
            recorder.failed(error)
            if isinstance(error, OSError) and error.errno in WRITING:
                raise unwritable(folder, error) from error
            raise


def fail_spec(spec: RunSpec, error: Exception, *, device: str, out: str | Path, data_cache: DataCache) -> None:
    """Record that a run failed, for a process that could not do so itself."""
    fingerprint = data_cache.fingerprint(spec)
    folder = directory_of(spec, fingerprint, out)
    with exclusive(folder):
        RunRecorder(spec, spec.run_id(fingerprint), fingerprint, device, folder).failed(error)


def _carry_out(
    spec: RunSpec,
    recorder: RunRecorder,
    data_cache: DataCache,
    rerun: bool,
    progress: AsyncLogger,
    process_group: ProcessGroup,
) -> RunRecord:
    """The method section."""
    with progress.task("Load libraries", 1) as task:
        from gwbench.evaluation.metrics import evaluate_scores
        from gwbench.experiment.checkpoint import save_encoder

        task.advance()

    with recorder.phase("data") as phase:
        splits, fresh = data_cache.splits(spec, progress)
        phase.windows = sum(splits.sizes.values()) if fresh else 0

    with recorder.phase("condition") as phase:
        context, fresh = data_cache.context(spec, recorder.device, progress)
        kept = [len(strain) for strain in context.strain.values() if strain.in_memory]
        phase.windows = sum(kept) if fresh else 0

    if spec.training:
        encoder = _pretrain(context, recorder, rerun, progress, process_group)
        assert recorder.trained
        progress.start_at(recorder.trained.steps)
        context = replace(context, encoder=encoder)

    labels = len(context.labelled)
    judged = labels + len(splits.val) + len(splits.test)
    if spec.baseline:
        with recorder.phase("baseline") as phase:
            phase.windows = 0 if spec.trains else judged
            scores: Scores = spec.baseline.build("baseline").scores(context)
    else:
        with recorder.phase("evaluate") as phase:
            phase.windows = judged
            scores = context.probe(encoder)
        save_encoder(recorder.folder, encoder, context.conditioner)

    metrics = evaluate_scores(splits.test.label, scores.test, splits.test.snr, knn_score=scores.neighbours)
    arrays = {"label": splits.test.label, "score": scores.test, "snr": splits.test.snr}
    if scores.embeddings is not None:
        arrays["embedding"] = scores.embeddings
    record.write_arrays(recorder.folder / record.PREDICTIONS, arrays)
    result = recorder.finished(splits, labels, scores, metrics)
    remove_checkpoints(recorder.folder)
    return result


def _refuse_sharing(spec: RunSpec, process_group: ProcessGroup) -> None:
    """Refuse several devices where they would not be used, or could not be used equally."""
    if process_group.size == 1:
        return
    if not spec.training:
        assert spec.baseline
        raise UserError(
            f"Several devices share pre-training, and the baseline {spec.baseline.name!r} has none: leave out "
            "--devices and --num-nodes."
        )
    if spec.training.batch_size % process_group.size:
        lower = spec.training.batch_size // process_group.size * process_group.size
        raise UserError(
            f"A batch of {spec.training.batch_size} windows cannot be shared out equally to {process_group.size} "
            f"devices: use --batch-size {lower or process_group.size}, or other --devices. (The batch is that of all "
            "devices together.)"
        )


def _pretrain(
    context: ExperimentContext, recorder: RunRecorder, rerun: bool, progress: Progress, process_group: ProcessGroup
) -> DetectorEncoder:
    """The pre-trained encoder: that of a finished run with the same pre-training, or else trained here."""
    from gwbench.experiment.checkpoint import load_encoder

    spec = context.spec
    for earlier in (
        reusable_runs(spec, recorder.fingerprint, recorder.folder, progress) if spec.baseline or not rerun else ()
    ):
        assert earlier.folder is not None
        try:
            encoder = load_encoder(earlier.folder).encoder
        except UserError as error:
            progress.say(f"{error} It is pre-trained again now.")
        else:
            progress.say(f"Pre-trained already: {earlier.folder}.")
            recorder.take_over(earlier)
            return encoder
    encoder = context.new_encoder()
    trained = _trainer(process_group)(context, encoder, recorder.folder / CHECKPOINTS, process_group)
    recorder.pretrained(trained)
    recorder.devices, recorder.nodes = process_group.devices, process_group.nodes
    if trained.diagnostics:
        record.write_arrays(recorder.folder / record.DIAGNOSTICS, trained.diagnostics)
    return encoder


def _trainer(
    process_group: ProcessGroup,
) -> Callable[[ExperimentContext, DetectorEncoder, Path, ProcessGroup], Trained]:
    """Who trains: this process, several that it starts, or those it was started with."""
    if process_group.channel:
        from gwbench.experiment.launch_external import pretrain_external

        return pretrain_external
    if process_group.size > 1:
        from gwbench.experiment.launch_local import pretrain_local

        return pretrain_local
    from gwbench.experiment.context import ExperimentContext

    return ExperimentContext.pretrain
