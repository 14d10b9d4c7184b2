"""How long-running work reports its progress: the core calls `Progress`; its caller decides what is shown.

Library code never prints. The command line passes a `TerminalProgress`. The Python API shows bars on a terminal and in
a notebook; elsewhere what would be said goes to the logger named `gwbench`, which is silent until it is configured.
"""

from __future__ import annotations

import html
import logging
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from gwbench.utils.printable import printable_lines

if TYPE_CHECKING:
    from rich.console import Console


LOGGER = logging.getLogger("gwbench")
LOGGER.addHandler(logging.NullHandler())

WIDE = 120
"""Columns of a terminal from which on a bar shows everything."""

NOTEBOOK_INTERVAL = 0.2
"""Seconds between two updates of a bar in a notebook: every one is a message to the browser."""


class ProgressTask(Protocol):
    """One piece of work under way."""

    def advance(self, amount: float = 1, note: str = "") -> None:
        """Report `amount` more units done; `note` (a loss, a rate) replaces the last one."""
        ...


class Progress:
    """Shows nothing; the base class of those that do."""

    @contextmanager
    def task(self, title: str, total: float, unit: str = "") -> Iterator[ProgressTask]:
        """A piece of work of `total` units named by `unit`, such as "windows"."""
        yield _Silent()

    def say(self, message: str) -> None:
        """One line that stays, such as a warning."""

    def log(self, figures: Mapping[str, Any], step: int) -> None:
        """Figures of a training step, numbers or tensors of one element, for loggers."""


class _Silent:
    def advance(self, amount: float = 1, note: str = "") -> None:
        pass


class LoggedProgress(Progress):
    """Tells the logger `gwbench` what is said, and at level INFO which work has begun and how long it took."""

    @contextmanager
    def task(self, title: str, total: float, unit: str = "") -> Iterator[ProgressTask]:
        """Two lines: before and after."""
        begun = time.monotonic()
        LOGGER.info("%s: %s", title, f"{total:,g} {unit}".rstrip())
        yield _Silent()
        LOGGER.info("%s: done, %.1f s", title, time.monotonic() - begun)

    def say(self, message: str) -> None:
        """A line at level WARNING: it is what a person should know."""
        LOGGER.warning("%s", printable_lines(message))


class TerminalProgress(Progress):
    """Bars with rate and time left on a terminal; a plain line every few seconds into a file or a pipe."""

    PLAIN_INTERVAL = 15.0
    """Seconds between lines where there is no terminal."""

    def __init__(self, console: Console | None = None) -> None:
        from rich.console import Console

        self.console = console or Console(stderr=True)

    @contextmanager
    def task(self, title: str, total: float, unit: str = "") -> Iterator[ProgressTask]:
        """A bar, or lines where there is no terminal."""
        if not self.console.is_terminal:
            plain = _Plain(self, title, total, unit)
            yield plain
            plain.done()
            return
        from rich import progress as bars

        wide = self.console.width >= WIDE
        columns = (
            bars.TextColumn("{task.description:<15}" if wide else "{task.description:<12}"),
            bars.BarColumn(bar_width=24 if wide else 8),
            *([bars.TaskProgressColumn(), bars.TimeElapsedColumn()] if wide else []),
            bars.TextColumn("{task.fields[rate]}"),
            bars.TimeRemainingColumn(),
            bars.TextColumn("left"),
            bars.TextColumn("{task.fields[note]}"),
        )
        with bars.Progress(*columns, console=self.console) as bar:
            yield _Bar(bar, bar.add_task(title, total=total, rate="", note=""), unit)

    def say(self, message: str) -> None:
        """Print the line to standard error."""
        self.console.print(printable_lines(message), highlight=False, markup=False, soft_wrap=True)


class _Bar:
    def __init__(self, bar: object, identity: object, unit: str) -> None:
        self._bar, self._id, self._unit = bar, identity, unit

    def advance(self, amount: float = 1, note: str = "") -> None:
        bar = self._bar
        bar.update(self._id, advance=amount, note=note)  # type: ignore[attr-defined]
        speed = bar.tasks[0].speed  # type: ignore[attr-defined]
        if speed and self._unit:
            bar.update(self._id, rate=f"{speed:,.0f} {self._unit}/s")  # type: ignore[attr-defined]


class _Plain:
    def __init__(self, progress: TerminalProgress, title: str, total: float, unit: str) -> None:
        self._progress, self._title, self._total, self._unit = progress, title, total, unit
        self._start = self._last = time.monotonic()
        self._count, self._note = 0.0, ""

    def advance(self, amount: float = 1, note: str = "") -> None:
        self._count += amount
        self._note = note or self._note
        if time.monotonic() - self._last > self._progress.PLAIN_INTERVAL:
            self._last = time.monotonic()
            self._line(f"{100 * self._count / max(self._total, 1):.0f} %")

    def done(self) -> None:
        self._line("done")

    def _line(self, state: str) -> None:
        seconds = time.monotonic() - self._start
        rate = f", {self._count / seconds:,.0f} {self._unit}/s" if self._unit and seconds > 0 else ""
        note = f", {self._note}" if self._note else ""
        self._progress.say(f"{self._title}: {state}, {seconds:.0f} s{rate}{note}")


class NotebookProgress(Progress):
    """Shows bars and messages as outputs of the cell that runs. It needs IPython, which every notebook has."""

    @contextmanager
    def task(self, title: str, total: float, unit: str = "") -> Iterator[ProgressTask]:
        """A bar with rate and time left."""
        bar = _NotebookBar(title, total, unit)
        yield bar
        bar.close()

    def say(self, message: str) -> None:
        """One line of text below the cell."""
        _display(f"<div>{html.escape(message)}</div>", message)


class _NotebookBar:
    def __init__(self, title: str, total: float, unit: str) -> None:
        self._title, self._total, self._unit = title, total, unit
        self._start = self._last = time.monotonic()
        self._done, self._note = 0.0, ""
        self._handle = _display(self._html(), self._text(), update=True)

    def advance(self, amount: float = 1, note: str = "") -> None:
        """So much more is done."""
        self._done += amount
        self._note = note or self._note
        if time.monotonic() - self._last > NOTEBOOK_INTERVAL:
            self._show()

    def close(self) -> None:
        """The work is over."""
        self._show()

    def _show(self) -> None:
        self._last = time.monotonic()
        self._handle.update({"text/html": self._html(), "text/plain": self._text()}, raw=True)

    def _text(self) -> str:
        seconds = time.monotonic() - self._start
        words = [f"{100 * self._share:.0f} %", f"{seconds:.0f} s"]
        if self._done and seconds > 1:
            words += [f"{self._done / seconds:,.0f} {self._unit}/s"] if self._unit else []
            words += [f"{seconds / self._share - seconds:.0f} s left"] if 0 < self._share < 1 else []
        return f"{self._title}: {', '.join([*words, *filter(None, [self._note])])}"

    def _html(self) -> str:
        return (
            f'<div><progress value="{self._share:.4f}" max="1" style="width:12em;vertical-align:middle"></progress> '
            f"{html.escape(self._text())}</div>"
        )

    @property
    def _share(self) -> float:
        return min(self._done / self._total, 1.0) if self._total else 1.0


def _display(markup: str, text: str, *, update: bool = False) -> Any:
    from IPython.display import display

    return display({"text/html": markup, "text/plain": text}, raw=True, display_id=True if update else None)


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook, whose outputs a browser shows."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


def default() -> Progress:
    """Bars in a notebook and where standard error is a terminal; else the logger `gwbench`."""
    if in_notebook():
        return NotebookProgress()
    return TerminalProgress() if sys.stderr.isatty() else LoggedProgress()
