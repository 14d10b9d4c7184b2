"""The HDF5 structure of a data file, made apart from the strain that it describes.

HDF5 lays out the datasets and says where their first bytes are; the strain is then written there directly. HDF5
itself never writes to the disk: it cannot close a file after a failed write, and brings the interpreter down.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gwbench.data.store.layout import SPLITS, column_types

if TYPE_CHECKING:
    from gwbench.data.dataset import Layout

CHUNK_BYTES = 64 * 1024
"""Windows smaller than this share a chunk."""

PAGE = 4096
"""Bytes; large datasets start at multiples of it."""


@dataclass(frozen=True)
class Structure:
    """A data file without its numbers.

    Attributes:
        offsets: where the first byte of every dataset belongs, by path such as "train/strain"; 0 for those without
            windows. They depend on the layout and the parameters' names alone.
        size: bytes of the whole file.
        writes: offset and content of the HDF5 structure's pieces, in the order of writing.
    """

    offsets: dict[str, int]
    size: int
    writes: list[tuple[int, bytes]]


def make_structure(
    layout: Layout,
    parameters: Iterable[str],
    rows: Mapping[str, int] | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> Structure:
    """The structure of a data file.

    Args:
        layout: shapes, detectors and rate.
        parameters: names of the parameters.
        rows: windows per split, where some were left out; by default as in the layout.
        attributes: of the file.
    """
    # In a thread of its own, because Ctrl-C would strike this one in HDF5's calls of `_Memory`, too.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(_make, layout, tuple(parameters), rows or layout.sizes, attributes or {}).result()


def first_byte(dataset: Any) -> int:
    """Where in its file an HDF5 dataset starts; 0 where it is empty.

    Raises:
        ValueError: its numbers do not follow each other without a gap.
    """
    if not len(dataset):
        return 0
    if dataset.chunks is None:
        offset = dataset.id.get_offset()
        if offset is None:
            raise ValueError(f"{dataset.name} has no place in the file")
        return int(offset)
    rows, inner = dataset.chunks[0], dataset.shape[1:]
    if dataset.chunks[1:] != inner or dataset.compression or dataset.shuffle or dataset.fletcher32:
        raise ValueError(f"{dataset.name} is not stored as plain whole windows")
    last = (len(dataset) - 1) // rows
    zeros = (0,) * len(inner)
    start, end = (dataset.id.get_chunk_info_by_coord((chunk * rows, *zeros)).byte_offset for chunk in (0, last))
    if start is None or end != start + last * rows * int(np.prod(inner)) * dataset.dtype.itemsize:
        raise ValueError(f"the chunks of {dataset.name} do not follow each other")
    return int(start)


def _make(
    layout: Layout, parameters: tuple[str, ...], rows: Mapping[str, int], attributes: Mapping[str, Any]
) -> Structure:
    import h5py

    window = (len(layout.detectors), layout.window + 2 * layout.margin)
    memory = _Memory()
    offsets: dict[str, int] = {}
    with h5py.File(
        memory, "w", libver=("v110", "v110"), alignment_threshold=CHUNK_BYTES, alignment_interval=PAGE
    ) as file:
        groups = {split: file.create_group(split) for split in SPLITS}
        for split, group in groups.items():
            group.create_group("parameters")
            for name, dtype in column_types(parameters).items():
                offsets[f"{split}/{name}"] = _create(group, name, dtype, rows[split], layout.sizes[split], ())
        for split, group in groups.items():
            offsets[f"{split}/strain"] = _create(group, "strain", "<f4", rows[split], layout.sizes[split], window)
        file.attrs.update(attributes)
    return Structure(offsets, memory.size, memory.writes)


def _create(group: Any, name: str, dtype: str, count: int, capacity: int, inner: tuple[int, ...]) -> int:
    """Create a dataset [count, *inner] that can grow to `capacity` rows; returns where it starts in the file."""
    import h5py

    if not capacity:
        group.create_dataset(name, (0, *inner), dtype)
        return 0
    row = np.dtype(dtype).itemsize * int(np.prod(inner))
    # A column is one chunk. All chunks have their place from the start, and HDF5 writes nothing into them.
    rows = min(capacity, max(1, CHUNK_BYTES // row)) if inner else capacity
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk((rows, *inner))
    properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    space = h5py.h5s.create_simple((count, *inner), (capacity, *inner))
    made = h5py.h5d.create(group.id, name.encode(), h5py.h5t.py_create(np.dtype(dtype)), space, properties)
    info = made.get_chunk_info_by_coord((0,) * (1 + len(inner)))
    return int(info.byte_offset)


class _Memory(io.RawIOBase):
    """A file in memory that HDF5 writes to: it keeps what was written where, and is zero elsewhere."""

    def __init__(self) -> None:
        self.writes: list[tuple[int, bytes]] = []
        self.size = 0
        self._position = 0

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self.writes.append((self._position, piece))
        self._position += len(piece)
        self.size = max(self.size, self._position)
        return len(piece)

    def readinto(self, buffer: Any) -> int:
        wanted = memoryview(buffer).cast("B")
        start = self._position
        count = max(0, min(len(wanted), self.size - start))
        wanted[:count] = bytes(count)
        for offset, piece in self.writes:
            low, high = max(offset, start), min(offset + len(piece), start + count)
            if low < high:
                wanted[low - start : high - start] = piece[low - offset : high - offset]
        self._position += count
        return count

    def truncate(self, size: int | None = None) -> int:
        self.size = self._position if size is None else size
        return self.size

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        return self._position

    def tell(self) -> int:
        return self._position

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True
