"""The datasets of an HDF5 file that may be anything: links are followed as far as its folder, and loops end.

h5py follows external links, external storage and virtual datasets to any file of the system. Here every link is
looked at before it is followed.
"""

from __future__ import annotations

import importlib
import stat
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from gwbench.errors import UserError

if TYPE_CHECKING:
    import h5py

OBJECTS, DEPTH, FILES = 10_000, 64, 256
"""The most links looked at, groups within each other, and files opened for one file."""

LINKS = 16
"""Links that lead to links."""

FACTOR, SLACK = 1100, 2**26
"""Bytes that one stored byte may stand for (deflate's limit is 1,032), and bytes that need not be stored at all."""

MOST, TIMES_FILE = 2**30, 40
"""Bytes that all that is read of a file may take, and more of them for every byte of the file."""


MOVE = "Write the data into the file itself, or put the files into one folder."


class LinkError(Exception):
    """Why a link is not followed."""


@dataclass(frozen=True)
class Found:
    """A dataset, and how it was reached.

    Attributes:
        dataset: it.
        names: its path in the file, and other paths that lead to it.
        groups: the groups around it, from the nearest to the file's root; those around a link that leads to it last.
    """

    dataset: h5py.Dataset
    names: list[str]
    groups: tuple[h5py.Group, ...]


@dataclass
class Tree:
    """An open HDF5 file.

    Args:
        path: the file.
        what: what it should be, for messages, such as "strain file".

    Attributes:
        refused: names of links that are not followed, and why.
        facts: what is known of its groups, by their identifiers.
    """

    path: Path
    what: str
    refused: dict[str, str] = field(default_factory=dict)
    facts: dict[Any, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._folder = self.path.absolute().parent.resolve()
        self._stack = ExitStack()
        self._files: dict[Path, h5py.File] = {}
        self._declared = 0

    def __enter__(self) -> Tree:
        with suppress(ImportError):  # filters beyond those of h5py
            importlib.import_module("hdf5plugin")
        self.root = self._open(self.path)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def datasets(self, start: h5py.Group | None = None, prefix: str = "") -> list[Found]:
        """Every dataset within a group, once, in order of name.

        Raises:
            UserError: there are more than `OBJECTS` objects, or groups nested deeper than `DEPTH`.
        """
        import h5py

        begin = self.root if start is None else start
        found: dict[tuple[int, int], Found] = {}
        entered = {_address(begin)}
        waiting: list[tuple[h5py.Group, str, tuple[h5py.Group, ...]]] = [(begin, prefix, (begin,))]
        looked = 0
        while waiting:
            group, path, around = waiting.pop()
            if len(around) > DEPTH:
                raise UserError(f"The {self.what} {self.path}: its groups are nested more than {DEPTH} deep.")
            for name in group:
                looked += 1
                if looked > OBJECTS:
                    raise UserError(f"The {self.what} {self.path} holds more than {OBJECTS:,} objects.")
                full = f"{path}{name}"
                try:
                    item, groups = self._step(group, name, around, 0)
                except LinkError as error:
                    self.refused[full] = str(error)
                    continue
                if isinstance(item, h5py.Dataset):
                    known = found.setdefault(_address(item), Found(item, [], groups))
                    known.names.append(full)
                elif isinstance(item, h5py.Group) and _address(item) not in entered:
                    entered.add(_address(item))
                    waiting.append((item, f"{full}/", (item, *groups)))
        return sorted(found.values(), key=lambda one: one.names[0])

    def find(self, name: str) -> list[Found]:
        """The dataset that a path leads to, or all within the group; empty where it leads nowhere.

        Raises:
            UserError: it leads through a link that is not followed.
        """
        import h5py

        try:
            item, groups = self._walk(self.root, name, (self.root,), 0)
        except KeyError:
            return []
        except LinkError as error:
            raise UserError(f"The {self.what} {self.path}: {name} {error}. {MOVE}") from None
        if isinstance(item, h5py.Dataset):
            return [Found(item, [name.strip("/")], groups)]
        if isinstance(item, h5py.Group):
            return self.datasets(item, f"{name.strip('/')}/")
        return []

    def get(self, group: h5py.Group, name: str) -> Any:
        """What a path within a group leads to; None where it leads nowhere or out of the folder."""
        try:
            return self._walk(group, name, (group,), 0)[0]
        except (KeyError, LinkError):
            return None

    def read(self, dataset: h5py.Dataset, most: int | None = None) -> Any:
        """All values of a dataset.

        Args:
            dataset: it.
            most: values that are read at most.

        Raises:
            UserError: they are stored out of the folder, or they are more than can be stored in a file of this size.
        """
        size = int(dataset.size or 0)
        if most is not None and size > most:
            raise UserError(
                f"The {self.what} {self.path}: {dataset.name} holds {size:,} values, where at most {most:,} fit. "
                "It is damaged, or made to do harm."
            )
        self._check_stored(dataset, size)
        return dataset[()]

    def read_part(self, dataset: h5py.Dataset, start: int, stop: int) -> Any:
        """Values `start` to `stop` of a dataset that has one axis longer than 1. Raises `UserError` as `read`."""
        self._check_stored(dataset, stop - start)
        longest = max(range(dataset.ndim), key=lambda axis: dataset.shape[axis])
        return dataset[tuple(slice(start, stop) if axis == longest else 0 for axis in range(dataset.ndim))]

    def _check_stored(self, dataset: h5py.Dataset, values: int) -> None:
        """Refuse a dataset of more than can be stored, or to read more values than a file of this size may give."""
        declared, stored = int(dataset.size or 0) * dataset.dtype.itemsize, self._stored(dataset, 0)
        self._declared += values * dataset.dtype.itemsize
        limit = MOST + TIMES_FILE * self.path.stat().st_size
        if declared > FACTOR * stored + SLACK or self._declared > limit:
            raise UserError(
                f"The {self.what} {self.path}: {dataset.name} declares {declared / 2**20:,.0f} MiB, of which "
                f"{stored / 2**20:,.3f} MiB are stored. It is damaged, or made to do harm."
            )

    def _step(
        self, group: h5py.Group, name: str, around: tuple[h5py.Group, ...], links: int
    ) -> tuple[Any, tuple[h5py.Group, ...]]:
        """What a link of a group leads to, and the groups around it."""
        import h5py

        if links > LINKS:
            raise LinkError("is a link that leads to itself")
        link = group.get(name, getlink=True)
        if isinstance(link, h5py.SoftLink):
            begin = (group.file,) if link.path.startswith("/") else around
            return self._linked(begin, link.path, around, links)
        if isinstance(link, h5py.ExternalLink):
            return self._linked((self._open(self._inside(link.filename)),), link.path, around, links)
        return group[name], around

    def _linked(
        self, begin: tuple[h5py.Group, ...], path: str, around: tuple[h5py.Group, ...], links: int
    ) -> tuple[Any, tuple[h5py.Group, ...]]:
        try:
            item, groups = self._walk(begin[0], path, begin, links + 1)
        except KeyError:
            raise LinkError(f"is a link to {path}, which is not there") from None
        return item, (*groups, *around)

    def _walk(
        self, group: h5py.Group, path: str, around: tuple[h5py.Group, ...], links: int
    ) -> tuple[Any, tuple[h5py.Group, ...]]:
        import h5py

        item: Any = group
        for name in [part for part in path.split("/") if part not in ("", ".")][: DEPTH + 1]:
            if not isinstance(item, h5py.Group) or item.get(name, getlink=True, default=None) is None:
                raise KeyError(name)
            item, around = self._step(item, name, around, links)
            if isinstance(item, h5py.Group):
                around = (item, *around)
        return item, around

    def _stored(self, dataset: h5py.Dataset, links: int) -> int:
        """Bytes that a dataset takes on disk. Raises `UserError` where they lie out of the folder."""
        if dataset.external:
            raise UserError(
                f"The {self.what} {self.path}: the values of {dataset.name} are stored in another file "
                "(external storage), which is not followed. Write them into the file itself."
            )
        if not dataset.is_virtual:
            return int(dataset.id.get_storage_size())
        stored = 0
        for source in dataset.virtual_sources():
            try:
                if links > LINKS or "%" in source.file_name or "%" in source.dset_name:
                    raise LinkError("is made of too many files")
                inner = source.file_name == "."
                file = dataset.file if inner else self._open(self._inside(source.file_name))
                item = self._walk(file, source.dset_name, (file,), links + 1)[0]
            except KeyError:
                continue  # HDF5 fills in what is not there
            except LinkError as error:
                raise UserError(
                    f"The {self.what} {self.path}: the virtual dataset {dataset.name} {error}. {MOVE}"
                ) from None
            stored += self._stored(item, links + 1)
        return stored

    def _inside(self, name: str) -> Path:
        """The file that a link names, if it lies within the folder of the file."""
        target = (self.path.absolute().parent / name).resolve()
        if not target.is_relative_to(self._folder):
            raise LinkError(f"is a link to {name!r}, out of the folder of the file, which is not followed")
        try:
            plain = stat.S_ISREG(target.stat().st_mode)
        except OSError:
            plain = False
        if not plain:
            raise LinkError(f"is a link to the file {name!r}, which is not there")
        return target

    def _open(self, path: Path) -> h5py.File:
        import h5py

        path = path.absolute()
        if path not in self._files:
            if len(self._files) >= FILES:
                raise LinkError(f"is a link to one file too many, after {FILES}")
            # Disks without locks are read all the same; a file that another program writes is not.
            self._files[path] = self._stack.enter_context(h5py.File(path, "r", locking="best-effort"))
        return self._files[path]


def children(group: h5py.Group, most: int) -> Iterator[str]:
    """The names of a group's first members."""
    for place, name in enumerate(group):
        if place >= most:
            return
        yield name


def _address(item: h5py.Group | h5py.Dataset) -> tuple[int, int]:
    """The same for all links to one object."""
    import h5py

    about = h5py.h5o.get_info(item.id)
    return about.fileno, about.addr


__all__ = ["Found", "LinkError", "Tree", "children"]
