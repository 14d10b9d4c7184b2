"""Whether a file is a dataset's, told from other HDF5 files before it is opened."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from gwbench.data.hdf5_files import SIGNATURE
from gwbench.data.store.header import header_of
from gwbench.utils.reader_process import read_in_process
from gwbench.utils.untrusted_files import UnusableError, open_plain

GROUPS = {"train", "val", "test"}

MEMBERS = 1000
"""Members of the file's root that are looked at."""


def is_store(path: Path) -> bool:
    """Whether a file is a dataset's, and not one of strain. It is read in a process of its own.

    Raises:
        UserError: reading it does not come to an end, or it is a dataset's and damaged.
    """
    try:
        with open_plain(path.resolve()) as file:
            if file.read(len(SIGNATURE)) != SIGNATURE:
                return False
    except (OSError, UnusableError):
        return False  # why it cannot be read, the reader of strain says
    answer: bool = read_in_process(
        _is_store,
        path,
        what="dataset or strain file",
        kind="HDF5 file",
        modules=("h5py", "gwbench.data.store.structure"),
    )
    return answer


def _is_store(path: Path) -> bool:
    import h5py

    try:
        with h5py.File(path, "r", locking=False) as file:
            if "gwbench_layout" not in file.attrs and not set(islice(file, MEMBERS)) >= GROUPS:
                return False
            header_of(file, path)
            return True
    except (OSError, RuntimeError, KeyError, ValueError, TypeError):
        return False  # why it cannot be read, the reader of strain says


__all__ = ["is_store"]
