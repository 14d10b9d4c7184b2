"""What is shown while a suite runs."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from gwbench.suite.cell_run import Outcome
from gwbench.suite.estimate import TimeEstimate
from gwbench.suite.matrix import Cell
from gwbench.utils.printable import printable, printable_lines

if TYPE_CHECKING:
    from rich.console import Console, Group

BAR = 24
"""Columns of the bar."""


class Display:
    """Shows nothing; the base class of displays. Gets what an executor reports (`executors.Report`)."""

    def open(self, total: int, done: int, estimate: TimeEstimate) -> AbstractContextManager[object]:
        """Show a suite of `total` cells, some of them done already, until the context ends."""
        return nullcontext()

    def began(self, worker: int, cell: Cell) -> None:
        """A worker has begun a cell."""

    def step(self, worker: int, text: str) -> None:
        """What it is doing."""

    def say(self, message: str) -> None:
        """A line that stays."""

    def ended(self, worker: int, cell: Cell, outcome: Outcome) -> None:
        """A cell is done, or has failed."""


class TerminalDisplay(Display):
    """A line that stays for every finished cell; on a terminal, below them, a bar and what every worker is doing."""

    def __init__(self, console: Console | None = None) -> None:
        from rich.console import Console

        self.console = console or Console(stderr=True)
        self._doing: dict[int, tuple[Cell, str]] = {}
        self._total = self._done = 0
        self._begun = time.monotonic()
        self._estimate: TimeEstimate | None = None

    def open(self, total: int, done: int, estimate: TimeEstimate) -> AbstractContextManager[object]:
        """See `Display`."""
        self._total, self._done, self._estimate = total, done, estimate
        self._begun = time.monotonic()
        if not self.console.is_terminal:
            return nullcontext()
        from rich.live import Live

        return Live(get_renderable=self._draw, console=self.console, refresh_per_second=4, transient=True)

    def began(self, worker: int, cell: Cell) -> None:
        """See `Display`."""
        # A cell that its worker's death has freed is another one's now.
        self._doing = {n: doing for n, doing in self._doing.items() if doing[0] is not cell} | {worker: (cell, "")}

    def step(self, worker: int, text: str) -> None:
        """See `Display`."""
        self._doing[worker] = self._doing[worker][0], text

    def say(self, message: str) -> None:
        """See `Display`."""
        self.console.print(printable_lines(message), highlight=False, markup=False, soft_wrap=True)

    def ended(self, worker: int, cell: Cell, outcome: Outcome) -> None:
        """See `Display`."""
        self._doing.pop(worker, None)
        self._done += 1
        left = "" if self.console.is_terminal else f", {self._time_left()}"
        self.say(f"[{self._done:>{len(str(self._total))}}/{self._total}] {cell.label}: {in_words(outcome)}{left}")

    def _time_left(self) -> str:
        seconds = self._estimate.seconds_left() if self._estimate else None
        return "time left unknown" if seconds is None else f"{_clock(seconds)} left"

    def _draw(self) -> Group:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        overall = Table.grid(padding=(0, 1))
        overall.add_row(
            Text("Suite"),
            ProgressBar(total=max(self._total, 1), completed=self._done, width=BAR),
            Text(f"{self._done}/{self._total} cells, {_clock(time.monotonic() - self._begun)}, {self._time_left()}"),
        )
        lines = [
            Text(printable(f"  {cell.label}: {text}".rstrip(": ")), no_wrap=True, overflow="ellipsis", style="dim")
            for _, (cell, text) in sorted(self._doing.items())
        ]
        return Group(overall, *lines)


def in_words(outcome: Outcome) -> str:
    """An outcome in one line."""
    if outcome.status == "failed":
        return f"failed after {outcome.seconds:.0f} s: {outcome.reason}"
    auc = outcome.auc
    figure = f"AUC {auc.value:.4f} [{auc.low:.4f}, {auc.high:.4f}], " if auc else ""
    return f"{figure}{outcome.seconds:.0f} s"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
