"""Which cells of a suite are done, by the records there are, and carrying out the rest."""

from __future__ import annotations

import fnmatch
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gwbench.errors import UserError
from gwbench.experiment import environment, run_directory, runner
from gwbench.experiment.data_cache import DataCache
from gwbench.experiment.loggers import check_loggers
from gwbench.reporting.records.suite_titles import SuiteTitle, write_title
from gwbench.suite.cell_run import Outcome, RunOptions
from gwbench.suite.display import Display
from gwbench.suite.estimate import TimeEstimate
from gwbench.suite.executors import Executor, InProcess, Processes
from gwbench.suite.matrix import Cell, expand
from gwbench.suite.schedule import Schedule
from gwbench.suite.schema import Suite, read_suite
from gwbench.suite.transfers import located

if TYPE_CHECKING:
    from gwbench.experiment.record import RunRecord
    from gwbench.suite.search_entries import SearchEntry


@dataclass(frozen=True)
class CellStatus:
    """A cell, and its record if there is one of this very run.

    Attributes:
        cell: the cell.
        folder: where its record is or will be.
        record: finished or failed; None where the cell was never carried out to its end.
    """

    cell: Cell
    folder: Path
    record: RunRecord | None

    @property
    def status(self) -> Literal["done", "failed", "interrupted", "missing"]:
        """Whether it is done."""
        if self.record:
            return "done" if self.record.status == "ok" else "failed"
        return "interrupted" if (self.folder / run_directory.CHECKPOINTS).is_dir() else "missing"


@dataclass(frozen=True)
class Plan:
    """A suite, and what of it is done in a folder of runs.

    Attributes:
        name: of the suite.
        about: the question that it asks, in a sentence.
        options: how every cell is run.
        cell_statuses: one per cell, in order.
        skipped: label and reason of the combinations that make no sense.
        excluded: how many combinations the file leaves out.
        budget: seconds after which no new cell begins.
        searches: what every finished cell searches.
        title: what a page of its results is headed with; "" for none.
    """

    name: str
    about: str
    options: RunOptions
    cell_statuses: list[CellStatus]
    skipped: list[tuple[str, str]]
    excluded: int
    budget: float | None
    searches: tuple[SearchEntry, ...] = ()
    title: str = ""

    @cached_property
    def missing(self) -> list[Cell]:
        """The cells to carry out: those without a record, and those that failed."""
        return [cell_status.cell for cell_status in self.cell_statuses if cell_status.status != "done"]

    def count(self, status: str) -> int:
        """How many cells have this status."""
        return sum(cell_status.status == status for cell_status in self.cell_statuses)


@dataclass
class Result:
    """What has come of carrying out a plan.

    Attributes:
        done: cells that went well now.
        failed: cells that failed now, and why.
        left: cells that did not begin within the budget.
    """

    done: int = 0
    failed: list[tuple[Cell, str]] = field(default_factory=list)
    left: int = 0


def plan(
    path: str | Path,
    *,
    out: str | Path = runner.DEFAULT_OUT,
    cache: str | Path | None = None,
    device: str = "auto",
    plugins: Sequence[str] = (),
    only: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
    loggers: Sequence[str] = (),
    elsewhere: bool = False,
) -> Plan:
    """Read a suite, and look up what of it is done.

    Args:
        path: of the YAML file (see `schema`).
        out: folder that gets one folder per run.
        cache: folder of generated data; by default the user's cache folder.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        plugins: files or modules that register further plugins; they have been loaded.
        only: keep the cells whose label holds one of these patterns.
        settings: dotted settings for all cells, over the file's.
        loggers: loggers that get the cells' figures, as of `runner.run`.
        elsewhere: whether other machines carry the cells out, so that this one need not have the device "cuda".

    Raises:
        UserError: what the file says does not fit, or its data are not there.
    """
    loggers = check_loggers(loggers)
    suite = read_suite(path, settings)
    device, precision = _resolve(suite, device, elsewhere=elsewhere)
    matrix = expand(suite, precision)
    cells = _with_sources([cell for cell in matrix.cells if _chosen(cell.label, only)], matrix.cells)
    if not cells:
        labels = "\n".join(f"  {cell.label}" for cell in matrix.cells[:5]) or "  (none)"
        raise UserError(f"{path}: no cell fits {', '.join(map(repr, only)) or 'the file'}. The first cells:\n{labels}")
    data_cache = DataCache(cache)
    cell_statuses = []
    for cell in cells:
        if cell.source:
            cell = replace(cell, spec=located(cell.spec, cell.source, data_cache, out))
        fingerprint = data_cache.fingerprint(cell.spec)
        record = run_directory.find_record(cell.spec, fingerprint, out)
        cell_statuses.append(CellStatus(cell, run_directory.directory_of(cell.spec, fingerprint, out), record))
    return Plan(
        name=suite.name,
        about=suite.file.about,
        options=RunOptions(str(out), str(cache) if cache else None, device, tuple(plugins), loggers),
        cell_statuses=cell_statuses,
        skipped=[each for each in matrix.skipped if _chosen(each[0], only)],
        excluded=matrix.excluded,
        budget=suite.file.budget_seconds,
        searches=tuple(suite.file.searches),
        title=suite.file.title,
    )


def _resolve(suite: Suite, device: str, *, elsewhere: bool) -> tuple[str, str]:
    """The device, and the precision of what is trained on it where the file leaves that at "auto"."""
    try:
        device = environment.resolve_device(device)
    except UserError:
        if not elsewhere or device != "cuda":
            raise
        if suite.file.precision == "auto":
            raise UserError(
                f"{suite.document.path}: precision: auto asks the GPU, and this machine has none. Write precision: "
                "bf16, or fp32 for GPUs without it, in the file."
            ) from None
        return device, suite.file.precision
    return device, environment.resolve_precision("auto", device)


def execute(plan: Plan, *, jobs: int = 1, display: Display | None = None, executor: Executor | None = None) -> Result:
    """Carry out what is missing of a plan.

    Killed at any moment, the same again goes on: finished cells are read from their records, a pre-training goes on
    from its last epoch. A cell that fails leaves a record that says why, and the rest goes on.

    Args:
        plan: the suite.
        jobs: processes; 1 for this one alone.
        display: where to report; by default nowhere.
        executor: who carries the cells out, in place of `jobs` processes.

    Raises:
        KeyboardInterrupt: Ctrl-C.
    """
    if plan.title or plan.about:
        runs = tuple(cell_status.folder.name for cell_status in plan.cell_statuses)
        write_title(Path(plan.options.out), SuiteTitle(name=plan.name, title=plan.title, about=plan.about, runs=runs))
    display = display or Display()
    executor = executor or (InProcess(plan.options) if jobs == 1 else Processes(plan.options, jobs))
    until = time.monotonic() + plan.budget if plan.budget else float("inf")
    schedule = Schedule(plan.missing, lambda: time.monotonic() < until)
    cells = [cell_status.cell for cell_status in plan.cell_statuses]
    done = [(s.cell, s.record) for s in plan.cell_statuses if s.status == "done" and s.record]
    estimate = TimeEstimate(cells, done, executor.jobs)
    bookkeeper = _Bookkeeper(display, estimate)
    with display.open(len(cells), len(done), estimate):
        executor.run(schedule, bookkeeper)
    bookkeeper.result.left = len(schedule)
    return bookkeeper.result


class _Bookkeeper:
    """Counts what an executor reports, and passes it on to the display."""

    def __init__(self, display: Display, estimate: TimeEstimate) -> None:
        self._display, self._estimate = display, estimate
        self.result = Result()

    def began(self, worker: int, cell: Cell) -> None:
        self._estimate.began(cell)
        self._display.began(worker, cell)

    def step(self, worker: int, text: str) -> None:
        self._display.step(worker, text)

    def say(self, message: str) -> None:
        self._display.say(message)

    def ended(self, worker: int, cell: Cell, outcome: Outcome) -> None:
        self._estimate.ended(cell, outcome.seconds)
        if outcome.status == "ok":
            self.result.done += 1
        else:
            self.result.failed.append((cell, outcome.reason))
        self._display.ended(worker, cell, outcome)


def _with_sources(chosen: Sequence[Cell], cells: Sequence[Cell]) -> list[Cell]:
    """The chosen cells, in the order of all, with those that pre-train encoders which they probe."""
    needed = {cell.source.canonical() for cell in chosen if cell.source}
    return [cell for cell in cells if cell in chosen or (cell.source is None and cell.spec.canonical() in needed)]


def _chosen(label: str, only: Sequence[str]) -> bool:
    return not only or any(fnmatch.fnmatchcase(label, f"*{pattern}*") for pattern in only)
