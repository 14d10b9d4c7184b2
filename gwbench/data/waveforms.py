"""Gravitational waves at the detectors, in the frequency domain: polarisations by LAL, projection by pycbc."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gwbench.data.population import REFERENCE_GPS
from gwbench.data.psd import usable
from gwbench.errors import UserError, did_you_mean

Float = NDArray[np.float64]
Complex = NDArray[np.complexfloating[Any, Any]]

REFERENCE_DISTANCE = 1.0
"""Mpc; the luminosity distance of `polarizations`. Strain goes as its inverse."""

_LAL_LOCK = threading.Lock()
"""LAL's debug level is global: without a lock one thread would restore what another has just silenced."""


def polarizations(
    params: Mapping[str, NDArray[Any]],
    *,
    approximant: str = "IMRPhenomXAS",
    delta_f: float,
    f_low: float = 20.0,
    f_final: float,
) -> Complex:
    """Plus and cross polarisations of aligned-spin binaries at `REFERENCE_DISTANCE`.

    LAL is called directly: `pycbc.waveform` would make the same call and takes over a second to import.

    Args:
        params: `mass_1`, `mass_2` (solar masses), `spin_1z`, `spin_2z`, `inclination`, `phase` (radians),
            each [n].
        approximant: name of a frequency-domain approximant of LAL. The default is Pratten et al.,
            arXiv:2001.11412.
        delta_f: Hz between bins; `1 / delta_f` must be longer than the signal.
        f_low: Hz; zero below it.
        f_final: Hz, of the last bin.

    Returns:
        complex64 [n, 2, F], F = f_final / delta_f + 1. Time zero is coalescence as the approximant has it,
        within a few milliseconds of the amplitude's peak; `phase` is that at `f_low`.

    Raises:
        UserError: no such approximant, or LAL refuses the parameters.
    """
    import lal
    import lalsimulation as lalsim

    identity = _approximant(approximant)
    bins = round(f_final / delta_f) + 1
    columns = ("mass_1", "mass_2", "spin_1z", "spin_2z", "inclination", "phase")
    rows = np.stack([np.asarray(params[name], np.float64) for name in columns], axis=-1)
    waves = np.zeros((len(rows), 2, bins), np.complex64)
    distance = REFERENCE_DISTANCE * 1e6 * lal.PC_SI
    with _quiet_lal():
        for wave, (mass_1, mass_2, spin_1z, spin_2z, inclination, phase) in zip(waves, rows, strict=True):
            masses, spins = (mass_1 * lal.MSUN_SI, mass_2 * lal.MSUN_SI), (0.0, 0.0, spin_1z, 0.0, 0.0, spin_2z)
            angles = (inclination, phase, 0.0, 0.0, 0.0)
            try:
                plus, cross = lalsim.SimInspiralChooseFDWaveform(
                    *masses, *spins, distance, *angles, delta_f, f_low, f_final, f_low, None, identity
                )
            except RuntimeError as error:
                raise UserError(
                    f"{approximant} gives no waveform for masses {mass_1:g} and {mass_2:g} solar masses, spins "
                    f"{spin_1z:g} and {spin_2z:g} ({error}); choose narrower ranges or another approximant."
                ) from error
            wave[0, : plus.data.length] = plus.data.data[:bins]
            wave[1, : cross.data.length] = cross.data.data[:bins]
    return waves


def longest_signal(mass: float, spin: float, f_low: float) -> float:
    """LAL's upper bound, in seconds, on the time an equal-mass binary takes from `f_low` Hz to coalescence.

    Args:
        mass: of either component, solar masses.
        spin: of either component, along the orbital angular momentum.
        f_low: Hz.
    """
    import lal
    import lalsimulation as lalsim

    component = mass * lal.MSUN_SI
    return float(lalsim.SimInspiralChirpTimeBound(f_low, component, component, spin, spin))


def project(
    polarizations: Complex,
    params: Mapping[str, NDArray[Any]],
    detectors: Sequence[str],
    *,
    times: NDArray[Any],
    delta_f: float,
    gps: float = REFERENCE_GPS,
) -> Complex:
    """What each detector sees: antenna patterns, and the arrival time as a phase.

    Antenna patterns and delays are held at `gps`; over a few seconds the earth turns by 1e-4 rad.

    Args:
        polarizations: [n, 2, F], coalescence at time zero.
        params: `ra`, `dec`, `polarization` (radians), each [n].
        detectors: D names that pycbc knows.
        times: [n] coalescence at the centre of the earth, in seconds from the start of the time series.
        delta_f: Hz between bins.
        gps: GPS time of the earth's rotation.

    Returns:
        [n, D, F], in the precision of `polarizations`.

    Raises:
        UserError: unknown detector.
    """
    response, delay = detector_response(params, detectors, gps=gps)
    dtype = polarizations.dtype
    waves = response[..., 0, None].astype(dtype.type(0).real.dtype) * polarizations[:, None, 0]
    waves += response[..., 1, None].astype(dtype.type(0).real.dtype) * polarizations[:, None, 1]
    waves *= _time_shift(np.asarray(times)[:, None] + delay, delta_f, polarizations.shape[-1]).astype(dtype, copy=False)
    return waves


def detector_response(
    params: Mapping[str, NDArray[Any]], detectors: Sequence[str], *, gps: float = REFERENCE_GPS
) -> tuple[Float, Float]:
    """Antenna patterns and light travel times.

    Args:
        params: `ra`, `dec`, `polarization` (radians), each [n].
        detectors: D names that pycbc knows.
        gps: GPS time of the earth's rotation.

    Returns:
        Antenna patterns [n, D, 2] (plus, cross), and seconds from the centre of the earth [n, D].

    Raises:
        UserError: unknown detector.
    """
    ra, dec, polarization = (np.asarray(params[name], np.float64) for name in ("ra", "dec", "polarization"))
    instruments = [_detector(name) for name in detectors]
    patterns = [np.stack(one.antenna_pattern(ra, dec, polarization, gps), axis=-1) for one in instruments]
    delays = [one.time_delay_from_earth_center(ra, dec, gps) for one in instruments]
    return np.stack(patterns, axis=1), np.stack(delays, axis=1)


def optimal_snr(strain_fd: Complex, psds: NDArray[Any], delta_f: float) -> Float:
    """Optimal SNR per detector, sqrt(4 sum |h|^2 / S delta_f), the convention of `pycbc.filter.sigma`.

    Args:
        strain_fd: [n, D, F] Fourier transform of strain, in 1/Hz.
        psds: [D, F] one-sided, in 1/Hz; bins that are zero or not finite do not count.
        delta_f: Hz between bins.

    Returns:
        float64 [n, D].
    """
    valid = usable(psds)
    # |h|^2 of strain underflows in float32; h / sqrt(S) does not.
    weight = np.where(valid, np.sqrt(4 * delta_f / np.where(valid, psds, 1.0)), 0.0)
    whitened = strain_fd * weight.astype(strain_fd.real.dtype)
    power = np.sum(np.square(whitened.real) + np.square(whitened.imag), axis=-1)
    return np.asarray(np.sqrt(power), np.float64)


def _time_shift(times: Float, delta_f: float, bins: int) -> Complex:
    """exp(-2 pi i f t), complex64 [..., bins].

    Bin k = coarse * stride + fine, so two short exponentials and their outer product replace a long one.
    """
    stride = int(np.ceil(np.sqrt(bins)))
    angle = -2j * np.pi * delta_f * times[..., None]
    steps = np.arange(stride)
    coarse = np.exp(angle * (steps * stride)).astype(np.complex64)
    fine = np.exp(angle * steps).astype(np.complex64)
    product = coarse[..., :, None] * fine[..., None, :]
    return np.asarray(product.reshape(*times.shape, stride * stride)[..., :bins])


@cache
def _detector(name: str) -> Any:
    from pycbc.detector import Detector, get_available_detectors

    known = get_available_detectors()
    if name not in known:
        raise UserError(f"Unknown detector {name!r}: expected H1, L1, V1 or K1.{did_you_mean(name.upper(), known)}")
    return Detector(name)


@cache
def _approximant(name: str) -> int:
    import lalsimulation as lalsim

    with _quiet_lal():
        try:
            identity = int(lalsim.SimInspiralGetApproximantFromString(name))
        except RuntimeError:
            identity = -1
        if identity < 0 or not lalsim.SimInspiralImplementedFDApproximants(identity):
            known = ("IMRPhenomXAS", "IMRPhenomD", "IMRPhenomXHM")
            raise UserError(
                f"Approximant {name!r} is not a frequency-domain approximant of LAL: expected a name such as "
                f"{', '.join(known)}.{did_you_mean(name, known)}"
            )
    return identity


@contextmanager
def _quiet_lal() -> Iterator[None]:
    """Keep LAL from writing to stderr what it also raises."""
    import lal

    with _LAL_LOCK:
        level = lal.GetDebugLevel()
        lal.ClobberDebugLevel(0)
        try:
            yield
        finally:
            lal.ClobberDebugLevel(level)


__all__ = [
    "REFERENCE_DISTANCE",
    "detector_response",
    "longest_signal",
    "optimal_snr",
    "polarizations",
    "project",
]
