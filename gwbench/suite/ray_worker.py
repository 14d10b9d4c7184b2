"""The process on a Ray node that carries cells out."""

from __future__ import annotations

import contextlib
import os
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from gwbench.errors import UserError, in_words
from gwbench.experiment.data_cache import DataCache
from gwbench.suite.cell_run import CellProgress, Outcome, RunOptions, execute_cell
from gwbench.suite.ray_capacity import Needs
from gwbench.utils.files import unwritable
from gwbench.utils.memory import memory_share
from gwbench.utils.subprocesses import take_threads

Message = tuple[str, Any]
"""What a worker reports: "ready", "unfit", "step", "say" or "ended", and what goes with it."""


@contextlib.contextmanager
def signpost(folder: Path) -> Iterator[Path]:
    """A file in the folder of runs, by which workers tell it from another folder of the same name.

    Raises:
        UserError: the folder cannot be written.
    """
    sign = folder / f".ray-{uuid.uuid4().hex[:12]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        sign.touch()
    except OSError as error:
        raise unwritable(folder, error) from error
    try:
        yield sign
    finally:
        sign.unlink(missing_ok=True)


@dataclass(frozen=True)
class Setup:
    """What a worker must know.

    Attributes:
        options: how every cell is run, in absolute paths.
        folder: the working directory of the process that asks.
        path: that process's import path, `sys.path`.
        sign: the file in the folder of runs by which it is recognised.
        patience: seconds to wait until that file is seen.
        needs: what a worker has of its node.
        jobs: the most workers that there will be.
    """

    options: RunOptions
    folder: Path
    path: list[str]
    sign: Path
    patience: float
    needs: Needs
    jobs: int | None


class CellWorker:
    """A process on a node that carries out one cell after the other, and reports meanwhile."""

    def __init__(self) -> None:
        self._news: SimpleQueue[Message] = SimpleQueue()
        self._progress = CellProgress(lambda text: self._tell("step", text), lambda text: self._tell("say", text))

    def prepare(self, setup: Setup) -> list[Message]:
        """Import what cells need, and check that this node sees the folder of runs."""
        import ray

        here = f"The Ray node {ray.util.get_node_ip_address()}"
        with contextlib.suppress(OSError):  # datasets may be named by relative paths
            os.chdir(setup.folder)
        sys.path.extend(path for path in setup.path if path not in sys.path)
        until = time.monotonic() + setup.patience
        while not setup.sign.exists():
            if time.monotonic() > until:
                text = f"{here} does not see the folder {setup.sign.parent} of this machine."
                return [("unfit", f"{text} Give --out a folder that all nodes share.")]
            time.sleep(0.1)
        try:
            import gwbench.experiment.context  # noqa: F401 - before the first cell's clock starts
            from gwbench.registry import REGISTRY

            threads = take_threads()
            for source in setup.options.plugins:
                REGISTRY.load_source(source)
            os.environ.update(memory_share(self._workers_on_node(setup)))
        except (ImportError, UserError) as error:
            return [("unfit", f"{here} cannot carry out cells: {error}")]
        self._options = setup.options
        self._data_cache = DataCache(setup.options.cache, threads, many=True)
        return [("ready", None)]

    def execute_cell(self, spec: str) -> None:
        """Carry out a cell; `hear` returns what it reports and its outcome."""
        from gwbench.experiment.spec import RunSpec

        try:
            outcome = execute_cell(RunSpec.model_validate_json(spec), self._options, self._data_cache, self._progress)
        except Exception as error:  # a spec that does not hold here, for want of a plugin say
            outcome = Outcome("failed", reason=in_words(error))
        self._tell("ended", outcome)

    def hear(self) -> list[Message]:
        """What has been reported since the last call; waits until there is something."""
        messages = [self._news.get()]
        while not self._news.empty():
            messages.append(self._news.get())
        return messages

    def _tell(self, kind: str, value: object) -> None:
        self._news.put((kind, value))

    @staticmethod
    def _workers_on_node(setup: Setup) -> int:
        """How many workers this node may have, this one included."""
        import ray

        most = setup.needs.capacity(ray.get_runtime_context().get_node_id())
        return max(min(most, setup.jobs or most), 1)
