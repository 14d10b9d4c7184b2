"""The blocks of a scan on a Ray cluster: tasks on its nodes, as many at once as it has CPUs.

The nodes and this machine must see the run, the strain and the folder of scans under one path each, and have gwbench
installed. A task whose worker or node dies is done again elsewhere. Where this process dies, its tasks end; what they
have written stays, and the same scan goes on from there.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from gwbench.errors import UserError
from gwbench.search.block_scores import Advance, BlockScorer, BlockScores, ScanJob
from gwbench.search.scan_executors import RunSource, ScanExecutor
from gwbench.search.scan_plan import ScanBlock
from gwbench.suite.ray_connection import connection, in_brief
from gwbench.utils.subprocesses import take_threads, thread_variables

RETRIES = 3
"""Times that a block is done again after its worker has died."""


@contextlib.contextmanager
def ray_scan(
    run: Path, *, plugins: Sequence[str], device: str, address: str | None, most: int | None
) -> Iterator[RayScan]:
    """The executor on a cluster to which this process is connected meanwhile.

    Args:
        run: folder of the run.
        plugins: files or modules that register the plugins it used.
        device: as of `scan`; with "cuda", every task has a GPU to itself.
        address: as of `ray_connection.connection`.
        most: tasks at once; None for as many as the cluster can run.

    Raises:
        UserError: Ray is not installed or not reached.
    """
    if ":" in device:
        raise UserError(
            f"--device {device} names a GPU of this machine, but Ray hands out the GPUs. Use --device cuda."
        )
    try:
        with connection(address):
            yield RayScan(RunSource(run.absolute(), tuple(plugins), "cpu" if device == "auto" else device), most)
    except UserError as error:
        raise UserError(str(error).replace("--executor ray", "--ray")) from None


class RayScan(ScanExecutor):
    """Tasks on the nodes of the cluster that this process is connected to.

    Args:
        source: the run.
        most: tasks at once; None for as many as the cluster can run.
    """

    def __init__(self, source: RunSource, most: int | None) -> None:
        self._source, self._most = source, most

    def run(self, job: ScanJob, blocks: Sequence[ScanBlock], advance: Advance, say: Callable[[str], None]) -> None:
        """See `ScanExecutor`."""
        import ray

        remote: Any = ray.remote  # its types lack a keyword
        task = remote(
            num_cpus=1,
            num_gpus=int(self._source.device == "cuda"),
            max_retries=RETRIES,
            runtime_env={"env_vars": thread_variables(1)},
        )(score_block)
        most = self._most or max(1, int(ray.cluster_resources().get("CPU", 1)))
        shared = ray.put((job, self._source, Path.cwd(), sys.path))
        waiting = list(reversed(blocks))
        running: dict[Any, ScanBlock] = {}
        try:
            while waiting or running:
                while waiting and len(running) < most:
                    block = waiting.pop()
                    running[task.remote(shared, block)] = block
                for done in ray.wait(list(running))[0]:
                    mistake, block = ray.get(done), running.pop(done)
                    _check(mistake, job, block)
                    advance(job.plan.block_seconds(block))
        except ray.exceptions.RayError as error:
            raise UserError(
                f"The scan ended on the Ray cluster ({in_brief(error)}). Give the same command again: what is done is "
                "kept."
            ) from None
        finally:
            for done in running:
                ray.cancel(done, force=True)


def _check(mistake: str, job: ScanJob, block: ScanBlock) -> None:
    """Refuse a block that made a mistake, or whose file is not seen here."""
    if mistake:
        raise UserError(mistake)
    if BlockScores.read(job.file(block), block.windows, len(job.tracks)) is None:
        raise UserError(
            f"A Ray node scored a part of the strain, and {job.file(block)} is not seen here. Give --searches a folder "
            "that all nodes share."
        )


_SCORERS: dict[tuple[Path, RunSource], BlockScorer] = {}
"""What scores blocks in this process of a node, by the folder of the scan, so that the run is loaded once."""


def score_block(shared: tuple[ScanJob, RunSource, Path, list[str]], block: ScanBlock) -> str:
    """On a node: score a block and write its file.

    Returns:
        A user's mistake; empty where there was none.
    """
    job, source, folder, path = shared
    with contextlib.suppress(OSError):
        os.chdir(folder)
    sys.path.extend(each for each in path if each not in sys.path)
    take_threads()
    try:
        if (job.folder, source) not in _SCORERS:
            _SCORERS.clear()
            _SCORERS[job.folder, source] = BlockScorer(job, source.load())
        _SCORERS[job.folder, source].score(block, lambda _seconds: None)
    except UserError as error:
        return str(error)
    return ""


__all__ = ["RayScan", "ray_scan"]
