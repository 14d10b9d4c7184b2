"""The PSD of real noise, tracked along it: one for every minute or so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from gwbench.data.dataset import Array
from gwbench.data.psd import PsdTable, resample_psd, usable
from gwbench.data.strain_files.resample import PASSBAND
from gwbench.data.strain_files.segments import Segment
from gwbench.data.whitening_filters import median_psd

PIECE = 64.0
"""Seconds of good time behind a PSD, about; and the gap across which none is measured."""

PERIODOGRAMS = (4.0, 2.0, 1.0, 0.5)
"""Seconds of a periodogram; the longest of which a piece holds `ENOUGH` is taken."""

ENOUGH = 40
"""Periodograms that make a median.

The relative variance of a median of n is 2.1 / n, by which the mean of 1 / PSD, and so the SNR squared, comes out too
high: SNR by 2.6 % at 40.
"""

INSPIRAL = (20.0, -7 / 3)
"""An inspiral's power spectrum: from how many Hz, and the slope."""


@dataclass(frozen=True)
class NoiseSegment:
    """Consecutive samples of real noise, and the PSDs that hold along them.

    Attributes:
        strain: [samples].
        gps: of the first sample.
        edges: [m] the samples from which another PSD holds, from 0 on.
        rows: [m] which row of a `PsdTable` that is.
    """

    strain: Array
    gps: float
    edges: Array
    rows: Array

    def row(self, sample: int) -> int:
        """The row of the PSD that holds at a sample."""
        return int(self.rows[np.searchsorted(self.edges, sample, side="right") - 1])


def tracked(channels: Sequence[Sequence[Segment]], sample_rate: float) -> tuple[list[list[NoiseSegment]], PsdTable]:
    """Measure the PSD along the segments of some channels.

    The segments of a channel are taken together where no gap between them exceeds `PIECE`, and cut into pieces of
    equal good time, `PIECE` long or the whole. A piece's PSD is the median of its half-overlapping Hann
    periodograms, which glitches hardly move, corrected for the median's bias (Allen et al. 2012, appendix B).

    Args:
        channels: for each of any number of channels, segments of at least half a second, in order of time.
        sample_rate: Hz.

    Returns:
        The segments of every channel, and the PSDs on the grid of the finest. Above `PASSBAND` of the Nyquist
        frequency, where an anti-alias filter may have taken the noise away, they are 0, so that no signal seems loud
        there.
    """
    measured: list[tuple[Array, float]] = []
    noise_segments = []
    for segments in channels:
        noise: list[NoiseSegment] = []
        for run in _runs(segments):
            lengths = np.array([len(part) for part in run])
            begins = np.cumsum(lengths) - lengths
            count = max(1, round(lengths.sum() / sample_rate / PIECE))
            edges = np.rint(np.linspace(0, lengths.sum(), count + 1)).astype(int)
            for part, begin in zip(run, begins, strict=True):
                inside = edges[(edges > begin) & (edges < begin + len(part))]
                firsts = np.concatenate(([begin], inside))
                which = np.searchsorted(edges, firsts, side="right") - 1
                noise.append(NoiseSegment(part.strain, part.gps[0], firsts - begin, which + len(measured)))
            for start, stop in pairwise(edges):
                first, end = np.searchsorted(begins, start, side="right") - 1, np.searchsorted(begins, stop)
                spans = [
                    part.strain[max(start - begin, 0) : stop - begin]
                    for part, begin in zip(run[first:end], begins[first:end], strict=True)
                ]
                measured.append(_measure(spans, sample_rate))
        noise_segments.append(noise)
    finest = min(delta_f for _, delta_f in measured)
    bins = round(sample_rate / 2 / finest) + 1
    values = np.stack([resample_psd(psd, delta_f, finest, bins) for psd, delta_f in measured])
    values[:, np.arange(bins) * finest > PASSBAND * sample_rate / 2] = 0.0
    return noise_segments, PsdTable(values, finest)


def sensitivity(psds: PsdTable) -> Array:
    """[P] how far an inspiral is heard with each PSD, in arbitrary units.

    The distance at a given SNR goes as the root of the integral of f^(-7/3) / S(f) (Finn & Chernoff 1993,
    arXiv:gr-qc/9301003), here from 20 Hz.
    """
    frequencies = np.arange(psds.values.shape[1]) * psds.delta_f
    counted = usable(psds.values) & (frequencies >= INSPIRAL[0])
    power = np.where(counted, frequencies, 1.0) ** INSPIRAL[1]
    # Of order 1, by the units that keep float64 from its limits.
    scaled = np.where(counted, psds.values / np.max(psds.values), 1.0)
    return np.asarray(np.sqrt(np.sum(np.where(counted, power / scaled, 0.0), axis=1)))


def _runs(segments: Sequence[Segment]) -> list[list[Segment]]:
    """The segments, grouped so that the gap between two groups exceeds `PIECE`."""
    runs: list[list[Segment]] = []
    for part in segments:
        if not runs or part.gps[0] - runs[-1][-1].gps[1] > PIECE:
            runs.append([])
        runs[-1].append(part)
    return runs


def _measure(spans: Sequence[Array], sample_rate: float) -> tuple[Array, float]:
    """The PSD [F] of some strain [samples] without gaps, and the Hz between its bins."""
    for seconds in PERIODOGRAMS:
        size = round(seconds * sample_rate)
        parts = [span[at : at + size] for span in spans for at in range(0, len(span) - size + 1, size // 2)]
        if len(parts) >= ENOUGH:
            break
    windows = np.stack(parts)[:, None]
    _, psd = median_psd(windows, sample_rate=sample_rate, segment=size, detectors=("",), max_windows=len(windows))
    return psd[0], sample_rate / size
