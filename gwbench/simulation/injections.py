"""Windows cut out of real noise, half of them with a simulated signal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gwbench.data.dataset import Array, Block
from gwbench.data.psd import PsdTable
from gwbench.data.strain_files.tracked_psd import NoiseSegment
from gwbench.errors import UserError
from gwbench.simulation.glitches import Glitches
from gwbench.simulation.signals import SignalModel
from gwbench.simulation.strain import GaussianNoise, inject

SLIDE = 0.5
"""Seconds by which the channels of a time-slid window are apart at least.

Longer than light takes between any two detectors (30 ms at most) and than the loud part of a binary black hole's
chirp, so that no real signal, and nothing else that several detectors feel at once, looks coincident.
"""

TRIES = 1000
"""Draws after which channels that cannot be kept apart are given up."""


@dataclass(frozen=True)
class Injections:
    """Windows of real noise with simulated signals in half of them (a `gwbench.contracts.Windows`).

    Attributes:
        noise: for every split, for each of D channels, segments of at least window + 2 margin samples; no two splits
            share a sample, nor do two channels. Where they are `coincident`, the channels' segments are simultaneous,
            one by one, and of equal length.
        psds: the PSDs that the segments name.
        signals: what is injected.
        detectors: D names.
        sample_rate: Hz.
        window, margin: samples.
        coincident: whether a window has the same time in all channels; otherwise each channel starts at a time of its
            own, `SLIDE` seconds or more from the others'.
        glitches: simulated transients in any window, if there are to be some.
    """

    noise: Mapping[str, Sequence[Sequence[NoiseSegment]]]
    psds: PsdTable
    signals: SignalModel
    detectors: tuple[str, ...]
    sample_rate: float
    window: int
    margin: int
    coincident: bool = False
    glitches: Glitches | None = None

    def block(self, rng: np.random.Generator, split: str, start: int, n: int) -> Block:
        """`n` windows, `n // 2` of them with a signal, in random order.

        Among the parameters is `noise_gps_H1`, and so on: the GPS time at which the strain of the window, without its
        margin, begins in each channel.

        Raises:
            UserError: channels whose time does not suffice to keep them apart.
        """
        noise, gps = self.windows(rng, split, n)
        made = inject(
            rng,
            split,
            start,
            n,
            noise,
            signals=self.signals,
            glitches=self.glitches,
            psds=self.psds,
            detectors=self.detectors,
            sample_rate=self.sample_rate,
            window=self.window,
            margin=self.margin,
        )
        begins = gps + self.margin / self.sample_rate
        times = {f"noise_gps_{name}": begins[:, channel] for channel, name in enumerate(self.detectors)}
        return replace(made, parameters={**made.parameters, **times})

    def windows(self, rng: np.random.Generator, split: str, n: int) -> tuple[GaussianNoise, Array]:
        """`n` windows without signals, and the GPS times [n, D] of their first samples, margin included."""
        size = self.window + 2 * self.margin
        channels = self.noise[split]
        which, first, gps = self._starts(rng, split, n, size)
        strain = np.empty((n, len(channels), size), np.float32)
        rows = np.empty((n, len(channels)), np.int64)
        for channel, segments in enumerate(channels):
            for row in range(n):
                segment, begin = segments[which[row, channel]], first[row, channel]
                strain[row, channel] = segment.strain[begin : begin + size]
                rows[row, channel] = segment.row(begin + size // 2)
        return GaussianNoise(strain, rows), gps

    def _starts(self, rng: np.random.Generator, split: str, n: int, size: int) -> tuple[Array, Array, Array]:
        """For each window and channel [n, D]: which segment, its first sample there, and the GPS time of that."""
        channels = self.noise[split]
        which, first = np.empty((2, n, len(channels)), np.int64)
        gps = np.empty((n, len(channels)))
        waiting = np.arange(n)
        for _ in range(TRIES):
            drawn: tuple[Array, Array] | None = None
            for channel, segments in enumerate(channels):
                if drawn is None or not self.coincident:
                    drawn = draw_starts(rng, [len(segment.strain) for segment in segments], size, len(waiting))
                which[waiting, channel], first[waiting, channel] = drawn
                begins = np.array([segment.gps for segment in segments])
                gps[waiting, channel] = begins[drawn[0]] + drawn[1] / self.sample_rate
            if self.coincident:
                return which, first, gps
            apart = np.diff(np.sort(gps[waiting], axis=1), axis=1)
            waiting = waiting[(apart < SLIDE).any(axis=1)]
            if not len(waiting):
                return which, first, gps
        raise UserError(
            f"The channels of the {split} split hold too little time to be slid against each other by {SLIDE:g} s. "
            "Give more files in dataset.path, fewer dataset.detectors, or dataset.background=coincident."
        )


def draw_starts(rng: np.random.Generator, lengths: Sequence[int], size: int, count: int) -> tuple[Array, Array]:
    """Windows that start anywhere in some segments, each start equally probable.

    Args:
        rng: the only source of randomness.
        lengths: samples of each segment, each at least `size`.
        size: samples of a window.
        count: windows.

    Returns:
        [count] which segment, and [count] the first sample in it.
    """
    starts = np.asarray(lengths) - size + 1
    ends = np.cumsum(starts)
    positions = rng.integers(ends[-1], size=count)
    which = np.searchsorted(ends, positions, side="right")
    return which, positions - (ends - starts)[which]


__all__ = ["SLIDE", "Injections", "draw_starts"]
