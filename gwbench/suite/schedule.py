"""Which cell next: cells that share a pre-training go to one worker, and so do those that share data if it can be."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable

from gwbench.suite.matrix import Cell

PATIENCE = 1.0
"""Seconds until a cell that another process was carrying out is looked at again."""


class Schedule:
    """Cells in groups: a group is carried out by one worker, one cell after the other.

    Args:
        cells: in order; those that share a pre-training are neighbours.
        may_begin: whether a further cell may begin.
    """

    def __init__(self, cells: Iterable[Cell], may_begin: Callable[[], bool] = lambda: True) -> None:
        groups: dict[str, deque[Cell]] = {}
        for cell in cells:
            groups.setdefault(cell.pretraining or cell.spec.canonical(), deque()).append(cell)
        self._groups = list(groups.values())
        self._may_begin = may_begin
        self._current: dict[int, deque[Cell]] = {}
        self._data: dict[int, str] = {}
        self._postponed: list[tuple[float, Cell]] = []

    def __len__(self) -> int:
        """Cells that nobody has taken."""
        return sum(map(len, [*self._groups, *self._current.values()])) + len(self._postponed)

    @property
    def groups(self) -> int:
        """How many groups nobody has taken: as many workers have something to do."""
        return len(self._groups)

    @property
    def waits(self) -> bool:
        """Whether there are cells that can only be taken later."""
        return bool(self._postponed) and self._may_begin()

    @property
    def ended(self) -> bool:
        """Whether no cell will be taken any more: there is none, or none may begin."""
        return not len(self) or not self._may_begin()

    def take(self, worker: int) -> Cell | None:
        """The next cell for a worker; None where there is none for it, or none now."""
        if not self._may_begin():
            return None
        group = self._current.get(worker) or self._next_group(worker)
        if group:
            self._current[worker] = group
            cell = group.popleft()
            self._data[worker] = cell.data
            return cell
        now = time.monotonic()
        ready = [each for each in self._postponed if each[0] <= now]
        if not ready:
            return None
        self._postponed.remove(ready[0])
        return ready[0][1]

    def postpone(self, cell: Cell) -> None:
        """Put a cell back that another process is carrying out."""
        self._postponed.append((time.monotonic() + PATIENCE, cell))

    def put_back(self, worker: int, cell: Cell | None = None) -> None:
        """Free the cells of a worker that has died: the one that it was carrying out, and the rest of its group."""
        group = self._current.pop(worker, deque())
        self._data.pop(worker, None)
        if cell:
            group.appendleft(cell)
        if group:
            self._groups.insert(0, group)

    def _next_group(self, worker: int) -> deque[Cell] | None:
        """One with the data that the worker has; or else with data that no other has; or else the first."""
        if not self._groups:
            return None
        own = self._data.get(worker)
        others = {data for each, data in self._data.items() if each != worker}
        ranks = [0 if group[0].data == own else 1 if group[0].data not in others else 2 for group in self._groups]
        return self._groups.pop(ranks.index(min(ranks)))
