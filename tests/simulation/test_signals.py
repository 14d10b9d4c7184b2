"""Signals against pycbc: loudness, arrival, what a window holds, and distances."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from astropy.cosmology import Planck15
from pycbc.detector import Detector
from pycbc.filter import sigma
from pycbc.psd import from_string
from pycbc.types import FrequencySeries, TimeSeries
from pycbc.waveform import get_fd_waveform
from scipy.stats import kstest, uniform

from gwbench.data.psd import PsdTable, psd_values
from gwbench.errors import UserError
from gwbench.simulation.population import REFERENCE_GPS
from gwbench.simulation.signals import SignalModel, Signals
from gwbench.simulation.waveforms import polarizations

RATE = 2048.0
DETECTORS = ("H1", "L1", "V1")
PSDS = ("aLIGODesignSensitivityT1800044", "aLIGOZeroDetHighPower", "AdvVirgo")
SNR = (6.0, 20.0)


def model(**changes: Any) -> SignalModel:
    settings: dict[str, Any] = {"population": "flat-bbh", "duration": 2.0, "snr_model": "uniform", "snr": SNR}
    return SignalModel.create(**{**settings, **changes})


def named_psds() -> PsdTable:
    return PsdTable(np.stack([psd_values(name, RATE, 32768) for name in PSDS]), 1 / 16)


def make_signals(n: int, seed: int = 0, **changes: Any) -> Signals:
    """`changes` are of the model or of `SignalModel.draw`."""
    settings: dict[str, Any] = {
        "detectors": DETECTORS,
        "psds": named_psds(),
        "sample_rate": RATE,
        "window": 4096,
        "margin": 512,
    }
    drawing = {name: changes.pop(name, value) for name, value in settings.items()}
    rows = changes.pop("rows", np.broadcast_to(np.arange(len(drawing["detectors"])), (n, len(drawing["detectors"]))))
    return model(**changes).draw(np.random.default_rng(seed), n, rows=rows, **drawing)


def test_network_snr_is_the_requested_one() -> None:
    found = make_signals(300)
    assert kstest(found.snr, uniform(6, 14).cdf).pvalue > 0.005
    per_detector = [found.parameters[f"snr_{name}"] for name in DETECTORS]
    np.testing.assert_allclose(np.linalg.norm(per_detector, axis=0), found.snr, rtol=1e-5)
    assert all(values.shape == (300,) for values in found.parameters.values())


def test_injected_strain_has_the_snr_of_pycbcs_sigma() -> None:
    """A window long enough to hold each signal from 20 Hz on."""
    found = make_signals(8, window=8 * 2048, margin=0, mass=(20.0, 75.0), arrival=(6.0, 7.0))
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
    found = make_signals(40, mass=(25.0, 40.0))
    for channel, name in enumerate(DETECTORS):
        sky = (found.parameters[key] for key in ("ra", "dec"))
        delay = Detector(name).time_delay_from_earth_center(*sky, REFERENCE_GPS)
        peak = np.abs(found.strain[:, channel]).argmax(axis=-1) / RATE - 0.25
        late = peak - found.parameters["geocent_time"] - delay
        # The strain's largest excursion is within a few cycles of the amplitude's peak.
        assert np.abs(late).max() < 0.01


def whitened(strain: Any) -> Any:
    """The window of strain [5120], by H1's PSD from 20 Hz on."""
    psd = psd_values(PSDS[0], RATE, 5120)
    edge = np.clip((np.fft.rfftfreq(5120, 1 / RATE) - 16) / 8, 0, 1)
    response = np.divide(edge, np.sqrt(psd), out=np.zeros_like(psd), where=psd > 0)
    return np.fft.irfft(np.fft.rfft(strain) * response)[512:-512]


@pytest.mark.parametrize("mass", [15.0, 25.0, 75.0])
def test_nothing_wraps_around(mass: float) -> None:
    """The same binary on a grid eight times as long."""
    short = make_signals(4, mass=(mass, mass + 1e-6), arrival=(1.9, 1.9))
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
        assert np.linalg.norm(error) < 0.06 * np.linalg.norm(long)
        white_error, white = whitened(error), whitened(long)
        assert np.linalg.norm(white_error) < 0.01 * np.linalg.norm(white)
        assert np.abs(white_error).max() < 0.003 * np.abs(white).max()


def test_higher_modes_which_begin_earlier_do_not_wrap_around() -> None:
    """At 20 Hz the (4, 4) mode is six times as far from coalescence as the (2, 2) mode."""
    found = make_signals(
        6, mass=(15.0, 20.0), snr=(10.0, 10.0), approximant="IMRPhenomXPHM", population="flat-precessing", seed=1,
        detectors=("H1", "L1"),
    )  # fmt: skip
    parameters = found.parameters
    frequency = np.arange(64 * 1024 + 1) / 64
    waves = polarizations(parameters, approximant="IMRPhenomXPHM", delta_f=1 / 64, f_final=1024.0).astype(complex)
    for i in range(6):
        ra, dec, psi = (float(parameters[key][i]) for key in ("ra", "dec", "polarization"))
        f_plus, f_cross = Detector("H1").antenna_pattern(ra, dec, psi, REFERENCE_GPS)
        arrival = 0.25 + parameters["geocent_time"][i]
        arrival += Detector("H1").time_delay_from_earth_center(ra, dec, REFERENCE_GPS)
        wave = (f_plus * waves[i, 0] + f_cross * waves[i, 1]) / parameters["luminosity_distance"][i]
        long = np.fft.irfft(wave * np.exp(-2j * np.pi * frequency * arrival))[:5120] * RATE
        assert np.linalg.norm(whitened(found.strain[i, 0] - long)) < 0.003 * np.linalg.norm(whitened(long))


def test_no_signals_have_the_same_parameters_as_some() -> None:
    assert make_signals(0).parameters.keys() == make_signals(1).parameters.keys()


def test_the_window_holds_almost_all_of_the_snr() -> None:
    """What the populations file says of `flat-bbh`: whitened energy within the two seconds, longest binary."""
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
        5, detectors=("H1", "L1"), psds=PsdTable(np.stack(values), delta_f), window=8 * 2048, margin=0,
        mass=(20.0, 75.0), arrival=(6.0, 7.0),
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
        make_signals(1, psds=PsdTable(np.zeros((3, 8193)), 0.125))


def test_every_signal_is_scaled_by_the_psd_behind_it() -> None:
    """Rows of the table four times as loud in power: half the distance for the same SNR."""
    quiet = psd_values(PSDS[0], RATE, 32768)
    table = PsdTable(np.stack([quiet, 4 * quiet]), 1 / 16)
    rows = np.array([[0, 0], [0, 0], [1, 1]])
    found = make_signals(3, detectors=("H1", "L1"), psds=table, rows=rows, snr=(10.0, 10.0))
    near = make_signals(3, detectors=("H1", "L1"), psds=table, rows=0 * rows, snr=(10.0, 10.0))
    ratio = found.parameters["luminosity_distance"] / near.parameters["luminosity_distance"]
    np.testing.assert_allclose(ratio, [1.0, 1.0, 0.5], rtol=1e-6)
    np.testing.assert_allclose(found.snr, 10.0, rtol=1e-5)


def test_loudness_from_distance() -> None:
    """SNRs are those of pycbc's waveform at the population's own distance, and none is below the least."""
    found = make_signals(
        40, population="power-law-peak", snr_model="distance", snr=(4.0,), window=4 * 2048, duration=4.0
    )
    assert found.snr.min() >= 4
    redshift = found.parameters["redshift"]
    np.testing.assert_allclose(found.parameters["mass_1"], found.parameters["mass_1_source"] * (1 + redshift))
    psd = from_string(PSDS[1], 65537, 1 / 64, 10.0)
    for i in range(5):
        one = {name: float(values[i]) for name, values in found.parameters.items()}
        plus, cross = get_fd_waveform(
            approximant="IMRPhenomXAS", mass1=one["mass_1"], mass2=one["mass_2"], spin1z=one["spin_1z"],
            spin2z=one["spin_2z"], inclination=one["inclination"], coa_phase=one["phase"],
            distance=one["luminosity_distance"], delta_f=1 / 64, f_lower=20.0, f_ref=20.0, f_final=1024.0,
        )  # fmt: skip
        f_plus, f_cross = Detector("L1").antenna_pattern(one["ra"], one["dec"], one["polarization"], REFERENCE_GPS)
        wave = FrequencySeries(f_plus * plus.numpy() + f_cross * cross.numpy(), delta_f=1 / 64)
        assert one["snr_L1"] == pytest.approx(sigma(wave, psd, low_frequency_cutoff=20.0), rel=0.01)


def test_redshifts_of_another_distance_are_not_given() -> None:
    """With a drawn SNR the population's redshift belongs to no distance of the signal."""
    drawn, at_distance = (
        make_signals(2, population="double-neutron-star", f_low=80.0, snr_model=name, snr=values).parameters
        for name, values in (("uniform", SNR), ("distance", (1.0,)))
    )
    assert at_distance.keys() - drawn.keys() == {"redshift", "mass_1_source", "mass_2_source"}
    distance = Planck15.luminosity_distance(at_distance["redshift"]).to_value("Mpc")
    np.testing.assert_allclose(at_distance["luminosity_distance"], distance, rtol=1e-3)


def test_signals_in_the_time_domain_are_heard_from_as_far() -> None:
    """Light binaries, which have much of their SNR long before the end, by two approximants that nearly agree."""
    found = [
        make_signals(
            6, population="power-law-peak", mass=(8.0, 8.0), snr_model="distance", snr=(3.0,), seed=5,
            detectors=("H1", "L1"), approximant=approximant,
        )
        for approximant in ("IMRPhenomXAS", "IMRPhenomT")
    ]  # fmt: skip
    for name in ("ra", "geocent_time", "luminosity_distance"):
        np.testing.assert_array_equal(found[0].parameters[name], found[1].parameters[name])
    np.testing.assert_allclose(found[0].snr, found[1].snr, rtol=0.01)


def test_loud_signals_are_those_of_all_that_are_near_enough() -> None:
    """Euclidean within redshift 0.02: the SNR is distributed as rho^-4 above a threshold high enough."""
    found = make_signals(
        80, population="double-neutron-star", snr_model="distance", snr=(25.0,), f_low=80.0, seed=3,
    )  # fmt: skip
    assert kstest(found.snr, lambda x: 1 - (25 / x) ** 3).pvalue > 1e-3


def test_a_threshold_that_nothing_reaches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gwbench.simulation.signals.MOST_TRIES", 50)
    with pytest.raises(UserError, match="Fewer than 1 in 50 signals of power-law-peak"):
        make_signals(2, population="power-law-peak", snr_model="distance", snr=(9000.0,))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arrival": (1.9, 1.4)}, "arrival = 1.9,1.4 is not a range"),
        ({"f_low": 1.0}, "f_low = 1 Hz"),
        ({"gps": -1.0}, "gps = -1"),
        ({"snr_model": "distance", "snr": (4.0,)}, "flat-bbh has no distances"),
        ({"approximant": "IMRPhenomQ"}, "Approximant 'IMRPhenomQ'"),
        ({"population": "flat-bhh"}, "Did you mean 'flat-bbh'"),
    ],
)
def test_impossible_models_are_explained(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        model(**changes)
