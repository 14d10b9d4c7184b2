"""Many windows in one array: of Python, of a .npy file, or of an .npz archive. Files are read a few rows at a time."""

from __future__ import annotations

import hashlib
import math
import weakref
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np

from gwbench.data.dataset import Array
from gwbench.errors import UserError
from gwbench.search.windows.file_sources import file_state
from gwbench.search.windows.source import WindowBatch, WindowSource, finite_batch, numbered
from gwbench.utils.printable import printable
from gwbench.utils.untrusted_arrays import DAMAGE, DEFLATED, HEADER, ArrayHeader, parse_header, read_header
from gwbench.utils.untrusted_files import UnusableError, open_plain

CUT_OFF = "is cut off before it"
AGAIN = "Save [N, D, T] with numpy.save or numpy.savez, or copy it again."

SKIPPED = 2**20
"""Bytes of an archive that are unpacked at once on the way to a window."""


class ArrayWindows(WindowSource):
    """An array in memory.

    Args:
        strain: [N, D, K].
    """

    def __init__(self, strain: Array) -> None:
        self.title, self._strain = "the array", strain
        self.shape = (int(strain.shape[1]), int(strain.shape[2]))

    def __len__(self) -> int:
        return len(self._strain)

    def ids(self, start: int, stop: int) -> list[str]:
        """The rows' numbers."""
        return [str(number) for number in range(start, stop)]

    def read(self, start: int, stop: int) -> WindowBatch:
        """The rows; those with NaN are damaged."""
        return finite_batch(self.ids(start, stop), self._strain[start:stop], self.title)

    def identity(self) -> str:
        """Digest of the array."""
        digest = hashlib.sha256(f"{self._strain.dtype} {self._strain.shape}".encode())
        for start in range(0, len(self), 256):
            digest.update(np.ascontiguousarray(self._strain[start : start + 256]).tobytes())
        return digest.hexdigest()


class NpyRows(WindowSource):
    """A .npy file of shape [N, D, K], or [D, K] for one window.

    Args:
        path: the file.
        name: what the ids begin with.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.title, self._path, self._name = str(path), path, name
        try:
            with open_plain(path.resolve()) as stream:
                self._header = parse_header(stream.read(HEADER), path.name)
        except (UnusableError, ValueError, OSError) as error:
            raise UserError(f"The window file {path} cannot be read: {printable(error)}. {AGAIN}") from None
        self._count, self.shape = windows_of(self._header.shape, self._header.dtype, path)

    def __len__(self) -> int:
        return self._count

    def ids(self, start: int, stop: int) -> list[str]:
        """`name/0`, `name/1` and so on; the name alone where there is one window."""
        return _ids(self._name, self._header, start, stop)

    def read(self, start: int, stop: int) -> WindowBatch:
        """The rows; those with NaN, and those that the file breaks off before, are damaged."""
        ids, size = self.ids(start, stop), self._header.dtype.itemsize * math.prod(self.shape)
        try:
            with open_plain(self._path.resolve()) as stream:
                stream.seek(self._header.start + start * size)
                content = stream.read((stop - start) * size)
        except (UnusableError, OSError) as error:
            raise UserError(f"The window file {self._path} cannot be read any more: {printable(error)}.") from None
        return _rows(ids, content, self._header.dtype, self.shape, self.title)

    def identity(self) -> str:
        """Digest of name, size and time."""
        return hashlib.sha256(f"{self._name} {file_state(self._path)}".encode()).hexdigest()


class NpzRows(WindowSource):
    """The array `strain` of an .npz archive, or its only one; it is unpacked row by row, from the first to the last.

    Args:
        path: the file.
        name: what the ids begin with.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.title, self._path, self._name = str(path), path, name
        self._open: tuple[BinaryIO, zipfile.ZipFile, IO[bytes]] | None = None
        try:
            self._member = self._chosen()
        except (*DAMAGE, UnusableError) as error:
            raise UserError(f"The window file {path} cannot be read: {printable(error)}. {AGAIN}") from None
        self._count, self.shape = windows_of(self._header.shape, self._header.dtype, path)
        self._next = 0

    def __len__(self) -> int:
        return self._count

    def ids(self, start: int, stop: int) -> list[str]:
        """`name/0`, `name/1` and so on; the name alone where there is one window."""
        return _ids(self._name, self._header, start, stop)

    def read(self, start: int, stop: int) -> WindowBatch:
        """The rows; those with NaN, and those after the place where the archive is damaged, are damaged."""
        ids, size = self.ids(start, stop), self._header.dtype.itemsize * math.prod(self.shape)
        try:
            content = self._content(start * size, (stop - start) * size)
        except (*DAMAGE, UnusableError):
            self._close()
            content = b""
        return _rows(ids, content, self._header.dtype, self.shape, self.title)

    def identity(self) -> str:
        """Digest of name, size and time."""
        return hashlib.sha256(f"{self._name} {file_state(self._path)}".encode()).hexdigest()

    @property
    def _header(self) -> ArrayHeader:
        return self._found

    def _chosen(self) -> str:
        with open_plain(self._path.resolve()) as stream, zipfile.ZipFile(stream) as archive:
            names = [info.filename for info in archive.infolist()]
            wanted = [name for name in names if name == "strain.npy"] or names
            if len(wanted) != 1:
                raise UserError(
                    f"{self._path} holds {len(names)} arrays: {printable(', '.join(names))}. Name that of the windows "
                    "'strain', or save it alone."
                )
            with archive.open(wanted[0]) as member:
                self._found = read_header(member, wanted[0])
            info = archive.getinfo(wanted[0])
            if info.file_size > DEFLATED * max(info.compress_size, 1):
                raise ValueError("it declares more than it can hold")
        return wanted[0]

    def _content(self, start: int, size: int) -> bytes:
        """Bytes of the array's rows, which are read in order; going back begins anew."""
        if self._open is None or start < self._next:
            self._close()
            stream = open_plain(self._path.resolve())
            weakref.finalize(self, stream.close)
            archive = zipfile.ZipFile(stream)
            member = archive.open(self._member)
            self._open, self._next = (stream, archive, member), 0
            member.read(self._header.start)
        member = self._open[2]
        while self._next < start:
            got = member.read(min(SKIPPED, start - self._next))
            if not got:
                break
            self._next += len(got)
        content = member.read(size)
        self._next += len(content)
        return content

    def _close(self) -> None:
        for each in reversed(self._open or ()):
            each.close()
        self._open = None


def windows_of(shape: Sequence[int], dtype: np.dtype[Any], path: Path) -> tuple[int, tuple[int, int]]:
    """How many windows an array holds, and their shape (D, K).

    Raises:
        UserError: it is no array of windows.
    """
    if dtype.kind != "f" or dtype.itemsize < 4:
        raise UserError(
            f"{path} holds {printable(dtype)}, in which there is no strain of 1e-21. Save float32 or float64."
        )
    if len(shape) not in (2, 3) or 0 in shape:
        raise UserError(
            f"{path} holds an array of shape {printable(list(shape))}. Expected windows [N, D, T], or one [D, T] "
            "(D detectors). For continuous strain there is `gwbench scan`."
        )
    return (shape[0] if len(shape) == 3 else 1), (int(shape[-2]), int(shape[-1]))


def _ids(name: str, header: ArrayHeader, start: int, stop: int) -> list[str]:
    return numbered(name, start, stop) if len(header.shape) == 3 else [name][start:stop]


def _rows(ids: list[str], content: bytes, dtype: np.dtype[Any], shape: tuple[int, int], place: str) -> WindowBatch:
    """The windows in the bytes of consecutive rows, of which the last ones may be missing."""
    size = dtype.itemsize * math.prod(shape)
    whole = min(len(content) // size, len(ids))
    strain = np.frombuffer(content, dtype, count=whole * math.prod(shape)).reshape(whole, *shape)
    batch = finite_batch(ids[:whole], strain, place)
    lost = {at: f"{place}, window {ids[at].rpartition('/')[2]}: the file {CUT_OFF}" for at in range(whole, len(ids))}
    return WindowBatch(ids, batch.strain, {**batch.damaged, **lost})
