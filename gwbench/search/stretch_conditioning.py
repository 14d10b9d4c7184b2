"""Long strain conditioned as windows are, with a PSD that is measured anew along it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from gwbench.data.dataset import Array
    from gwbench.preprocessing.conditioning import Conditioner
    from gwbench.search.scan_plan import ScanPlan

FADE = 2.0
"""Seconds in which the filter of one piece gives way to the next one's. Both filter the same strain, so that what they
give is alike and its variance stays."""

LENGTHS = 8.0
"""Seconds of which what is filtered at once is a multiple, with zeros behind it."""

REMEMBERED = 4
"""Fitted conditioners that are kept: a piece may serve many short segments."""

ReadStrain = Callable[[int, int], "Array"]
"""Strain [D, stop - start] of all detectors by its range of samples."""


class StretchConditioning:
    """Conditions the segments of a plan, each piece with a conditioner of its own.

    Args:
        plan: the scan.
        conditioner: the run's.
        read: gives strain.
        refit: whether every piece's conditioner is fitted to its strain; else all are the run's.
    """

    def __init__(self, plan: ScanPlan, conditioner: Conditioner, read: ReadStrain, *, refit: bool) -> None:
        self._plan, self._run, self._read, self._refit = plan, conditioner, read, refit
        self._fitted: OrderedDict[int, Conditioner] = OrderedDict()
        self._last: tuple[int, int, Array] | None = None

    def stretches(self, number: int, first: int, stop: int) -> Iterator[tuple[Conditioner, Tensor]]:
        """Conditioned strain of a segment, in parts [D, n] that follow on each other, each with its conditioner.

        What comes out at a time does not depend on the range that is asked for.

        Args:
            number: of the segment.
            first, stop: half-open range of conditioned samples, counted from the segment's first one, which lies
                `shape.edge` samples after the segment's start.
        """
        segment, edge = self._plan.segments[number], self._plan.shape.edge
        begin, end = segment.start + edge + first, segment.start + edge + stop
        half = round(FADE / 2 * self._plan.shape.rate)
        borders = [*segment.cuts, segment.stop]
        waiting = torch.empty(len(self._run.detectors), 0, device=self._run.device)
        for place, piece in enumerate(segment.pieces):
            inner = (place > 0, place + 1 < len(segment.pieces))
            low = max(begin, borders[place] - half * inner[0])
            high = min(end, borders[place + 1] + half * inner[1])
            if low >= high:
                continue
            part = self._conditioned(piece, low, high)
            if inner[0]:
                part *= _ramp(low, high, borders[place], half).to(part)
            if inner[1]:
                part *= 1 - _ramp(low, high, borders[place + 1], half).to(part)
            overlap = waiting.shape[1]
            part[:, :overlap] += waiting
            # What the next piece still adds to.
            done = min(high, borders[place + 1] - half) - low if inner[1] else high - low
            done = max(min(done, high - low), 0)
            waiting = part[:, done:]
            if done:
                yield self.conditioner_of(piece), part[:, :done]
        if waiting.shape[1]:
            yield self.conditioner_of(segment.pieces[-1]), waiting

    def windows(self, number: int, first: int, count: int) -> Iterator[Tensor]:
        """Conditioned windows [B, D, T] one by one, for conditioning that has no long form.

        Args:
            number: of the segment.
            first, count: the windows.
        """
        shape, segment = self._plan.shape, self._plan.segments[number]
        size, most = shape.window + 2 * shape.margin, 64
        for start in range(first, first + count, most):
            windows = min(most, first + count - start)
            begin = segment.start + start * shape.step
            strain = self._read(begin, begin + (windows - 1) * shape.step + size)
            views = np.lib.stride_tricks.sliding_window_view(strain, size, axis=1)[:, :: shape.step]
            yield self._run(np.ascontiguousarray(views.transpose(1, 0, 2)))

    def _conditioned(self, piece: int, start: int, stop: int) -> Tensor:
        """[D, stop - start] with one piece's conditioner."""
        edge = self._plan.shape.edge
        strain = self._strain(start - edge, stop + edge)  # before the conditioner, which is fitted to most of it
        conditioner = self.conditioner_of(piece)
        # Conditioners keep a response for every length: a few lengths serve all pieces.
        unit = round(LENGTHS * self._plan.shape.rate)
        strain = np.pad(strain, ((0, 0), (0, -strain.shape[1] % unit)))
        rows = [conditioner.condition_segment(row, place) for place, row in enumerate(strain)]
        return torch.stack(rows)[:, : stop - start]

    def conditioner_of(self, piece: int) -> Conditioner:
        """The conditioner of a piece."""
        if not self._refit:
            return self._run
        if piece not in self._fitted:
            while len(self._fitted) >= REMEMBERED:
                self._fitted.popitem(last=False)
            self._fitted[piece] = self._run.refit(self._half_overlapping(self._plan.pieces[piece]))
        return self._fitted[piece]

    def _half_overlapping(self, spans: Sequence[tuple[int, int]]) -> Array:
        """Windows [N, D, T + 2 margin] of some spans, of which a PSD is measured."""
        shape = self._plan.shape
        size = shape.window + 2 * shape.margin
        parts = []
        for start, stop in spans:
            if stop - start >= size:
                views = np.lib.stride_tricks.sliding_window_view(self._strain(start, stop), size, axis=1)
                parts.append(views[:, :: size // 2].transpose(1, 0, 2))
        return np.concatenate(parts)

    def _strain(self, start: int, stop: int) -> Array:
        """[D, stop - start] as it was read last, or read now."""
        if self._last is None or not self._last[0] <= start <= stop <= self._last[1]:
            self._last = start, stop, self._read(start, stop)
        first, _, strain = self._last
        return strain[:, start - first : stop - first]


def _ramp(low: int, high: int, border: int, half: int) -> Tensor:
    """[high - low] from 0 to 1 across a border, for samples `low` to `high`."""
    return ((torch.arange(low, high) - (border - half) + 0.5) / (2 * half)).clamp(0, 1)


__all__ = ["ReadStrain", "StretchConditioning"]
