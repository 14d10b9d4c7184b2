"""Figures of records, and what the seeds of a method say together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import fsum, sqrt
from statistics import fmean

from gwbench.evaluation.metrics import LEVEL, Metrics, SnrAtHalf
from gwbench.evaluation.seed_inference import mean_interval
from gwbench.evaluation.statistics import Interval
from gwbench.reporting.leaderboard.schema import Estimate, HalfSnr

FPRS = ("0.01", "0.001")
"""False-positive rates of a leaderboard; half the signals are found at the first."""


@dataclass(frozen=True)
class Metric:
    """What methods can be ranked by; larger is better.

    Attributes:
        name: as the command line takes it.
        title: as a column has it.
        read: the figure of a run, with its interval if it has one; None where it has none.
        paired: whether the test scores give a paired test of it.
    """

    name: str
    title: str
    read: Callable[[Metrics], Interval | float | None]
    paired: bool = False


METRICS = {
    metric.name: metric
    for metric in (
        Metric("auc", "ROC-AUC", lambda found: found.auc, paired=True),
        Metric("average-precision", "average precision", lambda found: found.average_precision),
        Metric("knn-auc", "kNN AUC", lambda found: found.knn_auc),
        *(Metric(f"tpr-at-{rate}", f"TPR at FPR {rate}", lambda found, rate=rate: found.tpr_at_fpr.get(rate))  # type: ignore[misc]
          for rate in FPRS),
    )
}  # fmt: skip
"""By name."""


def estimate(figures: Sequence[Interval | float | None], shared: float | None = None) -> Estimate | None:
    """The mean of the seeds' figures; None where one of them is not known.

    Args:
        figures: of each seed.
        shared: covariance of two seeds' test errors, where it is known (`replicates.mean_interval`).
    """
    known = [figure for figure in figures if figure is not None]
    if not known or len(known) < len(figures):
        return None
    values = [figure.value if isinstance(figure, Interval) else figure for figure in known]
    low = high = None
    intervals = [figure for figure in known if isinstance(figure, Interval)]
    if len(intervals) == len(known):
        interval = mean_interval(intervals, shared, LEVEL)
        low, high = interval.low, interval.high
    mean, sd = fmean(values), None
    if len(values) > 1:
        sd = sqrt(fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
    return Estimate(mean=mean, sd=sd, low=low, high=high, seeds=len(values))


def half_snr(figures: Sequence[SnrAtHalf | None]) -> HalfSnr | None:
    """The mean of the seeds' SNRs at which half the signals are found; None where one of them is not known."""
    known = [figure for figure in figures if figure is not None]
    if not known or len(known) < len(figures):
        return None
    above = any(figure.value >= figure.high for figure in known)
    below = any(figure.value <= figure.low for figure in known)
    if above and below:
        return None
    return HalfSnr(mean=fmean(f.value for f in known), bound="above" if above else "below" if below else None)


def mean_of(values: Iterable[float | None]) -> float | None:
    """The mean of what is known; None where nothing is."""
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
