"""Signals of a population as the detectors see them, at the SNR asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from gwbench.data.psd import PsdTable, usable
from gwbench.errors import UserError
from gwbench.simulation.grids import SHORTEST_GRID, grid_seconds
from gwbench.simulation.injection_settings import InjectionSettings
from gwbench.simulation.population import REFERENCE_GPS, Parameters, Population, load_population
from gwbench.simulation.projection import detector_waves, weighted_norm
from gwbench.simulation.snr_models import FromDistance, SnrDistribution
from gwbench.simulation.waveforms import REFERENCE_DISTANCE, approximant_source

Float32 = NDArray[np.float32]

CHUNK = 32
"""Signals in hand at a time: few enough for their spectra to stay in the processor's cache."""

CHUNK_SAMPLES = 1 << 21
"""Samples of the signals in hand at a time, of each detector: fewer signals where they are long, which would else take
gigabytes."""

OF_DISTANCE = ("redshift", "mass_1_source", "mass_2_source", "chirp_distance")
"""Parameters that follow from the population's distance."""

MOST_TRIES = 1000
"""Signals drawn for every one that is loud enough, before giving up."""

SURELY = 0.9
"""What is fainter than this part of the least SNR, on a coarse grid of frequencies, is not looked at more closely."""


@dataclass(frozen=True)
class Signals:
    """Signals without noise.

    Attributes:
        strain: [n, D, window + 2 margin] float32.
        snr: [n] float64 optimal network SNR of the whole signal above `f_low`.
        parameters: each float64 [n]: those of `Population.sample`, `geocent_time` (coalescence at the centre of the
            earth, seconds after the window's start), `luminosity_distance` (Mpc, that gives the SNR) and the optimal
            SNR in each detector, `snr_H1` and so on. Where the SNR is drawn, redshift and source-frame masses are not
            among them: they would belong to the population's distance, not to this one.
    """

    strain: Float32
    snr: NDArray[np.float64]
    parameters: Parameters


@dataclass(frozen=True)
class SignalModel:
    """What signals are drawn from.

    Attributes:
        population: masses, spins, orientations and distances.
        snr_distribution: the network SNR.
        arrival: range of the coalescence time at the centre of the earth, seconds after the window's start, uniform.
        approximant: see `gwbench.simulation.waveforms.polarizations`.
        f_low: Hz; signals begin here, and their SNR counts from here.
        gps: GPS time at which the earth's rotation is held.

    Raises:
        UserError: unknown approximant, distances asked of a population without, or a value that makes no sense.
    """

    population: Population
    snr_distribution: SnrDistribution
    arrival: tuple[float, float]
    approximant: str = "IMRPhenomXAS"
    f_low: float = 20.0
    gps: float = REFERENCE_GPS

    def __post_init__(self) -> None:
        low, high = self.arrival
        if not 0 <= low <= high:
            raise UserError(
                f"arrival = {low:g},{high:g} is not a range: expected two numbers of seconds, the lower first."
            )
        if not self.f_low >= 5:
            raise UserError(f"f_low = {self.f_low:g} Hz: expected at least 5, such as 20.")
        if not self.gps > 0:
            raise UserError(f"gps = {self.gps:g}: expected a GPS time in seconds, such as {REFERENCE_GPS:.0f}.")
        if isinstance(self.snr_distribution, FromDistance) and not self.population.has_distance:
            raise UserError(
                f"snr_model = distance: the population {self.population.name} has no distances. Choose another "
                "population or another snr_model."
            )
        approximant_source(self.approximant)

    @classmethod
    def create(cls, *, duration: float, **settings: Any) -> SignalModel:
        """As `of`, from the values of `InjectionSettings` by name."""
        return cls.of(InjectionSettings(**settings), duration)

    @classmethod
    def of(cls, settings: InjectionSettings, duration: float) -> SignalModel:
        """The model that settings describe, for windows of `duration` seconds.

        Raises:
            UserError: as the class, `load_population` and `SnrDistribution.create`.
        """
        population = load_population(settings.population).with_ranges(mass=settings.mass, spin=settings.spin)
        return cls(
            population,
            SnrDistribution.create(settings.snr_model, settings.snr),
            settings.arrival or (0.7 * duration, 0.95 * duration),
            settings.approximant,
            settings.f_low,
            settings.gps,
        )

    def __str__(self) -> str:
        return (
            f"{self.population}, coalescence uniform in [{self.arrival[0]:g}, {self.arrival[1]:g}] s of the window; "
            f"waveform {self.approximant} from {self.f_low:g} Hz; optimal network SNR {self.snr_distribution}, of the "
            f"whole signal above {self.f_low:g} Hz; earth's rotation held at GPS {self.gps:.0f}"
        )

    def check(self, duration: float) -> None:
        """Raise `UserError` unless coalescence falls into a window of `duration` seconds."""
        if self.arrival[1] > duration:
            raise UserError(
                f"arrival = {self.arrival[0]:g},{self.arrival[1]:g} s does not fit the window of {duration:g} s: "
                "choose a longer duration or an earlier arrival."
            )

    def draw(
        self,
        rng: np.random.Generator,
        n: int,
        *,
        detectors: tuple[str, ...],
        psds: PsdTable,
        rows: NDArray[np.integer[Any]],
        sample_rate: float,
        window: int,
        margin: int,
    ) -> Signals:
        """`n` signals.

        The SNR is the optimal one of the whole signal above `f_low`, in the convention of `pycbc.filter.sigma`; the
        network's is the root of the sum of the detectors' squares.

        Args:
            rng: the only source of randomness.
            n: signals.
            detectors: D names.
            psds: named or measured PSDs.
            rows: [n, D] which of them is the noise behind each signal in each detector.
            sample_rate: Hz.
            window: samples.
            margin: samples of strain on either side of the window.

        Raises:
            UserError: an arrival outside the window, a PSD without a single value above `f_low`, or hardly a signal
                that is loud enough.
        """
        self.check(window / sample_rate)
        keep = window + 2 * margin
        strain = np.empty((n, len(detectors), keep), np.float32)
        columns: Parameters = {}
        waiting, tries = np.arange(n), 0
        while len(waiting) or not columns:  # once at least, so that no signals have the same columns as some
            tries += len(waiting)
            if tries > MOST_TRIES * max(n, 16):
                raise UserError(
                    f"Fewer than 1 in {MOST_TRIES} signals of {self.population.name} has a network SNR "
                    f"{self.snr_distribution}: ask for fainter ones."
                )
            parameters = self.population.sample(rng, len(waiting))
            parameters["geocent_time"] = rng.uniform(*self.arrival, len(waiting))
            snr = self.snr_distribution.drawn(rng, len(waiting))
            places = waiting
            if snr is not None:
                parameters = {name: values for name, values in parameters.items() if name not in OF_DISTANCE}
            elif self.snr_distribution.selects and approximant_source(self.approximant) != "pycbc-td":
                # A series in the time domain would lose its start on a short grid.
                heard = self._perhaps_audible(parameters, detectors, psds, rows[waiting], sample_rate)
                parameters, places = {name: values[heard] for name, values in parameters.items()}, waiting[heard]
            kept = self._transform(
                parameters, snr, strain, places, detectors, psds, rows[places], sample_rate, keep, margin / sample_rate
            )
            for name, values in parameters.items():
                columns.setdefault(name, np.empty(n))[places[kept]] = values[kept]
            waiting = np.setdiff1d(waiting, places[kept], assume_unique=True)
        network = np.sqrt(sum(np.square(columns[f"snr_{name}"]) for name in detectors))
        return Signals(strain, network, columns)

    def _transform(
        self,
        parameters: Parameters,
        snr: NDArray[np.float64] | None,
        strain: Float32,
        places: NDArray[np.int64],
        detectors: tuple[str, ...],
        psds: PsdTable,
        rows: NDArray[np.integer[Any]],
        sample_rate: float,
        keep: int,
        margin: float,
    ) -> NDArray[np.bool_]:
        """Write the signals that are loud enough to their places; add distances and SNRs to `parameters`.

        Returns:
            [n] which ones these are.
        """
        times = parameters["geocent_time"] + margin
        used, rows = _numbered(rows)
        kept = np.zeros(len(places), bool)
        distance = np.empty(len(places))
        per_detector = np.empty((len(places), len(detectors)))
        grids = grid_seconds(parameters, times, keep / sample_rate, approximant=self.approximant, f_low=self.f_low)
        for seconds in np.unique(grids):
            samples = round(seconds * sample_rate)
            weight = self._weights(psds, used, rows, detectors, 1 / seconds, samples)
            alike = np.flatnonzero(grids == seconds)
            chunk = min(CHUNK, max(1, CHUNK_SAMPLES // samples))
            for start in range(0, len(alike), chunk):
                part = alike[start : start + chunk]
                waves = detector_waves(
                    {name: values[part] for name, values in parameters.items()},
                    detectors,
                    times=times[part],
                    approximant=self.approximant,
                    delta_f=1 / seconds,
                    f_low=self.f_low,
                    f_final=sample_rate / 2,
                    gps=self.gps,
                )
                at_reference = weighted_norm(waves, weight[rows[part]])
                reference_snr = np.linalg.norm(at_reference, axis=1)
                if snr is None:
                    distance[part] = parameters["luminosity_distance"][part]
                else:
                    distance[part] = REFERENCE_DISTANCE * reference_snr / snr[part]
                scale = REFERENCE_DISTANCE / distance[part]
                per_detector[part] = at_reference * scale[:, None]
                loud = self.snr_distribution.audible(reference_snr * scale)
                kept[part] = loud
                series = scipy.fft.irfft(waves[loud], n=samples, overwrite_x=True)[..., :keep]
                strain[places[part[loud]]] = series * (scale[loud, None, None] * sample_rate).astype(np.float32)
        parameters["luminosity_distance"] = distance
        for channel, name in enumerate(detectors):
            parameters[f"snr_{name}"] = per_detector[:, channel]
        return kept

    def _perhaps_audible(
        self,
        parameters: Parameters,
        detectors: tuple[str, ...],
        psds: PsdTable,
        rows: NDArray[np.integer[Any]],
        sample_rate: float,
    ) -> NDArray[np.bool_]:
        """[n] all but what is surely too faint at its distance: a grid too short for the strain serves for the SNR."""
        used, rows = _numbered(rows)
        delta_f = 1 / SHORTEST_GRID
        weight = self._weights(psds, used, rows, detectors, delta_f, round(SHORTEST_GRID * sample_rate))
        snr = np.empty(len(rows))
        for start in range(0, len(rows), CHUNK):
            part = slice(start, start + CHUNK)
            waves = detector_waves(
                {name: values[part] for name, values in parameters.items()},
                detectors,
                times=np.zeros(len(rows[part])),
                approximant=self.approximant,
                delta_f=delta_f,
                f_low=self.f_low,
                f_final=sample_rate / 2,
                gps=self.gps,
            )
            at_reference = np.linalg.norm(weighted_norm(waves, weight[rows[part]]), axis=1)
            snr[part] = at_reference * REFERENCE_DISTANCE / parameters["luminosity_distance"][part]
        return self.snr_distribution.audible(snr / SURELY)

    def _weights(
        self,
        psds: PsdTable,
        used: NDArray[np.integer[Any]],
        rows: NDArray[np.integer[Any]],
        detectors: tuple[str, ...],
        delta_f: float,
        samples: int,
    ) -> Float32:
        """[len(used), F] what a Fourier transform is multiplied by so that its norm is the optimal SNR."""
        values = psds.on_grid(delta_f, samples // 2 + 1)[used]
        above = usable(values)
        above[:, : int(np.ceil(self.f_low / delta_f))] = False
        for channel, name in enumerate(detectors):
            if not above[rows[:, channel]].any(axis=1).all():
                raise UserError(
                    f"The PSD of {name} has no value above {self.f_low:g} Hz: measure it from cleaner or longer data."
                )
        return np.where(above, np.sqrt(4 * delta_f / np.where(above, values, 1.0)), 0.0).astype(np.float32)


def _numbered(rows: NDArray[np.integer[Any]]) -> tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]]]:
    """The rows of a table that are used at all, and `rows` [n, D] as positions among these."""
    used, positions = np.unique(rows, return_inverse=True)
    return used, positions.reshape(rows.shape)


__all__ = ["SignalModel", "Signals"]
