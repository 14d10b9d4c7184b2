"""The matched filter and its bank against pycbc, and against what Gaussian noise must give."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pycbc import filter as pycbc_filter
from pycbc.detector import Detector
from pycbc.psd import aLIGOZeroDetHighPower
from pycbc.types import FrequencySeries, TimeSeries
from pycbc.waveform import get_fd_waveform
from scipy.ndimage import maximum_filter1d

from gwbench.data.dataset import Split
from gwbench.data.psd import psd_values
from gwbench.matched_filter.coincidence import SLACK, allowed_lags, loudest, network_power, sliding_max, snr_series
from gwbench.matched_filter.inner_product import InnerProduct
from gwbench.matched_filter.template_bank import fitting_factors, matches, place, unit
from gwbench.matched_filter.templates import (
    MERGER,
    SHAPE,
    drawn_like,
    drawn_uniform,
    known_shapes,
    network_vectors,
    template_vectors,
)
from gwbench.matched_filter.waveforms import signal_strain
from gwbench.preprocessing.conditioning import Conditioner, Conditioning, fit_conditioner
from gwbench.simulation.population import load_population
from gwbench.simulation.signals import SignalModel
from gwbench.simulation.strain import Simulation, coloured_noise

RATE, WINDOW, MARGIN = 2048, 4096, 1024
KEEP = WINDOW + 2 * MARGIN
DETECTORS = ("H1", "L1", "V1")
PSDS = ("aLIGOZeroDetHighPower", "aLIGOZeroDetHighPower", "AdvVirgo")
BAND = (20.0, 600.0)
MASSES = {"mass_1": np.array([36.0, 60.0, 25.0]), "mass_2": np.array([29.0, 20.0, 24.0])}
PARAMS = {**MASSES, "spin_1z": np.array([0.3, -0.5, 0.0]), "spin_2z": np.array([-0.2, 0.1, 0.6])}


def raw_noise(n: int, seed: int) -> np.ndarray:
    samples = 2 * KEEP
    values = np.stack([psd_values(name, RATE, samples) for name in PSDS])
    return coloured_noise(np.random.default_rng(seed), n, values, RATE, samples, KEEP)


@pytest.fixture(scope="module")
def conditioner() -> Conditioner:
    strain = raw_noise(128, 1)
    split = Split(strain, np.zeros(len(strain), np.int8), np.full(len(strain), np.nan, np.float32))
    return fit_conditioner(split, sample_rate=RATE, margin=MARGIN, detectors=DETECTORS, settings=Conditioning())


@pytest.fixture(scope="module")
def inner(conditioner: Conditioner) -> InnerProduct:
    return InnerProduct(conditioner(raw_noise(256, 2)), sample_rate=RATE, band=BAND)


@pytest.fixture(scope="module")
def templates(conditioner: Conditioner, inner: InnerProduct) -> torch.Tensor:
    return template_vectors(PARAMS, conditioner, inner, approximant="IMRPhenomXAS", f_low=20.0)


def pycbc_psd(inner: InnerProduct, detector: int) -> FrequencySeries:
    """S = 2 |rfft|^2 / (T rate) in pycbc's convention, out of the band whatever."""
    values = np.ones(WINDOW // 2 + 1)
    power = inner.power[detector].double().numpy()
    values[inner.first : inner.first + len(power)] = 2 * power / (WINDOW * RATE)
    return FrequencySeries(values, delta_f=RATE / WINDOW)


def test_the_snr_series_is_that_of_pycbc(
    conditioner: Conditioner, inner: InnerProduct, templates: torch.Tensor
) -> None:
    data = conditioner(raw_noise(2, 3))
    spectra = templates / (2 / inner.power).sqrt()
    ours = snr_series(inner.vectors(data), unit(templates), WINDOW).abs().numpy()
    for window in range(2):
        for row in range(len(templates)):
            for d in range(len(DETECTORS)):
                bins = np.zeros(WINDOW // 2 + 1, np.complex128)
                bins[inner.first : inner.first + spectra.shape[-1]] = spectra[row, d].numpy() / RATE
                theirs = pycbc_filter.matched_filter(
                    FrequencySeries(bins, delta_f=RATE / WINDOW),
                    TimeSeries(data[window, d].double().numpy(), delta_t=1 / RATE),
                    psd=pycbc_psd(inner, d),
                    low_frequency_cutoff=BAND[0],
                    high_frequency_cutoff=BAND[1] + 0.01,
                )
                np.testing.assert_allclose(ours[window, row, d], np.abs(theirs.numpy()), atol=1e-2)
                assert ours[window, row, d].max() > 2


def test_a_signal_in_raw_strain_is_found_as_pycbc_finds_it_without_our_conditioning(
    conditioner: Conditioner, inner: InnerProduct, templates: torch.Tensor
) -> None:
    """Raw strain, pycbc's own waveform and the PSD that made the noise: peak SNR and time come out alike."""
    noise, delta_f, length = raw_noise(8, 4), 1 / 8, 8 * RATE
    wave, _ = get_fd_waveform(
        approximant="IMRPhenomXAS", mass1=36, mass2=29, spin1z=0.3, spin2z=-0.2, f_lower=20, delta_f=delta_f,
        f_final=RATE / 2, distance=600,
    )  # fmt: skip
    psd = aLIGOZeroDetHighPower(length // 2 + 1, delta_f, 10)
    arrival = MARGIN + round(0.8 * WINDOW)
    shifted = wave.numpy() * np.exp(-2j * np.pi * wave.sample_frequencies.numpy() * arrival / RATE)
    signal = np.fft.irfft(shifted, length)[:KEEP] * RATE
    for window in noise:
        strain = window.copy()
        strain[0] += signal
        ours = snr_series(inner.vectors(conditioner(strain[None])), unit(templates[:1]), WINDOW)[0, 0, 0].abs()
        padded = np.zeros(length)
        padded[:KEEP] = strain[0].astype(np.float64)
        padded[:512] *= np.sin(np.linspace(0, np.pi / 2, 512)) ** 2
        padded[KEEP - 512 : KEEP] *= np.cos(np.linspace(0, np.pi / 2, 512)) ** 2
        theirs = pycbc_filter.matched_filter(
            wave, TimeSeries(padded, delta_t=1 / RATE), psd=psd, low_frequency_cutoff=20, high_frequency_cutoff=600
        )
        inside = np.abs(theirs.numpy())[MARGIN : MARGIN + WINDOW]
        assert inside.max() > 15
        assert float(ours.max()) == pytest.approx(inside.max(), rel=0.03)
        assert abs(int(ours.argmax()) - int(inside.argmax())) <= 1


def test_noise_gives_two_quadratures_of_unit_variance(
    conditioner: Conditioner, inner: InnerProduct, templates: torch.Tensor
) -> None:
    power = snr_series(inner.vectors(conditioner(raw_noise(96, 5))), unit(templates), WINDOW).abs().square()
    np.testing.assert_allclose(power.mean(dim=(0, 1, 3)), 2.0, rtol=0.05)
    # Chi-squared with two degrees of freedom: a share exp(-x / 2) lies above x.
    np.testing.assert_allclose((power > 6).double().mean(dim=(0, 1, 3)), np.exp(-3), rtol=0.15)


def test_the_norm_of_a_signals_vector_is_its_optimal_snr(conditioner: Conditioner, inner: InnerProduct) -> None:
    model = SignalModel.create(population="flat-bbh", duration=2.0, snr_model="uniform", snr=(10.0, 10.0))
    simulation = Simulation(DETECTORS, PSDS, model, RATE, WINDOW, MARGIN)
    drawn = model.draw(
        np.random.default_rng(6),
        24,
        detectors=DETECTORS,
        psds=simulation.psd_table,
        rows=np.broadcast_to(np.arange(3), (24, 3)),
        sample_rate=RATE,
        window=WINDOW,
        margin=MARGIN,
    )
    norms = torch.linalg.vector_norm(inner.vectors(conditioner(drawn.strain)), dim=-1).numpy()
    expected = np.stack([drawn.parameters[f"snr_{name}"] for name in DETECTORS], axis=-1)
    # Some of the signal lies above the band or before the window.
    np.testing.assert_allclose(np.linalg.norm(norms, axis=1), 10.0, rtol=0.05)
    np.testing.assert_allclose(norms, expected, rtol=0.06, atol=0.05)

    again = np.empty_like(drawn.strain)
    chunks = signal_strain(
        drawn.parameters, DETECTORS, margin=MARGIN / RATE, sample_rate=RATE, samples=KEEP,
        approximant="IMRPhenomXAS", f_low=20.0, gps=model.gps,
    )  # fmt: skip
    for positions, strain in chunks:
        again[positions] = strain
    np.testing.assert_allclose(again, drawn.strain, atol=1e-3 * np.abs(drawn.strain).max())


def test_matches_are_those_of_pycbc(conditioner: Conditioner, inner: InnerProduct) -> None:
    """In the first detector alone: raw waveforms and the PSD that made the noise."""
    pairs = {
        "mass_1": np.array([36.0, 38.0, 36.0, 60.0, 30.0]),
        "mass_2": np.array([29.0, 27.0, 29.0, 20.0, 30.0]),
        "spin_1z": np.array([0.0, 0.0, 0.4, 0.0, 0.0]),
        "spin_2z": np.zeros(5),
    }
    vectors = template_vectors(pairs, conditioner, inner, approximant="IMRPhenomD", f_low=20.0)
    first = unit(vectors[:, 0])
    ours = matches(first, first[0], WINDOW).numpy()
    delta_f = 1 / 8
    psd = aLIGOZeroDetHighPower(8 * RATE // 2 + 1, delta_f, 10)
    waves = []
    for row in zip(*(pairs[name] for name in SHAPE), strict=True):
        named = dict(zip(("mass1", "mass2", "spin1z", "spin2z"), row, strict=True))
        plus, _ = get_fd_waveform(approximant="IMRPhenomD", f_lower=20, delta_f=delta_f, f_final=RATE / 2, **named)
        waves.append(plus)
    theirs = [
        pycbc_filter.match(one, waves[0], psd=psd, low_frequency_cutoff=20, high_frequency_cutoff=600)[0]
        for one in waves
    ]
    assert min(theirs) < 0.95
    np.testing.assert_allclose(ours, theirs, atol=0.01)


def test_templates_coalesce_at_sample_zero(templates: torch.Tensor, inner: InnerProduct) -> None:
    series = snr_series(templates, unit(templates), WINDOW).abs()
    own = series[torch.arange(3), torch.arange(3)]
    assert own.argmax(dim=-1).unique().tolist() == [0]
    spectrum = torch.zeros(3, 3, WINDOW // 2 + 1, dtype=torch.complex64)
    spectrum[..., inner.first : inner.first + templates.shape[-1]] = templates
    peak = torch.fft.irfft(spectrum).abs().argmax(dim=-1)
    assert ((peak + 64) % WINDOW < 128).all()  # the amplitude's peak is within 31 ms of it
    assert 0.5 < MERGER < 1


def test_one_vector_of_the_network_has_the_products_of_all_detectors(templates: torch.Tensor) -> None:
    network = network_vectors(templates)
    expected = torch.einsum("adf,bdf->ab", templates.conj(), templates)
    found = network.conj() @ network.T
    assert found.shape == (3, 3)
    np.testing.assert_allclose(found, expected, atol=1e-3 * float(expected.abs().max()))


def test_a_bank_covers_what_it_was_placed_on_and_draws_that_it_was_not(
    conditioner: Conditioner, inner: InnerProduct
) -> None:
    rng = np.random.default_rng(7)

    def waveforms(n: int) -> torch.Tensor:
        drawn = drawn_uniform((35.0, 60.0), (-0.3, 0.3), n, rng)
        vectors = template_vectors(drawn, conditioner, inner, approximant="IMRPhenomXAS", f_low=20.0)
        return unit(network_vectors(vectors))

    proposals, others = waveforms(150), waveforms(60)
    chosen, covered = place(proposals, minimal_match=0.97, coverage=1.0, most=150, samples=WINDOW)
    assert sum(covered) == len(proposals)
    assert covered[0] == int((matches(proposals, proposals[0], WINDOW) >= 0.97).sum())
    bank = proposals[chosen]
    assert 2 <= len(bank) < 60
    assert fitting_factors(proposals, bank, WINDOW).min() >= 0.97 - 1e-5
    assert fitting_factors(others, bank, WINDOW).quantile(0.1) >= 0.97
    for row, template in enumerate(bank[1:], start=1):  # no template was placed where there was one
        assert matches(bank[:row], template, WINDOW).max() < 0.97
    assert len(place(proposals, minimal_match=0.97, coverage=1.0, most=1, samples=WINDOW)[0]) == 1
    assert len(place(proposals, minimal_match=0.97, coverage=0.5, most=150, samples=WINDOW)[0]) < len(bank)
    assert place(proposals[:1], minimal_match=0.97, coverage=1.0, most=3, samples=WINDOW) == ([0], [1])


def test_lags_are_light_travel_times_of_pycbc() -> None:
    lags = allowed_lags(DETECTORS, RATE)
    assert lags[1] == 0  # from L1 the others are nearest
    for d in (0, 2):
        seconds = Detector("L1").light_travel_time_to_detector(Detector(DETECTORS[d]))
        assert seconds * RATE <= lags[d] - SLACK < seconds * RATE + 1
    assert allowed_lags(("V1",), RATE) == (0,)


@pytest.mark.parametrize("reach", [0, 1, 5, 20, 57])
def test_the_sliding_maximum_is_that_of_scipy(reach: int) -> None:
    series = torch.rand(3, 200, generator=torch.Generator().manual_seed(8))
    expected = maximum_filter1d(series.numpy(), 2 * reach + 1, axis=-1, mode="constant", cval=0.0)
    np.testing.assert_array_equal(sliding_max(series, reach), expected)


def test_detectors_add_within_their_lags_and_not_beyond() -> None:
    power = torch.zeros(3, 100)
    power[0, 50], power[1, 55], power[2, 40] = 16.0, 9.0, 4.0
    assert float(network_power(power, (0, 5, 10)).max()) == 29.0
    assert float(network_power(power, (0, 4, 10)).max()) == 20.0
    assert float(network_power(power, (0, 5, 9)).max()) == 25.0
    assert float(power.sum()) == 29.0


def test_the_loudest_is_the_maximum_over_all_times(templates: torch.Tensor) -> None:
    draws = torch.Generator().manual_seed(9)
    strain = torch.randn(5, *templates.shape[1:], dtype=torch.complex64, generator=draws) * 2**0.5
    lags = (23, 0, 57)
    power = snr_series(strain, unit(templates), WINDOW).abs().square()
    expected = [
        [float((power[w, p, 1] + sum(sliding_max(power[w, p, d], lags[d]) for d in (0, 2))).max()) for p in range(3)]
        for w in range(5)
    ]
    before = torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            np.testing.assert_allclose(loudest(strain, unit(templates), lags, WINDOW), expected, rtol=1e-5)
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


def test_draws_follow_the_known_signals_and_stay_in_their_ranges() -> None:
    sample = load_population("flat-bbh").sample(np.random.default_rng(10), 400)
    padded = {name: np.concatenate([values, [np.nan]]) for name, values in sample.items()}
    known = known_shapes(padded, np.arange(401))
    assert len(known["mass_1"]) == 400
    drawn = drawn_like(known, 3000, np.random.default_rng(11))
    assert (drawn["mass_1"] >= drawn["mass_2"]).all()
    for name in SHAPE:
        assert known[name].min() <= drawn[name].min() <= drawn[name].max() <= known[name].max()
        assert drawn[name].mean() == pytest.approx(sample[name].mean(), abs=0.2 * sample[name].std())
    one = {**known, "spin_2z": np.zeros(400)}
    assert set(drawn_like(one, 10, np.random.default_rng(12))["spin_2z"]) == {0.0}
    assert len(known_shapes({"mass_1": np.ones(3)}, np.arange(3))["spin_1z"]) == 0


def test_a_search_is_the_same_in_inference_mode() -> None:
    """Threads have modes of their own: what one made in this mode another may not write without it."""
    generator = torch.Generator().manual_seed(3)
    strain, templates = (torch.randn(n, 2, 65, dtype=torch.complex64, generator=generator) for n in (5, 3))
    wanted = loudest(strain, templates, (0, 4), 128)
    with torch.inference_mode():
        assert torch.equal(loudest(strain.clone(), templates, (0, 4), 128), wanted)
