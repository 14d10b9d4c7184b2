"""Processes that make blocks of windows."""

from __future__ import annotations

import importlib
import importlib.util
import pickle
import socket
import struct
import sys
import traceback
from typing import TYPE_CHECKING, Any

import numpy as np

from gwbench.data.store.layout import SPLITS
from gwbench.errors import UserError
from gwbench.seeds import numpy_generator
from gwbench.utils import subprocesses

if TYPE_CHECKING:
    from gwbench.data.dataset import Block, Windows


class UnfitError(Exception):
    """Other processes cannot make the windows."""


def make_block(windows: Windows, seed: int, block: int, split: str, start: int, n: int) -> Block:
    """The `n` windows of a split from `start` on, from the seed sequence of its block of `block` windows."""
    return windows.block(numpy_generator(seed, "data", SPLITS.index(split), start // block), split, start, n)


class Worker:
    """One process. A call waits for its answer; several threads may each use a worker of their own."""

    def __init__(self, task: bytes) -> None:
        self._connection, theirs = socket.socketpair()
        try:
            with theirs:  # what warns there has warned here
                self._process = subprocesses.start(
                    __name__, theirs.fileno(), subprocesses.thread_variables(1), quiet=True
                )
        except OSError as error:
            self._connection.close()
            raise UnfitError(f"no process can be started: {error}") from error
        self._task = task

    @classmethod
    def pool(cls, count: int, windows: Windows, seed: int, block: int) -> list[Worker]:
        """Start `count` processes that make windows.

        Raises:
            UnfitError: `windows` cannot be pickled, or not be unpickled in another process, or none can be started.
            UserError: a process died.
        """
        try:
            task = pickle.dumps((_home(windows), pickle.dumps((windows, seed, block))))
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise UnfitError(str(error)) from error
        pool: list[Worker] = []
        try:
            for _ in range(count):
                pool.append(cls(task))
            for worker in pool:
                worker._prepare()
        except BaseException:
            for worker in pool:
                worker.close()
            raise
        return pool

    def block(self, split: str, start: int, n: int) -> Block:
        """The block at a place.

        Raises:
            UserError: the process died.
            Exception: what making the block raised there.
        """
        block: Block = self._ask((split, start, n))
        return block

    def kill(self) -> None:
        """End the process; a call that waits for it raises."""
        self._process.kill()

    def close(self) -> None:
        """End the process, and wait until it has gone."""
        self._process.kill()
        self._process.wait()
        self._connection.close()

    def _prepare(self) -> None:
        problem = self._ask(self._task)
        if problem:
            raise UnfitError(problem)

    def _ask(self, question: Any) -> Any:
        try:
            _send(self._connection, question)
            good, answer = _receive(self._connection)
        except (EOFError, OSError) as error:
            ended = subprocesses.exit_reason(self._process)
            raise UserError(f"A process that made data {ended}. Run again with fewer of them (--workers 1).") from error
        if not good:
            raise answer
        return answer


def serve(descriptor: int) -> None:
    """The life of a worker: make the blocks that are asked for until the other end closes."""
    with socket.socket(fileno=descriptor) as connection:
        try:
            home, task = pickle.loads(_receive(connection))
            try:
                _import(*home)
                windows, seed, block = pickle.loads(task)
                problem = ""
            except Exception as error:
                problem = f"{type(error).__name__}: {error}"
            _send(connection, (True, problem))
            while not problem:
                place = _receive(connection)
                answer: tuple[bool, Any]
                try:
                    answer = True, make_block(windows, seed, block, *place)
                except Exception as error:
                    answer = False, _portable(error)
                _send(connection, answer)
        except (EOFError, OSError):
            # The process that asked is no more.
            return


def _home(windows: Windows) -> tuple[str, str]:
    """The module that defines `windows`, and its file where the name does not lead to it (a plugin's file)."""
    name = type(windows).__module__
    if name == "__main__":
        raise UnfitError("it is defined in a script")
    root = name.partition(".")[0]
    # Not `importlib.util.find_spec`, which knows everything that is loaded here.
    if any(finder.find_spec(root, None) for finder in sys.meta_path):
        return name, ""
    return name, getattr(sys.modules[name], "__file__", None) or ""


def _import(name: str, file: str) -> None:
    spec = importlib.util.spec_from_file_location(name, file) if file else None
    if spec is None or spec.loader is None:
        importlib.import_module(name)
        return
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


def _portable(error: Exception) -> Exception:
    """An exception that can be sent, with its traceback."""
    trace = traceback.format_exc()
    try:
        error.add_note(trace)
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(trace)
    return error


def _send(connection: socket.socket, value: Any) -> None:
    """Send a value; arrays go as they are, without a copy."""
    buffers: list[pickle.PickleBuffer] = []
    body = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    parts = [memoryview(body), *(buffer.raw() for buffer in buffers)]
    connection.sendall(struct.pack(f"<Q{len(parts)}Q", len(parts), *map(len, parts)))
    for part in parts:
        connection.sendall(part)


def _receive(connection: socket.socket) -> Any:
    """Receive a value.

    Raises:
        EOFError: the other end has closed.
    """
    (count,) = struct.unpack("<Q", _read(connection, 8))
    lengths = struct.unpack(f"<{count}Q", _read(connection, 8 * count))
    body, *buffers = [_read(connection, length) for length in lengths]
    return pickle.loads(body, buffers=buffers)


def _read(connection: socket.socket, length: int) -> Any:
    data = np.empty(length, np.uint8)
    left = data.data
    while left:
        received = connection.recv_into(left)
        if not received:
            raise EOFError
        left = left[received:]
    return data


__all__ = ["UnfitError", "Worker", "make_block", "serve"]
