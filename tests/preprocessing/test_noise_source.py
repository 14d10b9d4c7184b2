"""Injected noise: its origin, independence, and the conditioning it goes through."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import signal

from gwbench.contracts import Split
from gwbench.data.psd import CURATED
from gwbench.errors import UserError
from gwbench.preprocessing.conditioning import Conditioner, Conditioning, Whitening, fit_conditioner
from gwbench.preprocessing.noise_source import PycbcNoise, coloured_noise_factory

RATE, WINDOW, MARGIN = 1024, 1024, 256
DETECTORS = ("H1", "V1")
PSDS = {"H1": CURATED["H1"][:2], "V1": CURATED["V1"][:1]}

Array = NDArray[Any]


def fit(method: str) -> Conditioner:
    """Fitted on noise of each detector's first PSD, from pycbc."""
    from pycbc.noise.reproduceable import noise_from_string

    samples = WINDOW + 2 * MARGIN
    segments = [
        noise_from_string(PSDS[name][0], 0, 150, seed=90 + i, sample_rate=RATE, low_frequency_cutoff=10.0)
        for i, name in enumerate(DETECTORS)
    ]
    strain = np.stack([s.numpy().reshape(-1, samples) for s in segments], axis=1).astype(np.float32)
    split = Split(strain, np.full(len(strain), -1), np.full(len(strain), np.nan))
    settings = Conditioning(method=method, high=400)  # type: ignore[arg-type]
    return fit_conditioner(split, sample_rate=RATE, margin=MARGIN, detectors=DETECTORS, settings=settings)


@pytest.fixture(scope="module")
def whitening() -> Conditioner:
    return fit("whiten")


@pytest.fixture(scope="module")
def noise(whitening: Conditioner) -> PycbcNoise:
    return PycbcNoise(whitening, PSDS, seed=5, seconds=64)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def global_state() -> Array:
    """The state of numpy's global generator."""
    return np.array(np.random.get_state(legacy=False)["state"]["key"])  # noqa: NPY002


def offset_of(window: Array, segment: Array) -> int:
    """Where in the segment a window was cut out."""
    return int(signal.correlate(segment, window, mode="valid", method="fft").argmax())


def test_draws_have_the_shape_of_a_view_and_the_datas_variance(noise: PycbcNoise) -> None:
    single = noise.draw(torch.ones(300, 1, dtype=torch.long), generator())
    assert single.shape == (300, 1, WINDOW)
    assert single.dtype == torch.float32
    # V1's only PSD is the one the conditioner was fitted on.
    assert abs(float(single.var()) - 1) < 0.06
    assert noise.draw(torch.tensor([[0, 1]] * 7), generator()).shape == (7, 2, WINDOW)


def test_noise_keeps_its_own_psds_loudness(whitening: Conditioner) -> None:
    assert isinstance(whitening, Whitening)
    from pycbc.psd import from_string

    name = "aLIGOEarlyLowSensitivityP1200087"
    loud = PycbcNoise(whitening, {"H1": [name], "V1": [name]}, seed=5, seconds=64)
    draws = loud.draw(torch.zeros(2000, 1, dtype=torch.long), generator())
    response = np.abs(np.fft.rfft(whitening.kernel[0], 16384) * 1e21) ** 2
    expected = np.sum(from_string(name, 8194, RATE / 16384, 10.0).numpy()[:-1] * response) * RATE / 16384
    assert expected > 3
    assert abs(float(draws.var()) / expected - 1) < 0.06


def test_draws_are_conditioned_pycbc_noise(noise: PycbcNoise, whitening: Conditioner) -> None:
    raw = noise.raw("V1", PSDS["V1"][0])
    segment = whitening.condition_segment(raw, 1).numpy()
    for window in noise.draw(torch.ones(5, 1, dtype=torch.long), generator(3)).numpy()[:, 0]:
        start = offset_of(window, segment)
        np.testing.assert_array_equal(window, segment[start : start + WINDOW])
        # The same seconds of raw noise, through the conditioning of the data.
        cut = raw[start : start + WINDOW + 2 * MARGIN]
        expected = whitening(np.stack([cut, cut])[None])[0, 1]
        np.testing.assert_allclose(window, expected, atol=1e-4)


def test_raw_noise_has_the_psd_it_is_named_after(noise: PycbcNoise) -> None:
    from pycbc.psd import from_string

    frequencies, power = signal.welch(noise.raw("H1", PSDS["H1"][0]) * 1e21, RATE, nperseg=RATE)
    psd = from_string(PSDS["H1"][0], RATE // 2 + 2, 1.0, 10.0).numpy()[:-1] * 1e42
    band = (frequencies >= 20) & (frequencies <= 400)
    assert abs((power[band] / psd[band]).mean() - 1) < 0.03


def test_detectors_psds_and_seeds_are_uncorrelated(noise: PycbcNoise, whitening: Conditioner) -> None:
    name = PSDS["H1"][0]
    other = PycbcNoise(whitening, {"H1": [name], "V1": [name]}, seed=5, seconds=64)
    again = PycbcNoise(whitening, {"H1": [name], "V1": [name]}, seed=6, seconds=64)
    pairs = [
        (noise.raw("H1", name), noise.raw("H1", PSDS["H1"][1])),
        (noise.raw("H1", name), other.raw("V1", name)),
        (noise.raw("H1", name), again.raw("H1", name)),
    ]
    for a, b in pairs:
        x, y = (whitening.condition_segment(part, 0).double() for part in (a, b))
        # 64 s of noise 380 Hz wide hold about 49,000 independent samples; 5 sigma.
        shifts = signal.correlate(x, y, mode="same", method="fft") / np.sqrt(float(x @ x) * float(y @ y))
        assert abs(float(shifts[len(shifts) // 2])) < 5 / np.sqrt(49_000)
        assert np.abs(shifts).max() < 7 / np.sqrt(49_000)
    np.testing.assert_array_equal(noise.raw("H1", name), other.raw("H1", name))


def test_draws_follow_the_generator_alone(noise: PycbcNoise) -> None:
    detectors = torch.tensor([[0], [1]] * 20)
    before, state = global_state(), torch.random.get_rng_state()
    fresh = PycbcNoise(noise._conditioner, PSDS, seed=5, seconds=64)
    draws = fresh.draw(detectors, generator(1))
    np.testing.assert_array_equal(global_state(), before)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(draws, noise.draw(detectors, generator(1)))
    assert not torch.equal(draws, noise.draw(detectors, generator(2)))
    draws.zero_()
    assert noise.draw(detectors, generator(1)).std() > 0.5
    windows = {tuple(w[:4].tolist()) for w in noise.draw(torch.zeros(200, 1, dtype=torch.long), generator())[:, 0]}
    assert len(windows) > 190


def test_every_psd_of_a_detector_is_drawn(noise: PycbcNoise, whitening: Conditioner) -> None:
    segments = [whitening.condition_segment(noise.raw("H1", name), 0).numpy() for name in PSDS["H1"]]
    draws = noise.draw(torch.zeros(100, 1, dtype=torch.long), generator())[:, 0].numpy()
    found = 0
    for window in draws:
        start = offset_of(window, segments[0])
        found += np.array_equal(window, segments[0][start : start + WINDOW])
    assert 30 < found < 70


def test_seed_conditioning_tapers_every_window() -> None:
    conditioner = fit("seed")
    noise = PycbcNoise(conditioner, PSDS, seed=5, seconds=32)
    draws = noise.draw(torch.ones(50, 1, dtype=torch.long), generator())[:, 0].numpy()
    raw = noise.raw("V1", PSDS["V1"][0])
    step = WINDOW // 4
    cuts = np.stack([raw[s : s + WINDOW] for s in range(0, len(raw) - WINDOW + 1, step)])
    sections = signal.butter(8, [20, 400], "bandpass", fs=RATE, output="sos")
    expected = signal.sosfiltfilt(sections, cuts * signal.windows.tukey(WINDOW, 0.1)) / 1e-21
    for window in draws:
        assert np.abs(expected - window).max(axis=1).min() < 1e-4 * expected.std()


def test_stretches_hold_enough_windows(whitening: Conditioner) -> None:
    assert PycbcNoise(whitening, PSDS, seed=5, seconds=1).seconds == 16


@pytest.mark.parametrize(
    ("psds", "message"),
    [
        ({**PSDS, "V1": ["AdvVirgoo"]}, "AdvVirgoo.*Did you mean 'AdvVirgo'"),
        ({"H1": PSDS["H1"]}, "no noise PSD is given for detector V1"),
        ({**PSDS, "V1": []}, "no noise PSD is given for detector V1"),
        ({**PSDS, "H2": PSDS["H1"]}, "'H2', but the data's detectors are H1, V1"),
    ],
)
def test_wrong_psds_are_named(whitening: Conditioner, psds: dict[str, list[str]], message: str) -> None:
    with pytest.raises(UserError, match=message):
        coloured_noise_factory(whitening, seed=5)(psds)
