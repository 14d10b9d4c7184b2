"""MLGWSC-1's definition of a search's reach, written again with loops and nothing of gwbench (arXiv:2209.11146)."""

from __future__ import annotations

import math
from collections.abc import Sequence

MARGIN = 30.0
MONTH = 30 * 24 * 3600.0


def counted(tc: Sequence[float], segments: Sequence[tuple[float, float]]) -> list[int]:
    """Injections that lie 30 s or more within a segment."""
    return [i for i, time in enumerate(tc) if any(start + MARGIN <= time <= stop - MARGIN for start, stop in segments)]


def loudest_true(events: Sequence[tuple[float, float, float]], tc: Sequence[float]) -> list[float]:
    """For each injection its loudest true event's statistic; events are (time, stat, var)."""
    loudest = [-math.inf] * len(tc)
    for time, stat, var in events:
        nearest = min(range(len(tc)), key=lambda i: (abs(tc[i] - time), tc[i], i))
        if abs(tc[nearest] - time) <= var and stat > loudest[nearest]:
            loudest[nearest] = stat
    return loudest


def threshold(background: Sequence[float], seconds: float, rate: float) -> float | None:
    """The statistic that leaves as many background events above it as the rate, a month, allows, give or take 2 %."""
    k = math.floor(rate * seconds / MONTH + 0.02)
    if k < 1:
        return None
    ordered = sorted(background, reverse=True)
    return ordered[k] if k < len(ordered) else -math.inf


def reach(
    loudest: Sequence[float],
    distance: Sequence[float],
    chirp_mass: Sequence[float] | None,
    above: float,
) -> tuple[int, float, float, float]:
    """Injections found, volume, its standard deviation, and sensitive distance."""
    n, found = len(loudest), [i for i, stat in enumerate(loudest) if stat > above]
    ball = 4 / 3 * math.pi * max(distance) ** 3
    if chirp_mass is None:
        volume = ball * len(found) / n
        variance = ball**2 * (len(found) / n) * (1 - len(found) / n) / n
    else:
        most = max(chirp_mass)
        volume = ball * sum(chirp_mass[i] ** 2.5 for i in found) / (n * most**2.5)
        prefactor = ball / (n * most**2.5)
        trials = sum((most / mass) ** 2.5 for mass in chirp_mass)
        squares = sum(chirp_mass[i] ** 5 for i in found) / trials
        mean = sum(chirp_mass[i] ** 2.5 for i in found) / trials
        variance = prefactor**2 * trials * (squares - mean**2)
    return len(found), volume, math.sqrt(max(variance, 0.0)), (3 * volume / (4 * math.pi)) ** (1 / 3)
