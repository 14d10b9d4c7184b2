"""Records on disk: found without trusting anything but the folder that was named."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from gwbench.errors import UserError
from gwbench.experiment.record import RECORD


def find_records(roots: Iterable[str | Path], name: str = RECORD) -> Iterator[tuple[str, str | None]]:
    """Every `record.json` in or below some folders: its path, and why it cannot serve, if that shows already.

    Links are not followed. One that leads to a place inside the folder is passed over, since what it leads to is found
    anyway; any other is named. A file that two of the folders hold is found once.

    Args:
        roots: the folders.
        name: of the files, where they are records of another kind.

    Raises:
        UserError: a folder is not there.
    """
    seen: set[str] = set()
    for root in roots:
        if not Path(root).is_dir():
            raise UserError(f"There is no folder {str(root)!r}. Give folders of runs, such as runs.")
        real = os.path.realpath(root)
        for path, problem in _search(str(root), real, name):
            place = real + path[len(str(root)) :]  # no link lies between
            if place not in seen:
                seen.add(place)
                yield path, problem


def _search(root: str, real: str, name: str) -> Iterator[tuple[str, str | None]]:
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
                if _leads_out(entry, real, name):
                    yield entry.path, "a link out of the folder, which is not followed"
            elif entry.is_dir(follow_symlinks=False):
                if entry.name == name:
                    yield entry.path, "a folder, not a file"
                folders.append(entry.path)
            elif entry.name == name:
                yield entry.path, None if entry.is_file(follow_symlinks=False) else "not a plain file"


def _leads_out(link: os.DirEntry[str], real: str, name: str) -> bool:
    """Whether a link takes a record, or a folder of them, to where the search does not come by."""
    target = Path(os.path.realpath(link.path))
    if not (link.name == name or target.is_dir()):
        return False
    return not (target.is_relative_to(real) and (target.is_dir() or target.name == name))
