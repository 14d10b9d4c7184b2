"""Folders of .npy files, one window each, spread over sub-folders by the beginning of their names.

The window `abc123` is the file `root/a/b/c/abc123.npy`. The files come from elsewhere, so nothing in them is
trusted: an id cannot name a file outside the folder, a size is compared before a byte is read, a header is
compared before memory is taken, nothing is unpickled. Symbolic links are followed, since people keep large data on
other disks: what they lead to is only read, and only strain of the expected shape comes of it.
"""

from __future__ import annotations

import errno
import io
import os
import re
import stat
import warnings
from collections.abc import Mapping
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gwbench.data.dataset import Array, Block
from gwbench.errors import UserError
from gwbench.utils.progress import Progress
from gwbench.utils.untrusted_text import printable

ID = re.compile(r"[0-9a-zA-Z]{3,64}")
"""A window's id: the file's name without suffix."""

SUFFIX = ".npy"
HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}

OF_THE_FILE = (errno.ENOENT, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENXIO)
"""Errors that mean that one file cannot be read; any other may mean that the disk has gone."""


class BadFileError(Exception):
    """A file does not hold the strain that it should; the message says why, without the file's name."""


# --- one file ---


def file_bytes(shape: tuple[int, int]) -> int:
    """Size of a file that holds float64 of this shape behind numpy's usual header."""
    return len(_usual_header(shape)) + 8 * prod(shape)


def read_window(path: Path, shape: tuple[int, int]) -> Array:
    """The strain in a file: float32 of `shape`, converted from float64 of any byte order and memory layout.

    Raises:
        BadFileError: there is no such regular file, it may not be read, or it is not of the expected size, shape and
            type, or holds a number that is not finite in float32.
        UserError: the disk fails, or the folder around the file has gone.
    """
    content = _content(path, file_bytes(shape))
    header = _usual_header(shape)
    if content.startswith(header):
        window: Array = np.frombuffer(content, "<f8", offset=len(header)).reshape(shape)
    else:
        window = _unusual(content, shape)
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite then is refused
        strain: Array = window.astype(np.float32, order="C")
    if not np.isfinite(strain).all():
        raise BadFileError("holds NaN or infinite strain")
    return strain


def _content(path: Path, size: int) -> bytes:
    try:
        # Without O_NONBLOCK, opening a pipe would wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise BadFileError("is not a regular file")
            content = b""
            if status.st_size == size:
                with os.fdopen(descriptor, "rb", closefd=False) as file:
                    content = file.read(size)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno in OF_THE_FILE and os.path.isdir(path.parent):  # noqa: PTH112 - False where the disk has gone
            raise BadFileError(f"cannot be read: {os.strerror(error.errno)}") from None
        raise UserError(
            f"{path} cannot be read: {error.strerror or error}. Make sure that its disk is there and whole, "
            "then run the same command again."
        ) from None
    if len(content) != size:
        raise BadFileError(
            f"is truncated or of another shape: it has {status.st_size} bytes, expected {size} bytes, float64"
        )
    return content


@lru_cache
def _usual_header(shape: tuple[int, int]) -> bytes:
    """What `numpy.save` writes before float64 in C order."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return stream.getvalue()


def _unusual(content: bytes, shape: tuple[int, int]) -> Array:
    """float64 of `shape` behind any other header that means it."""
    stream = io.BytesIO(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Python's parser, about what the header says
            given, fortran, dtype = HEADERS[np.lib.format.read_magic(stream)](stream)
    except Exception as error:  # numpy evaluates the header: whatever that trips over
        raise BadFileError(
            f"cannot be read as .npy: it is truncated, pickled or no .npy file ({printable(error, 120)})"
        ) from None
    if dtype.hasobject:
        raise BadFileError("cannot be read as .npy: it holds pickled objects, no numbers")
    start = stream.tell()
    expected = f"expected float64 of shape {shape}"
    if given != shape or dtype.kind != "f" or dtype.itemsize != 8:
        raise BadFileError(f"holds {dtype} of shape {given}; {expected}")
    if len(content) - start != 8 * prod(shape):
        raise BadFileError(f"is truncated: it has {len(content) - start} bytes of strain, {expected}")
    return np.frombuffer(content, dtype, offset=start).reshape(shape, order="F" if fortran else "C")


# --- a folder of them ---


class Scan(NamedTuple):
    """What lies in a folder.

    Attributes:
        ids: [N] sorted, as bytes of fixed width: 560,000 of them take 6 MB.
        odd: size of every file that has not the expected one, by id; -1 where it cannot be told.
    """

    ids: Array
    odd: Mapping[str, int]


def scan(root: Path, shape: tuple[int, int], progress: Progress) -> Scan:
    """Find the files `root/a/b/c/abc*.npy` and compare their sizes; hidden files are passed over.

    One pass in one thread: of the time half goes into asking for sizes, and more threads only made it slower.

    Raises:
        UserError: a folder cannot be read, or a .npy file is out of place.
    """
    expected = file_bytes(shape)
    leaves: list[Array] = []
    odd: dict[str, int] = {}
    try:
        first = _sub_folders(root)
        with progress.task("Find files", total=len(first), unit="folders") as task:
            for a in first:
                for leaf in (c for b in _sub_folders(a) for c in _sub_folders(b)):
                    leaves.append(_scan_leaf(leaf, expected, odd))
                task.advance()
    except OSError as error:
        raise UserError(
            f"The folder {error.filename or root} cannot be read: {error.strerror or error}. Mend its permissions."
        ) from None
    return Scan(np.concatenate(leaves) if leaves else np.array([], dtype="S3"), odd)


def _sub_folders(path: Path | str) -> list[str]:
    """Sub-folders whose name is one character, in order."""
    with os.scandir(path) as entries:
        return sorted(entry.path for entry in entries if len(entry.name) == 1 and entry.is_dir())


def _scan_leaf(path: str, expected: int, odd: dict[str, int]) -> Array:
    """Sorted ids of the files in one folder; those of another size go into `odd`."""
    prefix = "".join(Path(path).parts[-3:])
    ids = []
    with os.scandir(path) as entries:
        for entry in entries:
            if not entry.name.endswith(SUFFIX) or entry.name.startswith("."):
                continue
            name = entry.name[: -len(SUFFIX)]
            if not ID.fullmatch(name) or name[:3] != prefix:
                raise UserError(f"{entry.path!r} is out of place: expected a/b/c/abc*{SUFFIX} there. Remove it.")
            ids.append(name)
            try:
                size = entry.stat().st_size
            except OSError:  # a link to nothing, or a file that went meanwhile
                size = -1
            if size != expected:
                odd[name] = size
    return np.array(sorted(ids), dtype=bytes)


class NpyFolder:
    """Strain [N, D, T] in one file per window, read on demand; a `contracts.StrainReader`.

    Args:
        root: the folder that holds a/b/c/abc*.npy.
        ids: [N] file names without suffix, as bytes.
        window: (D, T).
    """

    def __init__(self, root: Path, ids: Array, window: tuple[int, int]) -> None:
        self._root, self._ids, self._window = root, ids, window
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
                    f"{self.path(int(position))} {error}. Download it again or delete it; an import "
                    "(`gwbench data import`) leaves such files out."
                ) from None
        return strain

    def read(self, position: int) -> Array:
        """The window [D, T] at a position; raises as `read_window`."""
        return read_window(self.path(position), self._window)

    def path(self, position: int) -> Path:
        """The file at a position."""
        return npy_path(self._root, self.name(position))

    def name(self, position: int) -> str:
        """The id at a position."""
        return str(self._ids[position].decode())


def npy_path(root: Path, name: str) -> Path:
    """Where the window of this id lies."""
    return root / name[0] / name[1] / name[2] / f"{name}{SUFFIX}"


class FolderWindows:
    """Windows that are copied from folders of files; a `contracts.Windows`. Bad files are left out.

    Args:
        folders: where the windows of every split lie.
        labels: [N] of every split.
    """

    def __init__(self, folders: Mapping[str, NpyFolder], labels: Mapping[str, Array]) -> None:
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
    """Raise `UserError` if files have not the expected size, naming the first few."""
    if files.odd:
        names = sorted(files.odd)[:3]
        named = ", ".join(f"{npy_path(root, name)} ({_size(files.odd[name])})" for name in names)
        raise UserError(
            f"{len(files.odd)} of {len(files.ids)} files are truncated or of another shape: {named}"
            f"{', ...' if len(files.odd) > len(names) else ''}. Expected {file_bytes(shape)} bytes, float64 of shape "
            f"{shape}. Download them again or delete them; an import (`gwbench data import`) leaves such files out."
        )


def _size(size: int) -> str:
    return f"{size} bytes" if size >= 0 else "cannot be read"
