"""Simulated strain: coloured Gaussian noise, signals of a population, and windows of both in blocks."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from gwbench.contracts import Block
from gwbench.data.population import Parameters, Population, SnrDistribution
from gwbench.data.psd import check_name, default_psd, psd_values, resample_psd
from gwbench.data.waveforms import REFERENCE_DISTANCE, longest_signal, optimal_snr, polarizations, project
from gwbench.errors import UserError
from gwbench.seeds import sequence

Float32 = NDArray[np.float32]

BLOCK = 256
"""Windows generated from one seed sequence."""

CHUNK = 32
"""Windows in hand at a time: few enough for their spectra to stay in the processor's cache."""

SPLITS = ("train", "val", "test")
"""The order that numbers the splits in seed sequences."""

SIGNAL_GRID = 8.0
"""Seconds; the shortest time series a signal is transformed on."""


@dataclass(frozen=True)
class Signals:
    """Signals without noise.

    Attributes:
        strain: [n, D, window + 2 margin] float32.
        snr: [n] float64 optimal network SNR of the whole signal above `f_low`.
        parameters: each float64 [n]: those of `Population.sample`, `luminosity_distance` (Mpc) and the
            optimal SNR in each detector, `snr_H1` and so on.
    """

    strain: Float32
    snr: NDArray[np.float64]
    parameters: Parameters


def coloured_noise(
    rng: np.random.Generator, n: int, psds: NDArray[Any], sample_rate: float, samples: int, keep: int
) -> Float32:
    """Stationary Gaussian noise, independent between detectors and windows.

    Every window is cut out of a periodic series of its own, generated in the frequency domain. Twice as long
    as the window, it leaves no sample correlated with another across the period's edge.

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
        shape = (part.stop - start, *amplitude.shape, 2)
        spectrum = rng.standard_normal(shape, dtype=np.float32).view(np.complex64)[..., 0]
        spectrum *= amplitude
        noise[part] = scipy.fft.irfft(spectrum, n=samples, overwrite_x=True)[..., :keep]
    return noise


def signals(
    rng: np.random.Generator,
    n: int,
    *,
    population: Population,
    snr: SnrDistribution,
    detectors: tuple[str, ...],
    psds: tuple[NDArray[Any], float],
    sample_rate: float,
    window: int,
    margin: int,
    approximant: str = "IMRPhenomXAS",
    f_low: float = 20.0,
) -> Signals:
    """Signals of a population, each scaled in distance to the network SNR drawn for it.

    The SNR is the optimal one of the whole signal above `f_low`, in the convention of `pycbc.filter.sigma`;
    the network's is the root of the sum of the detectors' squares. `Population` says how much of it a window
    holds.

    Args:
        rng: the only source of randomness.
        n: signals.
        population: what is drawn; its `arrival` counts from the start of the window, without the margin.
        snr: the distribution of the network SNR.
        detectors: D names.
        psds: values [D, F] and the Hz between their bins, named or measured; interpolated to the signals'
            grid, with zero and NaN bins masked.
        sample_rate: Hz.
        window: samples.
        margin: samples of strain on either side of the window.
        approximant: see `polarizations`.
        f_low: Hz.

    Raises:
        UserError: an arrival outside the window, or a PSD without a single value above `f_low`.
    """
    if population.arrival[1] > window / sample_rate:
        raise UserError(
            f"arrival = {population.arrival[0]:g},{population.arrival[1]:g} s does not fit the window of "
            f"{window / sample_rate:g} s: choose a longer duration or an earlier arrival."
        )
    keep = window + 2 * margin
    seconds = _grid_seconds(population, keep / sample_rate, f_low)
    samples, delta_f = round(seconds * sample_rate), 1 / seconds
    psd = resample_psd(*psds, delta_f, samples // 2 + 1)
    for name, row in zip(detectors, psd, strict=True):
        if not row[int(f_low / delta_f) :].any():
            raise UserError(
                f"The PSD of {name} has no value above {f_low:g} Hz: measure it from cleaner or longer data."
            )
    parameters, target = population.sample(rng, n), snr.sample(rng, n)
    strain = np.empty((n, len(detectors), keep), np.float32)
    per_detector = np.empty((n, len(detectors)))
    scale = np.empty(n)
    for start in range(0, n, CHUNK):
        part = slice(start, start + CHUNK)
        some = {name: values[part] for name, values in parameters.items()}
        waves = polarizations(some, approximant=approximant, delta_f=delta_f, f_low=f_low, f_final=sample_rate / 2)
        times = some["geocent_time"] + margin / sample_rate
        waves = project(waves, some, detectors, times=times, delta_f=delta_f)
        per_detector[part] = optimal_snr(waves, psd, delta_f)
        scale[part] = target[part] / np.linalg.norm(per_detector[part], axis=-1)
        series = scipy.fft.irfft(waves, n=samples, overwrite_x=True)[..., :keep]
        strain[part] = series * (scale[part, None, None] * sample_rate).astype(np.float32)
    parameters["luminosity_distance"] = REFERENCE_DISTANCE / scale
    for channel, name in enumerate(detectors):
        parameters[f"snr_{name}"] = per_detector[:, channel] * scale
    return Signals(strain, target, parameters)


def _grid_seconds(population: Population, kept: float, f_low: float) -> float:
    """The length of the periodic series on which no signal's start wraps around into the kept stretch.

    The sharp start at `f_low` rings on, at `f_low`: what of that reaches a kept stretch of 2.5 s on an 8 s grid is
    less than 3 % of the signal's root-mean-square, 0.8 % after whitening, from 15 + 15 solar masses on.
    """
    longest = longest_signal(population.mass[0], max(population.spin), f_low)
    return max(SIGNAL_GRID, 2.0 ** math.ceil(math.log2(kept + longest)))


@dataclass(frozen=True)
class Simulation:
    """Windows of simulated strain, half of them with a signal.

    Attributes:
        detectors: D >= 2 different names of `gwbench.data.psd.CURATED`.
        psds: one PSD name per detector; empty for each detector's default.
        population, snr: what the signals are drawn from.
        sample_rate: Hz, a whole number.
        window, margin: samples; stored windows have a margin on either side.
        approximant: see `polarizations`.

    Raises:
        UserError: a value that cannot be simulated.
    """

    detectors: tuple[str, ...]
    psds: tuple[str, ...]
    population: Population
    snr: SnrDistribution
    sample_rate: float
    window: int
    margin: int
    approximant: str = "IMRPhenomXAS"

    def __post_init__(self) -> None:
        given = ",".join(self.detectors)
        defaults = tuple(default_psd(name) for name in self.detectors)
        if len(self.detectors) < 2:
            raise UserError(f"detectors = {given or 'none'}: expected at least two, such as H1,L1,V1.")
        if len(set(self.detectors)) < len(self.detectors):
            raise UserError(f"detectors = {given}: expected different detectors, such as H1,L1,V1.")
        if self.psds and len(self.psds) != len(self.detectors):
            raise UserError(
                f"psds = {','.join(self.psds)}: expected one name for each of {given}, in that order, such as "
                f"{','.join(defaults)}."
            )
        for name in self.psds:
            check_name(name)
        if not self.sample_rate > 0 or self.sample_rate % 1:
            raise UserError(f"sample_rate = {self.sample_rate:g}: expected a whole number of Hz, such as 2048.")
        if self.window < 1:
            raise UserError(
                f"duration = {self.window / self.sample_rate:g} s holds no sample: expected more, such as 2."
            )
        object.__setattr__(self, "psds", self.psds or defaults)

    def block(self, rng: np.random.Generator, n: int, split: str, start: int) -> Block:
        """`n` windows, `n // 2` of them with a signal, in random order."""
        noise_samples = 2 * (self.window + 2 * self.margin)
        signal_samples = int(SIGNAL_GRID * self.sample_rate)
        signal_psds = np.stack([psd_values(name, self.sample_rate, signal_samples) for name in self.psds])
        noise_psds = np.stack([psd_values(name, self.sample_rate, noise_samples) for name in self.psds])
        keep = self.window + 2 * self.margin
        return inject(
            rng,
            n,
            split,
            start,
            lambda: coloured_noise(rng, n, noise_psds, self.sample_rate, noise_samples, keep),
            population=self.population,
            snr=self.snr,
            detectors=self.detectors,
            psds=(signal_psds, 1 / SIGNAL_GRID),
            sample_rate=self.sample_rate,
            window=self.window,
            margin=self.margin,
            approximant=self.approximant,
        )


def inject(
    rng: np.random.Generator, n: int, split: str, start: int, noise: Callable[[], Float32], **options: Any
) -> Block:
    """`n` windows of noise, `n // 2` of them with a signal, in random order.

    Args:
        rng: the only source of randomness.
        n, split, start: of the block.
        noise: gives [n, D, T + 2 margin]; called when the signals have been drawn.
        options: of `signals`.
    """
    label = np.zeros(n, np.int8)
    label[: n // 2] = 1
    label = rng.permutation(label)
    loud = np.flatnonzero(label)
    found = signals(rng, len(loud), **options)
    strain = noise()
    strain[loud] += found.strain

    def spread(values: NDArray[Any]) -> Float32:
        column = np.full(n, np.nan, np.float32)
        column[loud] = values
        return column

    parameters = {name: spread(values) for name, values in found.parameters.items()}
    return Block(split, start, strain, label, spread(found.snr), parameters)


class Windows(Protocol):
    """What makes a block of windows: a `Simulation`, or injections into real noise."""

    def block(self, rng: np.random.Generator, n: int, split: str, start: int) -> Block:
        """`n` windows of a split from position `start`, drawn from `rng` alone."""
        ...


def simulate(simulation: Windows, sizes: Mapping[str, int], seed: int, workers: int = 1) -> Iterator[Block]:
    """All windows of a dataset, split by split, in blocks of `BLOCK`.

    Each block has a seed sequence of its own, so its windows depend neither on the other blocks nor on the
    number of workers.

    Args:
        simulation: what a window is.
        sizes: windows per split of `SPLITS`.
        seed: of the run.
        workers: threads; with 1 everything happens in the caller's.

    Raises:
        UserError: as in `signals`.
    """
    places = ((split, start) for split, size in sizes.items() for start in range(0, size, BLOCK))

    def call(split: str, start: int) -> tuple[Any, ...]:
        return simulation, seed, split, start, min(BLOCK, sizes[split] - start)

    return _in_order(_block, (call(*place) for place in places), workers)


def _block(simulation: Windows, seed: int, split: str, start: int, n: int) -> Block:
    key = (SPLITS.index(split), start // BLOCK)
    return simulation.block(np.random.default_rng(sequence(seed, "data", *key)), n, split, start)


def _in_order(function: Callable[..., Block], calls: Iterator[tuple[Any, ...]], workers: int) -> Iterator[Block]:
    """The results of calls, in order, from `workers` threads; at most `2 * workers` wait for the reader.

    Threads, because all but LAL's waveforms runs outside the interpreter's lock, while a new process takes
    several seconds to import what it needs and then has to send 16 MB per block.
    """
    if workers <= 1:
        for arguments in calls:
            yield function(*arguments)
        return
    with ThreadPoolExecutor(workers) as pool:
        waiting = deque(pool.submit(function, *arguments) for arguments in islice(calls, 2 * workers))
        try:
            while waiting:
                block = waiting.popleft().result()
                waiting.extend(pool.submit(function, *arguments) for arguments in islice(calls, 1))
                yield block
        finally:
            for future in waiting:
                future.cancel()


__all__ = ["BLOCK", "SPLITS", "Signals", "Simulation", "Windows", "coloured_noise", "inject", "signals", "simulate"]
