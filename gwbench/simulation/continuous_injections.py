"""Signals that are injected into continuous strain, and what is known of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from gwbench.seeds import numpy_generator
from gwbench.simulation.chirp_distance import ChirpDistance
from gwbench.simulation.continuous_noise import INJECTIONS, ContinuousNoise
from gwbench.simulation.grids import grid_seconds
from gwbench.simulation.population import Parameters, Population
from gwbench.simulation.projection import detector_waves, optimal_snr
from gwbench.simulation.waveforms import REFERENCE_DISTANCE

Float32 = NDArray[np.float32]

AFTER = 1.0
"""Seconds of a wave after coalescence."""

TAPER = 0.25
"""Seconds over which a wave fades in and out at its ends; `grid_seconds` keeps more than that free before f_low."""

NAMES = {
    "mass_1": "mass1",
    "mass_2": "mass2",
    **{f"spin_{body}{axis}": f"spin{body}{axis}" for body in (1, 2) for axis in "xyz"},
    "ra": "ra",
    "dec": "dec",
    "inclination": "inclination",
    "polarization": "polarization",
    "phase": "coa_phase",
    "luminosity_distance": "distance",
    "chirp_distance": "chirp_distance",
    "redshift": "redshift",
    "mass_1_source": "srcmass1",
    "mass_2_source": "srcmass2",
}
"""What pycbc's files of injections, and so the MLGWSC-1 challenge's, call the parameters of a binary."""

SPINS = tuple(name for name in NAMES if name.startswith("spin_"))


@dataclass(frozen=True)
class Wave:
    """What the detectors see of one binary.

    Attributes:
        first: sample of the segment at which it begins; below 0 where it began before.
        strain: [D, n] float32.
        snr: [D] optimal SNR.
    """

    first: int
    strain: Float32
    snr: NDArray[np.float64]


@dataclass(frozen=True)
class ContinuousSignals:
    """What is injected into continuous strain, and when.

    Attributes:
        population: of binaries. Where it has no distances, `chirp_distance` gives them.
        approximant: see `gwbench.simulation.waveforms.polarizations`.
        f_low: Hz, where signals begin and from which their SNR counts.
        spacing: seconds from one coalescence to the next, uniform between these.
        edge: seconds at either end of a segment in which no binary coalesces.
        chirp_distance: instead of the population's distances.
    """

    population: Population
    approximant: str
    f_low: float
    spacing: tuple[float, float]
    edge: float
    chirp_distance: ChirpDistance | None

    def __str__(self) -> str:
        distance = f", {self.chirp_distance} instead of the population's distances" if self.chirp_distance else ""
        return (
            f"{self.population}{distance}; waveform {self.approximant} from {self.f_low:g} Hz; one every "
            f"{self.spacing[0]:g} to {self.spacing[1]:g} s"
        )

    def draw(self, seed: int, number: int, seconds: float) -> Parameters:
        """The binaries of a segment, in order of time.

        Args:
            seed: of all random numbers.
            number: of the segment.
            seconds: its length.

        Returns:
            One array [n] per parameter: those of `Population.sample`, all six spins, and `time`, seconds from the
            segment's start to coalescence at the centre of the earth.
        """
        rng = numpy_generator(seed, "continuous", INJECTIONS, number)
        most = int(seconds / self.spacing[0]) + 1
        steps = rng.uniform(*self.spacing, most)
        times = self.edge + np.cumsum(steps) - steps[0] + rng.uniform(0, self.spacing[0])
        times = times[times <= seconds - self.edge]
        drawn = self.population.sample(rng, len(times))
        if self.chirp_distance is not None:
            distances = ("redshift", "mass_1_source", "mass_2_source")
            drawn = {name: values for name, values in drawn.items() if name not in distances}
            drawn |= self.chirp_distance.sample(rng, drawn["mass_1"], drawn["mass_2"])
        spins = {name: drawn.get(name, np.zeros(len(times))) for name in SPINS}
        return {**drawn, **spins, "time": times}

    def spans(self, parameters: Parameters, sample_rate: float) -> NDArray[np.int64]:
        """[n, 2] the samples of the segment at which each wave begins and ends, half open."""
        length = self._grid(parameters)
        first = np.floor((parameters["time"] - (length - AFTER)) * sample_rate).astype(np.int64)
        return np.stack([first, first + np.rint(length * sample_rate).astype(np.int64)], axis=1)

    def wave(
        self,
        binary: Mapping[str, float],
        noise: ContinuousNoise,
        detectors: tuple[str, ...],
        sample_rate: float,
    ) -> Wave:
        """What the detectors see of one binary: antenna patterns and delays at its coalescence.

        Args:
            binary: its parameters, as `draw` gives them.
            noise: the segment, for the PSDs that the SNR counts with.
            detectors: D names.
            sample_rate: Hz.
        """
        one: Parameters = {name: np.array([value]) for name, value in binary.items()}
        seconds = float(self._grid(one)[0])
        first = int(self.spans(one, sample_rate)[0, 0])
        samples = round(seconds * sample_rate)
        waves = detector_waves(
            one,
            detectors,
            times=one["time"] - first / sample_rate,
            approximant=self.approximant,
            delta_f=1 / seconds,
            f_low=self.f_low,
            f_final=sample_rate / 2,
            gps=noise.start + binary["time"],
        )
        scale = REFERENCE_DISTANCE / binary["luminosity_distance"]
        centre = min(max(round(binary["time"] * sample_rate), 0), noise.samples - 1)
        psds = noise.psds.on_grid(1 / seconds, samples // 2 + 1)[noise.rows(centre)].copy()
        psds[:, : int(np.ceil(self.f_low * seconds - 1e-9))] = 0.0
        snr = optimal_snr(waves, psds, 1 / seconds)[0] * scale
        series = scipy.fft.irfft(waves[0], n=samples) * np.float32(scale * sample_rate)
        ramp = round(TAPER * sample_rate)
        fade = (np.sin(np.linspace(0, np.pi / 2, ramp)) ** 2).astype(np.float32)
        series[:, :ramp] *= fade
        series[:, -ramp:] *= fade[::-1]
        return Wave(first, series, snr)

    def waves(
        self, parameters: Parameters, noise: ContinuousNoise, detectors: tuple[str, ...], sample_rate: float
    ) -> Iterator[tuple[int, Wave]]:
        """Every binary's number and wave, in order of the waves' first samples, each made when it is asked for."""
        starts = self.spans(parameters, sample_rate)[:, 0]
        for number in np.argsort(starts, kind="stable").tolist():
            binary = {name: float(values[number]) for name, values in parameters.items()}
            yield number, self.wave(binary, noise, detectors, sample_rate)

    def _grid(self, parameters: Parameters) -> NDArray[np.float64]:
        """[n] seconds of the periodic series that hold the waves; coalescence is `AFTER` before their ends."""
        times = np.zeros(len(parameters["time"]))
        return grid_seconds(parameters, times, AFTER, approximant=self.approximant, f_low=self.f_low)


def columns(
    parameters: Parameters, start: int, snr: NDArray[np.float64], detectors: tuple[str, ...]
) -> dict[str, NDArray[Any]]:
    """What a file of injections says of those of one segment.

    Args:
        parameters: as `ContinuousSignals.draw` gives them.
        start: GPS seconds of the segment.
        snr: [n, D] optimal SNR.
        detectors: D names.

    Returns:
        One array [n] per column of `NAMES`; `tc`, GPS seconds of coalescence at the centre of the earth; the optimal
        SNRs `optimal_snr_H1` and so on, and `optimal_snr`, the network's.
    """
    table = {NAMES[name]: values for name, values in parameters.items() if name in NAMES}
    table["tc"] = start + parameters["time"]
    table |= {f"optimal_snr_{name}": snr[:, channel] for channel, name in enumerate(detectors)}
    return {**table, "optimal_snr": np.sqrt(np.sum(snr**2, axis=1))}


__all__ = ["ContinuousSignals", "Wave", "columns"]
