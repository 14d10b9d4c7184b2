"""What scores the blocks of a scan: this process, or several of this machine. On a cluster: `gwbench.suite.ray_scan`.

A further executor is a class with the method `run`, which has `BlockScorer.score` called with each block, in whatever
process. Only the blocks' files count: a scan that is started again goes on from them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gwbench.errors import UserError
from gwbench.search.block_scores import Advance, BlockScorer, ScanJob
from gwbench.search.scan_plan import ScanBlock
from gwbench.utils.subprocesses import take_threads, thread_variables, usable_cores
from gwbench.utils.worker_process import ParentProcess, WorkerProcess, ready

if TYPE_CHECKING:
    from gwbench.experiment.scorer import RunScorer


@dataclass(frozen=True)
class RunSource:
    """Where a process finds what scores windows.

    Attributes:
        folder: of the run.
        plugins: files or modules that register the plugins it used.
        device: to score on.
    """

    folder: Path
    plugins: tuple[str, ...] = ()
    device: str = "cpu"

    def load(self) -> RunScorer:
        """What scores windows, on its device. Raises `UserError` as `load_scorer`."""
        from gwbench.experiment.scorer import load_scorer

        return load_scorer(self.folder, plugins=self.plugins).to(self.device)


class ScanExecutor(ABC):
    """Scores blocks."""

    @abstractmethod
    def run(self, job: ScanJob, blocks: Sequence[ScanBlock], advance: Advance, say: Callable[[str], None]) -> None:
        """Score some blocks and write their files.

        Args:
            job: the scan.
            blocks: those that are missing.
            advance: is told of the seconds of strain that have been searched.
            say: takes a line that stays, such as a warning.

        Raises:
            UserError: strain or the run cannot be read any more, or a file cannot be written.
            KeyboardInterrupt: Ctrl-C; nothing that was started goes on.
        """


class ScanHere(ScanExecutor):
    """One block after the other in this process.

    Args:
        run: scores windows.
    """

    def __init__(self, run: RunScorer) -> None:
        self._run = run

    def run(self, job: ScanJob, blocks: Sequence[ScanBlock], advance: Advance, say: Callable[[str], None]) -> None:
        """See `ScanExecutor`."""
        scorer = BlockScorer(job, self._run)
        for block in blocks:
            scorer.score(block, advance)


class ScanProcesses(ScanExecutor):
    """Several processes of this machine, which share its cores.

    Args:
        source: the run.
        processes: how many, at most.
    """

    def __init__(self, source: RunSource, processes: int) -> None:
        self._source, self._processes = source, processes

    def run(self, job: ScanJob, blocks: Sequence[ScanBlock], advance: Advance, say: Callable[[str], None]) -> None:
        """See `ScanExecutor`."""
        waiting = list(reversed(blocks))
        count = min(self._processes, len(waiting))
        workers: list[_ScanWorker] = []
        try:
            workers += [_ScanWorker(self._source, job, self._processes) for _ in range(count)]
            for worker in workers:
                worker.begin(waiting.pop())
            busy = list(workers)
            while busy:
                for worker in ready(busy):
                    if not worker.hear(advance):
                        continue
                    if waiting:
                        worker.begin(waiting.pop())
                    else:
                        busy.remove(worker)
        finally:
            for worker in workers:
                worker.close()  # files are whole at any moment


class _ScanWorker(WorkerProcess):
    """A process that scores one block after the other."""

    def __init__(self, source: RunSource, job: ScanJob, processes: int) -> None:
        cores = thread_variables(usable_cores() // processes)
        try:
            super().__init__(__name__, cores, remedy="lower --processes")
        except OSError as error:
            raise UserError(f"No process can be started: {error}. Lower --processes.") from None
        self.send((source, job))

    def begin(self, block: ScanBlock) -> None:
        """Hand it a block."""
        self.send(block)

    def hear(self, advance: Advance) -> bool:
        """Take in one message; whether its block is done.

        Raises:
            UserError: it made one, or has died.
        """
        kind, value = self.receive()
        if kind == "advance":
            advance(value)
        elif kind == "died":
            raise UserError(f"A process of the scan {value}. Give the same command again: what is done is kept.")
        elif kind == "mistake":
            raise UserError(value.message)
        elif kind == "broken":
            raise value.error()
        return bool(kind == "done")


def serve(descriptor: int) -> None:
    """The life of a worker: score the blocks that are asked for, and end with the process that asks."""
    parent = ParentProcess(descriptor)
    source: RunSource
    source, job = parent.receive()
    take_threads()
    scorers: list[BlockScorer] = []

    def score(block: ScanBlock) -> None:
        if not scorers:
            scorers.append(BlockScorer(job, source.load()))
        scorers[0].score(block, lambda seconds: parent.send("advance", seconds))

    while True:
        block = parent.receive()
        parent.answer(lambda block=block: score(block))  # type: ignore[misc]


__all__ = ["RunSource", "ScanExecutor", "ScanHere", "ScanProcesses"]
