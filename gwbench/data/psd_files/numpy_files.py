"""PSDs in NumPy's files: one array, or several by name."""

from __future__ import annotations

import io
import math
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gwbench.data.psd_files.columns import as_columns, candidates_of, is_frequency
from gwbench.data.psd_files.spectra import Candidate, Spectrum, detector_in
from gwbench.errors import UserError
from gwbench.utils.untrusted_files import MIB

MOST_BYTES = 256 * MIB
"""Of the arrays of a file."""

SPACINGS = ("delta_f", "deltaf", "df", "dx", "frequency_resolution", "delta_frequency")
STARTS = ("f0", "x0", "start_frequency")

EXPECTED = "expected [N, 2] of frequency in Hz and PSD or ASD, named columns, or arrays named freq and psd"

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def read_npy(path: Path, content: bytes) -> list[Candidate]:
    """The PSDs in one array: [N, 2] or [2, N] of frequency and value, or named columns. Raises `UserError`."""
    values = _array(path, io.BytesIO(content), len(content))
    return candidates_in(path, {"": values})


def read_npz(path: Path, content: bytes) -> list[Candidate]:
    """The PSDs in several arrays. Raises `UserError`."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [member for member in archive.infolist() if member.filename.endswith(".npy")]
        if sum(member.file_size for member in members) > MOST_BYTES:
            raise UserError(
                f"The PSD file {path} holds more than the {MOST_BYTES // MIB} MiB that are read. Use a smaller one."
            )
        arrays = {}
        for member in members:
            with archive.open(member) as file:
                arrays[member.filename.removesuffix(".npy")] = _array(path, file, member.file_size)
    return candidates_in(path, arrays)


def _array(path: Path, file: Any, size: int) -> NDArray[Any]:
    """An array whose header declares no more than its file holds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of headers that Python 2 wrote
        version = np.lib.format.read_magic(file)
        if version not in _HEADERS:
            raise ValueError(f"a .npy file of version {'.'.join(map(str, version))}")
        shape, fortran, dtype = _HEADERS[version](file)
    if dtype.hasobject:
        raise UserError(
            f"The PSD file {path} holds Python objects, which are not loaded, because they can run code. Save its "
            "numbers as an array [N, 2] of frequency and PSD."
        )
    count = math.prod(shape)
    if count * dtype.itemsize > size or min(shape, default=0) < 0:
        raise UserError(f"The PSD file {path} is truncated: it declares {shape} values. Copy or download it again.")
    values = np.frombuffer(file.read(count * dtype.itemsize), dtype, count)
    return values.reshape(shape, order="F" if fortran else "C")


def candidates_in(path: Path, arrays: Mapping[str, NDArray[Any]]) -> list[Candidate]:
    """The PSDs in arrays by name. Raises `UserError` where there is none."""
    found: list[Candidate] = []
    flat = {}
    for name, values in arrays.items():
        if values.dtype.names:
            found += structured(values, f"{name}/" if name else "")
        elif values.ndim == 1 and values.dtype.kind in "fiu":
            flat[name] = values
        elif (table := as_columns(values)) is not None:
            found.append(_of_table(name, table))
    axes = [name for name in flat if is_frequency(name)]
    numbers = {name.casefold(): float(values) for name, values in arrays.items() if _is_number(values)}
    spacing = next((numbers[name] for name in SPACINGS if name in numbers), None)
    start = next((numbers[name] for name in STARTS if name in numbers), 0.0)
    for name, values in flat.items():
        if name in axes or values.dtype.kind != "f":
            continue
        frequencies = next((flat[axis] for axis in axes if len(flat[axis]) == len(values)), None)
        if frequencies is None and spacing is not None and spacing > 0:
            frequencies = start + np.arange(len(values)) * spacing
        if frequencies is not None:
            series = Spectrum(np.asarray(frequencies, np.float64), np.asarray(values, np.float64))
            found.append(Candidate(name, lambda series=series: series, detector_in(name)))  # type: ignore[misc]
    if not found:
        listed = ", ".join(
            f"{name or 'an array'} {values.shape} {values.dtype}"[:80] for name, values in arrays.items()
        )
        raise UserError(
            f"The PSD file {path}: {EXPECTED}; found {listed[:300] or 'no array'}. Save it so, or name another."
        )
    return found


def structured(values: NDArray[Any], prefix: str = "") -> list[Candidate]:
    """The PSDs among the named columns of a table."""
    names = [
        name for name in values.dtype.names or () if values.dtype[name].kind in "fiu" and not values.dtype[name].shape
    ]
    if values.ndim != 1 or len(names) < 2:
        return []
    return candidates_of(
        np.stack([np.asarray(values[name], np.float64) for name in names], axis=1), names, prefix=prefix
    )


def _of_table(name: str, table: NDArray[np.float64]) -> Candidate:
    return Candidate(name or "the array", lambda: Spectrum(table[:, 0], table[:, 1]), detector_in(name))


def _is_number(values: NDArray[Any]) -> bool:
    return values.shape == () and values.dtype.kind in "fiu"


__all__ = ["SPACINGS", "STARTS", "candidates_in", "read_npy", "read_npz", "structured"]
