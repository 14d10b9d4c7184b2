"""The progress of rank 0, shown by the process that started it: what sends it there, and what receives it here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from gwbench.utils.progress import Progress, ProgressTask


class RelayedProgress:
    """In the process that started the ranks: passes on what rank 0 reports."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[int, tuple[Any, ProgressTask]] = {}

    def __enter__(self) -> RelayedProgress:
        return self

    def __exit__(self, *_: object) -> None:
        """Close the tasks that are still open."""
        for context, _task in self._tasks.values():
            context.__exit__(None, None, None)

    def hear(self, kind: str, value: Any) -> None:
        """One report."""
        if kind == "say":
            self._progress.say(value)
        elif kind == "log":
            self._progress.log(*value)
        elif kind == "open":
            number, *words = value
            context = self._progress.task(*words)
            self._tasks[number] = context, context.__enter__()
        elif kind == "advance":
            number, amount, note = value
            self._tasks[number][1].advance(amount, note)
        elif kind == "close":
            self._tasks.pop(value)[0].__exit__(None, None, None)


class ProgressRelay(Progress):
    """In rank 0: sends progress and figures to the process that started it."""

    def __init__(self, tell: Callable[..., None]) -> None:
        self._tell = tell
        self._opened = 0

    @contextmanager
    def task(self, title: str, total: float, unit: str = "") -> Iterator[ProgressTask]:
        """See `Progress`."""
        number = self._opened = self._opened + 1
        self._tell("open", (number, title, total, unit))
        yield _RelayedTask(self._tell, number)
        self._tell("close", number)

    def say(self, message: str) -> None:
        """See `Progress`."""
        self._tell("say", message)

    def log(self, figures: Mapping[str, Any], step: int) -> None:
        """See `Progress`; the figures become plain numbers."""
        self._tell("log", ({name: float(value) for name, value in figures.items()}, step))


@dataclass(frozen=True)
class _RelayedTask:
    tell: Callable[..., None]
    number: int

    def advance(self, amount: float = 1, note: str = "") -> None:
        """See `Task`."""
        self.tell("advance", (self.number, amount, note))
