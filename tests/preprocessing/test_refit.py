"""A conditioner measured on new strain, and what it says of the noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import signal

from gwbench.data.dataset import Array, Split
from gwbench.errors import UserError
from gwbench.preprocessing.conditioning import Conditioner, Conditioning, fit_conditioner
from gwbench.preprocessing.whitened_variance import median_variance, variance_warning, window_variance

RATE, WINDOW, MARGIN = 1024.0, 2048, 512
SAMPLES = WINDOW + 2 * MARGIN
SETTINGS = Conditioning(high=400.0)


def coloured(low: float, seconds: int, seed: int, detectors: int = 2) -> Array:
    """Noise [D, L] whose amplitude falls by a factor of ten above `low` Hz."""
    white = np.random.default_rng(seed).normal(size=(detectors, seconds * int(RATE)))
    sos = signal.butter(2, low, fs=RATE, output="sos")
    return np.asarray(1e-21 * (white + 9 * signal.sosfilt(sos, white)))


def windows(strain: Array) -> Array:
    count = strain.shape[1] // SAMPLES
    return np.moveaxis(strain[:, : count * SAMPLES].reshape(len(strain), count, SAMPLES), 0, 1)


def fitted(strain: Array, settings: Conditioning = SETTINGS) -> Conditioner:
    count = len(strain)
    split = Split(strain, np.zeros(count, np.int8), np.full(count, np.nan, np.float32))
    return fit_conditioner(split, sample_rate=RATE, margin=MARGIN, detectors=("H1", "L1"), settings=settings)


def variance(conditioner: Conditioner, strain: Array) -> Array:
    return median_variance(window_variance(conditioner(strain)))


def test_other_noise_is_white_after_a_refit_and_not_before() -> None:
    own, other = coloured(60.0, 300, 0), coloured(200.0, 300, 1)
    conditioner = fitted(windows(own))
    assert not conditioner.refitted
    before = conditioner.kernel.clone()  # type: ignore[operator]
    assert (variance(conditioner, windows(other)) > 2).all()
    for strain in (other, windows(other)):
        again = conditioner.refit(strain)
        assert again.refitted
        assert type(again) is type(conditioner)
        np.testing.assert_allclose(variance(again, windows(other)), 1.0, atol=0.05)
        assert (again.detectors, again.sample_rate, again.window, again.margin) == (
            *(conditioner.detectors, conditioner.sample_rate, conditioner.window, conditioner.margin),
        )
    assert torch.equal(conditioner.kernel, before)  # type: ignore[arg-type]
    assert conditioner.refit(windows(own)).refitted


def test_windows_are_measured_as_a_training_split_is() -> None:
    strain = windows(coloured(60.0, 90, 2))
    first, again = fitted(strain), fitted(windows(coloured(200.0, 90, 3))).refit(strain)
    assert torch.equal(first.kernel, again.kernel)  # type: ignore[arg-type]


def test_the_power_of_noise_is_what_windows_of_it_have() -> None:
    strain = windows(coloured(60.0, 900, 4))
    conditioner = fitted(strain)
    measured = torch.fft.rfft(conditioner(strain)).abs().square().mean(0).numpy()
    said = conditioner.noise_power()
    assert said is not None
    bins = np.fft.rfftfreq(WINDOW, 1 / RATE)
    inside = (bins > 30) & (bins < 380)

    def smooth(power: Array) -> Array:
        return np.convolve(power[inside], np.ones(40) / 40, "valid")

    for d in range(2):
        np.testing.assert_allclose(smooth(said.numpy()[d]), smooth(measured[d]), rtol=0.06)
    # Parseval: unit variance is T^2 / 2 summed over the positive frequencies
    np.testing.assert_allclose(said.sum(1), WINDOW**2 / 2, rtol=0.03)


def test_the_seed_recipe_measures_nothing() -> None:
    conditioner = fitted(windows(coloured(60.0, 60, 5)), Conditioning(method="seed", high=400.0))
    again = conditioner.refit(coloured(200.0, 60, 6))
    strain = windows(coloured(60.0, 30, 7))
    assert torch.equal(conditioner(strain), again(strain))
    assert again.noise_power() is None


@pytest.mark.parametrize(
    ("strain", "said"),
    [
        (np.ones((2, SAMPLES - 1)), "at least 3072 samples"),
        (np.ones((3, 2 * SAMPLES)), r"expected \[2, L\] of H1, L1"),
        (np.ones((4, 2, SAMPLES + 1)), "or windows"),
        (np.ones((0, 2, SAMPLES)), "or windows"),
        (np.full((2, SAMPLES), np.nan), "NaN"),
        (np.zeros((2, SAMPLES)), "no noise"),
    ],
)
def test_what_cannot_be_measured_is_refused(strain: Array, said: str) -> None:
    with pytest.raises(UserError, match=said):
        fitted(windows(coloured(60.0, 30, 8))).refit(strain)


def test_what_is_said_of_a_variance() -> None:
    assert variance_warning([0.95, 1.1], ("H1", "L1")) == ""
    assert "0.6 in L1" in variance_warning([1.0, 0.6], ("H1", "L1"))
    assert "refit" in variance_warning([1.0, 1.6], ("H1", "L1"))
    assert "shorter stretch" in variance_warning([1.0, 1.6], ("H1", "L1"), refitted=True)
    for value in (11.0, 0.05, float("nan"), float("inf")):
        with pytest.raises(UserError, match="would mean nothing"):
            variance_warning([1.0, value], ("H1", "L1"))
