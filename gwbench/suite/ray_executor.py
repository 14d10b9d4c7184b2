"""The cells of a suite on a Ray cluster: workers on its nodes, to which this process hands one cell after the other.

A worker is an actor, a process on some node that has claimed the CPUs of a cell and, for "cuda", one GPU. It keeps its
data from cell to cell, and the cells that share a pre-training go to one worker.

Folders. What counts are the records, which workers write into `RunOptions.out`. So all nodes and this machine must see
that folder under one path, as well as the files of datasets that are read from files; a worker that does not see it
ends the suite, and a cell whose record does not turn up here has failed. Generated data lie in the cache folder: on
shared storage they are made once, else once a node.

Death. A cell whose worker or whose node dies is given to another worker, which goes on from the cell's last
checkpoint; a cell that has ended `DEATHS` workers has failed, and the others go on. The lock on a run's folder is
released with the process that held it: at once where that ran on a machine that is still up, while for a node that is
gone the file server decides when (after the lease, of 90 s as a rule, with NFS 4). Until then, and as long as a process
lives on that Ray has lost contact with, the cell is busy: it is postponed, like one that another suite is carrying out.
On a file system without locks across nodes such a process goes on beside the new one: both compute the same, every file
is replaced as a whole, and the last one stands. Nothing is lost where this process dies, and its workers end with it.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gwbench.errors import UserError
from gwbench.experiment import run_directory
from gwbench.experiment.data_cache import DataCache
from gwbench.experiment.transfer import settled
from gwbench.suite.cell_run import Outcome, RunOptions
from gwbench.suite.executors import Executor, Report, WorkerDiedError, record_failure
from gwbench.suite.matrix import Cell
from gwbench.suite.ray_capacity import Needs
from gwbench.suite.ray_connection import connection, in_brief
from gwbench.suite.ray_worker import CellWorker, Message, Setup, signpost
from gwbench.suite.schedule import Schedule
from gwbench.utils.paths import user_path
from gwbench.utils.subprocesses import thread_variables

DEATHS = 3
"""Workers that one cell may end; and that may end in a row before they can take a cell."""

APPEARING = 30.0
"""Seconds after which a file that one node has written is seen by the others, on storage with a cache."""

WAITING = 60.0
"""Seconds without any worker after which the cluster is said to have none free."""

TICK = 0.5
"""Seconds between looks at the cluster."""


@contextlib.contextmanager
def ray_cluster(
    options: RunOptions, *, address: str | None = None, jobs: int | None = None, cpus: int | None = None
) -> Iterator[RayCluster]:
    """The executor on a cluster to which this process is connected meanwhile.

    Args:
        options: how every cell is run; relative paths are relative to the working directory here.
        address: as of `ray_connection.connection`.
        jobs: how many cells are carried out at once, at most; by default as many as the cluster can run.
        cpus: that a cell is given, and the threads that it computes with; by default the most that allow `jobs`
            cells at once or, without that, a cell per GPU, or else 1.

    Raises:
        UserError: Ray is not installed or not reached, or no node of the cluster can run a cell.
    """
    if ":" in options.device:
        raise UserError(
            f"--device {options.device} names a GPU of this machine, but Ray hands out the GPUs. Use --device cuda."
        )
    with connection(address):
        yield RayCluster(options, jobs, cpus)


class RayCluster(Executor):
    """Workers on the nodes of the cluster that this process is connected to.

    Args:
        options, jobs, cpus: as of `ray_cluster`.

    Raises:
        UserError: no node of the cluster can run a cell.
    """

    def __init__(self, options: RunOptions, jobs: int | None, cpus: int | None) -> None:
        self._options = replace(
            options,
            out=str(Path(options.out).absolute()),
            cache=str(Path(options.cache).absolute()) if options.cache else None,
            plugins=tuple(_absolute(source) for source in options.plugins),
        )
        self._data_cache = DataCache(self._options.cache)
        gpu = options.device == "cuda"
        self._needs = Needs(cpus, gpu) if cpus else Needs.fitting(gpu, jobs)
        capacity = self._needs.capacity()
        if not capacity:
            raise self._needs.unmet()
        self._most, self.jobs = jobs, min(jobs or capacity, capacity)
        self._workers: dict[int, _RayWorker] = {}
        self._deaths: Counter[str] = Counter()
        self._false_starts: Counter[int] = Counter()

    def run(self, schedule: Schedule, report: Report) -> None:
        """As of `Executor`.

        Raises:
            UserError: workers do not start, or do not see the folder of runs; or the cluster is lost.
        """
        import ray

        with signpost(Path(self._options.out)) as self._sign:
            try:
                self._run(schedule, report)
            except ray.exceptions.RayError as error:
                raise UserError(
                    f"The Ray cluster is lost ({in_brief(error)}). Start it again; the same command goes on."
                ) from None
            finally:
                for number in list(self._workers):
                    self._dismiss(number)

    def _run(self, schedule: Schedule, report: Report) -> None:
        import ray

        started, said = time.monotonic(), False
        while True:
            for number, worker in self._workers.items():
                if worker.ready and not worker.cell and (cell := schedule.take(number)):
                    worker.begin(cell)
                    report.began(number, cell)
            busy = sum(worker.cell is not None for worker in self._workers.values())
            if not busy and schedule.ended:
                return
            self._fit(schedule, busy)
            if any(worker.ready for worker in self._workers.values()):
                started = time.monotonic()
            elif time.monotonic() - started > WAITING:
                if not self._needs.capacity():
                    raise self._needs.unmet()
                if not said:
                    report.say(f"Waiting for the cluster to have {self._needs} free; `ray status` shows what is taken.")
                said = True
            news = {worker.news: number for number, worker in self._workers.items()}
            for ref in ray.wait(list(news), timeout=TICK)[0]:
                self._hear(news[ref], schedule, report)

    # --- the workers ---

    def _fit(self, schedule: Schedule, busy: int) -> None:
        """End the workers that no cell is left for, and start those that are missing."""
        waiting = schedule.groups or int(not schedule.ended)
        for number, worker in list(self._workers.items()):
            if worker.ready and not worker.cell and not waiting:
                self._dismiss(number)
        wanted = min(busy + waiting, self._most or busy + waiting)
        if len(self._workers) < wanted:
            wanted = min(wanted, self._needs.capacity())  # nodes come and go
        while len(self._workers) < wanted:
            number = next(number for number in range(wanted) if number not in self._workers)
            self._workers[number] = self._start()

    def _start(self) -> _RayWorker:
        import ray

        own = {name: value for name, value in os.environ.items() if name.startswith("GWBENCH_")}
        remote: Any = ray.remote  # its types lack a keyword
        kind = remote(
            num_cpus=self._needs.cpus,
            num_gpus=int(self._needs.gpu),
            max_restarts=0,
            max_task_retries=0,
            scheduling_strategy="SPREAD",
            concurrency_groups={"news": 1},
            runtime_env={"env_vars": {**own, **thread_variables(self._needs.cpus)}},
        )(CellWorker)
        setup = Setup(self._options, Path.cwd(), sys.path, self._sign, APPEARING, self._needs, self._most)
        actor = kind.remote()
        return _RayWorker(actor, actor.prepare.remote(setup))

    def _dismiss(self, number: int) -> None:
        import ray

        worker = self._workers.pop(number)
        ray.kill(worker.actor)

    # --- what workers report ---

    def _hear(self, number: int, schedule: Schedule, report: Report) -> None:
        """Take in what a worker reports, or its death."""
        import ray

        worker = self._workers[number]
        try:
            messages: Sequence[Message] = ray.get(worker.news)
        except ray.exceptions.RayError as error:
            self._worker_died(number, in_brief(error), schedule, report)
            return
        for kind, value in messages:
            if kind == "ready":
                worker.ready = True
                del self._false_starts[number]
            elif kind == "unfit":
                raise UserError(value)
            elif kind == "say":
                report.say(f"{worker.cell.label}: {value}" if worker.cell else value)
            elif kind == "step" and worker.cell:
                report.step(number, value)
            elif kind == "ended" and worker.cell:
                cell, worker.cell = worker.cell, None
                if value.status == "busy":
                    schedule.postpone(cell)
                else:
                    report.ended(number, cell, self._checked(cell, value))
        worker.listen()

    def _worker_died(self, number: int, reason: str, schedule: Schedule, report: Report) -> None:
        """Put back the cell of a worker that has died, or record that it has ended `DEATHS` workers."""
        worker = self._workers[number]
        self._dismiss(number)  # where it is merely out of sight, it must not come back
        cell = worker.cell
        if not worker.ready:
            self._false_starts[number] += 1
            if self._false_starts[number] == DEATHS:
                raise UserError(
                    f"No worker starts on the Ray cluster ({reason}). Install this version of gwbench and of its "
                    "dependencies on every node."
                )
        elif cell:
            self._deaths[cell.label] += 1
            if self._deaths[cell.label] == DEATHS:
                error = WorkerDiedError(
                    f"{DEATHS} workers died of it, most likely for want of memory: raise --cpus-per-cell, so that "
                    f"fewer cells share a node ({reason})"
                )
                record_failure(cell, error, self._options)
                report.ended(number, cell, Outcome("failed", worker.seconds, reason=f"WorkerDiedError: {error}"))
                cell = None
            else:
                report.say(f"{cell.label}: its worker died, another one goes on ({reason})")
        schedule.put_back(number, cell)

    def _checked(self, cell: Cell, outcome: Outcome) -> Outcome:
        """The outcome of a cell, or a failure where it went well but its record cannot be found from here."""
        if outcome.status != "ok":
            return outcome
        spec = settled(cell.spec)
        fingerprint = self._data_cache.fingerprint(spec)
        until = time.monotonic() + APPEARING
        out = self._options.out
        while not (record := run_directory.find_record(spec, fingerprint, out)) or record.status != "ok":
            if time.monotonic() > until:
                folder = run_directory.directory_of(spec, fingerprint, out)
                reason = (
                    f"it was carried out, but its record is not in {folder}: --out must be a folder that all nodes "
                    "share, and they must have the same data, plugins and version of gwbench as this machine"
                )
                return Outcome("failed", outcome.seconds, reason=reason)
            time.sleep(TICK)
        return outcome


@dataclass
class _RayWorker:
    """A worker on some node, seen from this process.

    Attributes:
        actor: its handle.
        news: the Ray reference of what it will report next.
        ready: whether it can take a cell.
        cell: the one that it is carrying out.
        begun: when that cell began.
    """

    actor: Any
    news: Any
    ready: bool = False
    cell: Cell | None = None
    begun: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Since the cell began."""
        return time.monotonic() - self.begun

    def begin(self, cell: Cell) -> None:
        """Hand it a cell."""
        self.cell, self.begun = cell, time.monotonic()
        self.actor.execute_cell.remote(cell.spec.model_dump_json())

    def listen(self) -> None:
        """Ask for what it will report next."""
        self.news = self.actor.hear.options(concurrency_group="news").remote()


def _absolute(source: str) -> str:
    """A plugin's file by its absolute path; the name of a module as it is."""
    path = user_path(source)
    return str(path.absolute()) if path.is_file() else source
