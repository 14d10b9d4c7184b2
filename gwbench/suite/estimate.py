"""How long the rest of a suite will take, estimated from the cells that are done."""

from __future__ import annotations

import time
from collections.abc import Iterable
from statistics import fmean
from typing import TYPE_CHECKING

from gwbench.suite.matrix import Cell

if TYPE_CHECKING:
    from gwbench.experiment.record import RunRecord

Kind = tuple[str | None, str | None, bool, str]
"""What a cell's cost depends on: encoder, baseline, whether it pre-trains itself, dataset."""


class TimeEstimate:
    """Estimates the time left, and improves with every cell that ends.

    Args:
        cells: of the suite, all of them, in order.
        done: those that are done, and their records.
        jobs: how many are carried out at once.
    """

    def __init__(self, cells: Iterable[Cell], done: Iterable[tuple[Cell, RunRecord]], jobs: int) -> None:
        self._jobs = jobs
        self._seconds: dict[Kind, list[float]] = {}
        self._begun: dict[str, float] = {}
        self._trained: set[str] = set()
        finished = set()
        for cell, record in done:
            finished.add(cell.label)
            borrowed = "pretrained_by" in record.details
            lent = ("pretrain", "diagnose") if borrowed else ()
            seconds = sum(phase.seconds for name, phase in record.phases.items() if name not in lent)
            self._learn(cell, seconds, pretrains=not borrowed)
        self._left = {cell.label: cell for cell in cells if cell.label not in finished}

    def began(self, cell: Cell) -> None:
        """A cell has begun."""
        self._begun[cell.label] = time.monotonic()

    def ended(self, cell: Cell, seconds: float) -> None:
        """A cell has ended."""
        self._left.pop(cell.label, None)
        self._begun.pop(cell.label, None)
        self._learn(cell, seconds, pretrains=cell.pretraining not in self._trained)

    def seconds_left(self) -> float | None:
        """Seconds of wall time left; None before any cell has ended."""
        every = [seconds for kind in self._seconds.values() for seconds in kind]
        if not every:
            return None
        total, now, trained = 0.0, time.monotonic(), set(self._trained)
        for cell in self._left.values():
            known = self._seconds.get(_kind(cell, pretrains=cell.pretraining not in trained), every)
            spent = now - self._begun.get(cell.label, now)
            total += max(fmean(known) - spent, 0.0)
            trained |= {cell.pretraining} if cell.pretraining else set()
        return total / max(min(self._jobs, len(self._left)), 1)

    def _learn(self, cell: Cell, seconds: float, *, pretrains: bool) -> None:
        self._seconds.setdefault(_kind(cell, pretrains=pretrains), []).append(seconds)
        self._trained |= {cell.pretraining} if cell.pretraining else set()


def _kind(cell: Cell, *, pretrains: bool) -> Kind:
    spec = cell.spec
    own = pretrains and cell.pretraining is not None
    encoder, baseline = (choice.name if choice else None for choice in (spec.encoder, spec.baseline))
    return encoder, baseline, own, spec.dataset.name
