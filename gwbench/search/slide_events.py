"""The events of time slides, and which of them the foreground's own signals have made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gwbench.search.false_alarms import Background
from gwbench.search.triggers import local_maxima
from gwbench.utils.progress import Progress

LOUD = 0.1
"""A zero-lag trigger is removed from the slides where noise makes this many as loud in the foreground's time."""

Scored = tuple["SlideRing", tuple[int, ...], NDArray[Any]]
"""A ring, the detectors' shifts in it [D], and the scores [n] of the windows at its first positions."""


@dataclass(frozen=True, eq=False)
class SlideRing:
    """Windows of a detector's stream, closed to a ring.

    Attributes:
        times: [R] GPS s of the windows without shift, in rising order.
        valid: [R]; whether there is such a window: one across the ring's ends is none.
        step: s between windows.
    """

    times: NDArray[np.float64]
    valid: NDArray[np.bool_]
    step: float

    def around(self, times: NDArray[np.float64], seconds: float) -> NDArray[np.bool_]:
        """[R]: whether a window lies within some seconds of any of some times."""
        begin = np.searchsorted(self.times, times - seconds, side="left")
        end = np.searchsorted(self.times, times + seconds, side="right")
        edges = np.zeros(len(self.times) + 1, np.int64)
        np.add.at(edges, begin, 1)
        np.add.at(edges, end, -1)
        return np.asarray(np.cumsum(edges[:-1]) > 0)


@dataclass(eq=False)
class SlideEvents:
    """Events of one slide.

    Attributes:
        ring, shift: the slide.
        n: windows scored.
        places: [E] windows.
        score: [E].
    """

    ring: SlideRing
    shift: tuple[int, ...]
    n: int
    places: NDArray[np.intp]
    score: NDArray[np.float64]

    def touched(self, windows: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """[E]: whether an event has one of some windows [R] in any detector."""
        positions = len(windows)
        hit: NDArray[np.bool_] = np.any([windows[(self.places - turn) % positions] for turn in self.shift], axis=0)
        return hit

    def livetime(self, usable: NDArray[np.bool_]) -> float:
        """Seconds of the slide in which all detectors have usable windows [R]."""
        together = usable[: self.n].copy()
        for turn in self.shift[1:]:
            together &= np.roll(usable, turn)[: self.n]
        return float(together.sum()) * self.ring.step


def background_of(
    scored: Iterable[Scored],
    *,
    slides: int,
    threshold: float,
    steps: int,
    around: float,
    foreground: tuple[NDArray[np.float64], NDArray[np.float64]] | None,
    progress: Progress,
) -> Background:
    """Cluster the scores of slides, and remove what the foreground's loud triggers have made of them.

    Args:
        scored: slides, one at a time.
        slides: how many there are.
        threshold, steps: as of `local_maxima`.
        around: s of every removed trigger that are taken out of each detector's stream.
        foreground: times [N] GPS s and scores [N] of the zero-lag triggers; None where they are kept.
        progress: shows a bar.
    """
    found: list[SlideEvents] = []
    with progress.task("Time slides", slides, "slides") as task:
        for ring, shift, score in scored:
            usable = ring.valid[: len(score)].copy()
            for turn in shift[1:]:
                usable &= np.roll(ring.valid, turn)[: len(score)]
            places = local_maxima(np.where(usable, score, -np.inf), threshold, steps)
            found.append(SlideEvents(ring, shift, len(score), places, score[places].astype(np.float64)))
            task.advance()
    rings = list({id(each.ring): each.ring for each in found}.values())
    whole = _livetime(found, {id(ring): ring.valid for ring in rings})
    scores = np.concatenate([each.score for each in found])
    count = max(len([each for each in found if each.ring is ring]) for ring in rings)
    if foreground is None:
        return Background.of(scores, whole, slides=count, zero_lag="kept")
    removed = loud_zero_lag(found, rings, *foreground, around)
    masks = {id(ring): ring.around(removed, around) for ring in rings}
    clean = ~np.concatenate([each.touched(masks[id(each.ring)]) for each in found])
    left = _livetime(found, {id(ring): ring.valid & ~masks[id(ring)] for ring in rings})
    return Background.of(scores[clean], left, slides=count, zero_lag="removed", removed=whole - left)


def loud_zero_lag(
    found: list[SlideEvents],
    rings: list[SlideRing],
    times: NDArray[np.float64],
    loudness: NDArray[np.float64],
    around: float,
) -> NDArray[np.float64]:
    """Times [M] of the zero-lag triggers that noise hardly makes, found from the loudest on.

    Were all triggers removed, the slides would lack noise's own loudest moments, and false-alarm rates come out too
    low (Capano et al., arXiv:1601.00130). So a trigger is removed only where the slides say that noise makes fewer
    than `LOUD` as loud in the foreground's own time. A loud signal also makes events in the slides, beside noise or
    another signal. With those of the removed ones gone, fainter signals stand out; this goes on until none is added.

    Args:
        found: the slides.
        rings: those of the slides.
        times, loudness: [N] of the zero-lag triggers.
        around: s that are taken out around each.
    """
    scores = np.concatenate([each.score for each in found])
    order = np.argsort(scores)
    ascending = scores[order]
    foreground = sum(float(ring.valid.sum()) * ring.step for ring in rings)
    chosen = np.zeros(len(times), bool)
    while True:
        masks = {id(ring): ring.around(times[chosen], around) for ring in rings}
        clean = ~np.concatenate([each.touched(masks[id(each.ring)]) for each in found])
        livetime = _livetime(found, {id(ring): ring.valid & ~masks[id(ring)] for ring in rings})
        louder = np.concatenate([np.cumsum(clean[order][::-1])[::-1], [0]])
        counts = louder[np.searchsorted(ascending, loudness, side="left")]
        loud = (counts + 1) * foreground < LOUD * livetime
        if not np.any(loud & ~chosen):
            removed: NDArray[np.float64] = times[chosen]
            return removed
        chosen |= loud


def _livetime(found: list[SlideEvents], usable: dict[int, NDArray[np.bool_]]) -> float:
    return sum(each.livetime(usable[id(each.ring)]) for each in found)
