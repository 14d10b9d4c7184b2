"""Which settings a sweep tries next, and whether a trial that is under way is worth its time.

What is chosen follows from the sampler's seed and from the trials that have ended, in the order in which they have. So
a sweep that was stopped goes on as if it had not been, and nothing but the file of results is kept.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

from gwbench import seeds
from gwbench.errors import UserError
from gwbench.suite.sweep.results import TrialResult, settings_key
from gwbench.suite.sweep.space import SweepChoices, SweepRange, SweepSpace

if TYPE_CHECKING:
    import optuna

    from gwbench.suite.sweep.schema import Sweep

REPEATS = 1000
"""Draws in a row that were tried before, after which a space counts as exhausted."""

STARTUP = 5
"""Trials that must have come to their end before one is pruned; optuna's number."""


def next_settings(sweep: Sweep, ended: Sequence[TrialResult], *, only_known: bool = False) -> dict[str, Any] | None:
    """The settings of the next trial; None where there is none left.

    Args:
        sweep: what is searched; the reference is tried first.
        ended: its trials so far, in their order.
        only_known: None, too, where the next settings depend on what has come of those before.

    Raises:
        UserError: the sampler needs a package that is not installed.
    """
    tried = {settings_key(result.settings) for result in ended}
    if settings_key(sweep.reference) not in tried:
        return dict(sweep.reference)
    others = len(tried) - (0 if sweep.sampler in ("grid", "points") and sweep.holds_reference else 1)
    if others >= sweep.trials:
        return None
    if sweep.sampler in ("grid", "points"):
        listed = sweep.points or sweep.space.grid()
        return next((point for point in listed if settings_key(point) not in tried), None)
    if sweep.sampler == "tpe":
        return None if only_known else _by_tpe(sweep, ended, tried)
    return _at_random(sweep.space, sweep.file.seed, tried)


def _at_random(space: SweepSpace, seed: int, tried: Collection[str]) -> dict[str, Any] | None:
    """The first of the seed's points that was not tried."""
    number = repeats = 0
    while repeats < REPEATS + len(tried):
        point = space.draw(seeds.numpy_generator(seed, "sweep", number))
        if settings_key(point) not in tried:
            return point
        number, repeats = number + 1, repeats + 1
    return None


# --- the tree-structured Parzen estimator ---


def require_optuna() -> None:
    """Raise `UserError` where optuna is not installed."""
    try:
        import optuna  # noqa: F401
    except ImportError:
        raise UserError(
            "sampler: tpe needs optuna, which is not installed: pip install 'gwbench-ssl[sweep]'. The samplers random "
            "and grid need nothing."
        ) from None


def _by_tpe(sweep: Sweep, ended: Sequence[TrialResult], tried: Collection[str]) -> dict[str, Any] | None:
    """What optuna's TPE suggests after the trials that have ended; a random point where it repeats itself."""
    require_optuna()
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    drawn = seeds.integer(sweep.file.seed, "sweep", len(ended)) % 2**32  # numpy's old generators take 32 bits
    sampler = optuna.samplers.TPESampler(seed=drawn)
    study = optuna.create_study(direction="maximize" if sweep.larger_is_better else "minimize", sampler=sampler)
    distributions = {name: _distribution(each) for name, each in sweep.space.dimensions.items()}
    for result in ended:
        if sweep.space.holds(result.settings) and (trial := _as_trial(result, sweep.space, distributions)):
            study.add_trial(trial)
    suggested = study.ask(distributions).params
    point = {name: _value(each, suggested[name]) for name, each in sweep.space.dimensions.items()}
    return point if settings_key(point) not in tried else _at_random(sweep.space, sweep.file.seed, tried)


def _distribution(dimension: SweepChoices | SweepRange) -> optuna.distributions.BaseDistribution:
    """A dimension as optuna has it; choices by their positions, since they may be any plain data."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(dimension, SweepChoices):
        return CategoricalDistribution(list(range(len(dimension.values))))
    if dimension.whole:
        step = int(dimension.step or 1)
        return IntDistribution(int(dimension.low), int(dimension.top), log=dimension.log, step=step)
    return FloatDistribution(dimension.low, dimension.top, log=dimension.log, step=dimension.step)


def _as_trial(
    result: TrialResult, space: SweepSpace, distributions: dict[str, optuna.distributions.BaseDistribution]
) -> optuna.trial.FrozenTrial | None:
    """A trial that has ended as optuna has it; None for one that failed, from which nothing is learnt."""
    import optuna
    from optuna.trial import TrialState

    if result.status == "failed":
        return None
    params = {name: _position(space.dimensions[name], value) for name, value in result.settings.items()}
    curve = {point.epoch: point.value for point in _first_curve(result)}
    pruned = result.status == "pruned"
    return optuna.trial.create_trial(
        state=TrialState.PRUNED if pruned else TrialState.COMPLETE,
        value=result.curve[-1].value if pruned else result.value,
        params=params,
        distributions=distributions,
        intermediate_values=curve,
    )


def _position(dimension: SweepChoices | SweepRange, value: Any) -> Any:
    return dimension.values.index(value) if isinstance(dimension, SweepChoices) else value


def _value(dimension: SweepChoices | SweepRange, suggested: Any) -> Any:
    return dimension.values[suggested] if isinstance(dimension, SweepChoices) else dimension.rounded(suggested)


# --- pruning ---


def below_median(curve: Mapping[int, float], ended: Sequence[TrialResult]) -> bool:
    """Whether a trial is to be stopped: its best so far lies below the median of the others at the same epoch.

    This is optuna's `MedianPruner` with a warm-up of one epoch: the point before training says nothing.

    Args:
        curve: validation AUC by epoch, so far.
        ended: the sweep's other trials.
    """
    epoch = max(curve)
    complete = [result for result in ended if result.status == "ok"]
    if epoch < 1 or len(complete) < STARTUP:
        return False
    values = [point.value for result in complete for point in _first_curve(result) if point.epoch == epoch]
    return bool(values) and max(curve.values()) < median(values)


def _first_curve(result: TrialResult) -> Sequence[Any]:
    """The learning curve of a trial's first seed."""
    return result.curve or (result.scores[0].curve if result.scores else ())


__all__ = ["below_median", "next_settings", "require_optuna"]
