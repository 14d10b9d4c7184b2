"""Files that may be anything, opened without trusting them."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

MIB = 2**20


class UnusableError(Exception):
    """Why a file cannot serve; it is named and passed over."""


class AbsentError(UnusableError):
    """There is no such file."""


def open_plain(path: str | Path, limit: int | None = None) -> BinaryIO:
    """A plain file of at most `limit` bytes, opened to be read; never waits for a writer and follows no link.

    Raises:
        AbsentError: there is none.
        UnusableError: it is something else, or cannot be opened.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        kind = AbsentError if isinstance(error, FileNotFoundError) else UnusableError
        raise kind(f"it cannot be opened: {error.strerror}") from None
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        os.close(handle)
        raise UnusableError("not a plain file")
    if limit is not None and status.st_size > limit:
        os.close(handle)
        raise UnusableError(f"{status.st_size / MIB:,.0f} MiB, more than the {limit / MIB:,.0f} MiB that are read")
    return os.fdopen(handle, "rb")
