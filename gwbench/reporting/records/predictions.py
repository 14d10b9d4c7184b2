"""Test scores of a run, from its folder."""

from __future__ import annotations

import io
import lzma
import struct
import zipfile
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from gwbench.evaluation.metrics import Array
from gwbench.experiment.record import PREDICTIONS
from gwbench.utils.untrusted_files import UnusableError, open_plain

DAMAGE = (OSError, ValueError, KeyError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error, struct.error,
          lzma.LZMAError, MemoryError)  # fmt: skip
"""What reading a damaged archive may raise."""

HEADER = 4096
"""Bytes that the header of an array may take."""


@dataclass(frozen=True)
class Predictions:
    """The labelled windows of a test split: label [N] 0 or 1, score [N], optimal network SNR [N] (NaN if unknown)."""

    label: Array
    score: Array
    snr: Array


def read_predictions(folder: str | Path, n: int) -> Predictions:
    """The scores that a run left in its folder.

    Args:
        folder: of the run.
        n: windows of its test split.

    Raises:
        UnusableError: there are none, or they are damaged or of another length.
    """
    with open_plain(Path(folder) / PREDICTIONS) as stream:
        try:
            with zipfile.ZipFile(stream) as archive:
                label, score, snr = (_array(archive, name, n) for name in ("label", "score", "snr"))
        except DAMAGE as error:
            raise UnusableError(f"{PREDICTIONS} cannot be read: {error}") from None
    labelled = (label == 0) | (label == 1)
    return Predictions(label[labelled], score[labelled], snr[labelled])


def _array(archive: zipfile.ZipFile, name: str, n: int) -> Array:
    """An array [n] of numbers; what the archive says of itself is checked before any memory is asked for."""
    with archive.open(f"{name}.npy") as member:
        content = member.read(HEADER + 16 * n)
    start = 10 + int.from_bytes(content[8:10], "little")
    shape, dtype = _header(content[:start])
    if shape != (n,) or dtype.kind not in "biuf":
        raise ValueError(f"{name} is {dtype} {list(shape)}, not numbers [{n}]")
    return np.frombuffer(content, dtype=dtype, count=n, offset=start)


@lru_cache
def _header(content: bytes) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of an array by the header of its file, which most runs have in common."""
    stream = io.BytesIO(content)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError("an array is not of npy format 1.0")
    shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    return shape, dtype
