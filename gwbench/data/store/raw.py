"""Arrays at given offsets of a file, written and read without HDF5; any thread may do so."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

AHEAD = 64
"""Windows that the disk is asked for ahead of reading them: it serves many requests at once faster than one by one."""


def write_at(descriptor: int, data: Array | bytes, offset: int) -> None:
    """Write all of a C-contiguous array or of bytes at an offset of a file.

    Raises:
        OSError: the disk is full or fails.
    """
    left = _bytes(data)
    while left:
        written = os.pwrite(descriptor, left, offset)
        left, offset = left[written:], offset + written


def read_at(descriptor: int, data: Array, offset: int) -> None:
    """Fill a C-contiguous array from an offset of a file.

    Raises:
        OSError: the disk fails, or the file ends too early.
    """
    left = _bytes(data)
    while left:
        read = os.preadv(descriptor, [left], offset)
        if not read:
            raise OSError("the file ends too early")
        left, offset = left[read:], offset + read


def _announce(descriptor: int, offset: int, size: int) -> None:
    """Have the system fetch a part of a file that will soon be read."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, offset, size, os.POSIX_FADV_WILLNEED)


def _bytes(data: Array | bytes) -> memoryview:
    # An empty array cannot be cast.
    view = memoryview(data) if isinstance(data, bytes) else data.data
    return view.cast("B") if view.nbytes else memoryview(b"")


class StrainRows:
    """Windows [N, D, K] float32 that follow each other in a file; a `contracts.StrainReader`.

    Args:
        descriptor: of the open file.
        offset: of the first window, in bytes.
        shape: (N, D, K).
    """

    def __init__(self, descriptor: int, offset: int, shape: tuple[int, int, int]) -> None:
        self.shape = shape
        self._descriptor, self._offset = descriptor, offset
        self._row = 4 * shape[1] * shape[2]

    def __getitem__(self, index: slice | Array) -> Array:
        """Strain [n, D, K] of a slice, or of positions from 0 to N - 1 in any order, repeated or not.

        Raises:
            OSError: the disk fails, or the file ends too early.
        """
        if isinstance(index, slice):
            start, stop, _ = index.indices(self.shape[0])
            strain = np.empty((max(0, stop - start), *self.shape[1:]), "<f4")
            read_at(self._descriptor, strain, self._offset + start * self._row)
            return strain
        strain = np.empty((len(index), *self.shape[1:]), "<f4")
        everything = _bytes(strain)
        # In the order of the file, which is what a disk that turns is quickest at.
        order = np.argsort(index, kind="stable")
        offsets = (self._offset + np.asarray(index)[order].astype(np.int64) * self._row).tolist()
        for number, place in enumerate(order.tolist()):
            for ahead in offsets[number + AHEAD : number + AHEAD + 1] if number else offsets[: AHEAD + 1]:
                _announce(self._descriptor, ahead, self._row)
            window = everything[place * self._row : (place + 1) * self._row]
            if os.preadv(self._descriptor, [window], offsets[number]) != self._row:
                read_at(self._descriptor, strain[place], offsets[number])
        return strain


def positions_of(index: slice | Array, count: int) -> Array:
    """Positions [n] in 0..count-1 of a slice, of integers that may count from the end, or of a mask.

    Raises:
        IndexError: a position outside the split, or no position.
    """
    if isinstance(index, slice):
        return np.arange(count)[index]
    given = np.asarray(index)
    if given.dtype == bool and given.shape == (count,):
        return np.flatnonzero(given)
    if given.ndim != 1 or (given.size and given.dtype.kind not in "iu"):
        raise IndexError(f"strain is read by a slice or a 1-d array of positions, not {given.dtype} {given.shape}")
    positions = given.astype(np.int64)
    positions[positions < 0] += count
    outside = (positions < 0) | (positions >= count)
    if outside.any():
        raise IndexError(f"position {given[np.argmax(outside)]} is outside the {count} windows of the split")
    return positions


__all__ = ["StrainRows", "positions_of", "read_at", "write_at"]
