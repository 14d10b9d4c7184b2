"""A process of this machine that works for this one, and how the two talk.

The process is a new interpreter that knows this one's import path and nothing else of it. Unlike a forked process it
inherits no thread or lock; unlike those of `multiprocessing` it does not run the caller's script again, so that a
script without `if __name__ == "__main__"` may start some.

The two exchange pickled values over a pair of sockets. What the process says is a pair of a kind and a value, such as
`("done", result)`. It ends with the process that started it, even where that is killed.
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import wait
from queue import SimpleQueue
from typing import Any, TypeVar

import numpy as np

from gwbench.errors import UserError, in_words
from gwbench.utils.sibling_modules import sibling_folders

Worker = TypeVar("Worker", bound="WorkerProcess")

Message = tuple[str, Any]
"""What a process says: a kind, and what goes with it."""


# --- in the process that starts it ---


class WorkerProcess:
    """Starts an interpreter that calls `serve(descriptor)` of a module. It prints nothing, and ignores Ctrl-C.

    Args:
        module: the module's name; `serve` makes a `ParentProcess` of the descriptor.
        environment: variables besides this process's.
        kept: further descriptors that it is handed.
        quiet: whether it gives no warnings.
        remedy: what helps where the process has most likely run out of memory.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(
        self,
        module: str,
        environment: Mapping[str, str],
        *,
        kept: Sequence[int] = (),
        quiet: bool = False,
        remedy: str = "",
    ) -> None:
        self._remedy = remedy
        self._socket, theirs = socket.socketpair()
        self._socket.settimeout(None)  # whatever socket.setdefaulttimeout says
        theirs.settimeout(None)
        program = f"import sys; sys.path[:] = {sys.path!r}; "
        if folders := sibling_folders():  # where plugins of this process have their helpers
            program += f"from gwbench.utils.sibling_modules import know_folders; know_folders({folders!r}); "
        program += f"from {module} import serve; serve({theirs.fileno()})"
        try:
            self._process = subprocess.Popen(
                [sys.executable, *(["-W", "ignore"] if quiet else []), "-c", program],
                env={**os.environ, "MPLBACKEND": "agg", **environment},  # whatever a notebook sets; it shows no figure
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno(), *kept],
                process_group=0,  # Ctrl-C is for the process that started it, which ends it
            )
        except OSError:
            self._socket.close()
            raise
        finally:
            theirs.close()

    def send(self, value: object) -> None:
        """Send a value. Where the process has ended, `receive` tells."""
        with suppress(OSError):
            _send(self._socket, value)

    def receive(self) -> Message:
        """What the process says next, or "died" and how it ended, such as "ended with exit code 1"."""
        try:
            message: Message = _receive(self._socket)
        except (EOFError, OSError):
            return "died", self._exit_reason()
        return message

    def kill(self) -> None:
        """End it; `receive` then tells that it died."""
        self._process.kill()

    def close(self) -> None:
        """End it, and wait until it has gone."""
        self._process.kill()
        self._process.wait()
        self._socket.close()

    def fileno(self) -> int:
        """The descriptor by which `ready` waits for it."""
        return self._socket.fileno()

    def _exit_reason(self) -> str:
        code = self._process.wait()
        if code == -signal.SIGKILL:
            remedy = f": {self._remedy}" if self._remedy else ""
            return f"ended with SIGKILL, most likely for want of memory{remedy}"
        return f"ended with {signal.Signals(-code).name if code < 0 else f'exit code {code}'}"


def ready(workers: Iterable[Worker], timeout: float | None = None) -> list[Worker]:
    """The processes that have said something or have ended. Waits for one, at most so many seconds."""
    by_descriptor = {worker.fileno(): worker for worker in workers}
    heard = wait(list(by_descriptor), timeout)
    return [worker for descriptor, worker in by_descriptor.items() if descriptor in heard]


# --- in the process that is started ---


class ParentProcess:
    """The process that started this one. This one ends where that is no more, whatever it is doing.

    Args:
        descriptor: as `serve` was called with.
    """

    def __init__(self, descriptor: int) -> None:
        self._socket, self._sending = socket.socket(fileno=descriptor), threading.Lock()
        self._socket.settimeout(None)
        self._received: SimpleQueue[Any] = SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def receive(self) -> Any:
        """The next value that was sent; waits for it."""
        return self._received.get()

    def send(self, kind: str, value: object = None) -> None:
        """Say something. Any thread may."""
        try:
            with self._sending:
                _send(self._socket, (kind, value))
        except OSError:
            os._exit(1)

    def answer(self, function: Callable[[], object]) -> None:
        """Send "done" and what a function returns; or "mistake", where it raises a `UserError`, or "broken".

        With the latter two goes a `RemoteFailure`.
        """
        try:
            self.send("done", function())
        except Exception as error:
            self.send("mistake" if isinstance(error, UserError) else "broken", RemoteFailure.of(error))

    def _listen(self) -> None:
        try:
            while True:
                self._received.put(_receive(self._socket))
        except (EOFError, OSError):
            pass
        except Exception:  # a value that cannot be unpickled here: nobody must wait for it
            traceback.print_exc()
        os._exit(1)


@dataclass(frozen=True)
class RemoteFailure:
    """An exception of another process.

    Attributes:
        message: its text.
        traceback: as the interpreter prints it.
        pickled: the exception; empty where it cannot be pickled.
    """

    message: str
    traceback: str
    pickled: bytes

    @classmethod
    def of(cls, error: Exception) -> RemoteFailure:
        """From the exception that is being handled."""
        try:
            pickled = pickle.dumps(error)
        except Exception:
            pickled = b""
        return cls(in_words(error) if not isinstance(error, UserError) else str(error), traceback.format_exc(), pickled)

    def error(self) -> Exception:
        """The exception with its traceback as a note, or else a `RuntimeError` with its traceback."""
        try:
            error: Exception = pickle.loads(self.pickled)
            error.add_note(self.traceback)
        except Exception:
            return RuntimeError(self.traceback)
        return error


# --- values on a socket ---


def _send(connection: socket.socket, value: object) -> None:
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
    data = np.empty(length, np.uint8)  # a bytearray would be filled with zeros first
    left = data.data
    while left:
        received = connection.recv_into(left)
        if not received:
            raise EOFError
        left = left[received:]
    return data


__all__ = ["Message", "ParentProcess", "RemoteFailure", "WorkerProcess", "ready"]
