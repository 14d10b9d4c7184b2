"""Simulated glitches: transients of the instrument, which strike each detector by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from gwbench.data.psd import PsdTable, usable
from gwbench.data.whitening_filters import SCALE
from gwbench.errors import UserError, did_you_mean

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]
Int = NDArray[np.int64]

F_LOW = 20.0
"""Hz; the SNR counts what is above."""

GRID = 4.0
"""Seconds; glitches are no longer, and their SNR is a sum over bins of 1 / GRID."""

CHUNK = 32
"""Glitches in hand at a time, so that memory stays bounded and spectra in the processor's cache."""

MIN_RATE = 512.0
"""Hz; at a lower sample rate the bands below are empty."""


class Glitches(Protocol):
    """What puts glitches into noise."""

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
        """Put glitches into some windows, in place.

        Args:
            rng: the only source of randomness.
            noise: [n, D, K] float32 strain, margins included; changed.
            split: "train", "val" or "test".
            psds: PSDs of the noise.
            rows: [n, D] the row of `psds` that holds for a window and detector.
            detectors: D names.
            sample_rate: Hz.

        Returns:
            What is known of every window's glitches, each float64 [n], for each detector such as H1:
            `glitches_H1`, how many there are, and more about the loudest of them.
        """
        ...


# --- waveforms: n of unit amplitude, [n, at most GRID * sample_rate], at no particular place ---------------------


def blip(rng: np.random.Generator, n: int, sample_rate: float) -> Float32:
    """Sine-Gaussians exp(-t^2 / tau^2) sin(2 pi f t + phase) with Q = sqrt(2) pi f tau, short and featureless.

    f is log-uniform from 60 to 500 Hz (to a quarter of the sample rate, where that is less) and Q uniform from 2 to
    8: a few milliseconds to tens of them, as blips are (Cabero et al. 2019, arXiv:1901.05093).
    """
    frequency = _log_uniform(rng, n, 60.0, min(500.0, sample_rate / 4))
    tau = rng.uniform(2.0, 8.0, n) / (np.sqrt(2) * np.pi * frequency)
    phase = rng.uniform(0.0, 2 * np.pi, n)
    half = round(0.125 * sample_rate)  # four times the longest tau: down to 1e-7
    time = np.arange(-half, half) / sample_rate
    carrier = np.sin(2 * np.pi * frequency[:, None] * time + phase[:, None])
    return np.asarray(np.exp(-((time / tau[:, None]) ** 2)) * carrier, np.float32)


def scattered_light(rng: np.random.Generator, n: int, sample_rate: float) -> Float32:
    """Arches in the time-frequency plane: light that a swinging surface scatters back into the beam.

    Over one arch, half a swing of duration T, the fringe frequency is f(t) = f_max cos(pi t / T) and the strain
    sin(2 T f_max sin(pi t / T) + phase) (Accadia et al. 2010, doi:10.1088/0264-9381/27/19/194011; Soni et al. 2021,
    arXiv:2007.14876). Light that makes the way k times adds an arch of k f_max, here for k up to 1, 2 or 3 with
    amplitude 1 / k and a phase of its own. T is uniform from 0.5 to 3 s, f_max from 25 to 60 Hz. The ends, at 0 Hz,
    are tapered by the cosine that the frequency follows.
    """
    duration, f_max = rng.uniform(0.5, 3.0, (n, 1)), rng.uniform(25.0, 60.0, (n, 1))
    paths = rng.integers(1, 4, (n, 1))
    phases = rng.uniform(0.0, 2 * np.pi, (3, n, 1)).astype(np.float32)
    half = round(1.5 * sample_rate)
    time = np.arange(-half, half, dtype=np.float32) / np.float32(sample_rate)
    swing = np.clip(time / duration.astype(np.float32), -0.5, 0.5) * np.float32(np.pi)
    fringes = np.sin(swing) * (2 * duration * f_max).astype(np.float32)
    wave = np.zeros_like(fringes)
    for k, phase in enumerate(phases, start=1):
        some = paths[:, 0] >= k
        wave[some] += np.sin(k * fringes[some] + phase[some]) / np.float32(k)
    # In float32 the cosine of pi / 2 is a little below zero.
    return np.asarray(wave * np.maximum(np.cos(swing), 0), np.float32)


def ringing(rng: np.random.Generator, n: int, sample_rate: float) -> Float32:
    """Damped sinusoids exp(-t / tau) sin(2 pi f t + phase), t > 0, with Q = pi f tau: something that was struck.

    f is log-uniform from 100 to 500 Hz (to a quarter of the sample rate, where that is less), Q uniform from 20 to
    100. Half of them start suddenly; the others rise as 1 - exp(-t / rise), with the rise uniform up to tau.
    """
    frequency = _log_uniform(rng, n, 100.0, min(500.0, sample_rate / 4))[:, None]
    tau = rng.uniform(20.0, 100.0, (n, 1)) / (np.pi * frequency)
    phase = rng.uniform(0.0, 2 * np.pi, (n, 1))
    rise = rng.uniform(-1.0, 1.0, (n, 1)) * tau
    time = np.arange(1, round(2.0 * sample_rate), dtype=np.float32) / np.float32(sample_rate)  # 6 times the longest tau
    envelope = np.exp(-time / tau.astype(np.float32))
    smooth = rise[:, 0] > 0
    envelope[smooth] *= -np.expm1(-time / rise[smooth].astype(np.float32))
    carrier = np.sin((2 * np.pi * frequency).astype(np.float32) * time + phase.astype(np.float32))
    return np.asarray(envelope * carrier, np.float32)


def _log_uniform(rng: np.random.Generator, n: int, low: float, high: float) -> Float:
    return np.exp(rng.uniform(np.log(low), np.log(high), n))


GLITCH_KINDS: dict[str, Callable[[np.random.Generator, int, float], Float32]] = {
    "blip": blip,
    "scattered-light": scattered_light,
    "ringing": ringing,
}
"""Waveforms by name. The position here is the number that stands for a kind in stored data: append only."""


# --- glitches in windows -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SimulatedGlitches:
    """Glitches at random times, independent between detectors, in windows with a signal and without alike.

    The SNR is the optimal one of the whole glitch in its detector above 20 Hz, also where the window's end cuts it,
    in the convention of `pycbc.filter.sigma`: SNR^2 = 4 int |h(f)|^2 / S(f) df. Its density falls as SNR^-3 between
    the bounds, so that most glitches are faint: an idealisation of the steep fall seen in lists of triggers, not a fit
    to one. For scale: Gravity Spy classified 233,981 glitches of H1 and 379,805 of L1 above an SNR of 7.5 in the
    first three observing runs (Glanzer et al. 2023, arXiv:2208.12849), fewer than 0.1 per second.

    Attributes:
        rate: mean number per second and detector, of a Poisson distribution over the window and its margins.
        snr: lowest and highest.
        kinds: names of `GLITCH_KINDS`, each equally probable.

    Raises:
        UserError: a value that cannot be simulated.
    """

    rate: float
    snr: tuple[float, float] = (7.5, 100.0)
    kinds: tuple[str, ...] = tuple(GLITCH_KINDS)

    def __post_init__(self) -> None:
        if not 0 <= self.rate < np.inf:
            raise UserError(f"glitch rate = {self.rate:g} per second: expected 0 or more, such as 0.05.")
        if not 0 < self.snr[0] < self.snr[1] < np.inf:
            raise UserError(
                f"glitch SNR from {self.snr[0]:g} to {self.snr[1]:g}: expected two numbers above 0, the lower first, "
                "such as 7.5 and 100."
            )
        for kind in self.kinds:
            if kind not in GLITCH_KINDS:
                raise UserError(
                    f"Unknown kind of glitch {kind!r}: expected some of {', '.join(GLITCH_KINDS)}."
                    f"{did_you_mean(kind, GLITCH_KINDS)}"
                )
        if not self.kinds or len(set(self.kinds)) < len(self.kinds):
            raise UserError(
                f"glitch kinds = {','.join(self.kinds) or 'none'}: expected different names out of "
                f"{', '.join(GLITCH_KINDS)}."
            )

    def __str__(self) -> str:
        return (
            f"{self.rate:g} per second and detector ({', '.join(self.kinds)}), optimal SNR {self.snr[0]:g} to "
            f"{self.snr[1]:g} with a density that falls as SNR^-3"
        )

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
        margin: int = 0,
    ) -> dict[str, Float]:
        """Add glitches to some windows, in place; see `Glitches.apply`.

        Args:
            margin: samples at either end of `noise` that glitches reach into, and in which none has its centre.

        Returns:
            For each detector, such as H1, [n]: `glitches_H1`, how many were added, and of the loudest of them (NaN
            where there is none, the SNR 0, the kind -1) `glitch_snr_H1`, `glitch_time_H1` (seconds from the first
            sample of `noise`, margin included, to the centre of the glitch's energy) and `glitch_kind_H1` (position
            in `GLITCH_KINDS`).

        Raises:
            UserError: a sample rate below 512 Hz; a PSD that has no value where a glitch is.
        """
        if sample_rate < MIN_RATE:
            raise UserError(
                f"Glitches at a sample rate of {sample_rate:g} Hz: expected {MIN_RATE:g} Hz or more. Raise it, or "
                "leave the glitches out."
            )
        n, channels, samples = *noise.shape[:2], noise.shape[2] - 2 * margin
        counts = rng.poisson(self.rate * samples / sample_rate, (n, channels))
        window, channel = (np.repeat(index, counts.ravel()) for index in np.indices(counts.shape).reshape(2, -1))
        total = len(window)
        kind = rng.integers(len(self.kinds), size=total)
        snr = self._draw_snr(rng, total)
        centre = rng.integers(samples, size=total) + margin
        for number, name in enumerate(self.kinds):
            some = np.flatnonzero(kind == number)
            for start in range(0, len(some), CHUNK):
                part = some[start : start + CHUNK]
                waves = GLITCH_KINDS[name](rng, len(part), sample_rate)
                row = rows[window[part], channel[part]]
                waves *= (snr[part] / _unit_snr(waves, psds, row, sample_rate))[:, None].astype(np.float32)
                _add(noise, waves, window[part], channel[part], centre[part])
        columns = {
            "glitches": counts.astype(np.float64),
            "glitch_snr": np.zeros(counts.shape),
            "glitch_time": np.full(counts.shape, np.nan),
            "glitch_kind": np.full(counts.shape, -1.0),
        }
        loudest_last = np.argsort(snr, kind="stable")
        where = (window[loudest_last], channel[loudest_last])
        numbers = np.array([list(GLITCH_KINDS).index(name) for name in self.kinds])
        # Of several values for one place, numpy keeps the last.
        columns["glitch_snr"][where] = snr[loudest_last]
        columns["glitch_time"][where] = centre[loudest_last] / sample_rate
        columns["glitch_kind"][where] = numbers[kind[loudest_last]]
        return {f"{name}_{d}": values[:, i] for i, d in enumerate(detectors) for name, values in columns.items()}

    def _draw_snr(self, rng: np.random.Generator, n: int) -> Float:
        """From p(x) ~ x^-3, whose integral is that of a uniform distribution of x^-2."""
        return np.asarray(rng.uniform(self.snr[1] ** -2, self.snr[0] ** -2, n) ** -0.5)


def _unit_snr(waves: Float32, psds: PsdTable, rows: Int, sample_rate: float) -> Float:
    """[n] optimal SNR above `F_LOW` of waves [n, L] against the PSDs of some rows [n]."""
    size = round(GRID * sample_rate)
    delta_f = sample_rate / size
    used, which = np.unique(rows, return_inverse=True)
    psd = psds.on_grid(delta_f, size // 2 + 1)[used]
    counted = usable(psd) & (np.arange(psd.shape[-1]) * delta_f >= F_LOW)
    weight = np.where(counted, 1 / np.where(counted, psd * SCALE**2, 1.0), 0.0).astype(np.float32)
    spectrum = scipy.fft.rfft(waves, n=size)
    power = spectrum.real**2 + spectrum.imag**2
    squared = np.einsum("nf,nf->n", power, weight[which]).astype(np.float64)
    if not (squared > 0).all():
        raise UserError("A PSD has no value where a glitch is: measure it from cleaner or longer data.")
    # h(f) is the transform over sample_rate.
    return np.asarray(np.sqrt(4 * delta_f * squared) / sample_rate * SCALE)


def _add(noise: Float32, waves: Float32, window: Int, channel: Int, centre: Int) -> None:
    """Add each wave with the centre of its energy at a sample of one window and channel, as far as that reaches."""
    samples, length = noise.shape[-1], waves.shape[-1]
    # Strain squared underflows in float32.
    energy = np.square(waves / np.abs(waves).max(axis=-1, keepdims=True))
    offset = np.rint(energy @ np.arange(length, dtype=np.float32) / energy.sum(axis=-1)).astype(int)
    for wave, w, c, first in zip(waves, window, channel, centre - offset, strict=True):
        start, stop = max(first, 0), min(first + length, samples)
        noise[w, c, start:stop] += wave[start - first : stop - first]


__all__ = ["GLITCH_KINDS", "Glitches", "SimulatedGlitches"]
