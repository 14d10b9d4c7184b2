"""One spec -> one RunRecord, every step in reading order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gwbench.experiment.construction import is_out_of_memory, settings_to_lower, too_large
from gwbench.experiment.data_cache import DataCache
from gwbench.experiment.determinism import deterministic_algorithms
from gwbench.experiment.device_sharing import refuse_sharing
from gwbench.experiment.loggers import AsyncLogger
from gwbench.experiment.record import RunRecord, write_predictions
from gwbench.experiment.recorder import RunRecorder
from gwbench.experiment.refusal import SettingsRefusedError
from gwbench.experiment.run_directory import (
    CHECKPOINTS,
    directory_of,
    discard,
    exclusive,
    finished,
    remove_checkpoints,
    reusable_runs,
    set_aside,
    sweep,
)
from gwbench.experiment.run_mode import ORDINARY, RunMode
from gwbench.experiment.spec import RunSpec
from gwbench.training.distributed import ProcessGroup
from gwbench.utils import progress as progress_bars
from gwbench.utils.files import WRITING, unwritable
from gwbench.utils.matplotlib_import import settle_backend

if TYPE_CHECKING:
    from gwbench.contracts import Scores
    from gwbench.utils.progress import Progress

DEFAULT_OUT = "runs"


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
    mode: RunMode = ORDINARY,
    progress: Progress | None = None,
    data_cache: DataCache | None = None,
    record_refusal: bool = True,
) -> RunRecord:
    """Carry out a spec, or return the record of an earlier run of it.

    Args:
        spec: the run.
        device: "cpu", "cuda", "cuda:N" or "mps".
        process_group: who pre-trains, as `distributed.resolve` gives it; by default this process alone.
        out, cache, workers, loggers, rerun, progress: as of `run`.
        mode: how it is carried out.
        data_cache: shared by runs that follow one another, in place of `cache` and `workers`.
        record_refusal: whether settings that are refused before anything ran leave a record that says so, as those of
            a suite's cell do.

    Raises:
        BusyRunError: another process is at it.
        UserError: anything else that the caller can mend.
    """
    from gwbench.experiment.transfer import settled

    settle_backend()
    progress = progress or progress_bars.default()
    data_cache = data_cache or DataCache(cache, workers)
    spec = settled(spec)
    process_group = process_group or ProcessGroup()
    refuse_sharing(spec, process_group)
    mode.check(spec)
    run_here = partial(
        _run_here,
        spec,
        device=device,
        out=out,
        loggers=loggers,
        rerun=rerun,
        mode=mode,
        progress=progress,
        data_cache=data_cache,
        record_refusal=record_refusal,
    )
    with deterministic_algorithms(device) if mode.deterministic else nullcontext():
        if not process_group.launcher:
            return run_here(process_group)
        from gwbench.experiment.launch_external import run_as_launched

        return run_as_launched(spec, run_here, process_group, device, data_cache)


def fail_spec(spec: RunSpec, error: Exception, *, device: str, out: str | Path, data_cache: DataCache) -> None:
    """Record that a run failed, for a process that could not do so itself."""
    fingerprint = data_cache.fingerprint(spec)
    folder = directory_of(spec, fingerprint, out)
    with exclusive(folder):
        RunRecorder(spec, fingerprint, device, folder).failed(error)


def _run_here(
    spec: RunSpec,
    process_group: ProcessGroup,
    *,
    device: str,
    out: str | Path,
    loggers: Sequence[str],
    rerun: bool,
    mode: RunMode,
    progress: Progress,
    data_cache: DataCache,
    record_refusal: bool,
) -> RunRecord:
    """The record of a run: that of its folder where it is done already, or else of the run carried out now."""
    fingerprint = data_cache.fingerprint(spec)
    folder = directory_of(spec, fingerprint, out)
    with exclusive(folder):
        done = finished(spec, fingerprint, folder, progress)
        if done and not rerun:
            unlogged = mode.missing_in(done) + (" Nothing is logged." if loggers else "")
            progress.say(f"This run is done already: {folder}. Use --rerun to do it again.{unlogged}")
            return done
        if rerun:
            set_aside(folder)
        sweep(folder)
        recorder = RunRecorder(spec, fingerprint, device, folder, mode)
        # a baseline compares with what was pre-trained; a run that is done again, or looked at on its way, pre-trains
        again = (rerun and not spec.baseline) or mode.probe_every
        reusable = () if again else reusable_runs(spec, fingerprint, folder, progress)
        try:
            with AsyncLogger(progress, loggers, folder, spec) as logged:
                record = _execute(spec, device, folder, data_cache, process_group, reusable, recorder, logged, mode)
                logged.conclude(record)
            remove_checkpoints(folder)
            return record
        except Exception as error:
            if isinstance(error, SettingsRefusedError) and not record_refusal:
                discard(folder)
                raise
            told = too_large(error, settings_to_lower(spec)) if is_out_of_memory(error) else error
            recorder.failed(told)
            if told is not error:
                raise told from error
            if isinstance(error, OSError) and error.errno in WRITING:
                raise unwritable(folder, error) from error
            raise


def _execute(
    spec: RunSpec,
    device: str,
    folder: Path,
    data_cache: DataCache,
    process_group: ProcessGroup,
    reusable: Iterable[RunRecord],
    recorder: RunRecorder,
    progress: AsyncLogger,
    mode: RunMode,
) -> RunRecord:
    """The method section: data, conditioning, pre-training, scores of the test split, record.

    Args:
        spec: the run.
        device: where to compute.
        folder: of the run.
        data_cache: gives its data, conditioned.
        process_group: who pre-trains.
        reusable: finished runs whose pre-trained encoder may serve.
        recorder: times the phases and writes the record.
        progress: where to report and log.
        mode: how it is carried out.
    """
    with progress.task("Load libraries", 1) as step:
        from gwbench.experiment.checkpoint import save_encoder
        from gwbench.experiment.context import ExperimentContext
        from gwbench.experiment.judge_encoder import judged_scores
        from gwbench.experiment.keep_scorer import keep_scorer
        from gwbench.experiment.preflight import check_run
        from gwbench.experiment.pretrain_step import pretrained_encoder
        from gwbench.experiment.transfer import source_encoder

        task = spec.build_task()
        step.advance()

    data = data_cache.conditioned(spec, progress, recorder.phase, partial(check_run, spec))
    task.targets(data.splits.train)  # a dataset without them is refused before anything is trained
    context = ExperimentContext.create(spec, data, device, progress, mode)

    if spec.training:
        pretrained = pretrained_encoder(context, folder / CHECKPOINTS, process_group, reusable)
        recorder.pretrained(pretrained)
        progress.start_at(pretrained.trained.steps)
        context = context.with_encoder(pretrained.encoder)
    elif spec.encoder_from:
        context = context.with_encoder(source_encoder(spec.encoder_from))

    test = data.splits.test  # with its labels, which no step before has seen
    labels = len(context.labelled)
    judged = labels + len(data.splits.val) + len(test)
    if spec.baseline:
        with recorder.phase("baseline") as phase:
            phase.windows = 0 if spec.trains else judged
            scores: Scores = spec.baseline.build("baseline").scores(context)
    else:
        with recorder.phase("evaluate") as phase:
            phase.windows = judged
            assert context.encoder
            scores = judged_scores(context, folder)
        save_encoder(folder, context.encoder, context.conditioner)
    keep_scorer(folder, scores, context, recorder.run_id)

    metrics = task.metrics(test, scores)
    write_predictions(folder, test, scores, None if task.ranks_signals else task.targets(test))
    return recorder.finished(data.splits, labels, scores, metrics)
