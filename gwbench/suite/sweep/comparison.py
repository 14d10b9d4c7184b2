"""What a sweep has found: its trials in order, and whether the best is better than the reference.

All trials are scored on the same validation windows, so they are compared with the reference window by window
(`seed_inference.pairwise`: DeLong's paired test with one seed, with the scatter of seeds besides with several). The
best of N settings looks better than it is, and would look better than the reference by chance alone. So the N tests
are corrected (Bonferroni): a p-value is N times that of a single test, and the intervals hold together with 95 %.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gwbench.errors import UserError
from gwbench.evaluation.multiple_comparisons import bonferroni
from gwbench.evaluation.seed_inference import Replicates, mean_interval, pairwise
from gwbench.evaluation.statistics import Interval
from gwbench.suite.sweep.results import TrialResult, settings_key, unpack_labels, unpack_ranks

LEVEL = 0.95
"""Confidence of the intervals."""


@dataclass(frozen=True)
class ComparedTrial:
    """A trial and how it compares with the reference.

    Attributes:
        result: as it was recorded.
        is_reference: whether the others are compared with it.
        figure: the mean over seeds with its interval; an interval without reach where the task gives none.
        difference: from the reference, with an interval that holds for all trials together; None where the two cannot
            be compared window by window.
        p: corrected for the number of trials.
    """

    result: TrialResult
    is_reference: bool
    figure: Interval
    difference: Interval | None = None
    p: float | None = None

    @property
    def distinguishable(self) -> bool:
        """Whether it differs from the reference."""
        return self.p is not None and self.p < 1.0 - LEVEL


@dataclass(frozen=True)
class SweepComparison:
    """The outcome of a sweep.

    Attributes:
        trials: those that came to their end, best first.
        unfinished: those that failed or were pruned.
        compared: how many were tried besides the reference, for which p-values and intervals are corrected.
        seeds: of every trial, at least.
    """

    trials: tuple[ComparedTrial, ...]
    unfinished: tuple[TrialResult, ...]
    compared: int
    seeds: int

    @property
    def best(self) -> ComparedTrial | None:
        """The best trial."""
        return self.trials[0] if self.trials else None

    @property
    def reference(self) -> ComparedTrial | None:
        """What the others are compared with, where it came to its end."""
        return next((trial for trial in self.trials if trial.is_reference), None)


def compare(
    results: Sequence[TrialResult], reference: Mapping[str, Any], *, larger_is_better: bool = True
) -> SweepComparison:
    """Order the trials of a sweep, and compare each with the reference.

    Args:
        results: the trials, one for every settings.
        reference: settings of the one that the others are compared with.
        larger_is_better: the direction of the figure.
    """
    complete = [result for result in results if result.value is not None]
    unfinished = tuple(result for result in results if result.value is None)
    count = sum(settings_key(result.settings) != settings_key(reference) for result in results)
    replicates = [_replicates(result) for result in complete]
    place = next((n for n, each in enumerate(complete) if settings_key(each.settings) == settings_key(reference)), None)
    differences = _differences(complete, replicates, place, count)
    trials = [
        ComparedTrial(
            result,
            number == place,
            _figure(result, own),
            *differences.get(number, (None, None)),
        )
        for number, (result, own) in enumerate(zip(complete, replicates, strict=True))
    ]
    trials.sort(key=lambda trial: -trial.figure.value if larger_is_better else trial.figure.value)
    seeds = min((len(result.scores) for result in complete), default=0)
    return SweepComparison(tuple(trials), unfinished, count, seeds)


def _replicates(result: TrialResult) -> Replicates | None:
    """A trial's seeds window by window; None where its line does not hold the ranks of all."""
    ranks = [score.ranks for score in result.scores]
    if result.labels is None or not all(ranks):
        return None
    try:
        label = unpack_labels(result.labels, result.windows)
        return Replicates.of(label, [unpack_ranks(text, result.windows) for text in ranks if text])
    except (ValueError, UserError):  # too few windows of a class, or a line that somebody has changed
        return None


def _differences(
    complete: Sequence[TrialResult], replicates: Sequence[Replicates | None], place: int | None, count: int
) -> dict[int, tuple[Interval, float]]:
    """Difference from the reference and corrected p-value of the trials that were scored on its windows."""
    if place is None or replicates[place] is None or not count:
        return {}
    windows = (complete[place].labels, complete[place].windows)
    numbers = [
        n
        for n, (result, own) in enumerate(zip(complete, replicates, strict=True))
        if own is not None and (result.labels, result.windows) == windows
    ]
    found = pairwise([own for n in numbers if (own := replicates[n]) is not None])
    column = numbers.index(place)
    reach = found.reach(column, 1.0 - (1.0 - LEVEL) / count)
    p = bonferroni(found.p[:, column], count)
    differences: dict[int, tuple[Interval, float]] = {}
    for row, number in enumerate(numbers):
        if number != place:
            value = float(found.difference[row, column])
            differences[number] = Interval(value, value - float(reach[row]), value + float(reach[row])), float(p[row])
    return differences


def _figure(result: TrialResult, replicates: Replicates | None) -> Interval:
    value = result.value
    assert value is not None
    seeds = [
        Interval(score.value, score.low, score.high)
        for score in result.scores
        if score.low is not None and score.high is not None
    ]
    if len(seeds) < len(result.scores):
        return Interval(value, value, value)
    shared = replicates.shared if replicates else None
    return mean_interval(seeds, shared, LEVEL, share=bool(np.all([0 <= each.value <= 1 for each in seeds])))
