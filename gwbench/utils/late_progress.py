"""Progress of work that is mostly over before anybody wonders: it is shown from its third second on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from gwbench.utils.progress import Progress, ProgressTask

AFTER = 2.0
"""Seconds of work without a word."""


class _Late:
    def __init__(self, stack: ExitStack, progress: Progress, title: str, total: float, unit: str) -> None:
        self._stack, self._progress, self._of = stack, progress, (title, total, unit)
        self._begun, self._done = time.monotonic(), 0.0
        self._shown: ProgressTask | None = None

    def advance(self, amount: float = 1, note: str = "") -> None:
        self._done += amount
        if self._shown is not None:
            self._shown.advance(amount, note)
        elif time.monotonic() - self._begun > AFTER:
            self._shown = self._stack.enter_context(self._progress.task(*self._of))
            self._shown.advance(self._done, note)


@contextmanager
def late_task(progress: Progress, title: str, total: float, unit: str = "") -> Iterator[ProgressTask]:
    """As `progress.task`, which begins only once the work has taken `AFTER` seconds."""
    with ExitStack() as stack:
        yield _Late(stack, progress, title, total, unit)
