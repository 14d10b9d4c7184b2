"""Data files: `write_store`, `open_store`, `verify_store`, and strain that is read on demand."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gwbench.data.store.header import DamagedStoreError, StoreHeader, damaged, header_of
from gwbench.data.store.layout import (
    LAYOUT_VERSION,
    SPLITS,
    Array,
    StoredSplit,
    canonical_json,
    content_hash,
)
from gwbench.data.store.raw import StrainRows, positions_of
from gwbench.data.store.structure import first_byte
from gwbench.data.store.writer import write_store
from gwbench.errors import UserError
from gwbench.utils.reader_process import read_in_process

if TYPE_CHECKING:
    from gwbench.data.dataset import StrainSplits
    from gwbench.utils.progress import Progress


class StoredStrain:
    """Strain of one split, read on demand; a `contracts.StrainReader`.

    HDF5 says where the strain lies; it is read from there directly, which is several times quicker, and holds
    nothing in memory. Can be pickled, forked and used by several threads: the file is opened at the first read.
    """

    def __init__(self, path: Path, split: str, shape: tuple[int, int, int]) -> None:
        self.shape = shape
        self._path, self._split = path, split
        self._opened: StrainRows | None = None

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: slice | Array) -> Array:
        """Strain [n, D, T + 2 margin] float32 at a slice or at positions in any order, repeated or not.

        Raises:
            IndexError: a position outside the split.
            UserError: the file has gone, or is damaged.
        """
        plain = isinstance(index, slice) and index.step in (None, 1)
        with _reading(self._path):
            return self._rows()[index if plain else positions_of(index, len(self))]

    def _rows(self) -> StrainRows:
        if self._opened is None:
            with _open(self._path) as file:
                header_of(file, self._path)
                strain = file[self._split]["strain"]
                if strain.shape != self.shape:
                    raise damaged(self._path, f"has changed: its {self._split} strain is {strain.shape} now")
                # Of this very file, should another have taken its name since.
                descriptor = os.dup(file.id.get_vfd_handle())
                self._opened = StrainRows(descriptor, first_byte(strain), self.shape)
                weakref.finalize(self._opened, os.close, descriptor)
        return self._opened

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None}


def read_header(path: Path) -> StoreHeader:
    """What a data file says of itself, after a check of its structure; the strain is not read.

    Raises:
        DamagedStoreError: no data file of this layout version, incomplete, or truncated.
        UserError: the file is missing or may not be read.
    """
    with _opened(path) as file:
        return header_of(file, path)


def open_store(path: Path) -> StrainSplits:
    """Open a data file: labels, SNRs and parameters are loaded, strain is read on demand.

    Raises:
        DamagedStoreError: no data file of this layout version, incomplete, or truncated.
        UserError: the file is missing or may not be read.
    """
    from gwbench.data.dataset import Split, StrainSplits

    path = path.absolute()
    splits = {}
    with _opened(path) as file:
        header = header_of(file, path)
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
    with _opened(path) as file:
        header = header_of(file, path)
        splits = {name: _direct(file, name) for name in SPLITS}
        computed = content_hash(splits, header.detectors, header.sample_rate, header.margin, progress)
    return Verification(header.content_hash, computed)


def _direct(file: Any, split: str) -> StoredSplit:
    """A split, its strain read as `StoredStrain` reads it."""
    stored = StoredSplit.of(file[split])
    rows = StrainRows(file.id.get_vfd_handle(), first_byte(stored.strain), stored.strain.shape)
    return replace(stored, strain=rows)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The file, open for reading, after a look that it can be read at all; raises as `_reading`."""
    _check_that_it_ends(path)
    with _reading(path), _open(path) as file:
        yield file


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
        raise damaged(path, "is no HDF5 file, or is truncated or damaged") from error


def _check_that_it_ends(path: Path) -> None:
    """Look at a file in the process that reads files: the HDF5 library spins or crashes on some damaged ones.

    Whatever else is wrong with it, its reader says.
    """
    if path.is_file() and os.access(path, os.R_OK):
        modules = ("h5py", "gwbench.data.store.structure")
        try:
            read_in_process(_look_at, path, what="data file", kind="HDF5 file", modules=modules)
        except UserError as error:
            raise DamagedStoreError(f"{error} Remove it and run again to make it anew.") from None


def _look_at(path: Path) -> None:
    with suppress(Exception), _open(path) as file:
        header_of(file, path)
        for name in SPLITS:
            StoredSplit.of(file[name])


def _open(path: Path) -> Any:
    """The file, open for reading."""
    import h5py

    # A finished file never changes, and some disks have no locks.
    return h5py.File(path, "r", locking=False)


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
