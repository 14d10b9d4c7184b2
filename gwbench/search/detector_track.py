"""The good strain of one detector along GPS time, from any number of files, read by piece at the rate of a run.

Times are counted in whole samples since GPS time 0: of the file's rate within a `NativeSpan`, of the run's rate
everywhere else. A file whose samples lie beside that grid is taken to its nearest sample, at most half of one away.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from gwbench.data.dataset import Array
from gwbench.data.strain_files.pieces import PieceReader, SeriesHeader
from gwbench.data.strain_files.resample import reach, resample
from gwbench.errors import UserError


@dataclass(frozen=True)
class NativeSpan:
    """Good samples of one series that follow on each other.

    Attributes:
        header: the series.
        origin: of the series' first sample, in samples of its rate since GPS time 0.
        start, stop: half-open range on that same grid.
    """

    header: SeriesHeader
    origin: int
    start: int
    stop: int

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.stop - self.start) / self.header.sample_rate


@dataclass(frozen=True)
class Grid:
    """How the grid of a file's samples becomes that of a run's.

    Attributes:
        native, rate: Hz of the file and of the run.
        up, down: their ratio as a fraction: `rate = native * up / down`.
    """

    native: float
    rate: float
    up: int
    down: int

    @classmethod
    def between(cls, native: float, rate: float) -> Grid:
        """The grids of two rates. Raises `UserError` where the file's is lower, or their ratio is no small fraction."""
        resample(np.empty(0), native, rate)
        ratio = Fraction(rate / native).limit_denominator(1000)
        return cls(native, rate, ratio.numerator, ratio.denominator)

    @property
    def half(self) -> int:
        """Samples on either side that the anti-alias filter takes, on the common grid of both rates."""
        if self.up == self.down:
            return 0
        return int(np.ceil(reach(self.rate) * self.native * self.up))

    def inside(self, start: int, stop: int) -> tuple[int, int]:
        """The samples at the run's rate that can be made of native samples `start` to `stop`; empty where equal."""
        begin = -(-start // self.down)
        first = begin * self.up + -(-self.half // self.down)
        last = begin * self.up + ((stop - 1 - begin * self.down) * self.up - self.half) // self.down + 1
        return first, max(first, last)

    def behind(self, start: int, stop: int) -> tuple[int, int]:
        """Native samples of which those at the run's rate from `start` to `stop` can be made."""
        begin = (start - -(-self.half // self.down)) // self.up
        end = -(-(stop * self.down + self.half) // self.up) + 1
        return begin * self.down, end


@dataclass(frozen=True)
class TrackRun:
    """Spans of one rate that follow on each other without a gap, and what they give at the run's rate.

    Attributes:
        spans: in order of time.
        grid: from their rate to the run's.
        start, stop: half-open range of samples at the run's rate.
    """

    spans: tuple[NativeSpan, ...]
    grid: Grid
    start: int
    stop: int

    def read(self, reader: PieceReader, start: int, stop: int) -> Array:
        """Samples [stop - start] at the run's rate, float64."""
        first, last = self.grid.behind(start, stop)
        first, last = max(first, self.spans[0].start), min(last, self.spans[-1].stop)
        begin = -(-first // self.grid.down)
        parts = []
        for span in self.spans:
            low, high = max(begin * self.grid.down, span.start), min(last, span.stop)
            if low < high:
                parts.append(reader.read(span.header, low - span.origin, high - span.origin))
        strain, trimmed = resample(np.concatenate(parts), self.grid.native, self.grid.rate)
        offset = start - begin * self.grid.up - trimmed
        return strain[offset : offset + stop - start]


@dataclass(frozen=True)
class DetectorTrack:
    """All good strain of one detector.

    Attributes:
        detector: its name.
        runs: in order of time, without overlap.
    """

    detector: str
    runs: tuple[TrackRun, ...]

    @classmethod
    def of(cls, detector: str, spans: Sequence[NativeSpan], rate: float) -> DetectorTrack:
        """From spans in order of time, without overlap, at a run's rate in Hz.

        Raises:
            UserError: a file's rate is below the run's, or the two do not divide.
        """
        groups: list[list[NativeSpan]] = []
        for span in spans:
            last = groups[-1][-1] if groups else None
            if last is None or (last.header.sample_rate, last.stop) != (span.header.sample_rate, span.start):
                groups.append([])
            groups[-1].append(span)
        runs = []
        for group in groups:
            header = group[0].header
            try:
                grid = Grid.between(header.sample_rate, rate)
            except UserError as error:
                raise UserError(f"The strain file {header.path}: {error}") from None
            runs.append(TrackRun(tuple(group), grid, *grid.inside(group[0].start, group[-1].stop)))
        # Strain of another rate may begin within the half sample that both grids leave open.
        kept: list[TrackRun] = []
        for run in runs:
            if run.start < run.stop and (not kept or run.start >= kept[-1].stop):
                kept.append(run)
        return cls(detector, tuple(kept))

    @property
    def intervals(self) -> list[tuple[int, int]]:
        """The half-open ranges of samples that it holds."""
        return [(run.start, run.stop) for run in self.runs]

    def read(self, reader: PieceReader, start: int, stop: int) -> Array:
        """Samples [stop - start] of one of the intervals, float64."""
        place = bisect_right([run.start for run in self.runs], start) - 1
        run = self.runs[place]
        if place < 0 or stop > run.stop:
            raise ValueError(f"{self.detector} has no strain from sample {start} to {stop}")
        return run.read(reader, start, stop)


def common_intervals(tracks: Sequence[DetectorTrack]) -> list[tuple[int, int]]:
    """The half-open ranges of samples that all detectors hold."""
    together = tracks[0].intervals
    for track in tracks[1:]:
        together = _both(together, track.intervals)
    return together


def _both(first: Sequence[tuple[int, int]], second: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    found, one, two = [], 0, 0
    while one < len(first) and two < len(second):
        start, stop = max(first[one][0], second[two][0]), min(first[one][1], second[two][1])
        if start < stop:
            found.append((start, stop))
        if first[one][1] < second[two][1]:
            one += 1
        else:
            two += 1
    return found


__all__ = ["DetectorTrack", "Grid", "NativeSpan", "TrackRun", "common_intervals"]
