"""A data file while it is being written, block by block; another process may go on with it later."""

from __future__ import annotations

import errno
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gwbench._version import __version__
from gwbench.data.store.journal import Arrived, Journal
from gwbench.data.store.layout import (
    LAYOUT_VERSION,
    SPLITS,
    Array,
    StoredSplit,
    canonical_json,
    column_types,
    content_hash,
)
from gwbench.data.store.raw import StrainRows, read_at, write_at
from gwbench.data.store.structure import Structure, make_structure

if TYPE_CHECKING:
    from gwbench.data.dataset import Block, Layout
    from gwbench.utils.progress import Progress

REASONS = 100
"""At most so many reasons for windows left out are kept for every split."""

MANY = 1000
"""Parameters that a dataset may have."""


class Partial:
    """An unfinished data file and its journal.

    Every method raises `OSError` where the disk is full or fails.

    Args:
        path: of the data file to be.
        layout: shapes, detectors and rate.
        recipe: what the data are made from; any JSON value.
    """

    def __init__(self, path: Path, layout: Layout, recipe: Mapping[str, Any]) -> None:
        self.blocks: list[Arrived] = []
        self.parameters: tuple[str, ...] = ()
        self._path, self._layout, self._recipe = path, layout, recipe
        self._journal = Journal(path)
        self._done, self._rows = dict.fromkeys(SPLITS, 0), dict.fromkeys(SPLITS, 0)
        self._window = (len(layout.detectors), layout.window + 2 * layout.margin)
        self._offsets: dict[str, int] = {}
        self._descriptor = -1

    @property
    def windows(self) -> int:
        """Windows that have arrived, those left out included."""
        return sum(self._done.values())

    def next_place(self) -> tuple[str, int]:
        """Split and start of the next block; the end of the last split where there is none."""
        for split in SPLITS:
            if self._done[split] < self._layout.sizes[split]:
                break
        return split, self._done[split]

    def resume(self, progress: Progress) -> None:
        """Take over the blocks of a journal of the same data, as far as the file still has them as they were written.

        Without such a journal, what is there is removed.
        """
        try:
            header, blocks = self._journal.read()
            parameters = self._known(header)
            structure = make_structure(self._layout, parameters)
            if canonical_json(header) != canonical_json(self._header(parameters, structure)):
                raise ValueError("a journal of other data")
            self._descriptor = os.open(self._journal.partial, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            self._journal.remove()
            return
        except OSError as error:
            if error.errno != errno.ELOOP:  # a link, which leads to a file that is none of ours
                raise
            self._journal.remove()
            return
        self.parameters, self._offsets = parameters, structure.offsets
        with progress.task("Check data", sum(block.windows for block in blocks), "windows") as task:
            for block in blocks:
                if (block.split, block.start) != self.next_place() or not self._holds(block):
                    break
                self._count(block)
                task.advance(block.windows)
        self._journal.shorten(len(self.blocks))

    def add(self, block: Block) -> None:
        """Write a block, which has been checked and is the next one."""
        if not self.blocks:
            self._begin(tuple(sorted(block.parameters)))
        start, checksum = self._rows[block.split], 0
        for name, values in _datasets(block):
            write_at(self._descriptor, values, self._offset(block.split, name, start))
            checksum = zlib.crc32(values.data, checksum)
        # A reason may hold the name of a file, which need not be text.
        left_out = {at: why.encode(errors="backslashreplace").decode() for at, why in block.left_out.items()}
        arrived = Arrived(block.split, block.start, len(block.label), checksum, left_out)
        self._journal.add(arrived)
        self._count(arrived)

    def finish(self, progress: Progress) -> str:
        """Turn the complete file into the data file, and return its content hash."""
        left_out = self._left_out()
        if not self.blocks:
            self._begin(())
        layout = self._layout
        digest = content_hash(
            {split: self._stored(split) for split in SPLITS},
            layout.detectors,
            layout.sample_rate,
            layout.margin,
            progress,
        )
        missing = sum(each["count"] for each in left_out.values())
        notes = [*layout.notes]
        if missing:
            what = (
                "1 window could not be read and is" if missing == 1 else f"{missing} windows could not be read and are"
            )
            notes.append(f"{what} left out.")
        attributes = {
            "gwbench_layout": LAYOUT_VERSION,
            "gwbench_version": __version__,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "detectors": list(layout.detectors),
            "sample_rate": float(layout.sample_rate),
            "margin": int(layout.margin),
            "notes": canonical_json(notes),
            "recipe": canonical_json(self._recipe),
            "left_out": canonical_json(left_out),
            "content_hash": digest,
            "complete": True,
        }
        structure = make_structure(layout, self.parameters, self._rows, attributes)
        for offset, piece in structure.writes:
            write_at(self._descriptor, piece, offset)
        os.ftruncate(self._descriptor, structure.size)
        os.fsync(self._descriptor)
        self._journal.partial.replace(self._path)
        _sync_folder(self._path.parent)
        self._journal.remove()
        return digest

    def empty_splits(self) -> Iterator[tuple[str, str]]:
        """The splits of which every window was left out, and the first reason."""
        for split, missing in self._left_out().items():
            if missing["count"] == self._layout.sizes[split]:
                yield split, next(iter(missing["reasons"].values()))

    def remove(self) -> None:
        """Remove the file and the journal."""
        self._journal.remove()

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1

    def _begin(self, parameters: Sequence[str]) -> None:
        self._journal.remove()
        self.close()
        self._descriptor = os.open(self._journal.partial, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        structure = make_structure(self._layout, parameters)
        self.parameters, self._offsets = tuple(parameters), structure.offsets
        self._journal.begin(self._header(self.parameters, structure))

    def _header(self, parameters: Sequence[str], structure: Structure) -> dict[str, Any]:
        """What must agree for a block to be of the same data, and in the same place."""
        return {
            "layout_version": LAYOUT_VERSION,
            "gwbench_version": __version__,
            "layout": self._told(),
            "recipe": self._recipe,
            "parameters": list(parameters),
            "offsets": structure.offsets,
        }

    def _known(self, header: Mapping[str, Any]) -> tuple[str, ...]:
        """The parameters that a journal names, if it is of these data as far as can be told without them.

        Raises:
            KeyError, TypeError, ValueError: it is not, or they are no names.
        """
        names = header["parameters"]
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError("parameters without names")
        if len(names) > MANY or any(not name or "/" in name or "\0" in name or name == "." for name in names):
            raise ValueError("parameters with names that cannot be")
        if canonical_json([header["recipe"], header["layout"]]) != canonical_json([self._recipe, self._told()]):
            raise ValueError("a journal of other data")
        return tuple(names)

    def _told(self) -> dict[str, Any]:
        """The layout as a journal tells it."""
        return {**asdict(self._layout), "sizes": {split: self._layout.sizes[split] for split in SPLITS}}

    def _count(self, block: Arrived) -> None:
        self.blocks.append(block)
        self._done[block.split] += block.windows
        self._rows[block.split] += block.rows

    def _holds(self, block: Arrived) -> bool:
        """Whether the file has the block as it was written."""
        start, checksum = self._rows[block.split], 0
        if self._done[block.split] + block.windows > self._layout.sizes[block.split]:
            return False
        try:
            for name, dtype in self._types().items():
                values = np.empty((block.rows, *(self._window if name == "strain" else ())), dtype)
                read_at(self._descriptor, values, self._offset(block.split, name, start))
                checksum = zlib.crc32(values.data, checksum)
        except OSError:
            return False
        return checksum == block.checksum

    def _types(self) -> dict[str, str]:
        return {"strain": "<f4"} | column_types(self.parameters)

    def _offset(self, split: str, name: str, row: int) -> int:
        size = np.dtype(self._types()[name]).itemsize * (int(np.prod(self._window)) if name == "strain" else 1)
        return self._offsets[f"{split}/{name}"] + row * size

    def _stored(self, split: str) -> StoredSplit:
        count = self._rows[split]
        columns = {name: np.empty(count, dtype) for name, dtype in column_types(self.parameters).items()}
        for name, values in columns.items():
            read_at(self._descriptor, values, self._offset(split, name, 0))
        strain = StrainRows(self._descriptor, self._offset(split, "strain", 0), (count, *self._window))
        parameters = {name: columns[f"parameters/{name}"] for name in self.parameters}
        return StoredSplit(strain, columns["label"], columns["snr"], parameters)

    def _left_out(self) -> dict[str, dict[str, Any]]:
        """How many windows of a split are left out, and why the first of them; without splits that are whole."""
        left_out = {}
        for split in SPLITS:
            reasons = {at: why for block in self.blocks if block.split == split for at, why in block.left_out.items()}
            if reasons:
                first = dict(sorted(reasons.items())[:REASONS])
                left_out[split] = {"count": len(reasons), "reasons": {str(at): why for at, why in first.items()}}
        return left_out


def _datasets(block: Block) -> Iterator[tuple[str, Array]]:
    """The arrays of a block as the file has them, in the order of the checksum."""
    yield "strain", np.ascontiguousarray(block.strain, "<f4")
    for name, dtype in column_types(block.parameters).items():
        values = {"label": block.label, "snr": block.snr}.get(name)
        if values is None:
            values = block.parameters[name.partition("/")[2]]
        yield name, np.ascontiguousarray(values, dtype)


def _sync_folder(folder: Path) -> None:
    """Make a rename durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
