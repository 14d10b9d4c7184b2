"""Archives of arrays (npz) from a run's folder, which may hold anything: nothing is executed, and sizes are bounded."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from gwbench.evaluation.metrics import Array
from gwbench.reporting.records.predictions import DAMAGE
from gwbench.utils.untrusted_files import UnusableError, open_plain


@contextmanager
def open_archive(path: Path, limit: int | None = None) -> Iterator[zipfile.ZipFile]:
    """An npz opened to be read; whatever is wrong with it is an `UnusableError`."""
    with open_plain(path, limit) as stream:
        try:
            with zipfile.ZipFile(stream) as archive:
                yield archive
        except DAMAGE as error:
            raise UnusableError(f"{path.name} cannot be read: {error}") from None


def read_array(archive: zipfile.ZipFile, name: str, limit: int) -> Array:
    """An array of numbers of at most `limit` bytes.

    Raises:
        ValueError: it holds no numbers, or more, or it is cut off.
    """
    with archive.open(f"{name}.npy") as member:
        shape, dtype = read_header(member, name)
        size = math.prod(shape) * dtype.itemsize
        if size > limit:
            raise ValueError(f"{name} is {dtype} {list(shape)}, which is too large")
        content = member.read(size)
    if len(content) < size:
        raise ValueError(f"{name} is cut off")
    return np.frombuffer(content, dtype).reshape(shape)


def read_header(member: Any, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of the array whose file is opened here; it is read up to its first number.

    Raises:
        ValueError: it holds no numbers, or not row by row.
    """
    read: Callable[..., tuple[tuple[int, ...], bool, np.dtype[Any]]] = np.lib.format.read_array_header_1_0
    if np.lib.format.read_magic(member) != (1, 0):
        raise ValueError(f"{name} is not of npy format 1.0")
    shape, by_columns, dtype = read(member)
    if dtype.kind not in "biuf" or (by_columns and len(shape) > 1) or any(length < 0 for length in shape):
        raise ValueError(f"{name} is {dtype} {list(shape)}, not numbers row by row")
    return shape, dtype
