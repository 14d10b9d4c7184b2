"""Which windows of which common time a scan scores, where the PSD is measured, and how the work is divided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from gwbench.data.strain_files.tracked_psd import PIECE
from gwbench.errors import UserError

ENOUGH = 8
"""Half-overlapping windows with margins that make a PSD: of fewer, the whitened variance is off by more than 10 %."""

SLIVER = 4.0
"""Seconds: a part of a segment that is shorter than this takes the PSD of the part beside it."""

BLOCK = 1800.0
"""Seconds of strain that are scored in one go: what a killed scan does again at most, and what processes share."""


@dataclass(frozen=True)
class WindowShape:
    """Windows that slide along strain, in samples.

    Attributes:
        rate: Hz.
        window: of a window.
        margin: on either side, in the windows of which a PSD is measured.
        edge: on either side of a stretch, which conditioning consumes.
        step: from one window to the next.
    """

    rate: float
    window: int
    margin: int
    edge: int
    step: int

    @property
    def shortest(self) -> int:
        """Samples of strain that give one window."""
        return max(self.window + 2 * self.edge, self.window + 2 * self.margin)


@dataclass(frozen=True)
class ScanSegment:
    """Strain that all detectors hold without a gap.

    Attributes:
        start, stop: half-open range of samples.
        cuts: samples from which another piece's PSD holds, from `start` on.
        pieces: which piece of the plan each of them is.
        windows: how many begin in it.
    """

    start: int
    stop: int
    cuts: tuple[int, ...]
    pieces: tuple[int, ...]
    windows: int


@dataclass(frozen=True)
class ScanBlock:
    """Consecutive windows of one segment: work that is done in one go.

    Attributes:
        number: in the plan.
        segment: number of the segment.
        first: number of its first window in that segment.
        windows: how many.
    """

    number: int
    segment: int
    first: int
    windows: int


@dataclass(frozen=True)
class ScanPlan:
    """A scan, laid out.

    Attributes:
        shape: of the windows.
        pieces: for every PSD, the half-open ranges of samples in which it is measured; a piece crosses no gap of
            more than `tracked_psd.PIECE` seconds.
        segments: in order of time.
        blocks: in order of time.
        left_out: sentences on common time that gives no window.
    """

    shape: WindowShape
    pieces: tuple[tuple[tuple[int, int], ...], ...]
    segments: tuple[ScanSegment, ...]
    blocks: tuple[ScanBlock, ...]
    left_out: tuple[str, ...]

    @property
    def livetime(self) -> float:
        """Seconds searched: one step for every window."""
        return sum(segment.windows for segment in self.segments) * self.shape.step / self.shape.rate

    def block_seconds(self, block: ScanBlock) -> float:
        """Seconds that a block searches."""
        return block.windows * self.shape.step / self.shape.rate


def plan_scan(intervals: Sequence[tuple[int, int]], shape: WindowShape, *, measured: bool) -> ScanPlan:
    """Lay out a scan of common time.

    Neighbouring segments are taken together where no gap between them exceeds `PIECE` seconds, and cut into pieces of
    equal good time, about `PIECE` seconds each.

    Args:
        intervals: half-open ranges of samples that all detectors hold, in order.
        shape: of the windows.
        measured: whether a PSD is measured in every piece; without it, short stretches serve too.

    Raises:
        UserError: there is no window at all.
    """
    long = [(start, stop) for start, stop in intervals if stop - start >= shape.shortest]
    short = sum(stop - start for start, stop in intervals) - sum(stop - start for start, stop in long)
    runs = _runs(long, shape)
    needed = shape.shortest + (ENOUGH - 1) * ((shape.window + 2 * shape.margin) // 2) if measured else 0
    kept = [run for run in runs if sum(stop - start for start, stop in run) >= needed]
    poor = sum(stop - start for run in runs if run not in kept for start, stop in run)
    left_out = []
    if short:
        left_out.append(
            f"{short / shape.rate:.6g} s of common time lie in segments shorter than a window with its margins, "
            f"{shape.shortest / shape.rate:g} s."
        )
    if poor:
        left_out.append(
            f"{poor / shape.rate:.6g} s of common time lie in stretches too short to measure a PSD, which takes "
            f"{needed / shape.rate:g} s."
        )
    if not kept:
        raise UserError(_nothing(intervals, shape, needed))
    pieces: list[tuple[tuple[int, int], ...]] = []
    segments: list[ScanSegment] = []
    for run in kept:
        _lay_out(run, shape, pieces, segments)
    return ScanPlan(shape, tuple(pieces), tuple(segments), tuple(_blocks(segments, shape)), tuple(left_out))


def _nothing(intervals: Sequence[tuple[int, int]], shape: WindowShape, needed: int) -> str:
    longest = max((stop - start for start, stop in intervals), default=0) / shape.rate
    if not longest:
        return "The detectors do not overlap in time: at no time do all of them hold good strain."
    if longest < shape.shortest / shape.rate:
        return (
            f"The longest stretch of strain that all detectors hold is {longest:.6g} s, shorter than a window with "
            f"its margins, {shape.shortest / shape.rate:g} s."
        )
    return (
        f"No stretch of strain that all detectors hold is long enough to measure a PSD: that takes "
        f"{needed / shape.rate:g} s, and the longest has {longest:.6g} s. Use longer strain, or --conditioning run."
    )


def _runs(intervals: Sequence[tuple[int, int]], shape: WindowShape) -> list[list[tuple[int, int]]]:
    """The intervals, grouped so that the gap between two groups exceeds `PIECE`."""
    runs: list[list[tuple[int, int]]] = []
    for start, stop in intervals:
        if not runs or start - runs[-1][-1][1] > PIECE * shape.rate:
            runs.append([])
        runs[-1].append((start, stop))
    return runs


def _lay_out(
    run: Sequence[tuple[int, int]],
    shape: WindowShape,
    pieces: list[tuple[tuple[int, int], ...]],
    segments: list[ScanSegment],
) -> None:
    """Cut a run into pieces, and add these and its segments to those there are."""
    total = sum(stop - start for start, stop in run)
    count = max(1, round(total / shape.rate / PIECE))
    borders = [round(total * place / count) for place in range(count + 1)]
    spans: list[list[tuple[int, int]]] = [[] for _ in range(count)]
    begin = 0  # good time of the run before this segment
    sliver = round(SLIVER * shape.rate)
    for start, stop in run:
        cuts = [start]
        which: list[int] = []
        for number, (low, high) in enumerate(pairwise(borders)):
            first, last = max(low, begin), min(high, begin + stop - start)
            if first >= last:
                continue
            spans[number].append((first - begin + start, last - begin + start))
            if not which:
                which.append(number)
            elif last - first >= sliver and first - begin + start - cuts[-1] >= sliver:
                cuts.append(first - begin + start)
                which.append(number)
            elif first - begin + start - cuts[-1] < sliver:
                which[-1] = number
        windows = (stop - start - shape.window - 2 * shape.edge) // shape.step + 1
        numbers = tuple(len(pieces) + number for number in which)
        segments.append(ScanSegment(start, stop, tuple(cuts), numbers, windows))
        begin += stop - start
    pieces += [tuple(part) for part in spans]


def _blocks(segments: Sequence[ScanSegment], shape: WindowShape) -> list[ScanBlock]:
    """The windows of every segment, about equally many a block."""
    blocks: list[ScanBlock] = []
    for number, segment in enumerate(segments):
        seconds = segment.windows * shape.step / shape.rate
        count = min(max(1, round(seconds / BLOCK)), segment.windows)
        borders = [segment.windows * place // count for place in range(count + 1)]
        for first, last in pairwise(borders):
            blocks.append(ScanBlock(len(blocks), number, first, last - first))
    return blocks


__all__ = ["ScanBlock", "ScanPlan", "ScanSegment", "WindowShape", "plan_scan"]
