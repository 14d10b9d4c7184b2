"""Noise-free strain of binaries whose parameters are known, in the time domain."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from gwbench.simulation.dominant_mode import face_on
from gwbench.simulation.grids import grid_seconds
from gwbench.simulation.projection import detector_waves, time_shift
from gwbench.simulation.waveforms import REFERENCE_DISTANCE

Params = Mapping[str, NDArray[Any]]
Float32 = NDArray[np.float32]
Spectra = NDArray[np.complexfloating[Any, Any]]

CHUNK = 64
"""Binaries in hand at a time."""


def template_strain(
    params: Params,
    *,
    merger: float,
    sample_rate: float,
    samples: int,
    approximant: Literal["IMRPhenomXAS", "IMRPhenomD"],
    f_low: float,
) -> Iterator[tuple[NDArray[np.int64], Float32]]:
    """What a detector straight below binaries seen face-on measures: with its two phases, all that aligned spins give.

    Args:
        params: `mass_1`, `mass_2` (solar masses, detector frame), `spin_1z`, `spin_2z`, each [n].
        merger: seconds from the start of the series to coalescence.
        sample_rate: Hz.
        samples: length of the series.
        approximant: aligned spins, the (2, 2) mode alone.
        f_low: Hz; nothing below it.

    Yields:
        Positions [m] and strain [m, 1, samples] at `REFERENCE_DISTANCE`, until all n have come.

    Raises:
        UserError: the approximant refuses the parameters.
    """

    def spectra(part: Params, times: NDArray[np.float64], delta_f: float) -> Spectra:
        base = face_on(
            {**part, "phase": np.zeros(len(times))},
            approximant=approximant,
            delta_f=delta_f,
            f_low=f_low,
            f_final=sample_rate / 2,
            distance=REFERENCE_DISTANCE,
        )
        waves = np.zeros((len(times), 1, round(sample_rate / 2 / delta_f) + 1), np.complex64)
        waves[:, 0, base.first :] = base.waves * time_shift(times, delta_f, base.first, base.waves.shape[-1])
        return waves

    times = np.full(len(params["mass_1"]), merger)
    yield from _time_series(
        spectra, params, times, sample_rate=sample_rate, samples=samples, approximant=approximant, f_low=f_low
    )


def signal_strain(
    params: Params,
    detectors: Sequence[str],
    *,
    margin: float,
    sample_rate: float,
    samples: int,
    approximant: str,
    f_low: float,
    gps: float,
) -> Iterator[tuple[NDArray[np.int64], Float32]]:
    """The signals of known binaries, as they were added to simulated noise.

    Args:
        params: as simulated datasets have them, each [n]: those of `gwbench.simulation.waveforms.polarizations`,
            `ra`, `dec`, `polarization` (radians), `luminosity_distance` (Mpc) and `geocent_time` (seconds after the
            window's start).
        detectors: D names.
        margin: seconds of strain before the window's start.
        sample_rate: Hz.
        samples: length of the series, with both margins.
        approximant: any that pycbc knows.
        f_low: Hz; nothing below it.
        gps: GPS time of the earth's rotation.

    Yields:
        Positions [m] and strain [m, D, samples], until all n have come.

    Raises:
        UserError: unknown detector or approximant, or it refuses the parameters.
    """

    def spectra(part: Params, times: NDArray[np.float64], delta_f: float) -> Spectra:
        waves = detector_waves(
            part,
            detectors,
            times=times,
            approximant=approximant,
            delta_f=delta_f,
            f_low=f_low,
            f_final=sample_rate / 2,
            gps=gps,
        )
        waves *= (REFERENCE_DISTANCE / part["luminosity_distance"]).astype(np.float32)[:, None, None]
        return waves

    times = params["geocent_time"] + margin
    yield from _time_series(
        spectra, params, times, sample_rate=sample_rate, samples=samples, approximant=approximant, f_low=f_low
    )


def _time_series(
    spectra: Callable[[Params, NDArray[np.float64], float], Spectra],
    params: Params,
    times: NDArray[np.float64],
    *,
    sample_rate: float,
    samples: int,
    approximant: str,
    f_low: float,
) -> Iterator[tuple[NDArray[np.int64], Float32]]:
    """The first `samples` of the inverse transforms, on series long enough for no start to wrap around into these."""
    grids = grid_seconds(params, times, samples / sample_rate, approximant=approximant, f_low=f_low)
    for seconds in np.unique(grids):
        alike = np.flatnonzero(grids == seconds)
        for start in range(0, len(alike), CHUNK):
            part = alike[start : start + CHUNK]
            waves = spectra({name: values[part] for name, values in params.items()}, times[part], 1 / seconds)
            series = scipy.fft.irfft(waves, n=round(seconds * sample_rate), overwrite_x=True)[..., :samples]
            yield part, series * np.float32(sample_rate)


__all__ = ["signal_strain", "template_strain"]
