"""Least-squares whitening: the PSD of some strain, and the filters that flatten noise of it within a band.

Let S(f) be the one-sided PSD and B(f) / sqrt(S(f)) the zero-phase target, B being a band-pass. The taps h whose
output comes nearest in mean square to the target's solve the normal equations (Wiener)

    sum_j R(i - j) h(j) = b(i),    R = inverse Fourier transform of S,
                                   b = inverse Fourier transform of B sqrt(S).

R is Toeplitz, so Levinson's recursion solves them. The noise itself weighs the error, so a filter as short as
a window's margin still holds back what is loud: the seismic wall below the band, and the lines. The usual
truncated and tapered impulse response does not: reaching 0.5 s on O3a strain, it leaves the worst line 2.4 times
(PSD from 1 s segments) to 14 times (2 s) above the level around it in amplitude, this filter 1.6 times.

A sample closer to an end of the strain than the filter's reach gets the same equations, restricted to the
samples that exist. Mean variance of the first 50 samples, in units of the variance inside, for simulated
aLIGO noise from 10 Hz, simulated Virgo noise from 15 Hz, and O3a strain: 0.97, 0.96, 0.88. The odd extension of
zero-phase filtering gives 1.2, 1.8 and 110 there; a Tukey taper over 5 % of a 2 s window 0.06, 0.09 and 8.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from gwbench.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from gwbench.data.dataset import Array, StrainReader

SCALE = 1e21
"""Strain is multiplied by this before float32 arithmetic, in which its square would underflow."""

LOW_EDGE, HIGH_EDGE = 4.0, 20.0
"""Hz from the band-pass's half-amplitude points at `low` and `high` to where it is 0 and 1."""

CLIFF = 1e-2
"""Noise whose PSD falls to this fraction within `CLIFF_WIDTH` Hz, and stays below, ends there."""

CLIFF_WIDTH = 16.0
"""Hz."""

FLOOR = 1e-3
"""White noise added to the normal equations, in units of the lowest PSD in the band.

It bounds the response where there is next to no noise.
"""

CONDITION = 1e-12
"""Least floor, in units of the largest PSD, that keeps the equations solvable in float64."""

READ_CHUNK = 64
"""Windows read at once to measure the PSD."""


def median_psds(
    strain: StrainReader,
    *,
    sample_rate: float,
    segments: Sequence[int],
    detectors: Sequence[str],
    max_windows: int = 512,
) -> list[tuple[Array, Array]]:
    """Median-Welch PSD of every detector: Hann segments overlapping by half, over windows evenly spaced in N.

    The median, corrected for its bias under an exponential distribution (Allen et al. 2012, appendix B), hardly
    feels the signals and glitches that some of the segments hold.

    Args:
        strain: [N, D, samples]; every window is read once.
        sample_rate: Hz.
        segments: samples per segment, for every PSD asked for.
        detectors: names, for the error message.
        max_windows: most windows read.

    Returns:
        For every one of `segments`: frequencies [F] in Hz and the one-sided PSD [D, F] in 1/Hz, float64.

    Raises:
        UserError: NaN or infinite strain.
    """
    from scipy import signal

    positions = np.unique(np.linspace(0, strain.shape[0] - 1, min(max_windows, strain.shape[0])).round().astype(int))
    powers: list[list[Array]] = [[] for _ in segments]
    for start in range(0, len(positions), READ_CHUNK):
        index = positions[start : start + READ_CHUNK]
        scaled = np.asarray(strain[index], dtype=np.float64) * SCALE
        refuse_non_finite(scaled, detectors, "train", index)
        for parts, segment in zip(powers, segments, strict=True):
            _, _, power = signal.spectrogram(
                scaled, sample_rate, window="hann", nperseg=segment, noverlap=segment // 2, detrend=False
            )
            parts.append(np.moveaxis(power, 0, -1).reshape(len(detectors), segment // 2 + 1, -1))
    spectra = []
    for parts, segment in zip(powers, segments, strict=True):
        power = np.concatenate(parts, axis=-1)
        psd = np.median(power, axis=-1) / _median_bias(power.shape[-1]) / SCALE**2
        spectra.append((np.fft.rfftfreq(segment, 1 / sample_rate), psd))
    return spectra


def median_psd(
    strain: StrainReader,
    *,
    sample_rate: float,
    segment: int,
    detectors: Sequence[str],
    max_windows: int = 512,
) -> tuple[Array, Array]:
    """`median_psds` for segments of one length."""
    return median_psds(
        strain, sample_rate=sample_rate, segments=(segment,), detectors=detectors, max_windows=max_windows
    )[0]


def _median_bias(count: int) -> float:
    """Expected median of `count` exponential variates of unit mean: the alternating harmonic series."""
    terms = np.arange(1, (count - 1) // 2 + 1)
    return float(1 + np.sum(1 / (2 * terms + 1) - 1 / (2 * terms)))


def whitening_filters(
    frequencies: Array,
    psd: Array,
    *,
    reference: tuple[Array, Array],
    band: tuple[float, float],
    sample_rate: float,
    reach: int,
    margin: int,
    detector: str,
) -> tuple[Array, Array]:
    """The filters of one detector; noise of the reference PSD comes out with unit variance inside.

    Args:
        frequencies: [F] Hz, from 0, evenly spaced.
        psd: [F] one-sided PSD to design for, as fine as the filter's reach resolves; its unit is that of the
            square of what is filtered, per Hz.
        reference: frequencies and PSD to normalise by, as fine as measured: a line that is smeared over the
            notch made for it would count for more than comes through.
        band: lower and upper edge, Hz.
        sample_rate: Hz.
        reach: samples the filter looks to either side.
        margin: samples on either side of a window that exist but need no output.
        detector: name, for the error message.

    Returns:
        taps: [2 reach + 1], even in time.
        edges: [E, 2 reach], E = max(reach - margin, 0): row i applied to the first 2 reach samples gives output
            sample margin + i. Reversed in time, they serve the other end.

    Raises:
        UserError: there is no noise within the band.
    """
    from scipy.linalg import solve, solve_toeplitz, toeplitz

    measured = np.where(np.isfinite(psd), psd, 0.0)
    bottom, top = extent(frequencies, measured, band)
    present = (frequencies > bottom) & (frequencies < top) & (measured > 0)
    inside = present & (frequencies >= band[0]) & (frequencies <= band[1])
    if not inside.any() or measured[inside].max() <= 1e-20 * measured.max():
        raise UserError(
            f"The training strain of {detector} has no noise between {band[0]:g} and {band[1]:g} Hz (it is "
            "zero, constant or cut off there). Leave the detector out, choose another band, or mend the data."
        )
    length = 1 << int(np.ceil(np.log2(16 * reach)))
    grid = np.fft.rfftfreq(length, 1 / sample_rate)
    noise = np.exp(np.interp(grid, frequencies[present], np.log(measured[present])))
    absent = np.interp(grid, frequencies, present) < 1
    # Where nothing is measured the target is zero, and noise put there makes the filter keep to it.
    noise[absent] = np.maximum(noise[absent], np.median(noise[~absent]))
    passed = _band_pass(grid, band, bottom, top)
    passed[absent] = 0

    floor = max(FLOOR * noise[passed > 0].min(), CONDITION * noise.max())
    covariance = np.fft.irfft(noise + floor)
    target = np.fft.irfft(passed * np.sqrt(noise))
    taps = solve_toeplitz(covariance[: 2 * reach + 1], target[np.abs(np.arange(-reach, reach + 1))])
    taps = (taps + taps[::-1]) / 2

    gain = np.abs(np.fft.rfft(taps, length)) ** 2
    variance = np.sum(reference[1] * np.interp(reference[0], grid, gain)) * reference[0][1]
    lags = np.arange(min(margin, reach), reach)[:, None] - np.arange(2 * reach)[None, :]
    if not len(lags):
        return taps / np.sqrt(variance), np.zeros(lags.shape)
    edges = solve(toeplitz(covariance[: 2 * reach]), target[np.abs(lags)].T, assume_a="pos").T
    return taps / np.sqrt(variance), edges / np.sqrt(variance)


def _band_pass(grid: Array, band: tuple[float, float], bottom: float, top: float) -> Array:
    """Raised-cosine edges centred on the band's, moved inside the noise's extent where that is narrower."""
    quarter = (band[1] - band[0]) / 4
    low_half, high_half = min(LOW_EDGE, band[0] / 5, quarter), min(HIGH_EDGE, quarter)
    rise = max(band[0] - low_half, bottom)
    fall = min(band[1] + high_half, top)
    up = np.clip((grid - rise) / (2 * low_half), 0, 1)
    down = np.clip((fall - grid) / (2 * high_half), 0, 1)
    return np.asarray((np.sin(np.pi / 2 * up) * np.sin(np.pi / 2 * down)) ** 2)


def extent(frequencies: Array, psd: Array, band: tuple[float, float]) -> tuple[float, float]:
    """Where the noise begins and ends, in Hz: beyond lies what a simulator's cutoff or a filter left empty.

    Noise is absent up to f if nothing below f reaches `CLIFF` of the median over the `CLIFF_WIDTH` Hz above,
    and likewise from the other end. A wall that falls towards the band is no such cliff, and a line neither.
    """
    width = max(int(CLIFF_WIDTH / (frequencies[1] - frequencies[0])), 2)
    centre, last = int(np.searchsorted(frequencies, np.sqrt(band[0] * band[1]))), len(psd) - 1
    below = np.maximum.accumulate(psd)
    above = np.maximum.accumulate(psd[::-1])[::-1]
    around = np.pad(psd.astype(np.float64), width, constant_values=np.nan)
    stretches = np.lib.stride_tricks.sliding_window_view(around, width)  # row i is psd[i - width : i]
    bottom, top = -1.0, float("inf")
    low, high = np.arange(min(centre, last)), np.arange(centre + 1, last + 1)
    if len(low):
        ends = np.flatnonzero(below[low] < CLIFF * np.nanmedian(stretches[low + width + 1], axis=1))
        bottom = float(frequencies[low[ends[-1]]]) if len(ends) else bottom
    if len(high):
        ends = np.flatnonzero(above[high] < CLIFF * np.nanmedian(stretches[high], axis=1))
        top = float(frequencies[high[ends[0]]]) if len(ends) else top
    return bottom, top


def refuse_non_finite(strain: Tensor | Array, detectors: Sequence[str], split: str, positions: Array) -> None:
    """Raise `UserError` naming which of the windows [B] at `positions` hold NaN or infinite strain [B, D, n]."""
    if np.isfinite(float(strain.sum())):
        return
    values = strain if isinstance(strain, np.ndarray) else strain.cpu().numpy()
    bad: Array = np.asarray(~np.isfinite(values).all(axis=-1))
    if not bad.any():
        return
    windows = [int(p) for p in positions[bad.any(axis=1)]]
    named = ", ".join(map(str, windows[:5])) + (f" and {len(windows) - 5} more" if len(windows) > 5 else "")
    where = f"The {split} split" if split else "The strain"
    names = ", ".join(detectors[d] for d in np.flatnonzero(bad.any(axis=0)))
    raise UserError(
        f"{where} holds NaN or infinite values ({names}; windows {named}, counted from 0). Leave these windows "
        "out or fill the gaps."
    )
