"""Processes that make the blocks of a dataset's windows."""

from __future__ import annotations

import importlib
import importlib.util
import pickle
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gwbench.data.store.layout import SPLITS
from gwbench.errors import UserError, in_words
from gwbench.seeds import numpy_generator
from gwbench.utils.sibling_modules import siblings_importable
from gwbench.utils.subprocesses import thread_variables
from gwbench.utils.worker_process import ParentProcess, WorkerProcess

if TYPE_CHECKING:
    from gwbench.data.dataset import Block, Windows


class UnfitError(Exception):
    """Other processes cannot make the windows."""


def make_block(windows: Windows, seed: int, block: int, split: str, start: int, n: int) -> Block:
    """The `n` windows of a split from `start` on, from the seed sequence of its block of `block` windows."""
    return windows.block(numpy_generator(seed, "data", SPLITS.index(split), start // block), split, start, n)


class BlockWorker(WorkerProcess):
    """One process that makes blocks. A call waits for its answer; several threads may each use a worker of their own.

    Raises:
        UnfitError: it cannot be started.
    """

    def __init__(self) -> None:
        try:
            super().__init__(__name__, thread_variables(1), quiet=True)  # what warns there has warned here
        except OSError as error:
            raise UnfitError(f"no process can be started: {error}") from error

    @classmethod
    def pool(cls, count: int, windows: Windows, seed: int, block: int) -> list[BlockWorker]:
        """Start `count` processes that make windows.

        Raises:
            UnfitError: `windows` cannot be pickled, or not be unpickled in another process, or none can be started.
            UserError: a process died.
        """
        try:
            task = pickle.dumps((_home(windows), pickle.dumps((windows, seed, block))))
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise UnfitError(str(error)) from error
        pool: list[BlockWorker] = []
        try:
            for _ in range(count):
                pool.append(cls())
            for worker in pool:
                worker._ask(task)
        except BaseException:
            for worker in pool:
                worker.close()
            raise
        return pool

    def block(self, split: str, start: int, n: int) -> Block:
        """The `n` windows of a split from `start` on.

        Raises:
            UserError: the process died.
            Exception: what making the block raised there.
        """
        block: Block = self._ask((split, start, n))
        return block

    def _ask(self, question: object) -> Any:
        self.send(question)
        kind, value = self.receive()
        if kind == "died":
            raise UserError(f"A process that made data {value}. Run again with fewer of them (--workers 1).")
        if kind == "unfit":
            raise UnfitError(value)
        if kind != "done":
            raise value.error()
        return value


def serve(descriptor: int) -> None:
    """The life of a worker: make the blocks that are asked for, and end with the process that asks."""
    parent = ParentProcess(descriptor)
    home, task = pickle.loads(parent.receive())
    try:
        _import(*home)
        windows, seed, block = pickle.loads(task)
    except Exception as error:
        parent.send("unfit", in_words(error))
        return
    parent.send("done")
    while True:
        split, start, n = parent.receive()
        parent.answer(partial(make_block, windows, seed, block, split, start, n))


def _home(windows: Windows) -> tuple[str, str]:
    """The module that defines `windows`, and its file where the name does not lead to it (a plugin's file)."""
    name = type(windows).__module__
    if name == "__main__":
        raise UnfitError("it is defined in a script")
    root = name.partition(".")[0]
    # Not `importlib.util.find_spec`, which knows everything that is loaded here.
    if any(finder.find_spec(root, None) for finder in sys.meta_path if hasattr(finder, "find_spec")):
        return name, ""
    return name, getattr(sys.modules[name], "__file__", None) or ""


def _import(name: str, file: str) -> None:
    spec = importlib.util.spec_from_file_location(name, file) if file else None
    if spec is None or spec.loader is None:
        importlib.import_module(name)
        return
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    with siblings_importable(Path(file)):
        spec.loader.exec_module(module)


__all__ = ["BlockWorker", "UnfitError", "make_block", "serve"]
