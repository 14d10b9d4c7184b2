"""Percentile bootstrap intervals of figures over test windows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gwbench import seeds
from gwbench.evaluation.statistics import Interval

RESAMPLES = 1000


def bootstrap_intervals(
    figures: Callable[[NDArray[Any]], Mapping[str, float]], windows: int, *, level: float = 0.95, key: int = 0
) -> dict[str, Interval]:
    """Intervals of several figures, from the same resamples of the windows with replacement.

    Args:
        figures: gives them for some rows [n] of the windows; NaN where one cannot be told, which leaves a resample out.
        windows: N.
        level: confidence.
        key: of the random numbers, which are the same for every run, so that methods share resamples.

    Source: Efron, Annals of Statistics 7 (1979) 1.
    """
    value = figures(np.arange(windows))
    rng = seeds.numpy_generator(0, "probe", 1, key)
    drawn = [figures(rng.integers(windows, size=windows)) for _ in range(RESAMPLES)]
    tails = ((1 - level) / 2, (1 + level) / 2)
    intervals = {}
    for name, own in value.items():
        known = np.array([each[name] for each in drawn])
        known = known[np.isfinite(known)]
        low, high = np.quantile(known, tails) if len(known) else (own, own)
        intervals[name] = Interval(float(own), min(float(low), float(own)), max(float(high), float(own)))
    return intervals


__all__ = ["RESAMPLES", "bootstrap_intervals"]
