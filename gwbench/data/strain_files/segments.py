"""Good time cut into shares that do not touch: by split, and by channel within a split."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from gwbench.data.dataset import Array
from gwbench.data.strain_files.reading import StrainFile


@dataclass(frozen=True)
class Segment:
    """Consecutive good samples of a file.

    Attributes:
        file: where they lie.
        start, stop: half-open range of samples in `file.strain`.
    """

    file: StrainFile
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def gps(self) -> tuple[float, float]:
        """GPS times of its first sample and of the end of its last."""
        file = self.file
        return file.start + self.start / file.sample_rate, file.start + self.stop / file.sample_rate

    @property
    def strain(self) -> Array:
        """[len] the samples."""
        return self.file.strain[self.start : self.stop]

    def between(self, begin: float, end: float) -> Segment:
        """The part between two GPS times; empty (start == stop) where there is none."""
        file = self.file
        edges = [(time - file.start) * file.sample_rate for time in (begin, end)]
        # GPS times of 1e9 s are good to 1e-7 s, so an edge on a sample may come out a hair beside it.
        first = self.start if begin == -np.inf else max(self.start, int(np.ceil(edges[0] - 1e-2)))
        last = self.stop if end == np.inf else min(self.stop, int(np.floor(edges[1] + 1e-2)))
        return Segment(file, first, max(first, last))


def good_segments(files: Sequence[StrainFile]) -> list[Segment]:
    """Every good segment of the files, in order of time.

    Where two files hold the same time of one detector (a file given twice, overlapping downloads), the first is
    kept, so that no sample can reach two channels; `timeline.arranged` has seen to it that they are the same strain.
    Files that name no detector are compared sample by sample.
    """
    kept: dict[str | None, list[list[Segment]]] = {}
    for file in sorted(files, key=lambda file: (file.start, str(file.path))):
        pieces = [Segment(file, start, stop) for start, stop in file.good]
        earlier = kept.setdefault(file.detector, [])
        for others in earlier:
            pieces = _without_copies(pieces, others)
        if pieces:
            earlier.append(pieces)
    segments = (segment for lists in kept.values() for pieces in lists for segment in pieces)
    return sorted(segments, key=lambda segment: segment.gps)


def without(segments: Sequence[Segment], begin: float, end: float) -> list[Segment]:
    """The segments less the GPS times from `begin` to `end`."""
    parts = []
    for segment in segments:
        first, last = segment.gps
        if end <= first or last <= begin:
            parts.append(segment)
        else:
            parts += [part for part in (segment.between(-np.inf, begin), segment.between(end, np.inf)) if len(part)]
    return parts


def cut_times(segments: Sequence[Segment], fractions: Sequence[float]) -> list[float]:
    """GPS times that cut good time into these fractions.

    Simultaneous segments are cut at one time, so that what happens at a time reaches one share only.

    Args:
        segments: at least one.
        fractions: shares, in order of time; normalised to sum 1.

    Returns:
        The len(fractions) - 1 times between the shares.
    """
    begins, ends = np.array([segment.gps for segment in segments]).T
    times = np.unique(np.concatenate((begins, ends)))
    # Segments over each interval: those that have begun, less those that have ended.
    started, ended = (np.searchsorted(np.sort(edges), times[:-1], side="right") for edges in (begins, ends))
    depth = started - ended
    elapsed = np.concatenate(([0.0], np.cumsum(depth * np.diff(times))))
    shares = np.cumsum(fractions)[:-1] / np.sum(fractions)
    return [float(time) for time in np.interp(shares * elapsed[-1], elapsed, times)]


def divide(segments: Sequence[Segment], times: Sequence[float], guard: float, shortest: int) -> list[list[Segment]]:
    """Cut segments at GPS times.

    Args:
        segments: any number.
        times: where to cut, in order.
        guard: seconds left out around every cut, half on either side.
        shortest: parts of fewer samples are dropped.

    Returns:
        len(times) + 1 lists of segments.
    """
    edges = [-np.inf, *times, np.inf]
    shares = []
    for begin, end in pairwise(edges):
        parts = [segment.between(begin + guard / 2, end - guard / 2) for segment in segments]
        shares.append([part for part in parts if len(part) >= shortest])
    return shares


def seconds(segments: Sequence[Segment]) -> float:
    """Their total length."""
    return sum(len(segment) / segment.file.sample_rate for segment in segments)


def overlapping(pools: Mapping[str, Sequence[Segment]]) -> list[list[str]]:
    """Names of pools, grouped so that pools of different groups lie at different times."""
    spans = sorted(
        (min(part.gps[0] for part in segments), max(part.gps[1] for part in segments), name)
        for name, segments in pools.items()
        if segments
    )
    groups: list[list[str]] = []
    reached = -np.inf
    for begin, end, name in spans:
        if begin >= reached:
            groups.append([])
        groups[-1].append(name)
        reached = max(reached, end)
    return groups


def common(pools: Sequence[Sequence[Segment]], shortest: int = 1) -> list[list[Segment]]:
    """The time that all pools hold.

    Args:
        pools: at least one, each without overlaps, in order of time.
        shortest: parts of fewer samples are dropped.

    Returns:
        For every pool, equally many segments; those in the same place have equal lengths and begin at the same
        time, to a sample.
    """
    together = [[part] for part in pools[0]]
    for pool in pools[1:]:
        ends = [part.gps[1] for part in pool]
        longer = []
        for parts in together:
            begin, end = _span(parts)
            place = bisect_right(ends, begin)
            while place < len(pool) and pool[place].gps[0] < end:
                longer.append([*parts, pool[place]])
                place += 1
        together = longer
    aligned: list[list[Segment]] = [[] for _ in pools]
    for parts in together:
        cut = [part.between(*_span(parts)) for part in parts]
        length = min(map(len, cut))
        if length >= shortest:
            for segments, part in zip(aligned, cut, strict=True):
                segments.append(replace(part, stop=part.start + length))
    return aligned


def _span(parts: Sequence[Segment]) -> tuple[float, float]:
    """The time that all of them hold."""
    return max(part.gps[0] for part in parts), min(part.gps[1] for part in parts)


def _without_copies(pieces: list[Segment], earlier: Sequence[Segment]) -> list[Segment]:
    """Pieces of one file less the times at which they repeat those of another; both are in order of time."""
    if not pieces or earlier[-1].gps[1] <= pieces[0].gps[0]:
        return pieces
    ends, left = [segment.gps[1] for segment in earlier], []
    for piece in pieces:
        begin, end = piece.gps
        parts = [piece]
        place = bisect_right(ends, begin)
        while place < len(earlier) and earlier[place].gps[0] < end:
            parts = [rest for part in parts for rest in _without_copy(part, earlier[place])]
            place += 1
        left += parts
    return left


def _without_copy(piece: Segment, earlier: Segment) -> list[Segment]:
    """`piece` less the times at which it repeats `earlier`."""
    begin, end = max(piece.gps[0], earlier.gps[0]), min(piece.gps[1], earlier.gps[1])
    if end <= begin:
        return [piece]
    here, there = piece.between(begin, end), earlier.between(begin, end)
    if piece.file.detector is None and not np.array_equal(here.strain, there.strain):
        return [piece]
    return without([piece], begin, end)
