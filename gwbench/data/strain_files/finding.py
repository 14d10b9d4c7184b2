"""Which strain files lie behind some files, folders and globs."""

from __future__ import annotations

import errno
import glob
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from gwbench.data.folder_walk import (
    CLOSED_FILE,
    EMPTY,
    NOT_PLAIN,
    TRASH,
    TWICE,
    FolderWalk,
    LeftOut,
    first_bytes,
    printable,
    reason_of,
)
from gwbench.errors import UserError
from gwbench.utils.paths import user_path

HDF5, GWF = (".hdf5", ".hdf", ".h5"), (".gwf",)
"""What is read of a folder, in any case; a file of any other suffix is taken for HDF5."""

NAMED = (".txt", ".dat", ".csv", ".asc", ".ascii", ".npy", ".xml")
"""What is read only where a path or a glob says so: in a folder, such a file may be anything."""

READ = (b"\x89HDF", b"IGWD")
"""How files begin that a glob may bring under any name."""


def find_strain_files(
    places: Iterable[str], left_out: LeftOut | None = None, option: str = "dataset.path"
) -> list[Path]:
    """The files behind some files, folders (searched to the bottom) and globs: each once, in order of name.

    A path that exists is taken as it is written; only else it is a glob. A folder that a glob matches is searched.

    Args:
        places: the paths.
        left_out: takes what lies there and is not read.
        option: the setting that holds them, for messages.

    Raises:
        UserError: one of them leads to no file.
    """
    left_out = LeftOut() if left_out is None else left_out
    found: list[Path] = []
    for given in places:
        here = LeftOut()
        files = [Path(path).absolute() for path in _behind(given, here, option)]
        if not files:
            raise UserError(
                f"{option}={printable(given)} names no strain file: expected a file ({', '.join(HDF5 + GWF)}), a "
                f"folder of such files, or a glob in quotes.{''.join(f' {line}' for line in here.sentences())}"
            )
        found += files
        left_out.join(here)
    return _each_once(found, left_out)


def _each_once(paths: Iterable[Path], left_out: LeftOut) -> list[Path]:
    """The files in order of name, without other names of the same file."""
    kept: dict[str, Path] = {}
    real = {path: os.path.realpath(path) for path in paths}
    for path in sorted(real, key=lambda path: (str(path) != real[path], path.name, str(path))):
        if kept.setdefault(real[path], path) != path:
            left_out.add(path, TWICE)
    return sorted(kept.values(), key=lambda path: (path.name, str(path)))


def _behind(given: str, left_out: LeftOut, option: str) -> Iterator[str]:
    """What one path leads to.

    Raises:
        UserError: it exists and is of no use, or cannot be a path.
    """
    place, problem = given, ""
    try:
        place = os.fspath(user_path(given))
        mode = os.stat(place).st_mode  # noqa: PTH116 - Path.is_file raises where permission lacks
        if stat.S_ISREG(mode):
            yield place
            return
        if stat.S_ISDIR(mode):
            yield from _within(place, FolderWalk(HDF5 + GWF, left_out, named=NAMED), left_out)
            return
        problem = "it is a pipe, a socket or a device"
    except ValueError as error:  # a zero byte
        problem = printable(str(error))
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM):
            problem = "permission denied"
        elif error.errno == errno.ELOOP:
            problem = "it is a link that leads back to itself"
        elif os.path.islink(place):  # noqa: PTH114
            problem = f"it is a link to {printable(os.readlink(place))}, which is not there"  # noqa: PTH115
    if problem:
        raise UserError(f"{option}={printable(given)} names no strain file: {problem}. Name a file or a folder.")
    yield from _matches(place, left_out)


def _matches(pattern: str, left_out: LeftOut) -> Iterator[str]:
    """The strain files that a glob matches, and those in folders that it matches."""
    walk, suffix = FolderWalk(HDF5 + GWF, left_out, named=NAMED), _literal_suffix(pattern)
    for path in sorted(glob.glob(_escaped(pattern), recursive=True)):  # noqa: PTH207 - Path.glob takes no absolute one
        name = os.path.basename(os.path.normpath(path))  # noqa: PTH119
        if os.path.isdir(path):  # noqa: PTH112
            yield from _within(path, walk, left_out) if name.lower() not in TRASH else ()
        elif not walk.unfinished(path, name) and not name.endswith("~"):
            yield from _usable(path, name, walk, left_out, asked_for=bool(suffix) and name.endswith(suffix))


def _literal_suffix(pattern: str) -> str:
    """The suffix that a glob asks for; empty where it does not say."""
    suffix = os.path.splitext(pattern)[1]  # noqa: PTH122
    return "" if glob.has_magic(suffix) else suffix


def _escaped(pattern: str) -> str:
    """A glob whose first folders, as far as they exist as written, are taken as written: `data [old]/*.hdf5`."""
    parts, known = Path(pattern).parts, 0
    while known < len(parts) and os.path.lexists(Path(*parts[: known + 1])):
        known += 1
    return str(Path(*map(glob.escape, parts[:known]), *parts[known:]))


def _within(folder: str, walk: FolderWalk, left_out: LeftOut) -> Iterator[str]:
    """The strain files in a folder and below it."""
    for each in walk.folders(folder):
        for entry in sorted(each.entries, key=lambda entry: entry.name):
            yield from _usable(entry.path, entry.name, walk, left_out)


def _usable(path: str, name: str, walk: FolderWalk, left_out: LeftOut, *, asked_for: bool = False) -> Iterator[str]:
    """The file, if it is one of strain that can be read; whatever its suffix, where that is asked for."""
    reason = ""
    try:
        status = os.stat(path)  # noqa: PTH116
        if stat.S_ISDIR(status.st_mode):
            return
        if not stat.S_ISREG(status.st_mode):
            reason = NOT_PLAIN
        elif not status.st_size:
            reason = EMPTY
        elif not os.access(path, os.R_OK):
            reason = CLOSED_FILE
        elif not asked_for and not walk.wanted(name) and not first_bytes(path).startswith(READ):
            reason = walk.looks_like_strain(path, name)
            if not reason:
                return
    except OSError as error:
        reason = reason_of(error)
    if reason:
        left_out.add(path, reason)
    else:
        yield path
