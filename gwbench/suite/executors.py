"""Who carries the cells of a suite out: this process, or several. A cluster: `ray_executor`.

A further executor is a class with this one method that has `cell_run.execute_cell` called with each
cell's spec wherever it likes. Whatever happens to it, the runs' records are what counts, and are found again.
"""

from __future__ import annotations

import os
import threading
import time
from abc import ABC, abstractmethod
from functools import partial
from importlib import import_module
from multiprocessing.connection import Connection, Pipe, wait
from queue import SimpleQueue
from typing import Protocol

from gwbench.errors import UserError
from gwbench.experiment.data_cache import DataCache
from gwbench.suite.cell_run import CellProgress, Outcome, RunOptions, execute_cell
from gwbench.suite.matrix import Cell
from gwbench.suite.schedule import PATIENCE, Schedule
from gwbench.utils import subprocesses
from gwbench.utils.memory import memory_share
from gwbench.utils.subprocesses import usable_cores


class Report(Protocol):
    """Hears what goes on; workers are numbered from 0."""

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

    def __init__(self, place: RunOptions) -> None:
        self._place, self.jobs = place, 1

    def run(self, schedule: Schedule, report: Report) -> None:
        """As of `Executor`."""
        data_cache = DataCache(self._place.cache, many=True)
        while True:
            cell = schedule.take(0)
            if cell is None:
                if not schedule.waits:
                    return
                time.sleep(PATIENCE / 2)
                continue
            report.began(0, cell)
            progress = CellProgress(partial(report.step, 0), partial(_say, report, cell))
            outcome = execute_cell(cell.spec, self._place, data_cache, progress)
            if outcome.status == "busy":
                schedule.postpone(cell)
            else:
                report.ended(0, cell, outcome)


class Processes(Executor):
    """Several processes of this machine, which share its cores and its memory.

    Args:
        place: where.
        jobs: how many.
    """

    def __init__(self, place: RunOptions, jobs: int) -> None:
        self._place, self.jobs = place, jobs

    def run(self, schedule: Schedule, report: Report) -> None:
        """As of `Executor`."""
        process_group = {number: _Process(self._place, self.jobs) for number in range(min(self.jobs, schedule.groups))}
        try:
            while True:
                for number, process in process_group.items():
                    if process.cell is None and (cell := schedule.take(number)):
                        process.begin(cell)
                        report.began(number, cell)
                busy = {process.connection: number for number, process in process_group.items() if process.cell}
                if not busy and not schedule.waits:
                    return
                if not busy:
                    time.sleep(PATIENCE / 2)
                for connection in wait(list(busy), timeout=PATIENCE if schedule.waits else None):
                    assert isinstance(connection, Connection)
                    number = busy[connection]
                    process_group[number] = self._hear(number, process_group[number], schedule, report)
        finally:
            for process in process_group.values():
                process.kill()

    def _hear(self, number: int, process: _Process, schedule: Schedule, report: Report) -> _Process:
        """Take in one message of a worker; returns it, or the one in its place where it has died."""
        cell = process.cell
        assert cell is not None
        try:
            kind, value = process.connection.recv()
        except (EOFError, OSError):
            error = WorkerDiedError(process.exit_reason())
            record_failure(cell, error, self._place)
            report.ended(number, cell, Outcome("failed", process.seconds, reason=f"{type(error).__name__}: {error}"))
            return _Process(self._place, self.jobs)
        if kind == "step":
            report.step(number, value)
        elif kind == "say":
            _say(report, cell, value)
        else:
            process.cell = None
            if value.status == "busy":
                schedule.postpone(cell)
            else:
                report.ended(number, cell, value)
        return process


def _say(report: Report, cell: Cell, message: str) -> None:
    report.say(f"{cell.label}: {message}")


class WorkerDiedError(Exception):
    """A worker process ended in the middle of a cell."""


class _Process:
    """One worker."""

    def __init__(self, place: RunOptions, jobs: int) -> None:
        self.cell: Cell | None = None
        self._begun = 0.0
        self.connection, theirs = Pipe()
        try:
            self._process = subprocesses.start(__name__, theirs.fileno(), _share(jobs))
        except OSError as error:
            self.connection.close()
            raise UserError(f"No process can be started: {error}. Lower --jobs.") from None
        finally:
            theirs.close()
        self.connection.send(place)

    @property
    def seconds(self) -> float:
        """Since the cell began."""
        return time.monotonic() - self._begun

    def begin(self, cell: Cell) -> None:
        """Hand it a cell. Where the process has died, the answer to it is that."""
        self.cell, self._begun = cell, time.monotonic()
        try:
            self.connection.send(cell.spec.model_dump_json())
        except OSError:
            return

    def exit_reason(self) -> str:
        """How the process ended, which has hung up."""
        ended = subprocesses.exit_reason(self._process, "lower --jobs")
        self.connection.close()
        return f"the process {ended}"

    def kill(self) -> None:
        """End it at once. Records and checkpoints are whole at any moment."""
        self._process.kill()
        self._process.wait()
        self.connection.close()


def _share(jobs: int) -> dict[str, str]:
    """The environment in which a process takes its share of the machine: cores, and memory for conditioned strain."""
    return {**subprocesses.thread_variables(usable_cores() // jobs), **memory_share(jobs)}


def record_failure(cell: Cell, error: Exception, place: RunOptions) -> None:
    """Write the record of a failed cell that its worker could not write."""
    from gwbench.experiment.runner import fail_spec

    try:
        fail_spec(cell.spec, error, device=place.device, out=place.out, data_cache=DataCache(place.cache))
    except UserError:
        return  # another process is at the cell now


def serve(descriptor: int) -> None:
    """The life of a worker: carry out the cells that are asked for until the other end closes."""
    connection, speaking = Connection(descriptor), threading.Lock()
    asked: SimpleQueue[str] = SimpleQueue()

    def listen() -> None:
        """Take in what is asked. Where who asks is no more, killed maybe, nobody needs the cell under way either."""
        try:
            while True:
                asked.put(connection.recv())
        except (EOFError, OSError):
            os._exit(1)

    def tell(kind: str, value: object) -> None:
        with speaking:  # what reads ahead for a batch has a thread of its own, and may warn
            connection.send((kind, value))

    place: RunOptions = connection.recv()
    threading.Thread(target=listen, daemon=True).start()
    from gwbench.experiment.spec import RunSpec
    from gwbench.registry import REGISTRY

    import_module("gwbench.experiment.context")  # before the first cell's clock starts
    threads = subprocesses.take_threads()
    for source in place.plugins:
        REGISTRY.load_source(source)
    data_cache = DataCache(place.cache, threads, many=True)
    progress = CellProgress(partial(tell, "step"), partial(tell, "say"))
    while True:
        spec = RunSpec.model_validate_json(asked.get())
        tell("ended", execute_cell(spec, place, data_cache, progress))
