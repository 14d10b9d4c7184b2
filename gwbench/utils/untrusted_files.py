"""Files that may be anything, opened without trusting them, and the one message for what a parser makes of them."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from gwbench.errors import UserError
from gwbench.utils.printable import printable

MIB = 2**20

SHOWN = 200
"""Characters of a parser's own text that a message shows."""


class UnusableError(Exception):
    """Why a file cannot serve; it is named and passed over."""


class AbsentError(UnusableError):
    """There is no such file."""


class DamagedError(ValueError):
    """What one of our own readers finds wrong with a file, as a clause such as "its checksum does not fit"."""


class CrashedError(Exception):
    """The process that read a file died or ran out of its budget; the text says how."""


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


def link_target(path: Path) -> Path:
    """What a file of a run's folder leads to: people keep large files elsewhere."""
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # links that go round in a circle
        return path


def plain_digest(path: str | Path, limit: int | None = None) -> str:
    """SHA-256, in hexadecimal, of a plain file of at most `limit` bytes, read in pieces.

    Raises:
        AbsentError, UnusableError: as `open_plain`.
    """
    digest = hashlib.sha256()
    with open_plain(path, limit) as stream:
        while part := stream.read(MIB):
            digest.update(part)
    return digest.hexdigest()


def linked_digest(path: Path) -> str:
    """`plain_digest` of what a file of a run's folder leads to."""
    return plain_digest(link_target(path))


def file_size(path: Path, what: str) -> int:
    """Bytes of a file that a user named; links are followed.

    Args:
        path: the file.
        what: what it should be, for messages, such as "strain file".

    Raises:
        UserError: there is no such file, it is a folder, a pipe or a device, or it may not be read.
    """
    try:
        status = path.stat()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            broken = path.is_symlink()
            reason = "it is a link to a file that is not there" if broken else "there is no such file"
            raise UserError(f"The {what} {path}: {reason}. Check the path.") from None
        raise UserError(f"The {what} {path} cannot be read: {error.strerror}. Mend its permissions.") from None
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe, a socket or a device"
        raise UserError(f"The {what} {path} is {kind}, not a file. Name a file.")
    if not os.access(path, os.R_OK):
        raise UserError(f"The {what} {path} cannot be read: permission denied. Mend its permissions.")
    return status.st_size


@contextmanager
def guarded(path: Path, what: str, kind: str) -> Iterator[None]:
    """One `UserError` for whatever a parser raises: the file's name, the cause, and what helps against this cause.

    Args:
        path: the file.
        what: what it should be, such as "strain file".
        kind: its format, such as "HDF5 file" or "GWF frame".

    Raises:
        UserError: any exception inside; a `UserError` goes through as it is.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"The {what} {path} cannot be read: {cause_of(error, kind)}") from None


def cause_of(error: Exception, kind: str) -> str:
    """Why a file cannot be read, and what helps, in whole sentences.

    Args:
        error: what a parser raised.
        kind: the format that was expected.
    """
    text = _one_line(error)
    if isinstance(error, DamagedError):
        advice = "Copy or download it again" if "breaks off" in text or "checksum" in text else "Check its name"
        return f"it is no {kind}, or it is damaged: {text}. {advice}."
    if isinstance(error, CrashedError):
        return f"{text}. It is damaged, or made to do harm. Use another copy."
    if isinstance(error, MemoryError):
        return _TOO_LARGE
    if isinstance(error, RecursionError):
        return "its content is nested too deeply. It is damaged, or made to do harm."
    for pattern, message in _CAUSES:
        if re.search(pattern, text, re.IGNORECASE):
            return message.format(kind=kind)
    if isinstance(error, PermissionError):
        return "permission denied. Mend its permissions."
    return f"it is no {kind}, or it is damaged ({type(error).__name__}: {text}). Check the file."


_TOO_LARGE = "its content takes more memory than a file of its size may. It is damaged, or made to do harm."

_CAUSES = (
    (r"unable to lock file.*errno = (11|35)\b", "another program has it open for writing. Close it there first."),
    (
        r"already open for write",
        "the program that wrote it did not close it. If that program has ended, `h5clear -s FILE` mends it.",
    ),
    (
        r"unable to lock file.*errno = \d+",
        "its file system has no locks. Set HDF5_USE_FILE_LOCKING=FALSE, or copy it to another disk.",
    ),
    (
        r"/plugin\b|required filter|filter.*(not available|not registered)|not (available|registered).*filter",
        "it is compressed with a filter that h5py lacks. `pip install hdf5plugin`, or write it anew with gzip.",
    ),
    (r"file signature not found|no GWF magic", "it is no {kind}. Check its name, or convert it."),
    (r"truncated|breaks off|end of file|unexpected EOF|ended before", "it is truncated. Copy or download it again."),
    (r"unable to allocate|memory allocation failed|cannot allocate", _TOO_LARGE),
    (r"permission denied", "permission denied. Mend its permissions."),
    (r"input/output error|stale file handle", "its disk does not answer. Try again, or copy it to another disk."),
)
"""What the texts of h5py, gwpy and the system mean, and what helps."""


def _one_line(error: Exception) -> str:
    """The text of an exception, short, in printable characters."""
    try:
        text = str(error)
    except Exception:
        text = ""
    shown = printable(" ".join(text[: 4 * SHOWN].split()), SHOWN)
    return shown if shown.endswith("...") else shown.rstrip(".")
