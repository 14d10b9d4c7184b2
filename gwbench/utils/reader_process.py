"""A process that reads files which may be anything.

C libraries that parse HDF5 and GWF crash on some damaged files and spin on others. They run in a process of their
own, with a budget of processor time and memory. Its death is one message, and the next file gets a new process. It
reads one file after another, and ends soon after the last.
"""

from __future__ import annotations

import atexit
import importlib
import math
import os
import resource
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from gwbench.errors import UserError
from gwbench.utils.untrusted_files import MIB, CrashedError, cause_of, file_size
from gwbench.utils.worker_process import ParentProcess, RemoteFailure, WorkerProcess

Result = TypeVar("Result")

CPU_SECONDS, BYTES_PER_SECOND = 6, 4 * MIB
"""Processor time for any file, and how many bytes of it add a second to that."""

MEMORY, TIMES_FILE = 2048 * MIB, 40
"""Bytes of memory for any file, and for every byte of it."""

IDLE = 2.0
"""Seconds that the process waits for a further file."""


def read_in_process(
    function: Callable[..., Result], path: Path, *arguments: Any, what: str, kind: str, modules: Sequence[str] = ()
) -> Result:
    """Call `function(path, *arguments)` in the process that reads files.

    Args:
        function: of a module, so that the other process can import it. What it returns is pickled.
        path: the file, or a link to it.
        arguments: pickled.
        what: what the file should be, for messages, such as "strain file".
        kind: its format, such as "HDF5 file".
        modules: slow imports of `function`, whose time does not count.

    Raises:
        UserError: the file is missing or no plain file, or `function` raised anything or crashed, ran longer or took
            more memory than a file of this size may. A `UserError` of `function` comes as it is.
    """
    size = file_size(path, what)
    budget = (CPU_SECONDS + size / BYTES_PER_SECOND, MEMORY + TIMES_FILE * size)
    task = (Path.cwd(), function, (path, *arguments), tuple(modules), budget)
    with _LOCK:
        kind_of_answer, value = _asked(task)
    if kind_of_answer == "done":
        return value  # type: ignore[no-any-return]
    if kind_of_answer == "mistake":
        raise UserError(value.message)
    error = CrashedError(_death(value)) if kind_of_answer == "died" else _exception(value)
    raise UserError(f"The {what} {path} cannot be read: {cause_of(error, kind)}") from None


_LOCK = threading.Lock()
_READER: dict[int, WorkerProcess] = {}
"""The process that reads, by the number of the process that started it: a forked process has none."""

_END: dict[int, threading.Timer] = {}
"""What ends it when it has nothing to do."""


def _asked(task: object) -> tuple[str, Any]:
    """The answer of the process that reads, which is started where there is none."""
    if end := _END.pop(os.getpid(), None):
        end.cancel()
    reader = _READER.get(os.getpid())
    if reader is None:
        try:
            reader = WorkerProcess("gwbench.utils.reader_process", {}, quiet=True)
        except OSError as error:
            raise UserError(
                f"No process could be started to read files ({error.strerror}). Allow more processes (`ulimit -u`)."
            ) from None
        _READER[os.getpid()] = reader
    try:
        reader.send(task)
        answer = reader.receive()
    except BaseException:  # Ctrl-C: its answer would be taken for the next file's
        _forget()
        raise
    if answer[0] == "died":
        _forget()
    else:
        end = _END[os.getpid()] = threading.Timer(IDLE, _end_idle)
        end.daemon = True
        end.start()
    return answer


def _end_idle() -> None:
    with _LOCK:
        if _END.get(os.getpid()) is threading.current_thread():  # no file came in the meantime
            _forget()


def _forget() -> None:
    reader = _READER.pop(os.getpid(), None)
    if reader is not None:
        reader.close()


atexit.register(_forget)


def _exception(failure: RemoteFailure) -> Exception:
    """The exception of the other process; its words alone where it cannot be pickled."""
    error = failure.error()
    return RuntimeError(failure.message) if failure.traceback in str(error) else error


def _death(reason: str) -> str:
    """How the process ended, as its reader would say it."""
    if signal.SIGXCPU.name in reason:
        return "reading it does not come to an end"
    return f"reading it crashed the library that reads it ({reason})"


# --- in the process that reads ---


def serve(descriptor: int) -> None:
    """Read one file after another, until the process that started this one ends."""
    parent = ParentProcess(descriptor)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what a crashing library prints helps nobody
    _limit(resource.RLIMIT_CORE, 0)
    while True:
        folder, *task = parent.receive()
        with suppress(OSError):
            os.chdir(folder)  # where the other process is now, for the sake of relative paths
        parent.answer(partial(_within_budget, *task))


def _within_budget(
    function: Callable[..., Result], arguments: Sequence[Any], modules: Sequence[str], budget: tuple[float, int]
) -> Result:
    for module in modules:
        importlib.import_module(module)
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds, memory = budget
    _limit(resource.RLIMIT_CPU, math.ceil(used.ru_utime + used.ru_stime + seconds))
    _limit(resource.RLIMIT_AS, _mapped() + memory)
    try:
        return function(*arguments)
    finally:
        for kind in (resource.RLIMIT_CPU, resource.RLIMIT_AS):
            _limit(kind, resource.RLIM_INFINITY)


def _limit(kind: int, value: int) -> None:
    """Set a limit of this process as far as the one above it allows."""
    highest = resource.getrlimit(kind)[1]
    with suppress(OSError, ValueError):  # a system that lacks this limit
        if highest != resource.RLIM_INFINITY:
            value = highest if value == resource.RLIM_INFINITY else min(value, highest)
        resource.setrlimit(kind, (value, highest))


def _mapped() -> int:
    """Bytes of address space that this process has now."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 16 * 1024 * MIB
    return pages * resource.getpagesize()


__all__ = ["read_in_process", "serve"]
