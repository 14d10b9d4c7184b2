"""What the detectors see of a wave: antenna patterns, arrival times, and the optimal SNR."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gwbench.data.psd import usable
from gwbench.errors import UserError, did_you_mean
from gwbench.simulation.dominant_mode import APPROXIMANTS, face_on
from gwbench.simulation.population import REFERENCE_GPS
from gwbench.simulation.waveforms import REFERENCE_DISTANCE, polarizations

Float = NDArray[np.float64]
Complex = NDArray[np.complexfloating[Any, Any]]


def detector_waves(
    params: Mapping[str, NDArray[Any]],
    detectors: Sequence[str],
    *,
    times: NDArray[Any],
    approximant: str,
    delta_f: float,
    f_low: float,
    f_final: float,
    gps: float = REFERENCE_GPS,
) -> Complex:
    """The Fourier transform of what each detector sees of some binaries at `REFERENCE_DISTANCE`.

    The same as `project` of `polarizations`, by a shorter way for waveforms of one mode.

    Args:
        params: as in `polarizations`, and `ra`, `dec`, `polarization` (radians), each [n].
        detectors: D names that pycbc knows.
        times: [n] coalescence at the centre of the earth, in seconds from the start of the time series.
        approximant: see `polarizations`.
        delta_f: Hz between bins.
        f_low: Hz; nothing below it.
        f_final: Hz, of the last bin.
        gps: GPS time of the earth's rotation.

    Returns:
        complex64 [n, D, F], F = f_final / delta_f + 1, in 1/Hz.

    Raises:
        UserError: unknown detector or approximant, or LAL refuses the parameters.
    """
    grid: dict[str, Any] = {"approximant": approximant, "delta_f": delta_f, "f_low": f_low, "f_final": f_final}
    if approximant not in APPROXIMANTS:
        return project(polarizations(params, **grid), params, detectors, times=times, delta_f=delta_f, gps=gps)
    base = face_on(params, distance=REFERENCE_DISTANCE, **grid)
    response, delay = detector_response(params, detectors, gps=gps)
    cosine = np.cos(params["inclination"])[:, None]
    factor = response[..., 0] * (1 + cosine**2) / 2 - 1j * response[..., 1] * cosine
    waves = np.zeros((*delay.shape, round(f_final / delta_f) + 1), np.complex64)
    inside = waves[..., base.first :]
    shift = time_shift(np.asarray(times)[:, None] + delay, delta_f, base.first, inside.shape[-1], factor)
    np.multiply(base.waves[:, None], shift, out=inside)
    return waves


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
    shift = time_shift(np.asarray(times)[:, None] + delay, delta_f, 0, polarizations.shape[-1])
    waves *= shift.astype(dtype, copy=False)
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
        psds: [D, F] or [n, D, F] one-sided, in 1/Hz; bins that are zero or not finite do not count.
        delta_f: Hz between bins.

    Returns:
        float64 [n, D].
    """
    valid = usable(psds)
    # |h|^2 of strain underflows in float32; h / sqrt(S) does not.
    weight = np.where(valid, np.sqrt(4 * delta_f / np.where(valid, psds, 1.0)), 0.0)
    return weighted_norm(strain_fd, weight.astype(strain_fd.real.dtype))


def weighted_norm(strain_fd: Complex, weight: NDArray[Any]) -> Float:
    """sqrt(sum |weight h|^2) over the last axis, float64 [n, D], of [n, D, F] and weights that broadcast to it."""
    whitened = strain_fd * weight
    parts = whitened.view(whitened.real.dtype)
    return np.asarray(np.sqrt(np.einsum("...f,...f->...", parts, parts)), np.float64)


def time_shift(
    times: Float, delta_f: float, first: int, bins: int, factor: NDArray[Any] | float = 1.0
) -> NDArray[np.complex64]:
    """Factor exp(-2 pi i f t), complex64 [..., bins], for times [...] and the `bins` bins from `first` on.

    Bin k = first + coarse * stride + fine, so two short exponentials and their outer product replace a long one.
    """
    stride = int(np.ceil(np.sqrt(bins)))
    angle = -2j * np.pi * delta_f * times[..., None]
    steps = np.arange(stride)
    coarse = (np.exp(angle * (first + steps * stride)) * np.asarray(factor)[..., None]).astype(np.complex64)
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


__all__ = ["detector_response", "detector_waves", "optimal_snr", "project", "time_shift", "weighted_norm"]
