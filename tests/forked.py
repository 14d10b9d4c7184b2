"""`gwbench` in a process of its own that need not import anything: it is forked from one that has imported it all.

An import takes seconds, many times as long as most of what is tested in a process of its own: that it is killed,
interrupted, or started by a launcher. What is tested about the start itself takes `subprocess`.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Thread
from typing import IO

ROOT = Path(__file__).parents[1]


class _Server:
    """The process that forks, started at the first request of this one."""

    socket: socket.socket | None = None

    @classmethod
    def ask(cls, content: bytes, descriptors: list[int]) -> None:
        if cls.socket is None:
            cls.socket, theirs = socket.socketpair()
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.fork_server", str(theirs.fileno())],
                cwd=ROOT,
                env=os.environ | {"OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"},
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
            theirs.close()
            atexit.register(process.wait)  # behind `close`: the last registered comes first
            atexit.register(cls.socket.close)
        socket.send_fds(cls.socket, [content], descriptors)


class ForkedCommand:
    """A command of `gwbench` that runs, with the part of `subprocess.Popen` that tests use.

    Args:
        words: what follows `gwbench`, or the arguments of the code.
        code: what the process does [default: `gwbench` WORDS].
        folder: the current folder of the process [default: this process's].
        environment: its environment [default: this process's].
        session: whether it leads a session, so that `os.killpg` reaches it and what it starts.
        file_size: bytes that a file which it writes may have; 0 for no limit.

    Attributes:
        pid: its number.
        returncode: None while it runs; then its exit code, or minus the number of the signal that ended it.
    """

    def __init__(
        self,
        words: Sequence[str | Path],
        *,
        code: str = "",
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
        session: bool = False,
        file_size: int = 0,
    ) -> None:
        self._said: dict[str, str] = {}
        self.returncode: int | None = None
        asked = {
            "words": [str(word) for word in words],
            "code": code,
            "folder": str((folder or Path.cwd()).absolute()),
            "environment": dict(os.environ if environment is None else environment) | {"OMP_NUM_THREADS": "1"},
            "session": session,
            "file_size": file_size,
        }
        readers, writers = zip(*(os.pipe() for _ in range(3)), strict=True)
        with open(os.devnull) as nothing:  # noqa: PTH123 - no file of the test's
            try:
                _Server.ask(json.dumps(asked).encode(), [nothing.fileno(), *writers])
            finally:
                for descriptor in writers:
                    os.close(descriptor)
        out, err, status = (os.fdopen(descriptor, encoding="utf-8", errors="replace") for descriptor in readers)
        self._readers = [Thread(target=self._read, args=each, daemon=True) for each in (("out", out), ("err", err))]
        for reader in self._readers:
            reader.start()
        self.pid = int(status.readline())
        self._waiting = Thread(target=self._wait_for, args=(status,), daemon=True)
        self._waiting.start()

    def _read(self, name: str, stream: IO[str]) -> None:
        with stream:
            self._said[name] = stream.read()

    def _wait_for(self, status: IO[str]) -> None:
        with status:
            self.returncode = int(status.readline())

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for its end."""
        self._waiting.join(timeout)
        if self._waiting.is_alive():
            raise subprocess.TimeoutExpired("gwbench", timeout or 0.0)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for its end; what it has written to standard output and standard error."""
        self.wait(timeout)
        for reader in self._readers:
            reader.join(timeout)
        return self._said["out"], self._said["err"]

    def send_signal(self, number: int) -> None:
        """Send it a signal, where it still runs."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it, where it still runs."""
        self.send_signal(signal.SIGKILL)


def run_forked(
    words: Sequence[str | Path],
    *,
    code: str = "",
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    file_size: int = 0,
    timeout: float = 300.0,
) -> subprocess.CompletedProcess[str]:
    """Run a command, or code, to its end, as `subprocess.run(..., capture_output=True, text=True)` would."""
    command = ForkedCommand(words, code=code, folder=folder, environment=environment, file_size=file_size)
    try:
        out, err = command.communicate(timeout)
    finally:
        command.kill()
    return subprocess.CompletedProcess(["gwbench", *map(str, words)], command.returncode or 0, out, err)
