"""What the seeds of a method say together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import fsum, sqrt
from statistics import fmean
from typing import Any

from gwbench.evaluation.metrics import LEVEL, SnrAtHalf
from gwbench.evaluation.seed_inference import mean_interval
from gwbench.evaluation.statistics import Interval
from gwbench.reporting.leaderboard.metrics import MetricSpec
from gwbench.reporting.leaderboard.schema import BoundedMean, Estimate, Figure


def estimate(
    readings: Sequence[Interval | float | None], shared: float | None = None, *, share: bool = True
) -> Estimate | None:
    """The mean of the seeds' values; None where one of them is not known.

    Args:
        readings: of each seed.
        shared: covariance of two seeds' test errors, where it is known (`seed_inference.mean_interval`).
        share: whether they are shares, in [0, 1].
    """
    known = [reading for reading in readings if reading is not None]
    if not known or len(known) < len(readings):
        return None
    values = [reading.value if isinstance(reading, Interval) else reading for reading in known]
    low = high = None
    intervals = [reading for reading in known if isinstance(reading, Interval)]
    if len(intervals) == len(known):
        interval = mean_interval(intervals, shared, LEVEL, share=share)
        low, high = interval.low, interval.high
    mean, sd = fmean(values), None
    if len(values) > 1:
        sd = sqrt(fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
    return Estimate(mean=mean, sd=sd, low=low, high=high, seeds=len(values))


def bounded_mean(readings: Sequence[SnrAtHalf | None]) -> BoundedMean | None:
    """The mean of the seeds' SNRs at which half the signals are found; None where one of them is not known."""
    known = [reading for reading in readings if reading is not None]
    if not known or len(known) < len(readings):
        return None
    above = any(reading.value >= reading.high for reading in known)
    below = any(reading.value <= reading.low for reading in known)
    if above and below:
        return None
    mean = fmean(reading.value for reading in known)
    return BoundedMean(mean=mean, bound="above" if above else "below" if below else None)


def _mean(readings: Iterable[float | None]) -> float | None:
    known = [reading for reading in readings if reading is not None]
    return fmean(known) if known else None


def _largest(readings: Iterable[float | None]) -> float | None:
    return max((reading for reading in readings if reading is not None), default=None)


_OVER_SEEDS: dict[str, Callable[[Any], Figure]] = {
    "estimate": estimate,
    "bound": bounded_mean,
    "mean": _mean,
    "largest": _largest,
}


def over_seeds(metric: MetricSpec, readings: Sequence[Any]) -> Figure:
    """What a row has in a metric's column, by the values of its runs."""
    return _OVER_SEEDS[metric.over_seeds](readings)
