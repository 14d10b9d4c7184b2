"""Which injections a search found, and the volume and distance it reaches, as MLGWSC-1 defines them.

Schaefer et al., Physical Review D 107 (2023) 023021, arXiv:2209.11146.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gwbench.search.event_files import EventList
from gwbench.search.injection_files import InjectionList

MARGIN = 30.0
"""Seconds that an injection must lie within a segment to count."""

Floats = NDArray[np.float64]


class Sensitivity(NamedTuple):
    """What a search reaches at some thresholds, each [K].

    Attributes:
        found: injections.
        volume, volume_error: Mpc^3, and its standard deviation.
        distance, distance_error: Mpc, and its standard deviation to first order.
    """

    found: NDArray[np.int64]
    volume: Floats
    volume_error: Floats
    distance: Floats
    distance_error: Floats


def inside(tc: Floats, segments: Iterable[tuple[float, float]], margin: float = MARGIN) -> NDArray[np.bool_]:
    """[I]: whether a time lies `margin` seconds or more within one of some segments (start, stop)."""
    order = np.argsort(tc, kind="stable")
    ordered = tc[order]
    edges = np.zeros(len(tc) + 1, np.int64)
    for start, stop in segments:
        if stop - start >= 2 * margin:
            edges[np.searchsorted(ordered, start + margin, side="left")] += 1
            edges[np.searchsorted(ordered, stop - margin, side="right")] -= 1
    found = np.zeros(len(tc), bool)
    found[order] = np.cumsum(edges[:-1]) > 0
    return found


def loudest_true(events: EventList, tc: Floats) -> Floats:
    """[I]: the statistic of the loudest event of each injection; minus infinity for none.

    An event belongs to the injection that is nearest in time, the earlier of two as near, and to the first in the
    list of several at one time. It is true where that injection lies within its `var`. However many events an
    injection has, it is found once, and an event finds no more than one.

    Args:
        events: in any order.
        tc: [I] GPS s, in any order.
    """
    loudest = np.full(len(tc), -np.inf)
    if not len(events) or not len(tc):
        return loudest
    times, first = np.unique(tc, return_index=True)
    right = np.searchsorted(times, events.time).clip(max=len(times) - 1)
    left = (right - 1).clip(min=0)
    nearest = np.where(np.abs(events.time - times[left]) <= np.abs(times[right] - events.time), left, right)
    true = np.abs(events.time - times[nearest]) <= events.var
    np.maximum.at(loudest, first[nearest[true]], events.stat[true])
    return loudest


def sensitivity(loudest: Floats, injections: InjectionList, thresholds: ArrayLike) -> Sensitivity:
    """The volume and distance in which a search finds the injections, at some thresholds of its statistic.

    For injections uniform in volume, V = V(d_max) N_found / N, with a binomial error. Where chirp distances are
    known, lighter binaries were placed nearer by d ~ M_c^(5/6); then V = V(d_max) / N times the sum over the found of
    (M_c / max M_c)^(5/2), with the variance (V(d_max) / (N max M_c^(5/2)))^2 N' (<M_c^5> - <M_c^(5/2)>^2), where the
    means are sums over the found divided by N', the sum of (max M_c / M_c)^(5/2) over all.

    Args:
        loudest: [I] of the injections (`loudest_true`).
        injections: those that count, at least one.
        thresholds: [K]; an injection is found where its loudest event is above.
    """
    thresholds = np.asarray(thresholds, np.float64)
    total = len(injections)
    order = np.argsort(loudest, kind="stable")
    above = np.searchsorted(loudest[order], thresholds, side="right")
    found = total - above
    whole = 4 / 3 * np.pi * float(injections.distance.max()) ** 3
    if injections.chirp_distance is None:
        share = found / total
        volume, variance = whole * share, whole**2 * share * (1 - share) / total
    else:
        # relative to the heaviest, so that no number is large
        weight = (injections.chirp_mass / injections.chirp_mass.max()) ** 2.5
        trials = float(np.sum(1 / weight))
        sums = _above(weight[order], above), _above(weight[order] ** 2, above)
        volume = whole / total * sums[0]
        variance = (whole / total) ** 2 * (sums[1] - sums[0] ** 2 / trials)
    error = np.sqrt(variance.clip(min=0))
    distance = np.cbrt(volume * 3 / (4 * np.pi))
    with np.errstate(invalid="ignore", divide="ignore"):
        distance_error = np.where(volume > 0, distance * error / (3 * volume), 0.0)
    return Sensitivity(found, volume, error, distance, distance_error)


def _above(ordered: Floats, places: NDArray[np.intp]) -> Floats:
    """The sums of a column from some places on."""
    sums: Floats = np.concatenate([np.cumsum(ordered[::-1])[::-1], [0.0]])
    return sums[places]
