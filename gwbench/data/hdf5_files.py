"""Whether a file is HDF5, and attributes that may be anything, as numbers and text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gwbench.utils.printable import printable

SUFFIXES = (".hdf5", ".hdf", ".h5")

SIGNATURE = b"\x89HDF\r\n\x1a\n"


def is_hdf5(path: Path) -> bool:
    """Whether a file has the signature of HDF5: at its start, or after a user block of 512, 1024, 2048... bytes."""
    with path.open("rb") as file:
        end, place = file.seek(0, 2), 0
        while place < end:
            file.seek(place)
            if file.read(len(SIGNATURE)) == SIGNATURE:
                return True
            place = 2 * place or 512
    return False


def number(attributes: Mapping[str, Any], names: Sequence[str]) -> float | None:
    """The first of some attributes that is there, as a number; nan where it is none; None where none is there."""
    for name in names:
        if name in attributes:
            value = np.asarray(attributes[name])
            try:
                return float(value.reshape(-1)[0]) if value.size == 1 else math.nan
            except (TypeError, ValueError, OverflowError):
                return math.nan
    return None


def text(attributes: Mapping[str, Any], names: Sequence[str]) -> str:
    """The first of some attributes that is text, in printable characters; empty where none is."""
    for name in names:
        value = attributes.get(name)
        value = value.reshape(-1)[0] if isinstance(value, np.ndarray) and value.size == 1 else value
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        if isinstance(value, str):
            return printable(value)
    return ""


__all__ = ["SIGNATURE", "SUFFIXES", "is_hdf5", "number", "text"]
