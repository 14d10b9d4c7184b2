"""Coloured Gaussian noise of any length without seams, made piece by piece."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from gwbench.data.detectors import DETECTORS
from gwbench.data.psd import PsdTable, psd_values
from gwbench.seeds import numpy_generator
from gwbench.simulation.glitches import GRID, SimulatedGlitches

Float = NDArray[np.float64]

KERNEL = 16.0
"""Seconds of the filter that colours the noise, and so of what noise remembers: spectra are smoothed over 0.1 Hz."""

PIECE = 7 * KERNEL
"""Seconds made at a time: with the filter's length, a power of two at 2048 Hz."""

NOISE, INJECTIONS, GLITCHES = range(3)
"""First keys of the seed role "continuous": what is drawn. The next one is the number of the segment."""


class ContinuousNoise(Protocol):
    """The noise of D detectors over one segment of time without gaps."""

    @property
    def start(self) -> int:
        """GPS seconds of the first sample."""
        ...

    @property
    def samples(self) -> int:
        """How many there are of each detector."""
        ...

    @property
    def piece(self) -> int:
        """Samples of a piece; the last may be shorter."""
        ...

    @property
    def psds(self) -> PsdTable:
        """PSDs of the noise."""
        ...

    def strain(self, number: int) -> NDArray[Any]:
        """[D, piece] piece `number` of the strain."""
        ...

    def rows(self, sample: int) -> NDArray[np.int64]:
        """[D] which row of `psds` holds at a sample."""
        ...


@dataclass(frozen=True)
class ColouredSegment:
    """Stationary Gaussian noise, and glitches in it.

    White noise, drawn piece by piece, passes through a filter of linear phase whose gain is the root of the PSD
    (overlap-save): one stationary series, in which no piece can be told from another. Every detector has its own
    numbers, whatever other detectors there are.

    Attributes:
        seed: of all random numbers.
        number: of the segment.
        start: GPS seconds.
        samples: of each detector.
        detectors: D names of `gwbench.data.detectors.DETECTORS`.
        psd_names: of each detector, as `psd_values` takes them.
        sample_rate: Hz.
        glitches: what is added, independently in each detector.
    """

    seed: int
    number: int
    start: int
    samples: int
    detectors: tuple[str, ...]
    psd_names: tuple[str, ...]
    sample_rate: float
    glitches: SimulatedGlitches | None = None

    @property
    def piece(self) -> int:
        """Samples of a piece."""
        return round(PIECE / KERNEL) * self._kernel

    def strain(self, number: int) -> Float:
        """[D, piece] piece `number` of the strain, float64."""
        length = min(self.piece, self.samples - number * self.piece)
        noise = np.stack([self._noise(channel, number) for channel in range(len(self.detectors))])[:, :length]
        if self.glitches:
            margin = round(GRID * self.sample_rate)
            for other in (number - 1, number, number + 1):  # glitches of its neighbours reach into a piece
                first = (other - number) * self.piece - margin
                around = self._glitches(other, margin)
                begin, end = max(first, 0), min(first + around.shape[-1], length)
                if begin < end:
                    noise[:, begin:end] += around[:, begin - first : end - first]
        return noise

    def rows(self, sample: int) -> NDArray[np.int64]:
        """[D] a row of `psds` for each detector."""
        return np.arange(len(self.detectors))

    @cached_property
    def psds(self) -> PsdTable:
        """A row for each detector."""
        return PsdTable(self._psd_values, self.sample_rate / self._kernel)

    @property
    def _kernel(self) -> int:
        return 2 * round(KERNEL / 2 * self.sample_rate)

    @cached_property
    def _psd_values(self) -> Float:
        pairs = zip(self.detectors, self.psd_names, strict=True)
        size = self._kernel
        return np.stack([psd_values(name, self.sample_rate, size, detector=detector) for detector, name in pairs])

    @cached_property
    def _gains(self) -> NDArray[np.complex128]:
        """[D, piece / 2 + ...] the filters' transforms over a piece and the kernel before it."""
        # White noise of unit variance has the one-sided PSD 2 / sample_rate.
        gain = np.sqrt(self._psd_values * self.sample_rate / 2)
        gain[:, [0, -1]] = 0.0
        kernel = np.roll(scipy.fft.irfft(gain, n=self._kernel), self._kernel // 2, axis=-1)
        kernel *= np.hanning(self._kernel + 1)[:-1]
        return np.asarray(scipy.fft.rfft(kernel, n=self.piece + self._kernel))

    def _noise(self, channel: int, number: int) -> Float:
        """[piece] noise of one detector."""
        white = np.concatenate([self._white(channel, number - 1)[-self._kernel :], self._white(channel, number)])
        coloured = scipy.fft.irfft(scipy.fft.rfft(white) * self._gains[channel], n=len(white))
        return np.asarray(coloured[self._kernel :])

    def _white(self, channel: int, number: int) -> Float:
        """[piece] standard normal numbers of one detector."""
        return self._generator(NOISE, list(DETECTORS).index(self.detectors[channel]), number).standard_normal(
            self.piece
        )

    def _glitches(self, number: int, margin: int) -> NDArray[np.float32]:
        """[D, margin + piece + margin] the glitches whose centres lie in a piece."""
        strain: NDArray[np.float32] = np.zeros((1, len(self.detectors), self.piece + 2 * margin), np.float32)
        if self.glitches:
            self.glitches.apply(
                self._generator(GLITCHES, number),
                strain,
                split="test",
                psds=self.psds,
                rows=np.arange(len(self.detectors))[None],
                detectors=self.detectors,
                sample_rate=self.sample_rate,
                margin=margin,
            )
        return np.asarray(strain[0])

    def _generator(self, what: int, *key: int) -> np.random.Generator:
        """Of one kind of number; the last key is a piece, of which the one before the first is there too."""
        return numpy_generator(self.seed, "continuous", what, self.number, *key[:-1], key[-1] + 1)


def coloured_segments(
    *,
    seed: int,
    start: int,
    hours: float,
    segments: int,
    gap: float,
    detectors: Sequence[str],
    psd_names: Sequence[str],
    sample_rate: float,
    glitches: SimulatedGlitches | None,
) -> list[ColouredSegment]:
    """Segments of equal length, a whole number of seconds each, that make up `hours` together.

    Args:
        seed: of all random numbers.
        start: GPS seconds of the first.
        hours: of strain, without the gaps.
        segments: how many.
        gap: whole seconds between two.
        detectors, psd_names, sample_rate, glitches: as of `ColouredSegment`.
    """
    length = round(hours * 3600 / segments)
    return [
        ColouredSegment(
            seed,
            number,
            start + number * (length + round(gap)),
            round(length * sample_rate),
            tuple(detectors),
            tuple(psd_names),
            sample_rate,
            glitches,
        )
        for number in range(segments)
    ]


__all__ = ["GLITCHES", "INJECTIONS", "NOISE", "PIECE", "ColouredSegment", "ContinuousNoise", "coloured_segments"]
