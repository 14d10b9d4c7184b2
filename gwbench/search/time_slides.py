"""Background from time slides: the detectors' streams against each other at shifts that no signal can have.

The streams of all segments are laid end to end and closed to a ring, and each detector's ring is turned against the
first one's. Every slide then has the live time of the foreground, whatever the segments' lengths. Where two segments
meet, a peak can be cut in two, which can only add events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gwbench.search.false_alarms import Background
from gwbench.search.score_series import ScoreSeries
from gwbench.search.slide_events import SlideRing, background_of
from gwbench.search.triggers import CLUSTER_WINDOW, local_maxima, steps_within
from gwbench.utils.progress import Progress

FEWEST, MOST = 100, 1000
"""Slides that are made unless said otherwise, where as many fit: at least, and at most."""

EVENTS = 2_000_000
"""Events of all slides together beyond which no more than `FEWEST` are made."""

ZeroLag = Literal["removed", "kept"]
Rescore = Callable[[NDArray[Any]], NDArray[Any]]
"""From conditioned strain [D, L] to the scores [n] of its windows."""


def slide_background(
    series: Sequence[ScoreSeries],
    *,
    threshold: float,
    apart: float,
    cluster_window: float = CLUSTER_WINDOW,
    slides: int | None = None,
    zero_lag: ZeroLag = "removed",
    progress: Progress | None = None,
) -> Background | None:
    """The background of a score that is a sum over detectors, from its parts; no strain is read.

    Args:
        series: of all segments, with parts and one step.
        threshold: events have scores above it.
        apart: s; the least shift between two detectors: the window and the light travel time.
        cluster_window: s, as for the triggers.
        slides: how many; by default enough for 100 times the live time and more, at most `MOST`. Never more than fit.
        zero_lag: whether time around the foreground's own loud triggers is removed from every slide, in each
            detector (`slide_events.loud_zero_lag`), or kept.
        progress: shows a bar.

    Returns:
        the background; None where the streams are too short for a slide, or of one detector.

    Raises:
        ValueError: a series has no parts, or another step than the first.
    """
    series = sorted((one for one in series if len(one)), key=lambda one: one.start)
    if not series:
        return None
    step = series[0].step
    if any(one.parts is None or one.step != step for one in series):
        raise ValueError("time slides of parts need parts of every segment, and one step")
    parts = np.concatenate([one.parts for one in series if one.parts is not None], axis=1)
    detectors, positions = parts.shape
    ring = SlideRing(
        times=np.concatenate([one.start + step * np.arange(len(one)) for one in series]),
        valid=np.ones(positions, bool),
        step=step,
    )
    steps = steps_within(cluster_window, step)
    zero = [local_maxima(one.score, threshold, steps) for one in series]
    wanted = slides if slides is not None else _enough(sum(map(len, zero)))
    shifts = slide_shifts(positions, int(np.ceil(apart / step - 1e-9)), detectors, wanted)
    if not shifts:
        return None

    def scores() -> Iterator[tuple[SlideRing, tuple[int, ...], NDArray[Any]]]:
        for shift in shifts:
            total = parts[0] + np.asarray(series[0].offset, parts.dtype)
            for part, turn in zip(parts[1:], shift[1:], strict=True):
                total[turn:] += part[: positions - turn]
                total[:turn] += part[positions - turn :]
            yield ring, shift, total

    times = np.concatenate([one.start + step * peaks for one, peaks in zip(series, zero, strict=True)])
    loudness = np.concatenate([one.score[peaks] for one, peaks in zip(series, zero, strict=True)])
    return background_of(
        scores(),
        slides=len(shifts),
        threshold=threshold,
        steps=steps,
        around=apart + cluster_window,
        foreground=(times, loudness) if zero_lag == "removed" else None,
        progress=progress or Progress(),
    )


def rescored_background(
    segments: Sequence[tuple[NDArray[Any], ScoreSeries]],
    rescore: Rescore,
    *,
    samples_per_step: int,
    threshold: float,
    apart: float,
    slides: int,
    cluster_window: float = CLUSTER_WINDOW,
    zero_lag: ZeroLag = "removed",
    progress: Progress | None = None,
) -> Background | None:
    """The background of a score of several detectors at once: shifted strain is scored again, in memory.

    A slide costs as much as the scan itself; `Progress.say` tells how many hours of strain that makes before the
    first. Each segment is a ring of its own. Windows that lie across the ends of a detector's stream are left out,
    and so is their live time.

    Args:
        segments: conditioned strain [D, L] of each segment, and its scores without shift.
        rescore: what scored it.
        samples_per_step: samples between windows.
        slides: how many; fewer where not as many fit into a segment.
        threshold, apart, cluster_window, zero_lag, progress: as of `slide_background`.

    Returns:
        the background; None where no segment is long enough for a slide.
    """
    progress = progress or Progress()
    work: list[tuple[NDArray[Any], SlideRing, list[tuple[int, ...]]]] = []
    for strain, series in segments:
        positions = strain.shape[1] // samples_per_step
        least = int(np.ceil(apart / series.step - 1e-9))
        if len(series) and (shifts := slide_shifts(positions, least, len(strain), slides)):
            valid = np.arange(positions) < len(series)
            times = series.start + series.step * np.arange(positions)
            work.append((strain[:, : positions * samples_per_step], SlideRing(times, valid, series.step), shifts))
    if not work:
        return None
    hours = sum(len(shifts) * strain.shape[1] / samples_per_step * ring.step for strain, ring, shifts in work) / 3600
    progress.say(f"Time slides score {hours:.3g} h of shifted strain again, in {max(len(s) for *_, s in work)} slides.")

    def scores() -> Iterator[tuple[SlideRing, tuple[int, ...], NDArray[Any]]]:
        for strain, ring, shifts in work:
            for shift in shifts:
                turned = [np.roll(one, turn * samples_per_step) for one, turn in zip(strain, shift, strict=True)]
                yield ring, shift, rescore(np.stack(turned))

    step = segments[0][1].step
    steps = steps_within(cluster_window, step)
    found = [(one, local_maxima(one.score, threshold, steps)) for _, one in segments]
    times = np.concatenate([one.start + one.step * peaks for one, peaks in found])
    loudness = np.concatenate([one.score[peaks] for one, peaks in found])
    return background_of(
        scores(),
        slides=sum(len(shifts) for *_, shifts in work),
        threshold=threshold,
        steps=steps,
        around=apart + cluster_window,
        foreground=(times, loudness) if zero_lag == "removed" else None,
        progress=progress,
    )


def slide_shifts(positions: int, apart: int, detectors: int, most: int) -> list[tuple[int, ...]]:
    """Shifts [D], in positions, of the detectors' rings against the first one's; as many as fit, and at most `most`.

    Any two detectors are at least `apart` positions from each other, either way round the ring. With three and more
    detectors the number of places is taken prime, so that their shifts k, a k, b k ... run through all combinations.

    Args:
        positions: of the ring.
        apart: the least shift.
        detectors: D.
        most: slides.
    """
    places = positions // max(apart, 1)
    if detectors < 2 or places < 2 or most < 1:
        return []
    if detectors == 2:
        return [(0, k * max(apart, 1)) for k in range(1, min(places, most + 1))]
    places = next(n for n in range(places, 1, -1) if all(n % d for d in range(2, int(n**0.5) + 1)))
    shifts: list[tuple[int, ...]] = []
    for factors in _factors(places, detectors - 2):
        for k in range(1, places):
            if len(shifts) == most:
                return shifts
            shifts.append((0, *(factor * k % places * max(apart, 1) for factor in (1, *factors))))
    return shifts


def _factors(places: int, more: int) -> Iterator[tuple[int, ...]]:
    """Distinct factors from 2 on."""
    from itertools import permutations

    return permutations(range(2, places), more)


def _enough(triggers: int) -> int:
    return int(np.clip(EVENTS // max(triggers, 1), FEWEST, MOST))
