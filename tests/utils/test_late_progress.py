"""Work that is soon over says nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from gwbench.utils import late_progress
from gwbench.utils.progress import Progress


class Watched(Progress):
    def __init__(self) -> None:
        self.told: list[Any] = []

    @contextmanager
    def task(self, title: str, total: float, unit: str = "") -> Iterator[Any]:
        self.told.append((title, total, unit))
        yield self
        self.told.append("over")

    def advance(self, amount: float = 1, note: str = "") -> None:
        self.told.append(amount)


def test_short_work_is_not_shown_and_long_work_with_what_was_done_before(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 1.0, 1.9, 2.1])
    monkeypatch.setattr("time.monotonic", lambda: next(times))
    watched = Watched()
    with late_progress.late_task(watched, "Check", 5, "records") as task:
        task.advance()
        task.advance()
        assert watched.told == []
        task.advance()
        task.advance(2)
    assert watched.told == [("Check", 5, "records"), 3.0, 2, "over"]
