"""One cell of a suite, carried out: what every executor calls, in whatever process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from gwbench.errors import in_words
from gwbench.utils.progress import Progress, ProgressTask

if TYPE_CHECKING:
    from gwbench.evaluation.statistics import Interval
    from gwbench.experiment.data_cache import DataCache
    from gwbench.experiment.record import RunRecord
    from gwbench.experiment.spec import RunSpec

STEP_INTERVAL = 0.5
"""Seconds between reports from inside a cell."""


@dataclass(frozen=True)
class RunOptions:
    """How every cell of a suite is run.

    Attributes:
        out: folder of run folders.
        cache: folder of generated data; None for the user's cache folder.
        device: "cpu", "cuda", "cuda:N" or "mps".
        plugins: files and modules that register further plugins.
        loggers: loggers that get the cells' figures (see `gwbench.experiment.loggers`).
    """

    out: str
    cache: str | None
    device: str
    plugins: tuple[str, ...] = ()
    loggers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What came of a cell.

    Attributes:
        status: "ok"; "failed"; or "busy" where another process is carrying it out.
        seconds: that it took.
        auc: ROC-AUC with its interval.
        reason: why it failed.
    """

    status: Literal["ok", "failed", "busy"]
    seconds: float = 0.0
    auc: Interval | None = None
    reason: str = ""

    @classmethod
    def of(cls, record: RunRecord, seconds: float) -> Outcome:
        """The outcome of a finished run, by its record."""
        return cls("ok", seconds, record.metrics.auc if record.metrics else None)


def execute_cell(spec: RunSpec, options: RunOptions, data_cache: DataCache, progress: Progress) -> Outcome:
    """Carry out a cell; what goes wrong with it is an outcome too, and is in its record.

    Args:
        spec: the cell's run.
        options: how.
        data_cache: that of the cells which this process carried out before.
        progress: where to report.
    """
    from gwbench.experiment.run_directory import BusyRunError
    from gwbench.experiment.runner import run_spec

    _reset_peak_memory()
    begun = time.monotonic()
    try:
        record = run_spec(
            spec,
            device=options.device,
            out=options.out,
            loggers=options.loggers,
            progress=progress,
            data_cache=data_cache,
        )
    except BusyRunError:
        return Outcome("busy")
    except Exception as error:
        return Outcome("failed", time.monotonic() - begun, reason=in_words(error))
    return Outcome.of(record, time.monotonic() - begun)


class CellProgress(Progress):
    """Reports the progress inside a cell, a line at a time.

    Args:
        step: gets what is going on now, replacing what it got before, every half second at most.
        say: gets what is to stay, such as a warning.
    """

    def __init__(self, step: Callable[[str], None], say: Callable[[str], None]) -> None:
        self._step, self._say = step, say
        self._last = 0.0

    @contextmanager
    def task(self, title: str, total: float, unit: str = "") -> Iterator[ProgressTask]:
        """Report the share that is done, with the note."""
        self._step(title)
        yield _Share(self, title, total)

    def say(self, message: str) -> None:
        """Pass it on."""
        self._say(message)

    def step(self, text: str) -> None:
        """Pass on where a task stands, unless that was just done."""
        if time.monotonic() - self._last >= STEP_INTERVAL:
            self._last = time.monotonic()
            self._step(text)


class _Share:
    def __init__(self, progress: CellProgress, title: str, total: float) -> None:
        self._progress, self._title, self._total, self._done = progress, title, total, 0.0

    def advance(self, amount: float = 1, note: str = "") -> None:
        self._done += amount
        self._progress.step(f"{self._title} {100 * self._done / max(self._total, 1):.0f} % {note}".rstrip())


def _reset_peak_memory() -> None:
    """Forget the memory that earlier cells of this process took, where the system can (Linux)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return
