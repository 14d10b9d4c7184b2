"""Locks between processes, on file systems without locks too.

A lock is `flock` on a file. Where the file system has no locks (some network and FUSE mounts), it is a second file that
names its holder. A holder that was killed leaves that file behind: it counts no more once its process has gone.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}
"""Errors of `flock` that mean that the file system has no locks."""

POLL = 0.05
"""Seconds between attempts."""

UNWRITTEN = 10.0
"""Seconds after which a holder's file that names nobody was left by a process that was killed while writing it."""


class HeldError(Exception):
    """Another process holds the lock; the text says which, in brackets, where that is known."""


def acquire(path: Path, wait: Callable[[], None] | None = None) -> Callable[[], None]:
    """Take the lock of a file; returns what gives it back.

    Args:
        path: the file, which is made; it stays where it is.
        wait: called once before waiting for another holder; without it, a held lock raises.

    Raises:
        HeldError: the lock is held and `wait` is None.
        OSError: the file cannot be written.
    """
    asked = False
    while True:
        try:
            return _try(path)
        except HeldError:
            if wait is None:
                raise
        if not asked:
            wait()
            asked = True
        time.sleep(POLL)


def _try(path: Path) -> Callable[[], None]:
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            here = path.stat().st_ino == os.fstat(file).st_ino
        except FileNotFoundError:
            here = False
        except BlockingIOError:
            os.close(file)
            raise HeldError from None
        except OSError as error:
            os.close(file)
            if error.errno in NO_LOCKS:
                return _try_named(path.with_name(f"{path.name}.holder"))
            raise
        except NotImplementedError:
            os.close(file)
            return _try_named(path.with_name(f"{path.name}.holder"))
        if here:
            return lambda: os.close(file)
        os.close(file)  # it was removed between opening and locking


# --- without locks ---


def _try_named(path: Path) -> Callable[[], None]:
    own = json.dumps({"host": _host(), "pid": os.getpid(), "begun": psutil.Process().create_time()})
    while True:
        try:
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except FileExistsError:
            _remove_stale(path)
            continue
        with os.fdopen(file, "w") as stream:
            stream.write(own)
        return lambda: path.unlink(missing_ok=True)


def _remove_stale(path: Path) -> None:
    """Remove the file of a holder that has gone.

    Raises:
        HeldError: it has not, or that cannot be told from here.
    """
    try:
        written, age = path.read_text(errors="replace"), time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return
    if holder := _living(written, age):
        raise HeldError(f" ({holder}; if it has gone, remove {path})")
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    with suppress(FileNotFoundError):
        path.rename(aside)
        if aside.read_text(errors="replace") != written:  # another process was faster, and this is its new one
            with suppress(FileExistsError, OSError):
                os.link(aside, path)
        aside.unlink()


def _living(written: str, age: float) -> str:
    """The holder that a file names; empty where it has gone."""
    try:
        holder = json.loads(written)
        host, pid, begun = str(holder["host"]), int(holder["pid"]), float(holder["begun"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return "a process that is starting" if age < UNWRITTEN else ""
    if host == _host():
        try:
            if abs(psutil.Process(pid).create_time() - begun) > 1:
                return ""
        except psutil.NoSuchProcess:
            return ""
        except (psutil.Error, ValueError, OverflowError):
            pass
    return f"process {pid} on {host.partition(' ')[0]}"


def _host() -> str:
    """Which machine this is, and in a container, which processes it sees."""
    try:
        space = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        space = ""
    return f"{socket.gethostname()} {space}".strip()
