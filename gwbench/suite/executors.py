"""What carries out the cells of a suite: this process, or several. On a cluster: `ray_executor`.

A further executor is a class with the method `run`, which has `cell_run.execute_cell` called with each cell's spec,
in whatever process. Only the runs' records count: a suite that is started again goes on from them.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from functools import partial
from importlib import import_module
from typing import Protocol

from gwbench.errors import UserError, in_words
from gwbench.experiment.data_cache import DataCache
from gwbench.suite.cell_run import CellProgress, Outcome, RunOptions, execute_cell
from gwbench.suite.matrix import Cell
from gwbench.suite.schedule import PATIENCE, Schedule
from gwbench.utils.memory import memory_share
from gwbench.utils.subprocesses import take_threads, thread_variables, usable_cores
from gwbench.utils.worker_process import ParentProcess, WorkerProcess, ready


class Report(Protocol):
    """What an executor reports to; workers are numbered from 0."""

    def began(self, worker: int, cell: Cell) -> None:
        """A worker has begun a cell."""

    def step(self, worker: int, text: str) -> None:
        """What it is doing, in a few words."""

    def say(self, message: str) -> None:
        """A line that stays, such as a warning."""

    def ended(self, worker: int, cell: Cell, outcome: Outcome) -> None:
        """A cell is done, or has failed."""


class Executor(ABC):
    """Carries out cells.

    Attributes:
        jobs: how many it carries out at once, at most.
    """

    jobs: int

    @abstractmethod
    def run(self, schedule: Schedule, report: Report) -> None:
        """Take cells from the schedule until there are none, and report on them.

        Raises:
            KeyboardInterrupt: Ctrl-C; nothing that was started goes on.
        """


class InProcess(Executor):
    """One cell after the other, here."""

    def __init__(self, options: RunOptions) -> None:
        self._options, self.jobs = options, 1

    def run(self, schedule: Schedule, report: Report) -> None:
        """See `Executor`."""
        data_cache = DataCache(self._options.cache, many=True)
        while True:
            cell = schedule.take(0)
            if cell is None:
                if not schedule.waits:
                    return
                time.sleep(PATIENCE / 2)
                continue
            report.began(0, cell)
            progress = CellProgress(partial(report.step, 0), partial(_say, report, cell))
            outcome = execute_cell(cell.spec, self._options, data_cache, progress)
            if outcome.status == "busy":
                schedule.postpone(cell)
            else:
                report.ended(0, cell, outcome)


class Processes(Executor):
    """Several processes of this machine, which share its cores and its memory.

    Args:
        options: how every cell is run.
        jobs: how many processes.
    """

    def __init__(self, options: RunOptions, jobs: int) -> None:
        self._options, self.jobs = options, jobs

    def run(self, schedule: Schedule, report: Report) -> None:
        """See `Executor`."""
        workers = {number: _SuiteWorker(self._options, self.jobs) for number in range(min(self.jobs, schedule.groups))}
        try:
            while True:
                for number, worker in workers.items():
                    if worker.cell is None and (cell := schedule.take(number)):
                        worker.begin(cell)
                        report.began(number, cell)
                busy = {worker: number for number, worker in workers.items() if worker.cell}
                if not busy and not schedule.waits:
                    return
                if not busy:
                    time.sleep(PATIENCE / 2)
                    continue
                for worker in ready(busy, PATIENCE if schedule.waits else None):
                    workers[busy[worker]] = self._hear(busy[worker], worker, schedule, report)
        finally:
            for worker in workers.values():
                worker.close()  # records and checkpoints are whole at any moment

    def _hear(self, number: int, worker: _SuiteWorker, schedule: Schedule, report: Report) -> _SuiteWorker:
        """Take in one message of a worker; returns it, or the one in its place where it has died."""
        cell = worker.cell
        assert cell is not None
        kind, value = worker.receive()
        if kind == "died":
            worker.close()
            error = WorkerDiedError(f"the process {value}")
            record_failure(cell, error, self._options)
            report.ended(number, cell, Outcome("failed", worker.seconds, reason=in_words(error)))
            return _SuiteWorker(self._options, self.jobs)
        if kind == "step":
            report.step(number, value)
        elif kind == "say":
            _say(report, cell, value)
        else:
            worker.cell = None
            if value.status == "busy":
                schedule.postpone(cell)
            else:
                report.ended(number, cell, value)
        return worker


def _say(report: Report, cell: Cell, message: str) -> None:
    report.say(f"{cell.label}: {message}")


class WorkerDiedError(Exception):
    """A worker process ended in the middle of a cell."""


class _SuiteWorker(WorkerProcess):
    """A process that carries out one cell after the other.

    Raises:
        UserError: it cannot be started.
    """

    def __init__(self, options: RunOptions, jobs: int) -> None:
        self.cell: Cell | None = None
        self._begun = 0.0
        try:
            super().__init__(__name__, _share(jobs), remedy="lower --jobs")
        except OSError as error:
            raise UserError(f"No process can be started: {error}. Lower --jobs.") from None
        self.send(options)

    @property
    def seconds(self) -> float:
        """Since the cell began."""
        return time.monotonic() - self._begun

    def begin(self, cell: Cell) -> None:
        """Hand it a cell."""
        self.cell, self._begun = cell, time.monotonic()
        self.send(cell.spec.model_dump_json())


def _share(jobs: int) -> dict[str, str]:
    """The environment in which a process takes its share of the machine: cores, and memory for conditioned strain."""
    return {**thread_variables(usable_cores() // jobs), **memory_share(jobs)}


def record_failure(cell: Cell, error: Exception, options: RunOptions) -> None:
    """Write the record of a failed cell whose worker could not write it."""
    from gwbench.experiment.runner import fail_spec

    try:
        fail_spec(cell.spec, error, device=options.device, out=options.out, data_cache=DataCache(options.cache))
    except UserError:
        return  # another process is at the cell now


def serve(descriptor: int) -> None:
    """The life of a worker: carry out the cells that are asked for, and end with the process that asks."""
    parent = ParentProcess(descriptor)
    options: RunOptions = parent.receive()
    from gwbench.experiment.spec import RunSpec
    from gwbench.registry import REGISTRY

    import_module("gwbench.experiment.context")  # before the first cell's clock starts
    threads = take_threads()
    for source in options.plugins:
        REGISTRY.load_source(source)
    data_cache = DataCache(options.cache, threads, many=True)
    progress = CellProgress(partial(parent.send, "step"), partial(parent.send, "say"))
    while True:
        spec = RunSpec.model_validate_json(parent.receive())
        parent.send("ended", execute_cell(spec, options, data_cache, progress))
