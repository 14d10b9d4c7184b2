"""Which columns of a table are frequencies and PSDs, by their names."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gwbench.data.psd_files.spectra import Candidate, Float, Spectrum, detector_in, detectors_in

FREQUENCY = re.compile(r"(f|fr|freqs?|frequency|frequencies|hz)(?![a-z0-9])", re.IGNORECASE)
"""How a name of frequencies begins."""


def is_frequency(name: str) -> bool:
    """Whether a name is one of frequencies, such as "freq", "Frequency [Hz]" or "frequency_array"."""
    return FREQUENCY.match(name.strip().removeprefix("sample_").removesuffix("_array")) is not None


def names_of(header: Sequence[str], columns: int) -> list[str] | None:
    """The names of so many columns by the last line of a header that has as many names, or as many detectors.

    None where no line has.
    """
    for line in reversed(header):
        for separator in (r"[,;\t|]", r"\s{2,}", r"[\s,;|]+"):
            names = [name.strip() for name in re.split(separator, line.strip("\r\n"))]
            if len(names) == columns and any(map(is_frequency, names)):
                return names
        detectors = detectors_in(line)
        if len(detectors) == columns - 1 and len(set(detectors)) == len(detectors):
            return ["frequency", *detectors]
    return None


def candidates_of(
    table: Float, names: Sequence[str], lines: NDArray[np.int64] | None = None, prefix: str = ""
) -> list[Candidate]:
    """One candidate for each column that is not the frequency.

    Args:
        table: [F, columns].
        names: of the columns; one without a name is no candidate. The first is the frequency unless another is named
            so.
        lines: [F] of a text.
        prefix: of every candidate's name.
    """
    axis = next((column for column, name in enumerate(names) if is_frequency(name)), 0)
    return [
        Candidate(
            prefix + name,
            lambda column=column: Spectrum(table[:, axis], table[:, column], lines=lines),  # type: ignore[misc]
            detector_in(prefix + name),
        )
        for column, name in enumerate(names)
        if column != axis and name
    ]


def as_columns(values: NDArray[np.generic]) -> Float | None:
    """A two-dimensional array as [F, 2] of frequencies and values, whichever way it lies; None where it is neither."""
    if values.ndim != 2 or values.dtype.kind not in "fiu":
        return None
    for table in (values, values.T):
        if table.shape[1] == 2 and len(table) > 1 and (np.diff(table[:, 0].astype(np.float64)) > 0).all():
            return np.asarray(table, np.float64)
    return np.asarray(values, np.float64) if values.shape[1] == 2 else None


__all__ = ["as_columns", "candidates_of", "is_frequency", "names_of"]
