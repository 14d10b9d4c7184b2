"""Files that are written whole or not at all, and digests of files."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gwbench.errors import UserError
from gwbench.utils.leftovers import SUFFIX, hold, sweep_files

WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)
"""Errors that mean that a file or folder cannot be written."""


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary file beside `path`, moved onto it when the block ends well and removed when it does not.

    Those that killed processes have left in the folder are removed.

    Raises:
        UserError: the folder cannot be written or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep_files(path.parent)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=SUFFIX, dir=path.parent)
    except OSError as error:
        raise unwritable(path.parent, error) from error
    temporary = Path(name)
    hold(handle)
    try:
        yield temporary
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise unwritable(path, error) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)


def unwritable(path: Path, error: OSError) -> UserError:
    """The message for a file or folder that cannot be written."""
    return UserError(
        f"Cannot write {path}: {error.strerror or error}. Free some space or choose another folder with --out."
    )


def digests_by_name(paths: Iterable[Path]) -> dict[str, str]:
    """SHA-256 of files by their names, numbered where files of different folders have one name.

    Raises:
        UserError: a file cannot be read.
    """
    digests: dict[str, str] = {}
    for path in paths:
        copies = sum(other.split("#")[0] == path.name for other in digests)
        digests[f"{path.name}#{copies + 1}" if copies else path.name] = file_digest(path)
    return digests


def file_digest(path: str | Path) -> str:
    """SHA-256 of a file in hexadecimal, read in pieces.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"The file {path} cannot be read: {error.strerror}.") from None
