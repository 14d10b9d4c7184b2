"""Triggers: the local maxima of a series of scores, clustered in time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from gwbench.search.score_series import ScoreSeries

Floats = NDArray[np.floating[Any]]
NO_PARTS: Mapping[str, DetectorTrigger] = MappingProxyType({})

CLUSTER_WINDOW = 1.0
"""Seconds within which a trigger is the loudest."""

VAR = 0.5
"""Seconds of a trigger within which an injection counts as found."""


@dataclass(frozen=True)
class DetectorTrigger:
    """One detector's part of a trigger.

    Attributes:
        time: GPS s at which this detector's part peaks, within `var` of the trigger.
        score: what this detector adds to the trigger's score, at the trigger's own time.
    """

    time: float
    score: float


@dataclass(frozen=True)
class Trigger:
    """A local maximum of the score.

    Attributes:
        time: GPS s.
        score: larger is more like a signal.
        var: s; an injection within it counts as found.
        detectors: each detector's part; the parts and the series' offset add up to the score. Empty where the method
            is no sum over detectors.
    """

    time: float
    score: float
    var: float
    detectors: Mapping[str, DetectorTrigger] = field(default_factory=lambda: NO_PARTS)


def cluster(series: ScoreSeries, threshold: float, window: float = CLUSTER_WINDOW, var: float = VAR) -> list[Trigger]:
    """The triggers of one segment, in order of time.

    Args:
        series: the scores.
        threshold: a trigger's score is above it.
        window: s; a trigger has no louder score within this much of it. Of equal ones the earliest is the louder.
        var: s; what the triggers carry.
    """
    peaks = local_maxima(series.score, threshold, steps_within(window, series.step))
    near = steps_within(var, series.step)
    return [
        Trigger(series.start + int(k) * series.step, float(series.score[k]), var, _parts(series, int(k), near))
        for k in peaks
    ]


def local_maxima(score: Floats, threshold: float, steps: int) -> NDArray[np.intp]:
    """Positions [P], in order, of the scores above the threshold that no other within `steps` surpasses.

    A score surpasses another if it is larger, or equal and earlier. Scores that are NaN are none.

    Args:
        score: [n].
        threshold: the scores found are above it.
        steps: positions either way.
    """
    loud = np.flatnonzero(score > threshold)  # NaN is not, and nothing quieter surpasses a trigger
    if not steps or not len(loud):
        return loud
    # Gaps between loud scores are shortened to what keeps their neighbours out of reach: most of a series is quiet.
    places = np.concatenate([[0], np.cumsum(np.minimum(np.diff(loud), steps + 1))]) + steps
    line = np.full(places[-1] + steps + 1, -np.inf)
    line[places] = score[loud]
    running = _running_maximum(line, steps)
    here = score[loud]
    kept: NDArray[np.intp] = loud[(here > running[places - steps]) & (here >= running[places + 1])]
    return kept


def _running_maximum(line: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """At every position the maximum of a number of values from there on; of those that there are at the end."""
    from scipy.ndimage import maximum_filter1d

    found: NDArray[np.float64] = maximum_filter1d(line, length, origin=-(length // 2), mode="constant", cval=-np.inf)
    return found


def steps_within(seconds: float, step: float) -> int:
    """How many whole steps lie within some seconds, of which rounding errors are no part."""
    return math.floor(seconds / step * (1 + 1e-9) + 1e-9)


def _parts(series: ScoreSeries, place: int, near: int) -> Mapping[str, DetectorTrigger]:
    if series.parts is None:
        return NO_PARTS
    first = max(0, place - near)
    around = series.parts[:, first : place + near + 1]
    found = {}
    for name, part in zip(series.detectors, around, strict=True):
        peaks = first + np.flatnonzero(part == part.max())
        peak = int(peaks[np.argmin(abs(peaks - place))])  # of equal ones the nearest
        found[name] = DetectorTrigger(series.start + peak * series.step, float(part[place - first]))
    return found
