"""Carrying out a sweep: which of its trials are done, by the file of results, and the rest one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gwbench._version import __version__
from gwbench.errors import UserError, in_words
from gwbench.experiment.data_cache import DataCache
from gwbench.suite.sweep.results import SweepResults, TrialResult, open_results, settings_key
from gwbench.suite.sweep.samplers import below_median, next_settings, require_optuna
from gwbench.suite.sweep.schema import Sweep
from gwbench.suite.sweep.specs import figure_name
from gwbench.suite.sweep.text import words

if TYPE_CHECKING:
    from gwbench.experiment.data_shape import DataShape
    from gwbench.experiment.spec import RunSpec
    from gwbench.suite.sweep.specs import SweepTrial
    from gwbench.utils.progress import Progress


@dataclass(frozen=True)
class SweepState:
    """What is done of a sweep.

    Attributes:
        done: its trials, one for every settings, in the order in which they ended.
        foreign: lines of the file that are of other settings, or of other code or data than now.
        now: how many were carried out by this command.
        outdated: how many of `done` are of another base, other code or other data than now.
    """

    done: tuple[TrialResult, ...]
    foreign: int
    now: int = 0
    outdated: int = 0


def results_path(sweep: Sweep, out: str | Path | None) -> Path:
    """The file of results: beside the sweep's own where none is named.

    Raises:
        UserError: it would be the sweep's own.
    """
    path = Path(out) if out else sweep.document.path.with_suffix(".jsonl")
    if path.resolve() == sweep.document.path.resolve():
        raise UserError(f"The results cannot be written over the sweep itself, {path}. Name another file with --out.")
    return path


def recorded(sweep: Sweep, path: Path) -> SweepState:
    """The trials that a file has for these settings, whatever the base, the code and the data were.

    Where a trial was carried out several times, it is the one of now, or else the latest. No data are made; where they
    are not there, it is not known which trials are of now.
    """
    results = SweepResults.read(path).results
    own = [result for result in results if sweep.holds(result.settings)]
    data_cache = _data_cache(sweep)
    try:
        now = [result for result in own if _is_own(sweep, result, data_cache)]
    except UserError:
        now = own
    done = _latest([*own, *now])
    return SweepState(done, len(results) - len(own), outdated=len(done) - len(_latest(now)))


def state(sweep: Sweep, path: Path, *, retry_failed: bool = False) -> SweepState:
    """What is done of a sweep as it is now.

    Raises:
        UserError: the results cannot be read, or the data are not there.
    """
    return _state(sweep, SweepResults.read(path), _data_cache(sweep), retry_failed=retry_failed)


def carry_out(sweep: Sweep, path: Path, progress: Progress, *, retry_failed: bool = False) -> SweepState:
    """Carry out the trials that are missing; each is added to the results as it ends.

    Killed at any moment, the same again goes on; the trial that was under way begins anew. A trial that fails is
    recorded with the reason, and the rest goes on.

    Args:
        sweep: what is searched.
        path: of the results.
        progress: where to report.
        retry_failed: whether trials that failed before are tried again.

    Raises:
        UserError: settings do not fit the data, or the results cannot be written.
        KeyboardInterrupt: Ctrl-C.
    """
    from gwbench.suite.sweep.trial import SweepData

    if sweep.sampler == "tpe":
        require_optuna()
    figure_name(sweep.base.spec({}, sweep.base.seeds[0]).build_task())
    data_cache = _data_cache(sweep)
    with open_results(path) as results:
        found = _state(sweep, results, data_cache, retry_failed=retry_failed)
        done, now, checked = list(found.done), 0, False
        data = SweepData(data_cache, progress)
        while (settings := next_settings(sweep, done)) is not None:
            trial = sweep.base.trial(settings)
            if not checked:  # before the first training
                with _named(sweep):
                    data.of(trial.specs[0], partial(_check_all, sweep, trial.specs[0]))
                checked = True
            progress.say(f"Trial {len(done) + 1}: {words(trial.settings)}")
            result = _trial(sweep, trial, results, data, data_cache, done, progress)
            results.append(result)
            progress.say(_outcome(result))
            done, now = [*done, result], now + 1
        return SweepState(tuple(done), found.foreign, now)


def left(sweep: Sweep, done: Sequence[TrialResult]) -> tuple[list[dict[str, Any]], int]:
    """The settings that are still to be tried, as far as they do not depend on results, and how many more there are."""
    ended, found = list(done), []
    while (settings := next_settings(sweep, ended, only_known=True)) is not None:
        found.append(settings)
        ended.append(TrialResult(status="ok", settings=settings))
    unknown = 0 if sweep.sampler != "tpe" else max(sweep.trials + 1 - len(ended), 0)
    return found, unknown


def _data_cache(sweep: Sweep) -> DataCache:
    return DataCache(sweep.cache, sweep.workers)


def _state(sweep: Sweep, results: SweepResults, data_cache: DataCache, *, retry_failed: bool) -> SweepState:
    own = [result for result in results.results if _is_own(sweep, result, data_cache)]
    latest = [result for result in _latest(own) if not (retry_failed and result.status == "failed")]
    return SweepState(tuple(latest), len(results.results) - len(own))


def _is_own(sweep: Sweep, result: TrialResult, data_cache: DataCache) -> bool:
    """Whether a line is of a trial of the sweep, with the code and the data that there are now."""
    if not sweep.holds(result.settings):
        return False
    try:
        trial = sweep.base.trial(result.settings)
    except UserError:
        return False
    return trial.is_of(result.runs, data_cache)


def _latest(results: Sequence[TrialResult]) -> tuple[TrialResult, ...]:
    """The last result of every settings, in the order in which these were first tried."""
    return tuple({settings_key(result.settings): result for result in results}.values())


def _check_all(sweep: Sweep, first: RunSpec, shape: DataShape) -> None:
    """Raise `UserError` where a trial on the first one's data does not fit their shape."""
    from gwbench.experiment.preflight import check_run

    for trial in sweep.checked_beforehand():
        spec = trial.specs[0]
        if spec.dataset != first.dataset:
            continue
        try:
            check_run(spec, shape)
        except UserError as error:
            raise UserError(f"with {words(trial.settings)}: {error}") from None


@contextmanager
def _named(sweep: Sweep) -> Iterator[None]:
    """Put the sweep's file before the message of what is refused inside."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{sweep.document.path}: {error}") from error


def _trial(
    sweep: Sweep,
    trial: SweepTrial,
    results: SweepResults,
    data: Any,
    data_cache: DataCache,
    done: Sequence[TrialResult],
    progress: Progress,
) -> TrialResult:
    """One trial: each of its runs, unless another trial had the same."""
    from gwbench.experiment.preflight import check_run
    from gwbench.suite.sweep.trial import RunPrunedError, score_run

    runs = trial.runs(data_cache)
    fields: dict[str, Any] = {"status": "ok", "scores": [], "labels": None, "windows": 0}
    try:
        for number, (spec, run_id) in enumerate(zip(trial.specs, runs, strict=True)):
            if earlier := results.of_run(run_id):
                fields["scores"].append(earlier[0])
                fields |= {"labels": earlier[1].labels, "windows": earlier[1].windows}
                continue
            scored = score_run(
                spec,
                data.of(spec, partial(check_run, spec)),
                sweep.base.device,
                progress,
                run_id=run_id,
                probe_every=sweep.file.probe_every or 0,
                prune=partial(below_median, ended=done) if sweep.file.pruner and number == 0 else None,
            )
            fields["scores"].append(scored.score)
            fields |= {"labels": scored.labels, "windows": scored.windows}
    except RunPrunedError as error:
        fields |= {"status": "pruned", "curve": error.curve}
    except Exception as error:
        message = str(error) if isinstance(error, UserError) else in_words(error)
        fields |= {"status": "failed", "reason": message}
    spec = trial.specs[0]
    return TrialResult(
        settings=dict(trial.settings),
        runs=runs,
        command=spec.command(),
        device=sweep.base.device,
        precision=spec.precision if spec.trains else "",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        gwbench=__version__,
        **fields,
    )


def _outcome(result: TrialResult) -> str:
    if result.status == "failed":
        return f"  failed: {result.reason}"
    if result.status == "pruned":
        return f"  pruned after epoch {result.curve[-1].epoch}: {result.curve[-1].value:.4f}"
    return f"  {result.value:.4f} in {result.seconds:.0f} s"
