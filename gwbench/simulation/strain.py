"""Simulated strain: coloured Gaussian noise, and windows of it half of which hold a signal."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from gwbench.data.dataset import Block
from gwbench.data.psd import NOISE_F_LOW, PsdTable, check_name, default_psd, psd_values
from gwbench.errors import UserError
from gwbench.simulation.glitches import Glitches
from gwbench.simulation.signals import CHUNK, SignalModel

if TYPE_CHECKING:
    from collections.abc import Mapping

Float32 = NDArray[np.float32]

DECORRELATION = 1.5
"""Seconds after which noise of the detectors' PSDs has forgotten itself: so much longer than a window is the periodic
series it is cut from."""

PSD_SECONDS = 16.0
"""One over the Hz between the bins of a named PSD, as signals are weighed by it."""


@dataclass(frozen=True)
class GaussianNoise:
    """Windows without signals.

    Attributes:
        strain: [n, D, window + 2 margin] float32.
        rows: [n, D] which row of a `PsdTable` each channel of a window has.
    """

    strain: Float32
    rows: NDArray[np.int64]


def coloured_noise(
    rng: np.random.Generator, n: int, psds: NDArray[Any], sample_rate: float, samples: int, keep: int
) -> Float32:
    """Stationary Gaussian noise, independent between detectors and windows.

    Every window is cut out of a periodic series of its own, generated in the frequency domain.

    Args:
        rng: the only source of randomness.
        n: windows.
        psds: [D, samples // 2 + 1] one-sided, in 1/Hz; noise is absent where it is zero or not finite, and
            at 0 Hz and the Nyquist frequency.
        sample_rate: Hz.
        samples: even length of the periodic series.
        keep: length of the window, at most `samples`.

    Returns:
        [n, D, keep].
    """
    power = np.where(np.isfinite(psds), psds, 0.0)
    # E|X_k|^2 = S N f_s / 2, half of it in the real and half in the imaginary part.
    amplitude = np.sqrt(power * samples * sample_rate / 4)
    amplitude[:, [0, -1]] = 0.0
    amplitude = amplitude.astype(np.float32)
    noise = np.empty((n, len(psds), keep), np.float32)
    for start in range(0, n, CHUNK):
        part = slice(start, min(start + CHUNK, n))
        spectrum = _complex_normal(rng, amplitude, part.stop - start)
        noise[part] = scipy.fft.irfft(spectrum, n=samples, overwrite_x=True)[..., :keep]
    return noise


def _complex_normal(rng: np.random.Generator, sigma: Float32, n: int) -> NDArray[np.complex64]:
    """Gaussian complex numbers [n, *sigma.shape] whose real and imaginary parts have standard deviations `sigma`.

    By Box and Muller (Ann. Math. Stat. 29, 610, 1958), three times faster than numpy's normal variates, which take as
    long as all else that a window needs. 32 bits for the radius reach 6.7 sigma.
    """
    bits = rng.integers(2**64 - 1, size=(n, *sigma.shape), dtype=np.uint64, endpoint=True)
    radius = bits.view(np.uint32)[..., ::2].astype(np.float32)
    radius += np.float32(0.5)
    radius *= np.float32(2.0**-32)
    np.log(radius, out=radius)
    radius *= np.float32(-2)
    np.sqrt(radius, out=radius)
    radius *= sigma
    angle = bits.view(np.int32)[..., 1::2].astype(np.float32)
    angle *= np.float32(2 * np.pi * 2.0**-32)
    values = np.empty(radius.shape, np.complex64)
    np.multiply(radius, np.cos(angle), out=values.real)
    np.multiply(radius, np.sin(angle), out=values.imag)
    return values


def inject(
    rng: np.random.Generator,
    split: str,
    start: int,
    n: int,
    noise: GaussianNoise,
    *,
    signals: SignalModel,
    glitches: Glitches | None,
    psds: PsdTable,
    detectors: tuple[str, ...],
    sample_rate: float,
    window: int,
    margin: int,
) -> Block:
    """`n` windows of noise, `n // 2` of them with a signal, in random order, and glitches in any of them.

    Args:
        rng: the only source of randomness.
        split, start, n: of the block.
        noise: the windows; their strain is changed.
        signals: what is injected.
        glitches: what else is, in windows with and without a signal alike.
        psds: of the noise.
        detectors: D names.
        sample_rate: Hz.
        window, margin: samples.
    """
    label = np.zeros(n, np.int8)
    label[: n // 2] = 1
    label = rng.permutation(label)
    loud = np.flatnonzero(label)
    parameters: Mapping[str, NDArray[Any]] = {}
    if glitches is not None:
        parameters = glitches.apply(
            rng, noise.strain, split=split, psds=psds, rows=noise.rows, detectors=detectors, sample_rate=sample_rate
        )
        # Like coalescence, counted from the window's start.
        parameters = {
            name: values - margin / sample_rate if name.startswith("glitch_time") else values
            for name, values in parameters.items()
        }
    drawn = signals.draw(
        rng,
        len(loud),
        detectors=detectors,
        psds=psds,
        rows=noise.rows[loud],
        sample_rate=sample_rate,
        window=window,
        margin=margin,
    )
    noise.strain[loud] += drawn.strain

    def spread(values: NDArray[np.float64]) -> NDArray[np.float64]:
        column = np.full(n, np.nan)
        column[loud] = values
        return column

    of_signals = {name: spread(values) for name, values in drawn.parameters.items()}
    snr = spread(drawn.snr).astype(np.float32)
    return Block(split, start, noise.strain, label, snr, {**of_signals, **parameters})


def _withhold(block: Block, known: int) -> None:
    """Take from a block, in place, what is said of its windows from position `known` on."""
    block.label[known:] = -1
    for values in (block.snr, *block.parameters.values()):
        values[known:] = np.nan


@dataclass(frozen=True)
class Simulation:
    """Windows of simulated strain, half of them with a signal (a `gwbench.contracts.Windows`).

    Attributes:
        detectors: D >= 2 different names of `gwbench.data.psd.CURATED`.
        psds: one PSD name or file per detector; empty for each detector's default.
        signals: what the signals are drawn from.
        sample_rate: Hz, a whole number.
        window, margin: samples; stored windows have a margin on either side.
        glitches: transients in any window, if there are to be some.
        labelled: how many training windows, the first ones, come with their label; None for all. Of the others
            nothing is said, neither label nor source, as of strain that nobody has looked at.

    Raises:
        UserError: a value that cannot be simulated.
    """

    detectors: tuple[str, ...]
    psds: tuple[str, ...]
    signals: SignalModel
    sample_rate: float
    window: int
    margin: int
    glitches: Glitches | None = None
    labelled: int | None = None

    def __post_init__(self) -> None:
        given = ",".join(self.detectors)
        defaults = tuple(default_psd(name) for name in self.detectors)
        if len(self.detectors) < 2:
            raise UserError(f"detectors = {given or 'none'}: expected at least two, such as H1,L1,V1.")
        if len(set(self.detectors)) < len(self.detectors):
            raise UserError(f"detectors = {given}: expected different detectors, such as H1,L1,V1.")
        if self.psds and len(self.psds) != len(self.detectors):
            raise UserError(
                f"psds = {','.join(self.psds)}: expected one name or file for each of {given}, in that order, such as "
                f"{','.join(defaults)}."
            )
        for detector, name in zip(self.detectors, self.psds, strict=False):
            check_name(name, detector)
        if not self.sample_rate > 0 or self.sample_rate % 1:
            raise UserError(f"sample_rate = {self.sample_rate:g}: expected a whole number of Hz, such as 2048.")
        if self.window < 1:
            raise UserError(
                f"duration = {self.window / self.sample_rate:g} s holds no sample: expected more, such as 2."
            )
        if self.signals.f_low < NOISE_F_LOW:
            raise UserError(
                f"f_low = {self.signals.f_low:g} Hz: expected at least {NOISE_F_LOW:g}, below which there is no "
                "simulated noise to hide a signal."
            )
        if self.signals.f_low >= self.sample_rate / 2:
            raise UserError(
                f"f_low = {self.signals.f_low:g} Hz: expected less than half the sample rate of "
                f"{self.sample_rate:g} Hz."
            )
        self.signals.check(self.window / self.sample_rate)
        object.__setattr__(self, "psds", self.psds or defaults)

    def block(self, rng: np.random.Generator, split: str, start: int, n: int) -> Block:
        """`n` windows, `n // 2` of them with a signal, in random order."""
        block = inject(
            rng,
            split,
            start,
            n,
            self.noise(rng, n),
            signals=self.signals,
            glitches=self.glitches,
            psds=self.psd_table,
            detectors=self.detectors,
            sample_rate=self.sample_rate,
            window=self.window,
            margin=self.margin,
        )
        if split == "train" and self.labelled is not None:
            _withhold(block, max(0, self.labelled - start))
        return block

    def noise(self, rng: np.random.Generator, n: int) -> GaussianNoise:
        """`n` windows without signals."""
        keep = self.window + 2 * self.margin
        samples = 2 * scipy.fft.next_fast_len(-(-(keep + round(DECORRELATION * self.sample_rate)) // 2), real=True)
        strain = coloured_noise(rng, n, self._psds(samples), self.sample_rate, samples, keep)
        rows = np.broadcast_to(np.arange(len(self.detectors)), (n, len(self.detectors)))
        return GaussianNoise(strain, rows)

    @cached_property
    def psd_table(self) -> PsdTable:
        """One row per detector."""
        samples = round(PSD_SECONDS * self.sample_rate)
        return PsdTable(self._psds(samples), 1 / PSD_SECONDS)

    def _psds(self, samples: int) -> NDArray[np.float64]:
        """The PSDs [D, samples // 2 + 1] of the detectors, in 1/Hz."""
        pairs = zip(self.detectors, self.psds, strict=True)
        return np.stack([psd_values(name, self.sample_rate, samples, detector=detector) for detector, name in pairs])


__all__ = ["DECORRELATION", "GaussianNoise", "Simulation", "coloured_noise", "inject"]
