"""Columns of numbers out of HDF5 and CSV files that may be anything."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gwbench.data.hdf5_files import SIGNATURE
from gwbench.data.hdf5_tree import Tree
from gwbench.errors import UserError
from gwbench.utils.printable import few, printable
from gwbench.utils.reader_process import read_in_process
from gwbench.utils.untrusted_files import MIB, DamagedError, UnusableError, open_plain

LARGEST = 1024 * MIB
"""Bytes of a CSV file."""

LISTED = 8
"""Names that a message lists."""

Columns = dict[str, NDArray[np.float64]]


def read_columns(path: Path, needed: Sequence[str], optional: Sequence[str], what: str) -> Columns:
    """Columns [N] of an HDF5 file, whose datasets they are, or of a CSV file with a line of names.

    A column of one value stands for as many as the others have.

    Args:
        path: the file, known by its first bytes.
        needed: names of columns that must be there.
        optional: names of columns that may be.
        what: what the file should be, for messages, such as "events file".

    Raises:
        UserError: it cannot be read, lacks a column, or holds anything but finite numbers.
    """
    if first_bytes(path).startswith(SIGNATURE):
        return read_in_process(
            hdf5_columns, path, tuple(needed), tuple(optional), what, what=what, kind="HDF5 file", modules=("h5py",)
        )
    return read_in_process(csv_columns, path, tuple(needed), tuple(optional), what, what=what, kind="HDF5 or CSV file")


def first_bytes(path: Path, count: int = 64) -> bytes:
    """How a file begins; nothing where it cannot be opened, which its reader will say."""
    try:
        with open_plain(path.resolve()) as stream:
            return stream.read(count)
    except (OSError, UnusableError):
        return b""


# --- in the process that reads ---


def hdf5_columns(path: Path, needed: Sequence[str], optional: Sequence[str], what: str) -> Columns:
    """`read_columns` of HDF5, in this process."""
    import h5py

    with Tree(path, what) as tree:
        there = {name: tree.get(tree.root, name) for name in (*needed, *optional)}
        there = {name: item for name, item in there.items() if isinstance(item, h5py.Dataset)}
        found: Columns = {}
        for name, dataset in there.items():
            if dataset.dtype.kind not in "fiu" or dataset.ndim > 2:
                raise DamagedError(f"its {name} holds {printable(dataset.dtype, 40)} {list(dataset.shape)}, no numbers")
            found[name] = np.asarray(tree.read(dataset), np.float64).ravel()
        names = [] if set(needed) <= set(found) else sorted(printable(name, 40) for name in tree.root)
    return _checked(path, found, needed, names, what)


def csv_columns(path: Path, needed: Sequence[str], optional: Sequence[str], what: str) -> Columns:
    """`read_columns` of CSV, in this process."""
    if path.stat().st_size > LARGEST:
        raise UserError(f"The {what} {path} has more than {LARGEST // MIB} MiB. Write it as HDF5.")
    content = path.read_bytes()
    if b"\0" in content[:4096]:
        raise DamagedError("it holds no text")
    head, _, rest = content.decode("utf-8-sig").partition("\n")
    names = [name.strip().strip('"') for name in head.strip("\r").split(",")]
    wanted = [name for name in (*needed, *optional) if name in names]
    if not set(needed) <= set(wanted) or not rest.strip():
        empty = {name: np.empty(0) for name in wanted}
        return _checked(path, empty, needed, [printable(name, 40) for name in names], what)
    places = [names.index(name) for name in wanted]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = np.loadtxt(io.StringIO(rest), delimiter=",", usecols=places, ndmin=2, comments=None, quotechar='"')
    return _checked(path, dict(zip(wanted, table.T.copy(), strict=True)), needed, names, what)


def _checked(path: Path, found: Columns, needed: Sequence[str], names: Sequence[str], what: str) -> Columns:
    missing = [name for name in needed if name not in found]
    if missing:
        raise UserError(
            f"The {what} {path} has no {' and no '.join(missing)}: expected {', '.join(needed)}; "
            f"it has {few(names, LISTED) or 'nothing'}."
        )
    for name, column in found.items():
        if not np.isfinite(column).all():
            raise UserError(f"The {what} {path}: {name} is not finite in every row. Leave such rows out.")
    lengths = {len(column) for column in found.values()}
    length = max(lengths - {1}, default=1)
    if len(lengths - {1}) > 1:
        told = ", ".join(f"{name} {len(column):,}" for name, column in found.items())
        raise UserError(f"The {what} {path} has columns of different lengths: {told}.")
    return {name: np.broadcast_to(column, length).copy() for name, column in found.items()}
