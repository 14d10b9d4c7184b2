"""Waveforms, projection and SNR against pycbc used one source at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pycbc.detector import Detector
from pycbc.filter import sigma
from pycbc.psd import from_string
from pycbc.types import FrequencySeries
from pycbc.waveform import get_fd_waveform, get_td_waveform

from gwbench.errors import UserError
from gwbench.simulation.population import REFERENCE_GPS, load_population
from gwbench.simulation.projection import detector_response, detector_waves, optimal_snr, project
from gwbench.simulation.waveforms import REFERENCE_DISTANCE, approximant_source, polarizations, signal_seconds

DETECTORS = ("H1", "L1", "V1", "K1")
DELTA_F, F_FINAL, F_LOW = 0.125, 1024.0, 20.0
FREQUENCY = np.arange(8193) * DELTA_F


def draw(n: int, seed: int = 0) -> dict[str, Any]:
    return load_population("flat-bbh").sample(np.random.default_rng(seed), n)


def pycbc_arguments(params: dict[str, Any], i: int) -> dict[str, Any]:
    names = {"mass1": "mass_1", "mass2": "mass_2"}
    names |= {name.replace("_", ""): name for name in params if name.startswith("spin")}
    names |= {"inclination": "inclination", "coa_phase": "phase"}
    values = {ours: float(params[theirs][i]) for ours, theirs in names.items()}
    return {**values, "distance": REFERENCE_DISTANCE, "f_lower": F_LOW, "f_ref": F_LOW}


@pytest.mark.parametrize("approximant", ["IMRPhenomXAS", "IMRPhenomD", "IMRPhenomXP", "IMRPhenomXPHM"])
def test_polarizations_are_pycbcs(approximant: str) -> None:
    precesses = approximant in ("IMRPhenomXP", "IMRPhenomXPHM")
    # XPHM multibands its modes to within 1e-3, and lands elsewhere for masses rounded otherwise.
    tolerance = 1e-3 if approximant == "IMRPhenomXPHM" else 1e-6
    params = load_population("flat-precessing" if precesses else "flat-bbh").sample(np.random.default_rng(0), 4)
    waves = polarizations(params, approximant=approximant, delta_f=DELTA_F, f_final=F_FINAL)
    assert waves.shape == (4, 2, 8193)
    assert waves.dtype == np.complex64
    for i in range(4):
        theirs = get_fd_waveform(
            approximant=approximant, delta_f=DELTA_F, f_final=F_FINAL, **pycbc_arguments(params, i)
        )
        for ours, series in zip(waves[i], theirs, strict=True):
            expected = series.numpy()
            expected[: int(F_LOW / DELTA_F)] = 0
            np.testing.assert_allclose(ours, expected, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize(("approximant", "start", "low"), [("IMRPhenomT", 8.0, 22.0), ("IMRPhenomTPHM", 17.0, 60.0)])
def test_time_domain_waveforms_are_pycbcs(approximant: str, start: float, low: float) -> None:
    """Above where the starts of the series reach: with higher modes, further up."""
    assert approximant_source(approximant) == "pycbc-td"
    name = "flat-precessing" if approximant == "IMRPhenomTPHM" else "flat-bbh"
    params = load_population(name).sample(np.random.default_rng(1), 3)
    waves = polarizations(params, approximant=approximant, delta_f=DELTA_F, f_final=F_FINAL).astype(complex)
    assert np.abs(waves[..., : int(F_LOW / DELTA_F)]).max() == 0
    band = (low <= FREQUENCY) & (FREQUENCY <= 600)
    ramp = 2048 if start < 10 else 256
    for i in range(3):
        arguments = {**pycbc_arguments(params, i), "f_lower": start}
        both = get_td_waveform(approximant=approximant, delta_t=1 / 2048, **arguments)
        for ours, series in zip(waves[i], both, strict=True):
            grid = np.zeros(16 * 16384)
            grid[: len(series)] = series.numpy()
            grid[:ramp] *= np.sin(np.linspace(0, np.pi / 2, ramp)) ** 2
            theirs = np.fft.rfft(grid)[::16] / 2048 * shift(float(series.start_time))
            product = np.vdot(ours[band], theirs[band])
            norms = np.linalg.norm(ours[band]), np.linalg.norm(theirs[band])
            assert product.real / (norms[0] * norms[1]) > 0.999
            assert norms[0] == pytest.approx(norms[1], rel=0.01)


def test_a_time_series_cut_to_its_grid_keeps_what_is_above_the_cutoff() -> None:
    """8 + 8 solar masses take 10.5 s from 20 Hz, and 40 s from where the series begins: on 16 s, and on all of it."""
    one = {"mass_1": np.array([8.0]), "mass_2": np.array([8.0]), "inclination": np.zeros(1), "phase": np.zeros(1)}
    psd = from_string("aLIGODesignSensitivityT1800044", 65537, 1 / 64, 10.0)
    loud = {}
    for seconds in (16, 64):
        wave = polarizations(one, approximant="IMRPhenomT", delta_f=1 / seconds, f_final=F_FINAL)[0, 0]
        series = FrequencySeries(wave.astype(complex), delta_f=1 / seconds)
        loud[seconds] = sigma(series, FrequencySeries(psd[:: 64 // seconds], 1 / seconds), low_frequency_cutoff=F_LOW)
    assert loud[16] == pytest.approx(loud[64], rel=0.002)


@pytest.mark.parametrize("approximant", ["IMRPhenomXAS", "IMRPhenomD", "IMRPhenomXP"])
def test_the_short_way_and_the_long_way_agree(approximant: str) -> None:
    params, times = draw(20, seed=3), np.linspace(1.0, 3.0, 20)
    grid: dict[str, Any] = {"approximant": approximant, "delta_f": DELTA_F, "f_low": F_LOW, "f_final": F_FINAL}
    short = detector_waves(params, DETECTORS, times=times, gps=1.3e9, **grid)
    long = project(polarizations(params, **grid), params, DETECTORS, times=times, delta_f=DELTA_F, gps=1.3e9)
    assert short.shape == long.shape == (20, 4, 8193)
    assert short.dtype == np.complex64
    scale = np.abs(long).max(axis=-1, keepdims=True)
    assert (np.abs(short - long) < 1e-4 * scale).all()


def test_the_earth_turns() -> None:
    """A quarter of a sidereal day later the same sky position is seen as one 90 degrees east was."""
    params = draw(20)
    later = REFERENCE_GPS + 86164.0905 / 4
    moved = {**params, "ra": params["ra"] - np.pi / 2}
    for ours, expected in zip(
        detector_response(params, DETECTORS, gps=later), detector_response(moved, DETECTORS), strict=True
    ):
        np.testing.assert_allclose(ours, expected, atol=2e-4)


def test_antenna_patterns_and_delays_are_pycbcs() -> None:
    params = draw(20)
    response, delay = detector_response(params, DETECTORS)
    assert response.shape == (20, 4, 2)
    for d, name in enumerate(DETECTORS):
        detector = Detector(name)
        for i in range(20):
            ra, dec, psi = (float(params[key][i]) for key in ("ra", "dec", "polarization"))
            pattern = detector.antenna_pattern(ra, dec, psi, REFERENCE_GPS)
            np.testing.assert_allclose(response[i, d], pattern, atol=1e-12)
            expected = detector.time_delay_from_earth_center(ra, dec, REFERENCE_GPS)
            assert delay[i, d] == pytest.approx(expected, abs=1e-12)


def test_delays_and_patterns_have_physical_sizes() -> None:
    response, delay = detector_response(draw(2000), ("H1", "L1"))
    assert np.abs(delay[:, 0] - delay[:, 1]).max() == pytest.approx(0.0100, abs=1e-4)
    # Averaged over sky and polarisation, F+^2 + Fx^2 = 2/5 for a right-angled interferometer.
    assert np.sum(response**2, axis=-1).mean() == pytest.approx(0.4, rel=0.03)


def shift(seconds: float) -> Any:
    return np.exp(-2j * np.pi * FREQUENCY * seconds)


def test_projected_strain_is_pycbcs_frequency_domain_strain() -> None:
    params = draw(4, seed=6)
    times = np.linspace(1.0, 3.0, 4)
    waves = polarizations(params, delta_f=DELTA_F, f_final=F_FINAL)
    projected = project(waves, params, DETECTORS, times=times, delta_f=DELTA_F)
    assert projected.dtype == np.complex64
    for i in range(4):
        theirs = get_fd_waveform(
            approximant="IMRPhenomXAS", delta_f=DELTA_F, f_final=F_FINAL, **pycbc_arguments(params, i)
        )
        ra, dec, psi = (float(params[key][i]) for key in ("ra", "dec", "polarization"))
        for d, name in enumerate(DETECTORS):
            detector = Detector(name)
            f_plus, f_cross = detector.antenna_pattern(ra, dec, psi, REFERENCE_GPS)
            arrival = times[i] + detector.time_delay_from_earth_center(ra, dec, REFERENCE_GPS)
            expected = (f_plus * theirs[0].numpy() + f_cross * theirs[1].numpy()) * shift(arrival)
            expected[: int(F_LOW / DELTA_F)] = 0
            np.testing.assert_allclose(projected[i, d], expected, atol=2e-6 * np.abs(expected).max())


def test_snr_is_pycbcs_sigma() -> None:
    params = draw(6)
    waves = polarizations(params, delta_f=DELTA_F, f_final=F_FINAL)
    projected = project(waves, params, ("H1", "V1"), times=np.full(6, 2.0), delta_f=DELTA_F)
    psds = [from_string(name, 8193, DELTA_F, 10.0) for name in ("aLIGOZeroDetHighPower", "AdvVirgo")]
    found = optimal_snr(projected, np.stack([psd.numpy() for psd in psds]), DELTA_F)
    for i in range(6):
        for d, psd in enumerate(psds):
            template = FrequencySeries(projected[i, d].astype(complex), delta_f=DELTA_F)
            expected = sigma(template, psd, low_frequency_cutoff=F_LOW, high_frequency_cutoff=1023.0)
            assert found[i, d] == pytest.approx(expected, rel=1e-3)


def test_masked_bins_do_not_count() -> None:
    psd = np.full((1, 8193), 1e-46)
    wave = np.full((1, 1, 8193), 1e-24 + 0j, np.complex64)
    half = psd.copy()
    half[:, ::2] = [[0.0]]
    half[:, 2::4] = np.nan
    ratio = optimal_snr(wave, half, DELTA_F) / optimal_snr(wave, psd, DELTA_F)
    assert ratio[0, 0] == pytest.approx(np.sqrt(4096 / 8193), rel=1e-6)


def test_snr_does_not_underflow_in_single_precision() -> None:
    psd = np.full((1, 8193), 1e-46)
    wave = np.full((1, 1, 8193), 3e-25 * (1 + 1j))
    single = optimal_snr(wave.astype(np.complex64), psd, DELTA_F)
    expected = np.sqrt(4 * DELTA_F * 8193 * 2 * 9e-50 / 1e-46)
    assert single[0, 0] == pytest.approx(expected, rel=1e-5)
    assert optimal_snr(wave, psd, DELTA_F)[0, 0] == pytest.approx(expected, rel=1e-12)


def test_the_bound_on_a_signal_is_longer_than_the_newtonian_chirp() -> None:
    # tau = 5/256 (pi f)^(-8/3) (G Mc / c^3)^(-5/3), Mc = 2^(-1/5) m for equal masses.
    chirp = 15 * 2 ** (-1 / 5) * 4.925491e-6
    newtonian = 5 / 256 * (np.pi * 20) ** (-8 / 3) * chirp ** (-5 / 3)
    assert newtonian < signal_seconds(15.0, 15.0, 0.0, 0.0, f_low=20.0) < 1.5 * newtonian
    spinning = signal_seconds(15.0, 15.0, 0.9, 0.9, f_low=20.0)
    assert spinning > signal_seconds(15.0, 15.0, 0.0, 0.0, f_low=20.0)


def test_unknown_names_are_explained(capfd: pytest.CaptureFixture[str]) -> None:
    params = draw(1)
    with pytest.raises(UserError, match="Did you mean 'IMRPhenomXAS'"):
        polarizations(params, approximant="IMRPhenomXASS", delta_f=DELTA_F, f_final=F_FINAL)
    with pytest.raises(UserError, match="gives no waveform for masses"):
        polarizations({**params, "spin_1z": np.array([1.5])}, delta_f=DELTA_F, f_final=F_FINAL)
    with pytest.raises(UserError, match="Unknown detector 'X9'"):
        detector_response(params, ["X9"])
    assert capfd.readouterr().err == ""
