"""Real glitches: found in strain files, cut out with the noise around them, and recoloured to another PSD."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from gwbench.data.psd import NOISE_F_LOW, PsdTable
from gwbench.data.strain_files.resample import PASSBAND
from gwbench.data.strain_files.segments import Segment
from gwbench.data.whitening_filters import HIGH_EDGE, SCALE, whitening_filters
from gwbench.errors import UserError

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]
Int = NDArray[np.int64]

REACH = 1.0
"""Seconds that the filters which whiten and recolour look to either side; their resolution is about 1 / REACH."""

SEGMENT = 2.0
"""Seconds of a periodogram of the PSD that whitens."""

SHORTEST = 16.0
"""Seconds; a shorter segment has too few periodograms for a median that a glitch does not move."""

LEAST_THRESHOLD = 5.0
"""Standard deviations, which Gaussian noise at 2048 Hz exceeds every 15 minutes; every 4 hours at 5.5."""

TOGETHER = 0.5
"""Seconds; excursions no further apart than this are one glitch, and a given time is as good as this."""

MAD = 0.6745
"""Median of the absolute value of a standard normal variate."""


@dataclass(frozen=True, eq=False)
class Cutout:
    """Whitened strain around a glitch.

    Attributes:
        white: [samples] float32; its noise has a one-sided PSD of 2 / sample rate, as white noise of unit variance.
        main: the sample of the glitch.
        gps: its time.
        peaks: the samples of all glitches that were found in `white`, this one among them.
        heights: their largest whitened strain, in standard deviations of the noise.
        span: GPS times between which lies all strain that entered `white`.
    """

    white: Float32
    main: int
    gps: float
    peaks: Int
    heights: Float
    span: tuple[float, float]


def find_glitches(
    stretches: Sequence[Segment], samples: int, *, threshold: float = 8.0, times: Sequence[float] = ()
) -> list[Cutout]:
    """Cut glitches out of strain.

    Every segment is whitened by `whitening_filters` with its own median PSD, from `NOISE_F_LOW` to `PASSBAND` of the
    Nyquist frequency, and searched for single samples above a threshold. A cut-out reaches a window to either side of
    its glitch, or as far as the segment goes.

    Args:
        segments: good strain of one sample rate, such as `recorded.segments.good_segments` of files that were
            `resampled`; take the times of known events out by `without`. One too short for its PSD or for a window is
            not searched.
        samples: of a window with its margins.
        threshold: standard deviations that the whitened strain of a glitch exceeds.
        times: GPS times of glitches; where given, no others are searched for.

    Returns:
        In the order of the segments; glitches too near an end are left out.

    Raises:
        UserError: a threshold that noise exceeds; a given time without enough strain around it.
    """
    if not threshold >= LEAST_THRESHOLD:
        raise UserError(
            f"glitch threshold = {threshold:g}: expected at least {LEAST_THRESHOLD:g} standard deviations, below which "
            "noise alone is found, such as 8."
        )
    cutouts = [cutout for stretch in stretches for cutout in _cut_out(stretch, samples, threshold, times)]
    for time in times:
        if not any(abs(cutout.gps - time) <= TOGETHER for cutout in cutouts):
            raise UserError(
                f"The glitch at GPS {time:.3f} cannot be cut out: it lies in no good segment that is {SHORTEST:g} s "
                f"long, holds a window and {2 * REACH:g} s on either side of it. Leave this time out, or give a file "
                "that holds it."
            )
    return cutouts


def share_glitches(cutouts: Sequence[Cutout], fractions: Mapping[str, float]) -> dict[str, tuple[Cutout, ...]]:
    """Divide glitches between splits, in order of time.

    Cut-outs that overlap in time, in whatever detector, go to one split, so that no two share noise or an event.

    Args:
        cutouts: from `find_glitches`.
        fractions: of the glitches, by split; normalised to sum 1. Every split gets one at least.

    Raises:
        UserError: there are too few.
    """
    groups: list[list[Cutout]] = []
    reached = -np.inf
    for cutout in sorted(cutouts, key=lambda cutout: cutout.span):
        if cutout.span[0] >= reached:
            groups.append([])
        groups[-1].append(cutout)
        reached = max(reached, cutout.span[1])
    if len(groups) < len(fractions):
        raise UserError(
            f"Found {len(cutouts)} glitch(es), {len(groups)} of which share no strain with another: expected at least "
            f"{len(fractions)}, one each for {', '.join(fractions)}. Give more or longer files, a lower threshold "
            f"(from {LEAST_THRESHOLD:g}), or the GPS times of glitches."
        )
    shares, first = {}, 0
    edges = np.rint(np.cumsum(list(fractions.values())) / sum(fractions.values()) * len(groups)).astype(int)
    for number, (split, edge) in enumerate(zip(fractions, edges, strict=True)):
        left = len(fractions) - 1 - number
        last = min(max(int(edge), first + 1), len(groups) - left)
        shares[split] = tuple(cutout for group in groups[first:last] for cutout in group)
        first = last
    return shares


@dataclass(frozen=True, eq=False)
class RealGlitches:
    """Real glitches in place of some of the noise, at random times, independent between detectors.

    A window's noise in one detector is replaced by a cut-out, which brings a glitch and the noise around it, recoloured
    to the PSD of what it replaces: from `NOISE_F_LOW` to `PASSBAND` of the Nyquist frequency, lines smeared over 1 Hz.
    A glitch may appear in any detector, wherever it was seen.

    Attributes:
        cutouts: by split, from `share_glitches`.
        rate: per second and detector; a window with its margins, of T seconds, has a glitch with the probability
            1 - exp(-rate T).
        sample_rate: Hz, of the cut-outs.

    Raises:
        UserError: a bad rate.
    """

    cutouts: Mapping[str, Sequence[Cutout]]
    rate: float
    sample_rate: float

    def __post_init__(self) -> None:
        if not 0 <= self.rate < np.inf:
            raise UserError(f"glitch rate = {self.rate:g} per second: expected 0 or more, such as 0.05.")

    def __str__(self) -> str:
        counts = ", ".join(f"{len(cutouts)} for {split}" for split, cutouts in self.cutouts.items())
        return f"{self.rate:g} per second and detector, real ones recoloured with the noise around them ({counts})"

    def apply(
        self,
        rng: np.random.Generator,
        noise: Float32,
        *,
        split: str,
        psds: PsdTable,
        rows: Int,
        detectors: Sequence[str],
        sample_rate: float,
    ) -> dict[str, Float]:
        """Replace the noise of some windows and channels, in place; see `glitches.Glitches.apply`.

        Returns:
            For each detector, such as H1, [n]: `glitches_H1`, how many of the glitches found are in the window, and of
            the loudest of them (NaN where there is none, the peak 0) `glitch_peak_H1` (its largest whitened strain in
            standard deviations, about a lower bound of its SNR), `glitch_time_H1` (seconds from the first sample of
            `noise`, margin included) and `glitch_gps_H1` (when it happened).
        """
        if sample_rate != self.sample_rate:
            raise ValueError(f"cut-outs of {self.sample_rate:g} Hz for noise of {sample_rate:g} Hz")
        samples, reach = noise.shape[-1], round(REACH * sample_rate)
        size = scipy.fft.next_fast_len(samples + 2 * reach, real=True)
        hit = rng.random(noise.shape[:2]) < -np.expm1(-self.rate * samples / sample_rate)
        used, which = np.unique(rows[hit], return_inverse=True)
        responses = _recolouring(psds.on_grid(sample_rate / size, size // 2 + 1)[used], sample_rate, size)
        columns = {
            "glitches": np.zeros(hit.shape),
            "glitch_peak": np.zeros(hit.shape),
            "glitch_time": np.full(hit.shape, np.nan),
            "glitch_gps": np.full(hit.shape, np.nan),
        }
        bank = self.cutouts[split]
        for (window, channel), response in zip(np.argwhere(hit), responses[which], strict=True):
            cutout = bank[int(rng.integers(len(bank)))]
            earliest = max(cutout.main - samples + 1, reach)
            latest = min(cutout.main, len(cutout.white) - samples - reach)
            start = int(rng.integers(earliest, latest + 1))
            piece = cutout.white[start - reach : start + samples + reach]
            coloured = scipy.fft.irfft(scipy.fft.rfft(piece, n=size) * response, n=size)
            noise[window, channel] = coloured[reach : reach + samples]
            inside = np.flatnonzero((cutout.peaks >= start) & (cutout.peaks < start + samples))
            loudest = inside[cutout.heights[inside].argmax()]
            columns["glitches"][window, channel] = len(inside)
            columns["glitch_peak"][window, channel] = cutout.heights[loudest]
            columns["glitch_time"][window, channel] = (cutout.peaks[loudest] - start) / sample_rate
            columns["glitch_gps"][window, channel] = cutout.gps + (cutout.peaks[loudest] - cutout.main) / sample_rate
        return {f"{name}_{d}": values[:, i] for i, d in enumerate(detectors) for name, values in columns.items()}


def _cut_out(stretch: Segment, samples: int, threshold: float, times: Sequence[float]) -> list[Cutout]:
    rate = stretch.file.sample_rate
    reach = round(REACH * rate)
    begin, end = stretch.gps[0] + REACH, stretch.gps[1] - REACH
    given = np.array([time for time in times if begin <= time < end])
    if len(stretch) < max(SHORTEST * rate, samples + 4 * reach) or (times and not len(given)):
        return []
    white, deviation = _whitened(stretch, reach)
    snr_series = np.abs(white) / deviation
    peaks = _largest_near(given - begin, snr_series, rate) if times else _excursions(snr_series, threshold, rate)
    cutouts = []
    for peak in peaks:
        # A window to either side, and what recolouring consumes beyond.
        first, last = max(peak - samples - reach, 0), min(peak + samples + reach, len(white))
        if first + reach <= peak < last - reach and last - first >= samples + 2 * reach:
            inside = peaks[(peaks >= first) & (peaks < last)]
            span = (float(begin + first / rate - REACH), float(begin + last / rate + REACH))
            piece = white[first:last].astype(np.float32)
            cutouts.append(
                Cutout(piece, int(peak - first), float(begin + peak / rate), inside - first, snr_series[inside], span)
            )
    return cutouts


def _whitened(stretch: Segment, reach: int) -> tuple[Float, float]:
    """[len(segment) - 2 reach] white noise of PSD 2 / rate within its band, and its standard deviation."""
    from scipy import signal

    rate = stretch.file.sample_rate
    strain = np.asarray(stretch.strain, np.float64) * SCALE
    segment = round(SEGMENT * rate)
    frequencies, psd = signal.welch(strain, rate, nperseg=segment, average="median", detrend=False)
    taps, _ = whitening_filters(
        frequencies,
        psd,
        reference=(frequencies, psd),
        band=(NOISE_F_LOW, PASSBAND * rate / 2 - HIGH_EDGE),
        sample_rate=rate,
        reach=reach,
        margin=reach,
        detector=f"{stretch.file.detector or 'the detector'} in {stretch.file.path}",
    )
    white = signal.oaconvolve(strain, taps, mode="valid")
    frequencies, psd = signal.welch(white, rate, nperseg=segment, average="median", detrend=False)
    middle = (frequencies > 2 * NOISE_F_LOW) & (frequencies < PASSBAND * rate / 4)
    white /= np.sqrt(np.median(psd[middle]) * rate / 2)
    return white, float(np.median(np.abs(white)) / MAD)


def _excursions(snr_series: Float, threshold: float, rate: float) -> Int:
    """Samples at which whitened strain [samples] has its largest excursions, one for each cluster."""
    above = np.flatnonzero(snr_series > threshold)
    if not len(above):
        return above
    clusters = np.split(above, np.flatnonzero(np.diff(above) > TOGETHER * rate) + 1)
    return np.array([cluster[snr_series[cluster].argmax()] for cluster in clusters])


def _largest_near(seconds: Float, snr_series: Float, rate: float) -> Int:
    """For each time, the sample within `TOGETHER` of it at which whitened strain [samples] is largest."""
    edges = np.clip(np.rint((seconds[:, None] + [-TOGETHER, TOGETHER]) * rate).astype(int), 0, len(snr_series))
    return np.array([first + snr_series[first:last].argmax() for first, last in edges], int)


def _recolouring(psds: Float, sample_rate: float, size: int) -> Float32:
    """[P, size // 2 + 1] what turns white noise of unit variance into noise of some PSDs [P, size // 2 + 1].

    Each is the transform of an even kernel, which a Hann window ends `REACH` from its middle.
    """
    kernel = scipy.fft.irfft(np.sqrt(psds * sample_rate / 2), n=size)
    lag = np.minimum(np.arange(size), size - np.arange(size)) / sample_rate
    kernel *= np.where(lag < REACH, np.cos(np.pi / 2 * lag / REACH) ** 2, 0.0)
    return np.asarray(scipy.fft.rfft(kernel).real, np.float32)


__all__ = ["Cutout", "RealGlitches", "find_glitches", "share_glitches"]
