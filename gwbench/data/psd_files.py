"""PSDs from files: two columns of text, or HDF5 with even bins."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gwbench.errors import UserError

if TYPE_CHECKING:
    import h5py

Float = NDArray[np.float64]

NOISE_F_LOW = 10.0
"""Hz; the lowest frequency of simulated noise. Below it every curated curve is an extrapolation or a wall."""

COVERED = (20.0, 256.0)
"""Hz; what a PSD file must cover. Noise of a shorter one would end in the midst of most signals."""

LOWEST, BETWEEN, HIGHEST = 1e-56, 1e-35, 1e-16
"""The median of a PSD (1/Hz) lies between the first two of these, of an ASD (1/sqrt(Hz)) between the last two."""

HDF5 = (".hdf", ".hdf5", ".h5")

ADVICE = "Mend the file or name another."


def read_psd(path: str | Path) -> tuple[Float, Float]:
    """A one-sided PSD out of a file.

    Text has two columns, frequency in Hz and PSD in 1/Hz or ASD in 1/sqrt(Hz), separated by blanks or a comma; `#`
    starts a comment. HDF5 has one one-dimensional dataset with the attribute delta_f (Hz) and its first bin at 0 Hz,
    wherever in the file, as `pycbc.types.FrequencySeries.save` writes it.

    A PSD is told from an ASD by its magnitude: ASDs of ground-based detectors lie around 1e-23, PSDs around 1e-46, so
    values whose median above 10 Hz is over 1e-35 are taken for an ASD and squared.

    Zeros at either end mean "no value here", as in pycbc, and are cut off; so is all up to the last useless value
    below 10 Hz, where no noise is simulated. Every other value must be finite and above zero.

    Returns:
        frequencies [F] in Hz, increasing, and the PSD [F] in 1/Hz.

    Raises:
        UserError: no file; a file that is not as above, or does not reach from 20 to 256 Hz.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(
            f"There is no PSD file {path}: expected text of frequency and PSD or ASD, HDF5 with delta_f, or, without "
            "a slash or a dot, the name of a design curve such as AdvVirgo."
        )
    try:
        if path.suffix.lower() in HDF5:
            frequencies, values = _read_hdf5(path)
            places = [f"bin {number}" for number in range(len(values))]
        else:
            frequencies, values, places = _read_text(path)
    except OSError as error:
        raise UserError(f"The PSD file {path} cannot be read: damaged, truncated or not HDF5 ({error}).") from None
    return _checked(path, frequencies, values, places)


def _read_text(path: Path) -> tuple[Float, Float, list[str]]:
    rows: list[tuple[float, float]] = []
    places: list[str] = []
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise UserError(
            f"The PSD file {path} is not text: expected two columns, frequency and PSD or ASD. HDF5 files are known "
            f"by their suffix ({', '.join(HDF5)})."
        ) from None
    for number, line in enumerate(lines, start=1):
        fields = line.split("#")[0].replace(",", " ").split()
        if not fields:
            continue
        try:
            frequency, value = map(float, fields)
        except ValueError:
            raise UserError(
                f"The PSD file {path}, line {number}: {line.strip()[:60]!r}; expected two numbers, frequency in Hz "
                f"and PSD in 1/Hz or ASD in 1/sqrt(Hz). Put # before remarks. {ADVICE}"
            ) from None
        if not (rows[-1][0] < frequency if rows else frequency >= 0) or frequency == np.inf:
            raise UserError(
                f"The PSD file {path}, line {number}: frequency {frequency:g} Hz"
                + (f" after {rows[-1][0]:g} Hz" if rows else "")
                + f"; expected frequencies that start at 0 or above and increase. {ADVICE}"
            )
        rows.append((frequency, value))
        places.append(f"line {number}")
    table = np.array(rows, np.float64).reshape(-1, 2)
    return table[:, 0], table[:, 1], places


def _read_hdf5(path: Path) -> tuple[Float, Float]:
    import h5py

    series: list[h5py.Dataset] = []

    def visit(_: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and item.ndim == 1 and item.dtype.kind == "f":
            series.append(item)

    with h5py.File(path, "r") as file:
        file.visititems(visit)
        named = [dataset for dataset in series if "delta_f" in dataset.attrs]
        if len(named) != 1:
            listed = ", ".join(f"{item.name} ({'with' if item in named else 'without'} delta_f)" for item in series)
            raise UserError(
                f"The PSD file {path}: expected exactly one one-dimensional float dataset with the attribute delta_f "
                f"in Hz; found {listed or 'no such dataset'}. {ADVICE}"
            )
        delta_f = _number(named[0].attrs["delta_f"])
        if not 0 < delta_f < np.inf:
            raise UserError(
                f"The PSD file {path}: {named[0].name} has delta_f={named[0].attrs['delta_f']!r}; expected the Hz "
                f"between bins, above 0. {ADVICE}"
            )
        values = np.asarray(named[0][()], np.float64)
    return np.arange(len(values), dtype=np.float64) * delta_f, values


def _number(attribute: Any) -> float:
    try:
        return float(attribute)
    except (TypeError, ValueError):
        return np.nan


def _checked(path: Path, frequencies: Float, values: Float, places: list[str]) -> tuple[Float, Float]:
    """The part that has values, as a PSD; `places` names every value in its file."""
    good = np.isfinite(values) & (values > 0)
    simulated = frequencies >= NOISE_F_LOW
    known = np.flatnonzero(good & simulated)
    first, last = (known[0], known[-1]) if len(known) else (len(values), -1)
    position = np.arange(len(values))
    inside = (position >= first) & (position <= last)
    wrong = np.flatnonzero(simulated & ~good & (inside | (values != 0)))
    if len(wrong):
        raise UserError(
            f"The PSD file {path}, {places[wrong[0]]} ({frequencies[wrong[0]]:g} Hz): {values[wrong[0]]:g}, the first "
            f"of {len(wrong)} such value(s); expected finite values above 0 from {NOISE_F_LOW:g} Hz on. {ADVICE}"
        )
    covers = f"{frequencies[first]:g} to {frequencies[last]:g} Hz" if len(known) else "nothing"
    if not len(known) or frequencies[first] > COVERED[0] or frequencies[last] < COVERED[1]:
        raise UserError(
            f"The PSD file {path} covers {covers} above {NOISE_F_LOW:g} Hz: expected values from {COVERED[0]:g} Hz or "
            f"below to {COVERED[1]:g} Hz or above. {ADVICE}"
        )
    median = float(np.median(values[first : last + 1]))
    if not LOWEST < median < HIGHEST:
        raise UserError(
            f"The PSD file {path}: the median value is {median:g}; expected a PSD (about 1e-46 /Hz) or an ASD (about "
            f"1e-23 /sqrt(Hz)) of strain. Undo a scaling such as pycbc's DYN_RANGE_FAC, or name another file."
        )
    unknown = np.flatnonzero(~good[:first])
    part = slice(unknown[-1] + 1 if len(unknown) else 0, last + 1)
    return frequencies[part], values[part] ** 2 if median > BETWEEN else values[part]


__all__ = ["COVERED", "NOISE_F_LOW", "read_psd"]
