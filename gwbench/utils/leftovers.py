"""Temporary files and folders that killed processes left behind, and how a living one keeps its own.

Whoever holds a temporary file has a lock on it (flock), which the system drops with the process, on another machine
too where the file system is shared. A leftover is an old file of our own naming that nobody has locked.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SUFFIX = ".gwbench"
"""Of temporary files, so that nobody else's are taken for ours."""

AGE = 60.0
"""Seconds: a younger file may be one that its process has not locked yet."""

AGE_WITHOUT_LOCKS = 86400.0
"""Seconds, on a file system that has no locks."""

SCRATCH = "gwbench-scratch-"
"""How temporary folders begin."""

_RANDOM = "[a-z0-9_]{8}"
_FILE = re.compile(rf"\..+\.{_RANDOM}{re.escape(SUFFIX)}")
_FOLDER = re.compile(f"{SCRATCH}{_RANDOM}")


def sweep_files(folder: Path, names: Iterable[str] = (), *, held: bool = False) -> None:
    """Remove the temporary files in a folder that belong to no living process.

    Args:
        folder: where to look; one that cannot be read is left as it is.
        names: files of which earlier versions of gwbench left temporary ones too, as `.NAME.ab12cd34`.
        held: whether the caller holds the folder, so that no other process writes there.
    """
    former = "|".join(map(re.escape, names))
    pattern = re.compile(rf"{_FILE.pattern}|\.({former})\.[^.]+") if former else _FILE
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if pattern.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                with suppress(OSError):
                    if _is_left(entry.path, 0.0 if held else AGE):
                        os.unlink(entry.path)  # noqa: PTH108 - a path of scandir


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A temporary folder, removed when the block ends; those of killed processes are removed when it begins."""
    root = tempfile.gettempdir()
    with suppress(OSError), os.scandir(root) as entries:
        for entry in entries:
            if _FOLDER.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                with suppress(OSError):
                    if entry.stat(follow_symlinks=False).st_uid == os.getuid() and _is_left(entry.path, AGE):
                        shutil.rmtree(entry.path, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=SCRATCH) as name:
        descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
        try:
            hold(descriptor)
            yield Path(name)
        finally:
            os.close(descriptor)


def hold(descriptor: int) -> None:
    """Mark an open file or folder as that of a living process, where the file system has locks."""
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_left(path: str, age: float) -> bool:
    """Whether a file or folder is older and no living process holds it.

    Raises:
        OSError: it cannot be opened, or has just gone.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            age = max(age, AGE_WITHOUT_LOCKS) if age else 0.0
        return time.time() - status.st_mtime >= age
    finally:
        os.close(descriptor)


__all__ = ["hold", "scratch_folder", "sweep_files"]
