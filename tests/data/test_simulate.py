"""Noise against its PSD, signals against pycbc, blocks against each other."""

from __future__ import annotations

import os
from itertools import combinations
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from pycbc.detector import Detector
from pycbc.filter import sigma
from pycbc.psd import from_string
from pycbc.types import FrequencySeries, TimeSeries
from pycbc.waveform import get_fd_waveform
from scipy.signal import welch
from scipy.stats import kstest, norm, uniform

from gwbench.contracts import Block
from gwbench.data.population import REFERENCE_GPS, Population, SnrDistribution
from gwbench.data.psd import psd_values
from gwbench.data.simulate import Signals, Simulation, coloured_noise, signals, simulate
from gwbench.data.waveforms import optimal_snr, polarizations
from gwbench.errors import UserError

RATE = 2048.0
DETECTORS = ("H1", "L1", "V1")
PSDS = ("aLIGODesignSensitivityT1800044", "aLIGOZeroDetHighPower", "AdvVirgo")
SNR = SnrDistribution.uniform(6, 20)


def named_psds(samples: int) -> Any:
    return np.stack([psd_values(name, RATE, samples) for name in PSDS])


def make_signals(n: int, seed: int = 0, **changes: Any) -> Signals:
    settings: dict[str, Any] = {
        "population": Population(),
        "snr": SNR,
        "detectors": DETECTORS,
        "psds": (named_psds(16384), 0.125),
        "sample_rate": RATE,
        "window": 4096,
        "margin": 512,
    }
    return signals(np.random.default_rng(seed), n, **{**settings, **changes})


# --- noise --------------------------------------------------------------------------------------------------


def test_noise_has_the_asked_psd() -> None:
    noise = coloured_noise(np.random.default_rng(0), 200, named_psds(16384), RATE, 16384, 8192)
    assert noise.shape == (200, 3, 8192)
    assert noise.dtype == np.float32
    for channel, name in enumerate(PSDS):
        frequency, found = welch(noise[:, channel].astype(float), RATE, nperseg=4096, noverlap=2048)
        expected = from_string(name, 2050, 0.5, 10.0).numpy()[:2049]
        band = (frequency >= 20) & (frequency < 1000)
        ratio = (found.mean(axis=0)[band] / expected[band]).reshape(-1, 40).mean(axis=1)
        assert np.abs(ratio - 1).max() < 0.03
        assert np.abs(ratio.mean() - 1) < 0.003


def test_noise_is_gaussian() -> None:
    """A flat PSD S gives white noise of variance S f_s / 2."""
    flat = np.full((2, 1025), 2e-46)
    noise = coloured_noise(np.random.default_rng(1), 50, flat, RATE, 2048, 1024) / np.sqrt(1e-46 * RATE)
    assert noise.std() == pytest.approx(1.0, rel=0.01)
    assert kstest(noise[:, :, ::7].ravel(), norm.cdf).pvalue > 0.005


def test_noise_is_absent_where_the_psd_is_masked() -> None:
    psd = np.full((1, 2049), 1e-46)
    psd[0, :400] = 0
    psd[0, 1200:] = np.nan
    noise = coloured_noise(np.random.default_rng(2), 4, psd, RATE, 4096, 4096)
    power = np.abs(np.fft.rfft(noise.astype(float)))[:, 0].mean(axis=0)
    assert power[:400].max() < 1e-6 * power[400:1200].mean()
    assert power[1200:].max() < 1e-6 * power[400:1200].mean()


def test_noise_is_independent_between_detectors_and_windows_and_not_periodic() -> None:
    psd = np.full((3, 2049), 1e-46)
    noise = coloured_noise(np.random.default_rng(3), 60, psd, RATE, 4096, 2048).astype(float)

    def correlation(a: Any, b: Any) -> float:
        return float(np.sum(a * b) / np.sqrt(np.sum(a * a) * np.sum(b * b)) * np.sqrt(a.size))

    for a, b in combinations(range(3), 2):
        assert abs(correlation(noise[:, a], noise[:, b])) < 4
    assert abs(correlation(noise[1:], noise[:-1])) < 4
    assert abs(correlation(noise[..., :64], noise[..., -64:])) < 4


# --- signals ------------------------------------------------------------------------------------------------


def test_network_snr_is_the_requested_one() -> None:
    found = make_signals(300)
    assert kstest(found.snr, uniform(6, 14).cdf).pvalue > 0.005
    per_detector = [found.parameters[f"snr_{name}"] for name in DETECTORS]
    np.testing.assert_allclose(np.linalg.norm(per_detector, axis=0), found.snr, rtol=1e-5)
    assert all(values.shape == (300,) for values in found.parameters.values())


def test_injected_strain_has_the_snr_of_pycbcs_sigma() -> None:
    """A window long enough to hold each signal from 20 Hz on."""
    found = make_signals(8, window=8 * 2048, margin=0, population=Population(mass=(20.0, 75.0), arrival=(6.0, 7.0)))
    for channel, (detector, name) in enumerate(zip(DETECTORS, PSDS, strict=True)):
        psd = from_string(name, 8193, 0.125, 10.0)
        for i in range(8):
            series = TimeSeries(found.strain[i, channel].astype(float), delta_t=1 / RATE)
            expected = sigma(series, psd, low_frequency_cutoff=20.0)
            assert found.parameters[f"snr_{detector}"][i] == pytest.approx(expected, rel=0.01)


def test_distance_and_parameters_reproduce_the_snr() -> None:
    """pycbc's own waveform at the reported distance, projected source by source."""
    found = make_signals(5, seed=4)
    psd = from_string(PSDS[2], 32769, 1 / 32, 10.0)
    names = {"mass1": "mass_1", "mass2": "mass_2", "spin1z": "spin_1z", "spin2z": "spin_2z"}
    names |= {"inclination": "inclination", "coa_phase": "phase", "distance": "luminosity_distance"}
    for i in range(5):
        values = {theirs: float(found.parameters[ours][i]) for theirs, ours in names.items()}
        plus, cross = get_fd_waveform(
            approximant="IMRPhenomXAS", delta_f=1 / 32, f_lower=20.0, f_final=1024.0, **values
        )
        sky = (float(found.parameters[key][i]) for key in ("ra", "dec", "polarization"))
        f_plus, f_cross = Detector("V1").antenna_pattern(*sky, REFERENCE_GPS)
        wave = FrequencySeries(f_plus * plus.numpy() + f_cross * cross.numpy(), delta_f=1 / 32)
        expected = sigma(wave, psd, low_frequency_cutoff=20.0)
        assert found.parameters["snr_V1"][i] == pytest.approx(expected, rel=0.01)


def test_signals_peak_when_they_are_said_to_arrive() -> None:
    found = make_signals(40, population=Population(mass=(25.0, 40.0)))
    for channel, name in enumerate(DETECTORS):
        sky = (found.parameters[key] for key in ("ra", "dec"))
        delay = Detector(name).time_delay_from_earth_center(*sky, REFERENCE_GPS)
        peak = np.abs(found.strain[:, channel]).argmax(axis=-1) / RATE - 0.25
        late = peak - found.parameters["geocent_time"] - delay
        # The strain's largest excursion is within a few cycles of the amplitude's peak.
        assert np.abs(late).max() < 0.01


@pytest.mark.parametrize("mass", [15.0, 75.0])
def test_nothing_wraps_around(mass: float) -> None:
    """The same binary on a grid eight times as long."""
    population = Population(mass=(mass, mass + 1e-6), arrival=(1.9, 1.9))
    short = make_signals(4, population=population)
    parameters = short.parameters
    waves = polarizations(parameters, delta_f=1 / 64, f_final=1024.0).astype(complex)
    frequency = np.arange(waves.shape[-1]) / 64
    for i in range(4):
        ra, dec, psi = (float(parameters[key][i]) for key in ("ra", "dec", "polarization"))
        f_plus, f_cross = Detector("H1").antenna_pattern(ra, dec, psi, REFERENCE_GPS)
        arrival = 1.9 + 0.25 + Detector("H1").time_delay_from_earth_center(ra, dec, REFERENCE_GPS)
        wave = (f_plus * waves[i, 0] + f_cross * waves[i, 1]) / parameters["luminosity_distance"][i]
        long = np.fft.irfft(wave * np.exp(-2j * np.pi * frequency * arrival))[:5120] * RATE
        error = short.strain[i, 0] - long
        assert np.linalg.norm(error) < 0.03 * np.linalg.norm(long)
        assert np.abs(error).max() < 0.01 * np.abs(long).max()


def test_the_window_holds_almost_all_of_the_snr() -> None:
    """The fractions that `Population` states: whitened energy within the two seconds, longest binary."""
    masses, spins, zero = np.array([15.0, 20.0]), np.full(2, 0.9), np.zeros(2)
    longest = {"mass_1": masses, "mass_2": masses, "spin_1z": spins, "spin_2z": spins}
    longest |= {"inclination": zero, "phase": zero}
    waves = polarizations(longest, delta_f=1 / 32, f_final=1024.0)[:, 0].astype(complex)
    psd = psd_values(PSDS[0], RATE, 65536)
    amplitude = np.sqrt(np.where(psd > 0, psd, np.inf))
    frequency = np.arange(32769) / 32

    def fraction(arrival: float) -> Any:
        moved = waves / amplitude * np.exp(-2j * np.pi * frequency * (16 + arrival))
        energy = np.fft.irfft(moved) ** 2
        return np.sqrt(energy[:, 16 * 2048 : 18 * 2048].sum(axis=-1) / energy.sum(axis=-1))

    assert fraction(1.4)[0] == pytest.approx(0.972, abs=0.001)
    assert fraction(1.9)[0] == pytest.approx(0.984, abs=0.001)
    assert fraction(1.4)[1] == pytest.approx(0.990, abs=0.001)


def test_measured_psds_serve_as_well() -> None:
    data = os.environ.get("GWBENCH_TEST_DATA")
    if not data:
        pytest.skip("GWBENCH_TEST_DATA is not set")
    paths = [next(iter(sorted((Path(data) / "o3a-psds" / name).glob("*.hdf")))) for name in ("H1", "L1")]
    values = []
    for path in paths:
        with h5py.File(path) as file:
            values.append(np.asarray(file["data"]))
            delta_f = float(file["data"].attrs["delta_f"])
    found = make_signals(
        5, detectors=("H1", "L1"), psds=(np.stack(values), delta_f), window=8 * 2048, margin=0,
        population=Population(mass=(20.0, 75.0), arrival=(6.0, 7.0)),
    )  # fmt: skip
    assert np.isfinite(found.strain).all()
    for channel, name in enumerate(("H1", "L1")):
        # Interpolated linearly, where ours is linear in the logarithm; masked bins weigh nothing.
        frequency = np.arange(8193) * 0.125
        usable = np.where(values[channel] > 0, values[channel], np.inf)
        psd = FrequencySeries(np.interp(frequency, np.arange(len(usable)) * delta_f, usable), delta_f=0.125)
        for i in range(5):
            series = TimeSeries(found.strain[i, channel].astype(float), delta_t=1 / RATE)
            expected = sigma(series, psd, low_frequency_cutoff=20.0, high_frequency_cutoff=1000.0)
            assert found.parameters[f"snr_{name}"][i] == pytest.approx(expected, rel=0.02)


def test_impossible_signals_are_explained() -> None:
    with pytest.raises(UserError, match="does not fit the window of 1 s"):
        make_signals(1, window=2048)
    with pytest.raises(UserError, match="PSD of H1 has no value above 20 Hz"):
        make_signals(1, psds=(np.zeros((3, 8193)), 0.125))


# --- blocks -------------------------------------------------------------------------------------------------


SMALL = Simulation(DETECTORS, PSDS, Population(arrival=(0.7, 0.95)), SNR, 1024.0, 1024, 128)
SIZES = {"train": 300, "val": 41, "test": 60}


def run(**changes: Any) -> list[Block]:
    settings: dict[str, Any] = {"seed": 1, "workers": 1, "sizes": SIZES}
    settings.update(changes)
    return list(simulate(SMALL, **settings))


def test_blocks_cover_the_splits_and_half_the_windows_hold_a_signal() -> None:
    blocks = run()
    assert [(block.split, block.start, len(block.label)) for block in blocks] == [
        ("train", 0, 256), ("train", 256, 44), ("val", 0, 41), ("test", 0, 60),
    ]  # fmt: skip
    assert [int(block.label.sum()) for block in blocks] == [128, 22, 20, 30]
    for block in blocks:
        assert block.strain.shape == (len(block.label), 3, 1280)
        assert block.strain.dtype == np.float32
        assert np.isfinite(block.strain).all()
        signal = block.label == 1
        assert (np.isfinite(block.snr) == signal).all()
        assert all((np.isfinite(values) == signal).all() for values in block.parameters.values())
    # Order is random: signals come neither first nor in turn.
    label = blocks[0].label
    assert 40 < label[:128].sum() < 90
    assert 40 < (label[1:] == label[:-1]).sum() < 215


def test_the_number_of_workers_changes_no_bit() -> None:
    for one, two in zip(run(), run(workers=3), strict=True):
        assert (one.split, one.start) == (two.split, two.start)
        np.testing.assert_array_equal(one.strain, two.strain)
        np.testing.assert_array_equal(one.label, two.label)
        np.testing.assert_array_equal(one.snr, two.snr)


def test_a_block_does_not_depend_on_the_others() -> None:
    alone = run(sizes={"val": 41})[0]
    np.testing.assert_array_equal(alone.strain, run()[2].strain)


def test_a_failure_in_a_worker_reaches_the_caller() -> None:
    wrong = Simulation(DETECTORS, PSDS, Population(), SNR, 1024.0, 1024, 128)
    with pytest.raises(UserError, match="does not fit the window"):
        list(simulate(wrong, SIZES, 1, workers=2))


def test_noise_of_splits_blocks_and_seeds_is_uncorrelated() -> None:
    """Whitened in 20-400 Hz; a correlation of N independent pairs is within 4.5 / sqrt(N) of zero."""
    train, val, test = (run(sizes={name: 256})[0] for name in SIZES)
    second = run(sizes={"train": 512})[1]
    other = run(sizes={"train": 256}, seed=2)[0]
    psds = np.stack([psd_values(name, 1024.0, 1280) for name in PSDS])
    band = slice(25, 500)

    def whiten(block: Block) -> Any:
        windowed = block.strain[block.label == 0].astype(float) * np.hanning(1280)
        white = np.fft.rfft(windowed)[..., band] / np.sqrt(psds[:, band])
        return white / np.sqrt(np.mean(np.abs(white) ** 2))

    white = [whiten(block) for block in (train, val, test, second, other)]
    # The Hann window correlates neighbouring bins: count half of them.
    independent = white[0].size / 2
    for a, b in combinations(white, 2):
        assert abs(np.mean((a * b.conj()).real)) < 4.5 / np.sqrt(2 * independent)
    for a, b in combinations(range(3), 2):
        assert abs(np.mean((white[0][:, a] * white[0][:, b].conj()).real)) < 4.5 / np.sqrt(2 * independent / 3)


def test_signals_are_not_repeated() -> None:
    blocks = run(sizes={"train": 512, "val": 256, "test": 256})
    masses = np.concatenate([block.parameters["mass_1"][block.label == 1] for block in blocks])
    assert len(np.unique(masses)) == len(masses) == 512


def test_windows_hold_noise_plus_signal() -> None:
    """A matched filter with the true parameters recovers the SNR: unit variance, no bias."""
    block = run(sizes={"train": 256})[0]
    psd = psd_values(PSDS[0], 1024.0, 8192)
    found = []
    for i in np.flatnonzero(block.label)[:100]:
        one = {name: values[i : i + 1].astype(float) for name, values in block.parameters.items()}
        wave = polarizations(one, delta_f=0.125, f_final=512.0)[0].astype(complex)
        ra, dec, psi = (float(one[key][0]) for key in ("ra", "dec", "polarization"))
        f_plus, f_cross = Detector("H1").antenna_pattern(ra, dec, psi, REFERENCE_GPS)
        arrival = one["geocent_time"][0] + 0.125
        arrival += Detector("H1").time_delay_from_earth_center(ra, dec, REFERENCE_GPS)
        template = (f_plus * wave[0] + f_cross * wave[1]) * np.exp(-2j * np.pi * np.arange(4097) / 8 * arrival)
        snr = optimal_snr(template[None, None], psd[None], 0.125)[0, 0]
        filtered = np.divide(template, psd, out=np.zeros_like(template), where=psd > 0)
        # <d|h> / sqrt(<h|h>) by a sum over the window: the whitened template against the strain.
        kernel = np.fft.irfft(filtered)[:1280] * 1024.0
        found.append((2 * np.sum(kernel * block.strain[i, 0]) / 1024.0 / snr) - one["snr_H1"][0])
    # Less what lies outside the one-second window.
    assert abs(np.mean(found)) < 0.5
    assert np.std(found) == pytest.approx(1.0, abs=0.2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"detectors": ("H1",), "psds": ()}, "at least two"),
        ({"detectors": (), "psds": ()}, "detectors = none"),
        ({"detectors": ("H1", "H1"), "psds": ()}, "different detectors"),
        ({"detectors": ("H1", "X1"), "psds": ()}, "Unknown detector 'X1'"),
        ({"psds": ("AdvVirgo",)}, "one name for each of H1,L1,V1"),
        ({"psds": ("AdvVirgo", "AdvVirgo", "advvirgo")}, "Unknown PSD 'advvirgo'"),
        ({"sample_rate": 0.0}, "sample_rate = 0"),
        ({"sample_rate": 2048.5}, "whole number"),
        ({"window": 0}, "holds no sample"),
    ],
)
def test_impossible_simulations_are_explained(changes: dict[str, Any], message: str) -> None:
    settings: dict[str, Any] = {
        "detectors": DETECTORS,
        "psds": PSDS,
        "population": Population(),
        "snr": SNR,
        "sample_rate": RATE,
        "window": 4096,
        "margin": 512,
    }
    with pytest.raises(UserError, match=message):
        Simulation(**{**settings, **changes})
