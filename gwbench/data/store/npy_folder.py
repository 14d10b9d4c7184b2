"""Folders of .npy files, one window each, spread over sub-folders by the beginning of their names.

The window `abc123` is the file `root/a/b/c/abc123.npy`, or it lies higher up. The files come from elsewhere, so
nothing in them is trusted: an id cannot name a file outside the folder, and see `npy_window`. Symbolic links are
followed, since people keep large data on other disks: what they lead to is only read, and only strain of the expected
shape comes of it.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from gwbench.data.dataset import Array, Block
from gwbench.data.folder_walk import SHOWN, FolderWalk, LeftOut
from gwbench.data.label_csv import ID
from gwbench.data.store.npy_window import AGAIN, BadFileError, check_window, file_bytes, read_window
from gwbench.errors import UserError
from gwbench.utils.progress import Progress

SUFFIX = ".npy"

DEPTH = 3
"""Folders between the root and a file: a/b/c."""


class Places(NamedTuple):
    """Where the files of a folder lie.

    Attributes:
        depth: by how many of its first letters as folders a file lies below the root: 3 for a/b/c/abc.npy.
        elsewhere: paths below the root of the files that lie elsewhere or have a suffix in another case, by id.
    """

    depth: int = DEPTH
    elsewhere: Mapping[str, str] = {}

    def path(self, root: Path, name: str) -> Path:
        """The file of an id."""
        other = self.elsewhere.get(name)
        return root.joinpath(*name[: self.depth], f"{name}{SUFFIX}") if other is None else root / other


class Scan(NamedTuple):
    """What lies in a folder.

    Attributes:
        ids: [N] sorted, as bytes of fixed width: 560,000 of them take 6 MB.
        odd: size of every file that has not an expected one, by id; -1 where it cannot be told.
        narrow: [N] whether a file has the size of float32.
        places: where they lie.
    """

    ids: Array
    odd: Mapping[str, int]
    narrow: Array
    places: Places


def scan(root: Path, shape: tuple[int, int], progress: Progress, left_out: LeftOut | None = None) -> Scan:
    """Find the files `root/a/b/c/abc*.npy`, or those with fewer such folders, and compare their sizes.

    One pass in one thread: of the time half goes into asking for sizes, and more threads only made it slower.

    Args:
        root: the folder.
        shape: of a window.
        progress: shows a bar.
        left_out: takes what lies there and is not read.

    Raises:
        UserError: a folder cannot be read, a .npy file is out of place, or two have one id.
    """
    left_out = LeftOut() if left_out is None else left_out
    walk = FolderWalk((SUFFIX,), left_out, strict=True)
    leaves, start = _Leaves(shape, left_out), len(os.fspath(root)) + 1
    try:
        with os.scandir(root) as entries:
            first = sum(entry.is_dir() for entry in entries)
        with progress.task("Find files", total=first, unit="folders") as task:
            for folder in walk.folders(root):
                place = folder.path[start:]
                leaves.add(place, folder.entries)
                if place and "/" not in place:
                    task.advance()
    except OSError as error:
        raise UserError(
            f"The folder {error.filename or root} cannot be read: {error.strerror or error}. Mend its permissions."
        ) from None
    return leaves.scan()


_NAME = attrgetter("name")


class _Leaves:
    """Gathers the files of one folder after another."""

    def __init__(self, shape: tuple[int, int], left_out: LeftOut) -> None:
        self._wide, self._narrow = file_bytes(shape), file_bytes(shape, "<f4")
        self._left_out = left_out
        self._found: list[tuple[Array, int]] = []
        self._of_float32: list[str] = []
        self._odd: dict[str, int] = {}
        self._elsewhere: dict[str, str] = {}

    def add(self, place: str, entries: list[os.DirEntry[str]]) -> None:
        """The files of a folder, which lies at `place` below the root."""
        parts = place.split("/") if place else []
        prefix = "".join(parts)
        if len(parts) > DEPTH or len(prefix) > len(parts):
            for entry in entries:
                self._left_out.add(entry.path, f"out of the layout a/b/c/abc*{SUFFIX}")
            return
        names, is_id, depth = [], ID.fullmatch, len(parts)
        entries.sort(key=_NAME)
        for entry in entries:
            file = entry.name
            name = file[:-4]
            if not is_id(name):
                self._left_out.add(entry.path, "its name is no id")
                continue
            if name[:depth] != prefix:
                raise UserError(
                    f"{entry.path!r} is out of place: expected a/b/c/abc*{SUFFIX} there. Move it to where its first "
                    "letters say, or out of the folder."
                )
            try:
                size = entry.stat().st_size
            except OSError:  # a link to nothing, or a file that went meanwhile
                size = -1
            if size != self._wide:
                if size == self._narrow:
                    self._of_float32.append(name)
                else:
                    self._odd[name] = size
            if file[-4:] != SUFFIX:
                self._elsewhere[name] = os.path.join(place, file)  # noqa: PTH118
            names.append(name)
        if names:
            self._found.append((np.array(names, dtype=bytes), depth))

    def scan(self) -> Scan:
        """All of them.

        Raises:
            UserError: two files have one id.
        """
        if not self._found:
            return Scan(np.array([], dtype="S3"), {}, np.array([], dtype=bool), Places())
        depths: Counter[int] = Counter()
        for ids, depth in self._found:
            depths[depth] += len(ids)
        usual = depths.most_common(1)[0][0]
        for ids, depth in self._found if len(depths) > 1 else ():
            for name in map(bytes.decode, ids.tolist()) if depth != usual else ():
                self._elsewhere.setdefault(name, "/".join((*name[:depth], f"{name}{SUFFIX}")))
        ids = np.concatenate([each[0] for each in self._found])
        if not (ids[:-1] <= ids[1:]).all():
            ids = np.sort(ids)
        twice = ids[1:][ids[1:] == ids[:-1]]
        if len(twice):
            raise UserError(f"There are two files of the id {twice[0].decode()}. Keep one of them.")
        narrow = np.isin(ids, np.array(self._of_float32, dtype=bytes))
        return Scan(ids, self._odd, narrow, Places(usual, self._elsewhere))


class NpyFolder:
    """Strain [N, D, T] in one file per window, read on demand; a `contracts.StrainReader`.

    Args:
        root: the folder that holds a/b/c/abc*.npy.
        ids: [N] file names without suffix, as bytes.
        window: (D, T).
        places: where the files lie.
    """

    def __init__(self, root: Path, ids: Array, window: tuple[int, int], places: Places = Places()) -> None:  # noqa: B008
        self._root, self._ids, self._window, self._places = root, ids, window, places
        self.shape = (len(ids), *window)

    def __getitem__(self, index: slice | Array, /) -> Array:
        """[n, D, T] float32.

        Raises:
            UserError: a file is not as it should be; see `read_window`.
        """
        chosen = np.arange(len(self._ids))[index]
        strain = np.empty((len(chosen), *self._window), dtype=np.float32)
        for row, position in enumerate(chosen):
            try:
                strain[row] = self.read(int(position))
            except BadFileError as error:
                raise UserError(
                    f"{self.path(int(position))} {error}. {error.advice}; an import (`gwbench data import`) leaves "
                    "such files out."
                ) from None
        return strain

    def read(self, position: int) -> Array:
        """The window [D, T] at a position; raises as `read_window`."""
        return read_window(self.path(position), self._window)

    def path(self, position: int) -> Path:
        """The file at a position."""
        return self._places.path(self._root, self.name(position))

    def name(self, position: int) -> str:
        """The id at a position."""
        return str(self._ids[position].decode())


class WindowFiles(Protocol):
    """Windows in files of their own: a `NpyFolder`, or several as one."""

    shape: tuple[int, int, int]

    def __getitem__(self, index: slice | Array, /) -> Array: ...

    def read(self, position: int) -> Array:
        """The window [D, T] at a position; raises as `read_window`."""
        ...

    def path(self, position: int) -> Path:
        """The file at a position."""
        ...

    def name(self, position: int) -> str:
        """The id at a position."""
        ...


class FolderWindows:
    """Windows that are copied from folders of files; a `contracts.Windows`. Bad files are left out.

    Args:
        folders: where the windows of every split lie.
        labels: [N] of every split.
    """

    def __init__(self, folders: Mapping[str, WindowFiles], labels: Mapping[str, Array]) -> None:
        self._folders, self._labels = folders, labels

    def block(self, rng: np.random.Generator, split: str, start: int, n: int) -> Block:
        """Positions `start` to `start + n` of a split; nothing is random."""
        folder, label = self._folders[split], self._labels[split]
        strain = np.empty((n, *folder.shape[1:]), dtype=np.float32)
        kept: list[int] = []
        left_out: dict[int, str] = {}
        for position in range(start, start + n):
            try:
                strain[len(kept)] = folder.read(position)
            except BadFileError as error:
                left_out[position] = f"{folder.name(position)}{SUFFIX} {error}"
            else:
                kept.append(position)
        snr = np.full(len(kept), np.nan, dtype=np.float32)
        return Block(split, start, strain[: len(kept)], label[kept], snr, left_out=left_out)


def require_even(root: Path, files: Scan, shape: tuple[int, int]) -> None:
    """Check the files that have not an expected size by their headers.

    Raises:
        UserError: some cannot be read as strain of this shape; the message names the first few of the most frequent
            cause.
    """
    bad: dict[tuple[str, str], list[str]] = {}
    for name, size in sorted(files.odd.items()):
        path = files.places.path(root, name)
        try:
            check_window(path, shape)
        except BadFileError as error:
            truncated = error.advice == AGAIN
            cause = "are truncated or of another shape" if truncated else f"are of no use, each {error}"
            bad.setdefault((cause, error.advice), []).append(f"{path} ({size} bytes)" if truncated else str(path))
    if not bad:
        return
    (cause, advice), paths = max(bad.items(), key=lambda item: len(item[1]))
    sizes = f"{file_bytes(shape)} bytes of float64 or {file_bytes(shape, '<f4')} bytes of float32"
    expected = f" Expected {sizes}, shape {shape}." if advice == AGAIN else ""
    others = "; an import (`gwbench data import`) leaves such files out" if len(paths) < len(files.ids) else ""
    raise UserError(
        f"{len(paths)} of {len(files.ids)} files {cause}: {', '.join(paths[:SHOWN])}"
        f"{', ...' if len(paths) > SHOWN else ''}.{expected} {advice}{others}."
    )
