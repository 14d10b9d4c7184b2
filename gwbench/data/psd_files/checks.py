"""What a PSD out of a file must be, and the part of it that has values."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from gwbench.data.psd_files.spectra import Float, Spectrum
from gwbench.errors import UserError
from gwbench.utils.printable import printable

NOISE_F_LOW = 10.0
"""Hz; the lowest frequency of simulated noise. Below it every curated curve is an extrapolation or a wall."""

COVERED = (20.0, 256.0)
"""Hz; what a PSD file must cover. Noise of a shorter one would end in the midst of most signals."""

LOWEST, BETWEEN, HIGHEST = 1e-56, 1e-35, 1e-16
"""The median of a PSD (1/Hz) lies between the first two of these, of an ASD (1/sqrt(Hz)) between the last two."""

ADVICE = "Mend the file or name another."

_OTHER_QUANTITIES = {"m", "nm", "um", "meter", "meters", "metre", "metres", "ct", "count", "counts", "v", "volt", "w"}
"""Units of what is no strain."""


def checked(path: Path, series: Spectrum) -> tuple[Float, Float]:
    """The part that has values, as a PSD.

    Values that are zero, infinite or no number at either end mean "no value here" and are cut off; so is all up to
    the last useless value below 10 Hz, where no noise is simulated.

    Returns:
        frequencies [F] in Hz, increasing, and the PSD [F] in 1/Hz.

    Raises:
        UserError: frequencies that do not increase, useless values between good ones, too narrow a band, or values
            that are no PSD and no ASD of strain.
    """
    frequencies, values = _increasing(path, series)
    good = np.isfinite(values) & (values > 0)
    simulated = frequencies >= NOISE_F_LOW
    known = np.flatnonzero(good & simulated)
    first, last = (known[0], known[-1]) if len(known) else (len(values), -1)
    position = np.arange(len(values))
    inside = (position >= first) & (position <= last)
    wrong = np.flatnonzero(simulated & ~good & (inside | (values < 0)))
    if len(wrong):
        raise UserError(
            f"The PSD file {path}, {series.place(wrong[0])} ({frequencies[wrong[0]]:g} Hz): {values[wrong[0]]:g}, the "
            f"first of {len(wrong)} such value(s); expected finite values above 0 from {NOISE_F_LOW:g} Hz on. {ADVICE}"
        )
    covers = f"{frequencies[first]:g} to {frequencies[last]:g} Hz" if len(known) else "nothing"
    if not len(known) or frequencies[first] > COVERED[0] or frequencies[last] < COVERED[1]:
        raise UserError(
            f"The PSD file {path} covers {covers} above {NOISE_F_LOW:g} Hz: expected values from {COVERED[0]:g} Hz or "
            f"below to {COVERED[1]:g} Hz or above. {ADVICE}"
        )
    unknown = np.flatnonzero(~good[:first])
    part = slice(unknown[-1] + 1 if len(unknown) else 0, last + 1)
    median = float(np.median(values[first : last + 1]))
    return frequencies[part], _as_psd(path, series, values[part], median)


def _increasing(path: Path, series: Spectrum) -> tuple[Float, Float]:
    frequencies = series.frequencies
    before = np.concatenate(([-np.inf], frequencies[:-1]))
    wrong = np.flatnonzero(~((frequencies > before) & (frequencies >= 0) & np.isfinite(frequencies)))
    if len(wrong):
        position = int(wrong[0])
        after = f" after {frequencies[position - 1]:g} Hz" if position else ""
        raise UserError(
            f"The PSD file {path}, {series.place(position)}: frequency {frequencies[position]:g} Hz{after}; expected "
            f"frequencies that start at 0 or above and increase. {ADVICE}"
        )
    return frequencies, series.values


def _as_psd(path: Path, series: Spectrum, values: Float, median: float) -> Float:
    """Values as a PSD in 1/Hz, told from an ASD by their magnitude, with which the unit must agree."""
    scale = series.scale
    if scale != 1 and not LOWEST < median < HIGHEST and np.isfinite(scale) and scale > 0:
        values, median = values / scale / scale, median / scale / scale
    if not LOWEST < median < HIGHEST:
        raise UserError(
            f"The PSD file {path}: the median value is {median:g}; expected a PSD (about 1e-46 /Hz) or an ASD (about "
            f"1e-23 /sqrt(Hz)) of strain. Undo a scaling such as pycbc's DYN_RANGE_FAC, or name another file."
        )
    unit, is_asd = printable(series.unit, 40), median > BETWEEN
    words = set(re.findall("[a-z]+", unit.casefold()))
    if words & _OTHER_QUANTITIES:
        raise UserError(
            f"The PSD file {path}: its unit is {unit!r}; expected strain. Convert it, or name another file."
        )
    said = _says_asd(unit)
    if said is not None and said != is_asd:
        kinds = ("a PSD", "an ASD")
        raise UserError(
            f"The PSD file {path}: its unit, {unit!r}, is that of {kinds[said]}, and its values (median {median:g}) "
            f"are those of {kinds[is_asd]} of strain. {ADVICE}"
        )
    return values**2 if is_asd else values


def _says_asd(unit: str) -> bool | None:
    """Whether a unit is that of an ASD (True) or of a PSD (False); None where it says neither."""
    if re.search(r"sqrt|hz\W*-?\(?-?(1/2|0?\.5)|s\W*\(?(1/2|0?\.5)", unit, re.IGNORECASE):
        return True
    return False if re.search(r"\bhz\b|\bs\b", unit, re.IGNORECASE) else None


__all__ = ["ADVICE", "COVERED", "NOISE_F_LOW", "checked"]
