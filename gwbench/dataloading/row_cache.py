"""Rows of float32 in a file that is filled in any order, a little at a time, and read while it is filled.

A file of N rows of `size` bytes: 4096 bytes of header (a line of text, then zeros), one bit for every row that is
there (little-endian, padded with zeros to a multiple of 4096 bytes), then the rows.

A row's bit is set after the row, so what a killed process leaves is right, but the disk may get the two in another
order. The header therefore names the boot of the machine under which the rows were written; another boot, or another
machine, trusts none of them. Once the last row is there and all is on disk the header says "complete".

One process fills a file, whoever locks it first; others read what is there. The system drops a lock with its process.
"""

from __future__ import annotations

import errno
import fcntl
import math
import os
import stat
import weakref
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil

if TYPE_CHECKING:
    from gwbench.data.dataset import Array

PAGE = 4096
PLAIN = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
"""How the file is opened: a link would have a file elsewhere filled, and a pipe be waited for."""

BOOT = Path("/proc/sys/kernel/random/boot_id")


class RowFile:
    """The rows of a file, as far as they are there.

    Args:
        path: the file, made where it is missing.
        rows: N.
        size: bytes of a row.

    Attributes:
        path: the file.
        fills: whether this process is the one that fills the file; others only read it.

    Raises:
        OSError: the file can be neither written nor read.
    """

    def __init__(self, path: Path, rows: int, size: int) -> None:
        self.path = path
        self._rows, self._size = rows, size
        self._start, self.bytes = _extent(rows, size)
        self._there = np.zeros(rows, dtype=bool)
        self._file, self.fills = _open(path)
        self.close = weakref.finalize(self, os.close, self._file)
        try:
            if not stat.S_ISREG(os.fstat(self._file).st_mode):
                raise OSError(errno.EINVAL, "not a plain file", str(path))
            self._there = self._stored()
            if self.fills and self.complete:
                self._share()
            elif self.fills and not self._there.any():
                os.ftruncate(self._file, 0)
                os.ftruncate(self._file, self.bytes)
                os.pwrite(self._file, self._header(_boot()), 0)
        except BaseException:
            self.close()
            raise

    @property
    def complete(self) -> bool:
        """Whether every row is there."""
        return bool(self._there.all())

    def read(self, positions: Array, out: Array) -> Array:
        """Read the rows that are there.

        Args:
            positions: [n].
            out: [n, ...] float32, contiguous; its row i takes row positions[i], or stays as it is.

        Returns:
            [n] bool: which were read.

        Raises:
            OSError: the disk.
        """
        if not self.fills and not self._there[positions].all():
            self._there = self._stored()
        there: Array = self._there[positions]
        rows = _rows(out)
        if hasattr(os, "posix_fadvise"):
            # A disk serves many requests at once sooner than one after the other.
            for position in positions[there]:
                os.posix_fadvise(self._file, self._offset(position), self._size, os.POSIX_FADV_WILLNEED)
        for i in np.flatnonzero(there):
            there[i] = os.preadv(self._file, [rows[i]], self._offset(positions[i])) == self._size
        return there

    def write(self, positions: Array, values: Array) -> None:
        """Add rows [n, ...] float32, contiguous, at positions [n]; nothing where another process fills the file.

        Raises:
            OSError: the disk is full, or another error of it.
        """
        if not self.fills:
            return
        for position, row in zip(positions, _rows(values), strict=True):
            self._put(row, self._offset(position))
        self._there[positions] = True
        self._put(np.packbits(self._there, bitorder="little"), PAGE)
        if self.complete:
            os.fdatasync(self._file)
            os.pwrite(self._file, self._header("complete"), 0)
            os.fdatasync(self._file)
            self._share()

    def remove(self) -> None:
        """Where this process fills the file, remove it and give its space back at once."""
        if self.fills:
            with suppress(OSError):
                self.path.unlink(missing_ok=True)
                os.ftruncate(self._file, 0)

    def _share(self) -> None:
        """A complete file needs nobody to fill it, but must not be taken for unused either."""
        self.fills = False
        os.utime(self._file)
        fcntl.flock(self._file, fcntl.LOCK_SH)

    def _stored(self) -> Array:
        """[N] bool as the file says; none where it is of another layout or boot, or not as long as it should be."""
        known = os.pread(self._file, self._start, 0)
        trusted = known[:PAGE] in (self._header("complete"), self._header(_boot()))
        if not trusted or os.fstat(self._file).st_size != self.bytes:
            return np.zeros(self._rows, dtype=bool)
        bits = np.frombuffer(known, np.uint8, offset=PAGE)
        return np.unpackbits(bits, count=self._rows, bitorder="little").astype(bool)

    def _header(self, state: str) -> bytes:
        return f"gwbench rows 1: {self._rows} of {self._size} bytes, {state}\n".encode().ljust(PAGE, b"\0")

    def _offset(self, position: int) -> int:
        return self._start + int(position) * self._size

    def _put(self, values: Array, offset: int) -> None:
        if os.pwrite(self._file, values.data, offset) != values.nbytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def file_size(rows: int, size: int) -> int:
    """Bytes of a file of `rows` rows of `size` bytes."""
    return _extent(rows, size)[1]


def in_use(path: Path) -> bool:
    """Whether a process fills the file, or reads it complete."""
    try:
        file = os.open(path, os.O_RDONLY | PLAIN)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(file)
    return False


def _extent(rows: int, size: int) -> tuple[int, int]:
    """Where the rows begin, and where they end."""
    start = PAGE + -(-rows // (8 * PAGE)) * PAGE
    return start, start + rows * size


def _boot() -> str:
    """The same as long as the machine runs."""
    try:
        return BOOT.read_text().strip()
    except OSError:
        return f"{psutil.boot_time():.0f}"


def _open(path: Path) -> tuple[int, bool]:
    """A descriptor of the file, and whether this process may fill it."""
    while True:
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | PLAIN, 0o644)
        except OSError as unwritable:
            try:
                return os.open(path, os.O_RDONLY | PLAIN), False
            except OSError:
                raise unwritable from None
        try:
            if not _locked(file, fcntl.LOCK_EX):
                _locked(file, fcntl.LOCK_SH)
                return file, False
            here = path.stat().st_ino
        except FileNotFoundError:
            here = -1
        except BaseException:
            os.close(file)
            raise
        if here == os.fstat(file).st_ino:
            return file, True
        os.close(file)  # it was removed between opening and locking


def _locked(file: int, kind: int) -> bool:
    """Lock the file unless another process has."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _rows(values: Array) -> Array:
    """[n, ...] as [n, m], never a copy."""
    if not values.flags.c_contiguous:
        raise ValueError("rows must be contiguous")
    return values.reshape(len(values), math.prod(values.shape[1:]))


__all__ = ["RowFile", "file_size", "in_use"]
