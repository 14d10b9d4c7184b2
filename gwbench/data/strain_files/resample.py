"""A lower sample rate without aliases, gap by gap."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import lru_cache

import numpy as np

from gwbench.data.dataset import Array
from gwbench.data.strain_files.reading import StrainFile
from gwbench.errors import UserError

PASSBAND = 0.9
"""Up to this part of the new Nyquist frequency, strain passes unchanged."""

ATTENUATION = 100.0
"""dB by which everything above the new Nyquist frequency is damped."""


def reach(rate: float) -> float:
    """Seconds on either side of a sample that the anti-alias filter of `resample` to `rate` draws on.

    The length of a Kaiser window for a given attenuation and transition (Oppenheim & Schafer, Discrete-Time
    Signal Processing, 3rd ed., eq. 7.76).
    """
    transition = (1 - PASSBAND) * rate / 2
    return (ATTENUATION - 7.95) / (2.285 * 2 * np.pi * transition) / 2


def resample(strain: Array, from_rate: float, to_rate: float) -> tuple[Array, int]:
    """Strain without gaps at a lower rate.

    A linear-phase FIR with a Kaiser window: flat to 1e-5 up to `PASSBAND` of the new Nyquist frequency, and
    down by `ATTENUATION` above it. Samples that the filter would draw from beyond the ends are trimmed.

    Args:
        strain: [samples].
        from_rate: its rate in Hz.
        to_rate: the new rate in Hz.

    Returns:
        The resampled strain, float64, and how many samples at `to_rate` were trimmed at its start. Sample i of
        it lies at (i + trimmed) / to_rate after the first sample of the input.

    Raises:
        UserError: `to_rate` is above `from_rate`, or their ratio is no fraction of small integers.
    """
    ratio = _ratio(from_rate, to_rate)
    if ratio == 1:
        return np.asarray(strain, dtype=np.float64), 0
    from scipy.signal import resample_poly

    up, down = ratio.numerator, ratio.denominator
    half = int(np.ceil(reach(to_rate) * from_rate * up))
    trimmed = -(-half // down)
    # Past the last output whose filter ends within the input, on the grid of rate from_rate * up.
    stop = ((len(strain) - 1) * up - half) // down + 1
    if stop <= trimmed:
        return np.empty(0), trimmed
    taps = _taps(half, to_rate, from_rate * up)
    return resample_poly(np.asarray(strain, dtype=np.float64), up, down, window=taps)[trimmed:stop], trimmed


def resampled(file: StrainFile, to_rate: float) -> StrainFile:
    """A strain file at a lower rate, every good range by itself, as float32; NaN outside the good ranges.

    Raises:
        UserError: the file's rate is below `to_rate`, or the two do not divide.
    """
    try:
        ratio = _ratio(file.sample_rate, to_rate)
    except UserError as error:
        raise UserError(f"The strain file {file.path}: {error}") from None
    up, down = ratio.numerator, ratio.denominator
    strain = np.full(len(file.strain) * up // down, np.nan, dtype=np.float32)
    good = []
    for start, stop in file.good:
        first = -(-start // down)  # a range starts where a sample of either rate falls, so that the grid stays one
        piece, trimmed = resample(file.strain[first * down : stop], file.sample_rate, to_rate)
        begin = first * up + trimmed
        piece = piece[: len(strain) - begin]
        if len(piece):
            strain[begin : begin + len(piece)] = piece
            good.append((begin, begin + len(piece)))
    return replace(file, sample_rate=to_rate, strain=strain, good=tuple(good))


@lru_cache(maxsize=16)
def _taps(half: int, to_rate: float, grid: float) -> Array:
    """The anti-alias filter of `resample`, on a grid of this rate."""
    from scipy.signal import firwin, kaiser_beta

    cutoff = (1 + PASSBAND) / 2 * to_rate / 2
    return np.asarray(firwin(2 * half + 1, cutoff, window=("kaiser", kaiser_beta(ATTENUATION)), fs=grid))


def _ratio(from_rate: float, to_rate: float) -> Fraction:
    if to_rate > from_rate:
        raise UserError(
            f"strain sampled at {from_rate:g} Hz cannot be brought to {to_rate:g} Hz: a higher rate adds "
            f"nothing. Ask for sample_rate={from_rate:g} or lower."
        )
    ratio = Fraction(to_rate / from_rate).limit_denominator(1000)
    if abs(float(ratio) * from_rate / to_rate - 1) > 1e-9:
        raise UserError(
            f"strain sampled at {from_rate:g} Hz cannot be brought to {to_rate:g} Hz: their ratio is no "
            f"fraction of small integers. Ask for a rate such as {from_rate / 2:g} Hz."
        )
    return ratio
