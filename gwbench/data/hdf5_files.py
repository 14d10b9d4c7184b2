"""HDF5 files that may be anything: what is in them, within bounds. Call it in `read_in_process`.

Nothing outside the file is read, except through external links to files in its folder. Raw data in other files
(external and virtual storage) are refused, and so are datasets that declare more than may be read.
"""

from __future__ import annotations

import importlib
import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gwbench.errors import UserError
from gwbench.utils.printable import printable

if TYPE_CHECKING:
    import h5py

SUFFIXES = (".hdf5", ".hdf", ".h5")

MOST_OBJECTS, DEEPEST, LONGEST_CHAIN = 50_000, 64, 4
"""Groups and datasets that are looked at; how deep groups nest; external links behind each other."""

SIGNATURE = b"\x89HDF\r\n\x1a\n"


def is_hdf5(path: Path) -> bool:
    """Whether a file has the signature of HDF5: at its start, or after a user block of 512, 1024, 2048... bytes."""
    with path.open("rb") as file:
        end, place = file.seek(0, 2), 0
        while place < end:
            file.seek(place)
            if file.read(len(SIGNATURE)) == SIGNATURE:
                return True
            place = 2 * place or 512
    return False


@contextmanager
def open_datasets(path: Path, what: str) -> Iterator[Iterator[tuple[str, h5py.Dataset]]]:
    """The datasets of a file by their absolute names, each as often as links lead to it, while the file is open.

    Soft links are followed, and external links to files in the folder of `path`. Links that lead nowhere are passed
    over, as h5py does.

    Args:
        path: the file.
        what: what it should be, for messages.

    Raises:
        UserError: more objects or deeper groups than is sane, or a link to a file outside the folder.
    """
    import h5py

    with suppress(ImportError):  # filters beyond those of h5py
        importlib.import_module("hdf5plugin")
    with ExitStack() as stack:

        @cache
        def opened(file: Path) -> h5py.File:
            # Disks without locks are read all the same; a file that another program writes is not.
            return stack.enter_context(h5py.File(file, "r", locking="best-effort"))

        yield _walk(path, what, opened)


def _walk(path: Path, what: str, opened: Callable[[Path], h5py.File]) -> Iterator[tuple[str, h5py.Dataset]]:
    import h5py

    waiting: deque[tuple[str, h5py.Group, int, int]] = deque([("", opened(path.resolve())["/"], 0, 0)])
    linked: deque[tuple[str, h5py.Group, int, int]] = deque()
    seen, count = set(), 0
    while waiting or linked:
        name, group, depth, links = (waiting or linked).popleft()  # a group has its own name rather than a link's
        if object_id(group) in seen:
            continue
        seen.add(object_id(group))
        if depth > DEEPEST:
            raise UserError(f"The {what} {path} has groups more than {DEEPEST} deep. It is damaged, or made so.")
        for key in group:
            count += 1
            if count > MOST_OBJECTS:
                raise UserError(f"The {what} {path} has over {MOST_OBJECTS:,} groups and datasets. Use a smaller file.")
            link = group.get(key, getlink=True)
            further = links + isinstance(link, h5py.ExternalLink)
            if isinstance(link, h5py.ExternalLink):
                item = _linked(path, link, opened, what) if further <= LONGEST_CHAIN else None
            else:
                item = _at(group, link.path) if isinstance(link, h5py.SoftLink) else group[key]
            if isinstance(item, h5py.Dataset):
                yield f"{name}/{key}", item
            elif isinstance(item, h5py.Group):
                where = waiting if isinstance(link, h5py.HardLink) else linked
                where.append((f"{name}/{key}", item, depth + 1, further))


def _at(group: h5py.Group, target: str) -> h5py.Dataset | h5py.Group | None:
    """The object behind a path without external links on its way; None where there is none."""
    import h5py

    here: Any = group.file if target.startswith("/") else group
    for number, part in enumerate(part for part in target.split("/") if part not in ("", ".")):
        if number > DEEPEST or not isinstance(here, h5py.Group):
            return None
        link = here.get(part, getlink=True)
        if not isinstance(link, h5py.HardLink):
            return None
        here = here[part]
    return here


def _linked(
    path: Path, link: h5py.ExternalLink, opened: Callable[[Path], h5py.File], what: str
) -> h5py.Dataset | h5py.Group | None:
    """What an external link leads to; None where nothing is."""
    folder = path.resolve().parent
    target = (folder / link.filename).resolve()
    if not target.is_relative_to(folder):
        raise UserError(
            f"The {what} {path} links to {printable(link.filename)}, outside its folder, which is not followed. "
            "Copy the data into one file."
        )
    return _at(opened(target)["/"], link.path) if target.is_file() else None


def object_id(item: h5py.Group | h5py.Dataset) -> tuple[Any, ...]:
    """Equal for two names of one object of open files."""
    import h5py

    info = h5py.h5o.get_info(item.id)
    return info.fileno, info.addr


def stored(dataset: h5py.Dataset, path: Path, what: str, most: int) -> np.ndarray[Any, Any]:
    """The values of a dataset.

    Args:
        dataset: of any shape and type.
        path, what: for messages.
        most: values that are read at most.

    Raises:
        UserError: it declares more, or its values lie in other files.
    """
    name = printable(dataset.name or "")
    if dataset.is_virtual or dataset.external:
        raise UserError(f"The {what} {path}: the values of {name} lie in other files. Copy them into this one.")
    if math.prod(dataset.shape or (0,)) > most:
        raise UserError(
            f"The {what} {path}: {name} declares {dataset.shape} values, more than the {most:,} that are read."
        )
    return np.asarray(dataset[()])


def number(attributes: Mapping[str, Any], names: Sequence[str]) -> float | None:
    """The first of some attributes that is there, as a number; nan where it is none; None where none is there."""
    for name in names:
        if name in attributes:
            value = np.asarray(attributes[name])
            try:
                return float(value.reshape(-1)[0]) if value.size == 1 else math.nan
            except (TypeError, ValueError, OverflowError):
                return math.nan
    return None


def text(attributes: Mapping[str, Any], names: Sequence[str]) -> str:
    """The first of some attributes that is text, in printable characters; empty where none is."""
    for name in names:
        value = attributes.get(name)
        value = value.reshape(-1)[0] if isinstance(value, np.ndarray) and value.size == 1 else value
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        if isinstance(value, str):
            return printable(value)
    return ""


__all__ = ["SIGNATURE", "SUFFIXES", "is_hdf5", "number", "object_id", "open_datasets", "stored", "text"]
