"""Whether two series hold the same strain, whatever their times say.

Strain is whitened, so that lines and the seismic wall do not make all strain of a detector alike, and correlated. The
same strain at another sample rate or of another calibration correlates by more than 0.9, different strain by less
than 0.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.fft
from scipy import signal

from gwbench.data.dataset import Array
from gwbench.data.strain_files.reading import Ranges, StrainFile, ranges
from gwbench.data.strain_files.resample import reach as filter_reach
from gwbench.data.strain_files.resample import resampled

RATE = 512.0
"""Hz, about, at which strain is compared."""

HIGH_PASS = 20.0
"""Hz; strain below is not compared."""

HEAD = 2.0
"""Seconds at the beginning of a good range that are looked for in other series."""

HEADS = 64
"""The most ranges of a series of which that is done."""

EDGE = 0.5
"""Seconds on either side that whitening takes."""

BLOCK = 0.5
"""Seconds that are compared at a time, once it is known where a copy lies."""

ALIKE = 0.5
"""Correlation above which strain is the same."""

CLIP = 4.0
"""Standard deviations: a glitch counts no more than this."""

NOTHING = 1e-24
"""Power per Hz, in units of the strain's variance, below which there is nothing but rounding errors."""

CHUNK = 2**15
"""Samples that are searched at a time."""


@dataclass(frozen=True)
class Whitened:
    """A series as it is compared.

    Attributes:
        white: [samples] float32 of unit variance; 0 where there is none.
        rate: Hz.
        good: ranges of `white` that hold something.
    """

    white: Array
    rate: float
    good: Ranges

    @classmethod
    def of(cls, file: StrainFile) -> Whitened:
        """Whiten every good range that is long enough by its own PSD."""
        factor = max(1, int(file.sample_rate // RATE))
        rate = file.sample_rate / factor
        low, edge = resampled(file, rate), round(EDGE * rate)
        white, good = np.zeros(len(low.strain), np.float32), []
        for start, stop in low.good:
            if stop - start >= round((HEAD + 2 * EDGE) * rate):
                white[start + edge : stop - edge] = _whiten(low.strain[start:stop].astype(np.float64), rate, edge)
                good.append((start + edge, stop - edge))
        return cls(white, rate, tuple(good))

    @cached_property
    def heads(self) -> list[tuple[int, float, Array]]:
        """The beginnings of the good ranges: where they lie, their norms, and their spectra."""
        size = round(HEAD * self.rate)
        chosen = np.unique(np.linspace(0, len(self.good) - 1, min(HEADS, len(self.good))).round().astype(int))
        heads = [(self.good[place][0], self.white[self.good[place][0] :][:size]) for place in chosen]
        return [(place, _norm(head), np.conj(scipy.fft.rfft(head, CHUNK))) for place, head in heads if head.any()]

    @cached_property
    def chunks(self) -> list[tuple[int, Array]]:
        """The spectra of pieces that overlap by a head, and where these begin."""
        starts = range(0, max(1, len(self.white) - round(HEAD * self.rate) + 1), CHUNK - round(HEAD * self.rate) + 1)
        pieces = [(start, self.white[start : start + CHUNK]) for start in starts]
        return [(start, scipy.fft.rfft(piece, CHUNK)) for start, piece in pieces if piece.any()]

    def places(self, norm: float, head: Array) -> list[int]:
        """The places at which it holds the head of another series, by its norm and spectrum."""
        size, found = round(HEAD * self.rate), []
        for start, spectrum in self.chunks:
            product = scipy.fft.irfft(spectrum * head, CHUNK)[: min(CHUNK, len(self.white) - start) - size + 1]
            best = int(np.argmax(product))
            there = _norm(self.white[start + best :][:size])
            if product[best] > ALIKE * norm * there and there > norm / 4:
                found.append(start + best)
        return found


def copied(kept: Whitened, other: Whitened) -> list[tuple[float, float]]:
    """Which part of a series repeats another, at any time.

    Returns:
        Seconds from the start of `other`, in order, between which it repeats `kept`.
    """
    if kept.rate != other.rate or HEAD * kept.rate > CHUNK / 2:
        return []
    lags = {place - where for place, norm, head in other.heads for where in kept.places(norm, head)}
    lags |= {where - place for place, norm, head in kept.heads for where in other.places(norm, head)}
    spans = [span for lag in _apart(sorted(lags)) for span in alike(kept, other, lag).spans]
    return sorted(spans)


@dataclass(frozen=True)
class Likeness:
    """How far two series are the same strain.

    Attributes:
        spans: seconds from the start of the second between which they are.
        same: blocks that are the same.
        compared: blocks that both hold.
    """

    spans: list[tuple[float, float]]
    same: int
    compared: int


def alike(kept: Whitened, other: Whitened, lag: int) -> Likeness:
    """Where two series are the same strain if sample `i` of `kept` is sample `i + lag` of `other`."""
    block = round(BLOCK * other.rate)
    begin, end = max(0, lag), min(len(other.white), len(kept.white) + lag)
    count = max(0, (end - begin) // block)
    here = other.white[begin : begin + count * block].reshape(count, block)
    there = kept.white[begin - lag : begin - lag + count * block].reshape(count, block)
    power = np.sqrt(np.sum(here**2, axis=1) * np.sum(there**2, axis=1))
    filled = (np.count_nonzero(here, axis=1) > block / 2) & (np.count_nonzero(there, axis=1) > block / 2)
    same = filled & (np.sum(here * there, axis=1) > ALIKE * power)
    # A block that is cut by a gap or an edge goes with its neighbour, and so does what the filters took.
    reach = BLOCK + EDGE + filter_reach(other.rate)
    spans = [
        ((begin + first * block) / other.rate - reach, (begin + last * block) / other.rate + reach)
        for first, last in ranges(same)
    ]
    return Likeness(spans, int(np.count_nonzero(same)), int(np.count_nonzero(filled)))


def _apart(lags: Sequence[int]) -> list[int]:
    """The lags, less those next to one another."""
    return [lag for place, lag in enumerate(lags) if place == 0 or lag - lags[place - 1] > 1]


def _norm(values: Array) -> float:
    return float(np.sqrt(np.sum(values**2)))


def _whiten(strain: Array, rate: float, edge: int) -> Array:
    """Strain [samples] with a flat spectrum above `HIGH_PASS`, without its edges, in standard deviations."""
    scale = float(np.std(strain))
    if not scale:
        return np.zeros(len(strain) - 2 * edge, np.float32)
    # Differences, because the seismic wall leaks into every frequency of the periodograms.
    scaled = np.diff(strain / scale, prepend=strain[0] / scale)
    size = 2 * edge
    frequencies, psd = signal.welch(scaled, rate, nperseg=size, average="median")
    band = (frequencies >= min(HIGH_PASS, 0.1 * rate)) & (frequencies <= 0.45 * rate)
    if np.median(psd[band]) < NOTHING:
        return np.zeros(len(strain) - 2 * edge, np.float32)
    target = np.where(band, 1 / np.sqrt(np.maximum(psd, NOTHING)), 0.0)
    taps = np.roll(scipy.fft.irfft(target, size), edge)
    taps = np.append(taps, taps[0]) * np.hanning(size + 1)
    white = signal.oaconvolve(scaled, taps, mode="valid")
    return np.asarray(np.clip(white / np.std(white), -CLIP, CLIP), dtype=np.float32)


__all__ = ["Whitened", "alike", "copied"]
