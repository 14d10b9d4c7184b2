"""Windows cut out of real noise, half of them with a simulated signal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gwbench.contracts import Array, Block
from gwbench.data.population import Population, SnrDistribution
from gwbench.data.resample import PASSBAND
from gwbench.data.simulate import inject
from gwbench.data.whitening import median_psd

PERIODOGRAMS = (4.0, 2.0, 1.0, 0.5)
"""Seconds of a periodogram; the longest of which there are `ENOUGH` is taken."""

ENOUGH, MOST = 40, 512
"""Periodograms that make a median, and more than which add nothing.

The relative variance of a median of n is 2.1 / n, by which the mean of 1 / PSD, and so the SNR squared, comes out too
high: SNR by 2.6 % at 40.
"""


@dataclass(frozen=True)
class Injections:
    """What a window of real noise with simulated signals is; `gwbench.data.simulate.simulate` makes its blocks.

    Attributes:
        noise: for every split, for each of D channels, stretches of strain [samples] of at least
            window + 2 margin samples; no two splits or channels share a sample.
        detectors: D names.
        psds: measured PSDs [D, F] and the Hz between their bins, to which signals are scaled.
        population, snr: what the signals are drawn from.
        sample_rate: Hz.
        window, margin: samples.
        approximant: see `gwbench.data.waveforms.polarizations`.
    """

    noise: Mapping[str, Sequence[Sequence[Array]]]
    detectors: tuple[str, ...]
    psds: tuple[Array, float]
    population: Population
    snr: SnrDistribution
    sample_rate: float
    window: int
    margin: int
    approximant: str = "IMRPhenomXAS"

    def block(self, rng: np.random.Generator, n: int, split: str, start: int) -> Block:
        """`n` windows, `n // 2` of them with a signal, in random order.

        Each channel of a window starts at a time of its own (a time slide).
        """
        size = self.window + 2 * self.margin
        return inject(
            rng,
            n,
            split,
            start,
            lambda: np.stack([draw(rng, stretches, size, n) for stretches in self.noise[split]], axis=1),
            population=self.population,
            snr=self.snr,
            detectors=self.detectors,
            psds=self.psds,
            sample_rate=self.sample_rate,
            window=self.window,
            margin=self.margin,
            approximant=self.approximant,
        )


def noise_psds(channels: Sequence[Sequence[Array]], sample_rate: float) -> tuple[Array, float]:
    """PSDs of real strain by the median of half-overlapping Hann periodograms, which glitches hardly move.

    Args:
        channels: for each of D channels, stretches of strain [samples], one of them of half a second at least.
        sample_rate: Hz.

    Returns:
        [D, F] one-sided, in 1/Hz, and the Hz between bins. Above `PASSBAND` of the Nyquist frequency, where an
        anti-alias filter may have taken the noise away, it is 0, so that no signal seems loud there.
    """
    # All channels share the grid that the shortest can fill.
    seconds = next(
        (length for length in PERIODOGRAMS if all(_count(c, length * sample_rate) >= ENOUGH for c in channels)),
        PERIODOGRAMS[-1],
    )
    size = round(seconds * sample_rate)
    rows = []
    for stretches in channels:
        pieces = [part[at : at + size] for part in stretches for at in range(0, len(part) - size + 1, size // 2)]
        chosen = np.linspace(0, len(pieces) - 1, min(len(pieces), MOST)).round().astype(int)
        windows = np.stack([pieces[position] for position in chosen])[:, None]
        frequencies, psd = median_psd(windows, sample_rate=sample_rate, segment=size, detectors=("",), max_windows=MOST)
        rows.append(np.where(frequencies <= PASSBAND * sample_rate / 2, psd[0], 0.0))
    return np.stack(rows), sample_rate / size


def _count(stretches: Sequence[Array], size: float) -> int:
    """Periodograms of `size` samples that fit, overlapping by half."""
    return sum(max(0, int((len(part) - size) // (size / 2)) + 1) for part in stretches)


def draw(rng: np.random.Generator, stretches: Sequence[Array], size: int, count: int) -> Array:
    """Windows that start anywhere in the stretches, each start equally probable.

    Args:
        rng: the only source of randomness.
        stretches: strain [samples], each of at least `size` samples.
        size: samples of a window.
        count: windows.

    Returns:
        [count, size] float32.
    """
    starts = np.array([len(stretch) - size + 1 for stretch in stretches])
    ends = np.cumsum(starts)
    windows = np.empty((count, size), dtype=np.float32)
    for row, position in enumerate(rng.integers(ends[-1], size=count)):
        which = int(np.searchsorted(ends, position, side="right"))
        first = int(position - (ends[which] - starts[which]))
        windows[row] = stretches[which][first : first + size]
    return windows
