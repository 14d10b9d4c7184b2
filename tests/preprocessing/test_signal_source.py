"""Simulated signals for views: their loudness against pycbc, their delays, and what decides them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pycbc.detector import Detector
from pycbc.filter import sigma
from pycbc.psd import from_string
from pycbc.types import FrequencySeries, TimeSeries
from scipy import signal
from scipy.stats import kstest, uniform

from gwbench.contracts import SignalSettings, Split
from gwbench.errors import UserError
from gwbench.preprocessing.conditioning import Conditioner, Conditioning, fit_conditioner
from gwbench.preprocessing.signal_source import SimulatedSignals, simulated_signals_factory
from gwbench.simulation.population import REFERENCE_GPS
from gwbench.utils.progress import Progress

RATE, WINDOW, MARGIN = 2048, 4096, 512
PSDS = {"H1": "aLIGODesignSensitivityT1800044", "L1": "aLIGOZeroDetHighPower", "V1": "AdvVirgo"}
DETECTORS = tuple(PSDS)
SETTINGS = SignalSettings("flat-bbh", "uniform", (6.0, 20.0), count=192)

Array = NDArray[Any]


def noise(seconds: int, lowest: float = 10.0) -> Array:
    """[D, samples] of pycbc's noise."""
    from pycbc.noise.reproduceable import noise_from_string

    return np.stack(
        [
            noise_from_string(psd, 0, seconds, seed=40 + i, sample_rate=RATE, low_frequency_cutoff=lowest).numpy()
            for i, psd in enumerate(PSDS.values())
        ]
    )


def fit(segment: Array, method: str = "whiten", low: float = 20.0) -> tuple[Conditioner, Array]:
    """The conditioner of some noise, and the windows it was fitted on."""
    keep = WINDOW + 2 * MARGIN
    count = segment.shape[1] // keep
    strain = segment[:, : count * keep].reshape(len(segment), count, keep).swapaxes(0, 1).astype(np.float32)
    split = Split(strain, np.full(count, -1), np.full(count, np.nan))
    settings = Conditioning(method=method, low=low)  # type: ignore[arg-type]
    fitted = fit_conditioner(split, sample_rate=RATE, margin=MARGIN, detectors=DETECTORS, settings=settings)
    return fitted, strain


@pytest.fixture(scope="module")
def segment() -> Array:
    return noise(320)


@pytest.fixture(scope="module")
def fitted(segment: Array) -> tuple[Conditioner, Array]:
    return fit(segment)


@pytest.fixture(scope="module")
def source(fitted: tuple[Conditioner, Array]) -> SimulatedSignals:
    return SimulatedSignals(SETTINGS, *fitted, seed=3)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def measured_snr(conditioner: Conditioner, segment: Array, samples: Array, lowest: float = 17.0) -> Array:
    """[n] network SNR by pycbc of conditioned signals, against the spectrum of the conditioned noise."""
    squares = np.zeros(len(samples))
    for d in range(len(DETECTORS)):
        conditioned = conditioner.condition_segment(segment[d], d).double().numpy()
        _, power = signal.welch(conditioned, RATE, nperseg=RATE)
        # Outside the band nothing of noise or signal is left to speak of.
        psd = FrequencySeries(np.interp(np.arange(WINDOW // 2 + 1) / 2, np.arange(RATE // 2 + 1), power), delta_f=0.5)
        for i, one in enumerate(samples[:, d].astype(np.float64)):
            series = TimeSeries(one, delta_t=1 / RATE)
            squares[i] += sigma(series, psd, low_frequency_cutoff=lowest, high_frequency_cutoff=610.0) ** 2
    return np.asarray(np.sqrt(squares))


def test_conditioned_signals_have_the_network_snr_drawn(
    source: SimulatedSignals, fitted: tuple[Conditioner, Array], segment: Array
) -> None:
    bank = source.bank
    assert kstest(bank.snr, uniform(6, 14).cdf).pvalue > 0.005
    some = bank.samples[:60].numpy()
    ratio = measured_snr(fitted[0], segment, some) / bank.snr[:60]
    assert abs(np.mean(ratio) - 1) < 0.005
    # The lightest binaries begin before the window.
    assert ratio.min() > 0.98 and ratio.max() < 1.02


def test_sum_of_squares_is_the_snr_squared_within_the_band(source: SimulatedSignals) -> None:
    """Noise of unit variance in 580 Hz has a one-sided PSD of 1 / 580 per Hz there, so SNR^2 = 2 580 / rate sum x^2.

    What the band's edge at 20 Hz and the window's start lose of it is below 2 %.
    """
    some = source.bank.samples.float()
    ratio = torch.sqrt(2 * 580 / RATE * some.square().sum((1, 2))).numpy() / source.bank.snr
    assert np.abs(ratio - 1).max() < 0.02


def test_loudness_is_that_of_the_noises_own_psd(source: SimulatedSignals) -> None:
    """What the training strain gives for the PSD is what the noise was made with."""
    for row, name in zip(source.psds.values, PSDS.values(), strict=True):
        design = from_string(name, len(row) + 1, source.psds.delta_f, 10.0).numpy()[: len(row)]
        band = slice(25, 600)
        assert abs(np.mean(row[band] / design[band]) - 1) < 0.03


def test_signals_arrive_with_the_delays_between_detectors(source: SimulatedSignals) -> None:
    bank = source.bank
    ra, dec = bank.parameters["ra"], bank.parameters["dec"]
    checked = 0
    for first, second in ((0, 1), (0, 2), (1, 2)):
        expected = Detector(DETECTORS[second]).time_delay_from_detector(
            Detector(DETECTORS[first]), ra, dec, REFERENCE_GPS
        )
        for i in np.flatnonzero(bank.parameters[f"snr_{DETECTORS[second]}"] > 4):
            a, b = (bank.samples[i, d].double().numpy() for d in (first, second))
            # The envelope: detectors see the two polarisations in other shares, which turns the phase.
            correlation = np.abs(signal.hilbert(signal.correlate(b, a, mode="full", method="fft")))
            lag = (int(correlation.argmax()) - (WINDOW - 1)) / RATE
            assert lag == pytest.approx(expected[i], abs=1.5e-3)
            checked += 1
    assert checked > 400


def test_adding_a_conditioned_signal_is_conditioning_the_sum(
    source: SimulatedSignals, fitted: tuple[Conditioner, Array]
) -> None:
    from gwbench.seeds import numpy_generator

    conditioner, strain = fitted
    rng = numpy_generator(3, "noise", source._key, 0)
    rows = np.broadcast_to(np.arange(3), (192, 3))
    drawn = source.model.draw(
        rng, 192, detectors=DETECTORS, psds=source.psds, rows=rows, sample_rate=RATE, window=WINDOW, margin=MARGIN
    )
    together = conditioner(strain[:20] + drawn.strain[:20])
    torch.testing.assert_close(together, conditioner(strain[:20]) + source.bank.samples[:20], atol=5e-3, rtol=0)
    assert float(source.bank.samples[:20].float().abs().amax()) > 1


def test_draws_follow_the_generator_alone(source: SimulatedSignals) -> None:
    state, keys = torch.get_rng_state(), np.random.get_state(legacy=False)["state"]["key"].copy()  # noqa: NPY002
    first, again, other = (source.draw(64, generator(seed)) for seed in (1, 1, 2))
    assert first.shape == (64, 3, WINDOW) and first.dtype == torch.float32
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(state, torch.get_rng_state())
    np.testing.assert_array_equal(keys, np.random.get_state(legacy=False)["state"]["key"])  # noqa: NPY002
    first.zero_()
    assert torch.equal(source.draw(64, generator(1)), again)


def test_every_signal_is_drawn_alike(fitted: tuple[Conditioner, Array]) -> None:
    small = SimulatedSignals(SignalSettings("flat-bbh", "uniform", (6.0, 20.0), count=8), *fitted, seed=3)
    drawn = small.draw(800, generator())[:, 0].square().sum(1)
    bank = small.bank.samples[:, 0].float().square().sum(1)
    counts = torch.bincount((drawn[:, None] - bank[None]).abs().argmin(1), minlength=8)
    assert float(((counts - 100) ** 2 / 100).sum()) < 24.3  # chi2 of 7 degrees of freedom, 0.1 %


def test_signals_depend_on_seed_and_settings(fitted: tuple[Conditioner, Array]) -> None:
    make = simulated_signals_factory(*fitted, seed=4)
    few = SignalSettings("flat-bbh", "uniform", (6.0, 20.0), count=6)
    same, again = make(few).draw(9, generator()), make(few).draw(9, generator())
    other = simulated_signals_factory(*fitted, seed=5)(few).draw(9, generator())
    assert torch.equal(same, again) and not torch.equal(same, other)
    louder = make(SignalSettings("flat-bbh", "clipped-normal", (40.0, 0.0, 1.0), count=6))
    assert isinstance(louder, SimulatedSignals)
    np.testing.assert_allclose(louder.bank.snr, 40.0, rtol=1e-3)


def test_nothing_is_simulated_before_the_first_draw(fitted: tuple[Conditioner, Array]) -> None:
    class Counting(Progress):
        titles: list[str] = []  # noqa: RUF012

        def task(self, title: str, total: float, unit: str = "") -> Any:
            self.titles.append(f"{title} {total:g} {unit}")
            return super().task(title, total, unit)

    counting = Counting()
    source = SimulatedSignals(SignalSettings("flat-bbh", "uniform", (6.0, 20.0), 3), *fitted, seed=1, progress=counting)
    assert counting.titles == []
    source.draw(2, generator())
    source.draw(2, generator())
    assert counting.titles == ["Simulate signals 3 signals"]


def test_seed_conditioning_measures_the_psds_that_it_does_not_need(
    segment: Array, source: SimulatedSignals, fitted: tuple[Conditioner, Array]
) -> None:
    conditioner, strain = fit(segment, "seed")
    seeded = SimulatedSignals(SETTINGS, conditioner, strain, seed=3)
    band = slice(20, 600)
    np.testing.assert_allclose(seeded.psds.values[:, band], source.psds.values[:, band], rtol=1e-6)
    np.testing.assert_allclose(seeded.bank.snr, source.bank.snr, rtol=1e-6)
    # Its unit is 1e-21, and the strain's colour stays.
    rng_free = seeded.bank.samples[0, 0].float()
    assert 1e-3 < float(rng_free.abs().amax()) < 10


def test_a_cutoff_in_the_noise_makes_no_signal_loud() -> None:
    """Between 20 and 40 Hz there is no noise; what is left there by leakage must not count."""
    cut = noise(160, lowest=40.0)
    conditioner, strain = fit(cut)
    source = SimulatedSignals(
        SignalSettings("flat-bbh", "uniform", (10.0, 10.0), count=16), conditioner, strain, seed=2
    )
    assert (source.psds.values[:, 20:36] == 0).all()
    assert (source.psds.values[:, 45:600] > 0).all()
    # Where the noise has ended, the test's own ratio of signal to noise means nothing either.
    ratio = measured_snr(conditioner, cut, source.bank.samples.numpy(), lowest=44.0) / source.bank.snr
    assert ratio.min() > 0.9 and ratio.max() < 1.02


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (SignalSettings("flat-bhb", "uniform", (6.0, 20.0)), "flat-bhb.*flat-bbh"),
        (SignalSettings("flat-bbh", "unifrom", (6.0, 20.0)), "unifrom.*Did you mean 'uniform'"),
        (SignalSettings("flat-bbh", "uniform", (6.0,)), "expected snr = LOW,HIGH"),
        (SignalSettings("flat-bbh", "distance", (6.0,)), "has no distances"),
        (SignalSettings("flat-bbh", "uniform", (6.0, 20.0), count=0), "count = 0"),
        (SignalSettings("flat-bbh", "uniform", (6.0, 20.0), count=10**8), "GiB.*Lower count"),
    ],
)
def test_wrong_settings_are_named(fitted: tuple[Conditioner, Array], settings: SignalSettings, message: str) -> None:
    with pytest.raises(UserError, match=message):
        simulated_signals_factory(*fitted, seed=3)(settings)
