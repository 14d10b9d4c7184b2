"""Data files: `write_store`, `open_store`, `verify_store`, and strain that is read on demand."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gwbench.data.store_layout import (
    LAYOUT_VERSION,
    SPLITS,
    Array,
    StoredSplit,
    canonical_json,
    content_hash,
)
from gwbench.data.store_writer import write_store
from gwbench.errors import UserError

if TYPE_CHECKING:
    from gwbench.contracts import StrainSplits
    from gwbench.progress import Progress


class DamagedStoreError(UserError):
    """The file is no data file of this layout, is incomplete, or cannot be read to its end."""


@dataclass(frozen=True)
class StoreHeader:
    """What a data file says of itself.

    Attributes:
        layout: version of the layout.
        gwbench_version: the gwbench that wrote it.
        created: UTC, ISO 8601.
        detectors: names in channel order.
        sample_rate: Hz.
        window: T, samples of a window without margins.
        margin: samples on either side.
        sizes: windows per split.
        content_hash: as computed when the file was written.
        notes: what a reader of the record must know.
        recipe: what the data were made from.
    """

    layout: int
    gwbench_version: str
    created: str
    detectors: tuple[str, ...]
    sample_rate: float
    window: int
    margin: int
    sizes: dict[str, int]
    content_hash: str
    notes: tuple[str, ...]
    recipe: dict[str, Any]


class StoredStrain:
    """Strain of one split, read on demand; a `contracts.StrainReader`.

    Can be pickled and forked: every process opens the file for itself, at its first read.
    """

    def __init__(self, path: Path, split: str, shape: tuple[int, int, int]) -> None:
        self.shape = shape
        self._path, self._split = path, split
        self._file: Any = None
        self._process = 0

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: slice | Array) -> Array:
        """Strain [n, D, T + 2 margin] float32 at a slice or at positions in any order, repeated or not.

        Raises:
            IndexError: a position outside the split.
            UserError: the file has gone, or is damaged.
        """
        if isinstance(index, slice) and index.step in (None, 1):
            with _reading(self._path):
                return np.asarray(self._dataset()[index], dtype=np.float32)
        positions = _positions(index, len(self))
        order = np.argsort(positions, kind="stable")
        ordered = positions[order]
        # HDF5 is quick at consecutive windows and slow at lists of positions.
        bounds = np.flatnonzero(np.diff(ordered) != 1) + 1
        strain = np.empty((len(positions), *self.shape[1:]), dtype=np.float32)
        with _reading(self._path):
            dataset = self._dataset()
            for run in np.split(np.arange(len(order)), bounds) if len(order) else ():
                first, last = int(ordered[run[0]]), int(ordered[run[-1]])
                strain[order[run]] = dataset[first : last + 1]
        return strain

    def _dataset(self) -> Any:
        if self._file is None or self._process != os.getpid():
            self._file, self._process = _open(self._path), os.getpid()
        return self._file[self._split]["strain"]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None}


def _positions(index: slice | Array, count: int) -> Array:
    """Positions [n] in 0..count-1 of a slice, of integers that may count from the end, or of a mask."""
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


def read_header(path: Path) -> StoreHeader:
    """What a data file says of itself, after a check of its structure; the strain is not read.

    Raises:
        DamagedStoreError: no data file of this layout version, incomplete, or truncated.
        UserError: the file is missing or may not be read.
    """
    with _reading(path), _open(path) as file:
        return _header(file, path)


def open_store(path: Path) -> StrainSplits:
    """Open a data file: labels, SNRs and parameters are loaded, strain is read on demand.

    Raises:
        DamagedStoreError: no data file of this layout version, incomplete, or truncated.
        UserError: the file is missing or may not be read.
    """
    from gwbench.contracts import Split, StrainSplits

    path = path.absolute()
    splits = {}
    with _reading(path), _open(path) as file:
        header = _header(file, path)
        for name in SPLITS:
            stored = StoredSplit.of(file[name])
            splits[name] = Split(
                strain=StoredStrain(path, name, stored.strain.shape),
                label=stored.label[:],
                snr=stored.snr[:],
                parameters={key: values[:] for key, values in stored.parameters.items()},
            )
    return StrainSplits(
        **splits,
        detectors=header.detectors,
        sample_rate=header.sample_rate,
        margin=header.margin,
        content_hash=header.content_hash,
        notes=header.notes,
    )


@dataclass(frozen=True)
class Verification:
    """The content hash that a file was written with, and that of what it holds now."""

    stored: str
    computed: str

    @property
    def ok(self) -> bool:
        """Whether the two agree."""
        return self.stored == self.computed


def verify_store(path: Path, progress: Progress) -> Verification:
    """Read a data file to its end and compute its content hash anew.

    Raises:
        DamagedStoreError: no data file of this layout version, incomplete, truncated or unreadable.
        UserError: the file is missing or may not be read.
    """
    with _reading(path), _open(path) as file:
        header = _header(file, path)
        splits = {name: StoredSplit.of(file[name]) for name in SPLITS}
        computed = content_hash(splits, header.detectors, header.sample_rate, header.margin, progress)
    return Verification(header.content_hash, computed)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn what the disk or HDF5 raises into one message about the file."""
    try:
        yield
    except FileNotFoundError as error:
        raise UserError(f"There is no data file {path}. Run the command again to make it.") from error
    except OSError as error:
        if error.errno is not None:
            raise UserError(
                f"Cannot read {path}: {os.strerror(error.errno)}. Mend its permissions or its disk."
            ) from error
        raise _damaged(path, "is no HDF5 file, or is truncated or damaged") from error


def _damaged(path: Path, reason: str) -> DamagedStoreError:
    return DamagedStoreError(f"{path} {reason}. Remove it and run again to make it anew.")


def _open(path: Path) -> Any:
    """The file, open for reading."""
    import h5py

    # A finished file never changes, and some disks have no locks.
    return h5py.File(path, "r", locking=False)


def _header(file: Any, path: Path) -> StoreHeader:
    """The header, once version, completeness and structure are found right."""
    try:
        return _decode_header(file, path)
    except (KeyError, AttributeError, TypeError, ValueError, RuntimeError) as error:
        # What h5py raises where a link, a type or an attribute is missing or does not decode.
        raise _damaged(path, f"does not hold what its layout promises ({error})") from error


def _decode_header(file: Any, path: Path) -> StoreHeader:
    attributes = file.attrs
    if "gwbench_layout" not in attributes:
        raise _damaged(path, "is an HDF5 file, but none that gwbench finished writing")
    version = int(attributes["gwbench_layout"])
    if version != LAYOUT_VERSION:
        raise _damaged(path, f"has layout version {version}, this gwbench reads version {LAYOUT_VERSION}")
    if not attributes["complete"]:
        raise _damaged(path, "is incomplete")
    detectors = tuple(str(name) for name in attributes["detectors"])
    margin = int(attributes["margin"])
    samples = _check_structure(file, path, len(detectors))
    return StoreHeader(
        layout=version,
        gwbench_version=str(attributes["gwbench_version"]),
        created=str(attributes["created"]),
        detectors=detectors,
        sample_rate=float(attributes["sample_rate"]),
        window=samples - 2 * margin,
        margin=margin,
        sizes={name: len(file[name]["label"]) for name in SPLITS},
        content_hash=str(attributes["content_hash"]),
        notes=tuple(json.loads(attributes["notes"])),
        recipe=json.loads(attributes["recipe"]),
    )


def _check_structure(file: Any, path: Path, detectors: int) -> int:
    """The samples of a stored window, once shapes and types are found to agree with each other."""
    samples = int(file["train"]["strain"].shape[-1])
    for name in SPLITS:
        stored = StoredSplit.of(file[name])
        count = len(stored.label)
        expected = [(stored.strain, "<f4", (count, detectors, samples)), (stored.label, "|i1", (count,))]
        expected += [(stored.snr, "<f4", (count,))]
        expected += [(values, "<f8", (count,)) for values in stored.parameters.values()]
        for dataset, dtype, shape in expected:
            if dataset.dtype != np.dtype(dtype) or dataset.shape != shape:
                found = f"{dataset.dtype} {dataset.shape}"
                raise _damaged(path, f"has {dataset.name} as {found}, expected {np.dtype(dtype)} {shape}")
    return samples


__all__ = [
    "LAYOUT_VERSION",
    "SPLITS",
    "DamagedStoreError",
    "StoreHeader",
    "StoredStrain",
    "Verification",
    "canonical_json",
    "content_hash",
    "open_store",
    "read_header",
    "verify_store",
    "write_store",
]
