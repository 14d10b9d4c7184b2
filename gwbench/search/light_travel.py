"""The time light takes between detectors: how far apart one signal's arrivals may lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from gwbench.errors import UserError
from gwbench.search.score_series import ScoreSeries
from gwbench.search.triggers import steps_within


def longest_light_travel(detectors: Sequence[str]) -> float:
    """Seconds between the two detectors furthest from each other; 0 for one.

    Raises:
        UserError: pycbc does not know one of them.
    """
    from pycbc.detector import Detector

    try:
        places = [Detector(name) for name in detectors]
    except ValueError as error:
        raise UserError(f"There is no place known for one of {', '.join(detectors)} ({error}).") from None
    return max((float(a.light_travel_time_to_detector(b)) for a, b in combinations(places, 2)), default=0.0)


def maximised_over_lag(series: ScoreSeries, lag: float) -> ScoreSeries:
    """A series whose parts may peak some time apart: those of all detectors but the first are their running maxima.

    The same must be done before triggers are found and before time slides are made of the series. Where the step
    between windows is longer than the lag, nothing changes.

    Args:
        series: with parts.
        lag: s, such as the light travel time.

    Raises:
        ValueError: it has no parts.
    """
    if series.parts is None:
        raise ValueError("a score that is no sum over detectors has no lag between them")
    steps = steps_within(lag, series.step)
    if not steps or not len(series):
        return series
    from scipy.ndimage import maximum_filter1d

    later = maximum_filter1d(series.parts[1:], 2 * steps + 1, axis=1, mode="nearest")
    parts = np.concatenate([series.parts[:1], later])
    return replace(series, parts=parts, score=parts.sum(0) + series.offset)
