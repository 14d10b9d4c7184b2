"""Strain as text or as a NumPy array: GWOSC's .txt.gz, and the two columns that gwpy and pycbc write."""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gwbench.data.dataset import Array
from gwbench.data.strain_files.detector_names import detector_named, detector_of_file
from gwbench.data.strain_files.recording import Recording
from gwbench.errors import UserError
from gwbench.utils.reader_process import read_in_process
from gwbench.utils.untrusted_files import MIB, DamagedError

LARGEST = 1024 * MIB
"""Bytes of text that are read."""

HEADER = 50
"""Lines in which remarks are looked at."""

EVEN = 1e-3
"""How far, in samples, the times of a column may lie from an even grid."""

EARLIEST = 1e8
"""GPS time before which there was no strain; a column of times that begins at 0 does not say when."""

RATE = re.compile(r"(\d+(?:\.\d+)?) samples per second")
START = re.compile(r"starting GPS (\d+(?:\.\d+)?)")


def read_text(path: Path, channels: Sequence[str]) -> list[Recording]:
    """Read one series of strain.

    GWOSC's text has one number a line, and says the rate and the start in its remarks. gwpy and pycbc write two
    columns, time in seconds and strain; pycbc the same as .npy [N, 2].

    Args:
        path: the file.
        channels: one may be the detector's name, where the file does not say it.

    Raises:
        UserError: anything else, or a file that cannot be read.
    """
    return read_in_process(text_recordings, path, tuple(channels), what="strain file", kind="table of strain")


def text_detectors(path: Path, channels: Sequence[str]) -> list[str | None]:
    """The detector that the file names. Raises `UserError` as `read_text`."""
    return [recording.detector for recording in read_text(path, channels)]


def text_recordings(path: Path, channels: Sequence[str]) -> list[Recording]:
    """`read_text` in this process."""
    data = expanded(path.read_bytes())
    if data.startswith(b"\x93NUMPY"):
        remarks, table = "", np.load(io.BytesIO(data), allow_pickle=False)
        if table.dtype.kind not in "fiu":
            raise DamagedError(f"it holds {table.dtype}, not numbers")
    else:
        remarks, table = _table(data)
    values = np.asarray(table, np.float64)
    if values.ndim == 2 and values.shape[1] == 2 and len(values) > 1:
        start, rate = _grid(path, values[:, 0])
        strain = values[:, 1].copy()
    elif values.ndim == 1 or (values.ndim == 2 and values.shape[1] == 1):
        said_rate, said_start = RATE.search(remarks), START.search(remarks)
        if said_rate is None or not float(said_rate[1]):
            raise UserError(
                f"The strain file {path} has one column and no sample rate: expected two columns, time in seconds and "
                'strain, or GWOSC\'s remark "# This file has 4096 samples per second".'
            )
        start, rate = float(said_start[1]) if said_start else 0.0, float(said_rate[1])
        strain = values.ravel()
    else:
        raise UserError(f"The strain file {path} has the shape {values.shape}: expected two columns, time and strain.")
    detector = _detector(remarks) or detector_of_file(path) or next(filter(None, map(detector_named, channels)), None)
    return [Recording(detector, start if start >= EARLIEST else None, rate, strain, (), "strain")]


def expanded(data: bytes) -> bytes:
    """The bytes, expanded where they are gzip's."""
    if not data.startswith(b"\x1f\x8b"):
        return data
    unzip = zlib.decompressobj(wbits=31)
    text = unzip.decompress(data, LARGEST)
    if unzip.unconsumed_tail:
        raise MemoryError
    if not unzip.eof:
        raise DamagedError("it breaks off in the midst of gzip's data")
    return text


def _table(data: bytes) -> tuple[str, Array]:
    """The remarks, and the numbers behind them."""
    lines = io.StringIO(data.decode("utf-8-sig"))
    remarks: list[str] = []
    for line in lines:
        if _is_numbers(line):
            first = line
            break
        remarks.append(line)
        if len(remarks) > HEADER:
            raise DamagedError(f"its first {HEADER} lines hold no number")
    else:
        raise DamagedError("it holds no number")
    separator = next((mark for mark in ",;\t" if mark in first), None)
    rest = io.StringIO(first + lines.read())
    return "".join(remarks), np.loadtxt(rest, comments="#", delimiter=separator, ndmin=1)


def _is_numbers(line: str) -> bool:
    try:
        return bool([float(part) for part in re.split(r"[\s,;]+", line.strip()) if part])
    except ValueError:
        return False


def _detector(remarks: str) -> str | None:
    """The detector that a remark names, such as "for H1"."""
    named = set(re.findall(r"\b[HLVKG][12]\b", remarks))
    return named.pop() if len(named) == 1 else None


def _grid(path: Path, times: Array) -> tuple[float, float]:
    """The first time and the rate of evenly spaced times."""
    count = len(times) - 1
    spacing = (times[-1] - times[0]) / count
    if not (np.isfinite(spacing) and spacing > 0):
        raise UserError(f"The strain file {path}: its first column is no time that increases.")
    rate = 1 / spacing
    if abs(rate - round(rate)) < rate * max(1e-9, 2e-6 / (count * spacing)):
        rate = float(round(rate))  # times of 1e9 s in text are good to a microsecond
    off = np.abs((times - times[0]) * rate - np.arange(count + 1))
    if not off.max() < max(EVEN, 2e-6 * rate):
        raise UserError(
            f"The strain file {path}: the times of its first column are not evenly spaced (sample {int(off.argmax())} "
            "is the furthest from its place). Give each stretch without a gap a file of its own."
        )
    return float(times[0]), round(rate, 6)


__all__ = ["expanded", "read_text", "text_detectors", "text_recordings"]
