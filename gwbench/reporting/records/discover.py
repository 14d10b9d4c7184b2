"""Records on disk: found and opened without trusting anything but the folder that was named."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from gwbench.errors import UserError
from gwbench.experiment.record import RECORD

MIB = 2**20


class UnusableError(Exception):
    """Why a file cannot serve; it is named and passed over."""


def find_records(roots: Iterable[str | Path]) -> Iterator[tuple[str, str | None]]:
    """Every `record.json` in or below some folders: its path, and why it cannot serve, if that shows already.

    Links are not followed. One that leads to a place inside the folder is passed over, since what it leads to is found
    anyway; any other is named. A file that two of the folders hold is found once.

    Raises:
        UserError: a folder is not there.
    """
    seen: set[str] = set()
    for root in roots:
        if not Path(root).is_dir():
            raise UserError(f"There is no folder {str(root)!r}. Give folders of runs, such as runs.")
        real = os.path.realpath(root)
        for path, problem in _search(str(root), real):
            place = real + path[len(str(root)) :]  # no link lies between
            if place not in seen:
                seen.add(place)
                yield path, problem


def _search(root: str, real: str) -> Iterator[tuple[str, str | None]]:
    folders = [root]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            yield folder, f"the folder cannot be read: {error.strerror}"
            continue
        for entry in entries:
            if entry.is_symlink():
                if _leads_out(entry, real):
                    yield entry.path, "a link out of the folder, which is not followed"
            elif entry.is_dir(follow_symlinks=False):
                if entry.name == RECORD:
                    yield entry.path, "a folder, not a file"
                folders.append(entry.path)
            elif entry.name == RECORD:
                yield entry.path, None if entry.is_file(follow_symlinks=False) else "not a plain file"


def _leads_out(link: os.DirEntry[str], real: str) -> bool:
    """Whether a link takes a record, or a folder of them, to where the search does not come by."""
    target = Path(os.path.realpath(link.path))
    if not (link.name == RECORD or target.is_dir()):
        return False
    return not (target.is_relative_to(real) and (target.is_dir() or target.name == RECORD))


def open_plain(path: str | Path, limit: int | None = None) -> BinaryIO:
    """A plain file of at most `limit` bytes, opened to be read; never waits for a writer and follows no link.

    Raises:
        UnusableError: it is something else, or cannot be opened.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise UnusableError(f"it cannot be opened: {error.strerror}") from None
    stream = os.fdopen(handle, "rb")
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode):
        stream.close()
        raise UnusableError("not a plain file")
    if limit is not None and found.st_size > limit:
        stream.close()
        raise UnusableError(f"{found.st_size / MIB:,.0f} MiB, more than the {limit / MIB:,.0f} MiB that are read")
    return stream
