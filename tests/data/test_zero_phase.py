"""The band-pass against scipy's, on whole windows with their ends."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal

from gwbench.data.zero_phase import ZeroPhase

Array = NDArray[Any]


def filtered(zero_phase: ZeroPhase, windows: Array) -> Array:
    """As the class says, in float64."""
    samples, length = windows.shape[-1], zero_phase.length
    wrapped = np.fft.irfft(np.fft.rfft(windows, length) * zero_phase.response, length)[:, :samples]
    corrected: Array = wrapped + windows @ zero_phase.inward @ zero_phase.outward
    return corrected


@pytest.mark.parametrize(
    ("order", "band", "rate", "samples"),
    [
        (8, (20, 600), 2048, 4096),
        (8, (20, 600), 2048, 4093),  # a prime
        (8, (20, 600), 2048, 512),  # shorter than the filter rings
        (8, (5, 900), 1024 * 2, 1024),
        (8, (10, 1000), 4096, 8192),
        (4, (30, 400), 1024, 2048),
        (2, (15, 16), 64, 200),
    ],
)
def test_it_is_scipys_sosfiltfilt_to_the_last_sample(
    order: int, band: tuple[float, float], rate: float, samples: int
) -> None:
    rng = np.random.default_rng(0)
    # A random walk: an offset, loud low frequencies, and ends far from zero.
    windows = rng.standard_normal((4, samples)) + 0.3 * np.cumsum(rng.standard_normal((4, samples)), axis=1) + 5
    sections = signal.butter(order, band, "bandpass", fs=rate, output="sos")
    expected = signal.sosfiltfilt(sections, windows)
    found = filtered(ZeroPhase.butterworth(order, band, rate, samples), windows)
    np.testing.assert_allclose(found, expected, atol=1e-6 * np.abs(windows).max())
    ends = np.r_[0:50, samples - 50 : samples]
    np.testing.assert_allclose(found[:, ends], expected[:, ends], atol=1e-6 * np.abs(windows).max())


def test_without_the_correction_the_ends_are_wrong() -> None:
    windows = np.random.default_rng(1).standard_normal((4, 4096))
    sections = signal.butter(8, (20, 600), "bandpass", fs=2048, output="sos")
    expected = signal.sosfiltfilt(sections, windows)
    zero_phase = ZeroPhase.butterworth(8, (20, 600), 2048, 4096)
    plain = np.fft.irfft(np.fft.rfft(windows) * zero_phase.response)
    assert np.abs(plain - expected)[:, :20].max() > 0.1
    # Two seconds hold four times the filter's ringing: in the middle there is nothing to correct.
    assert np.abs(plain - expected)[:, 2000:2100].max() < 1e-6


def test_the_correction_is_thin() -> None:
    # Sixteen poles ring into the window from either end.
    zero_phase = ZeroPhase.butterworth(8, (20, 600), 2048, 4096)
    assert zero_phase.outward.shape == (zero_phase.inward.shape[1], 4096)
    assert zero_phase.inward.shape[1] <= 34


def test_a_window_too_short_for_scipys_reflection_reflects_what_it_has() -> None:
    windows = np.random.default_rng(2).standard_normal((3, 40))
    sections = signal.butter(8, (20, 30), "bandpass", fs=64, output="sos")
    expected = signal.sosfiltfilt(sections, windows, padlen=39)
    found = filtered(ZeroPhase.butterworth(8, (20, 30), 64, 40), windows)
    np.testing.assert_allclose(found, expected, atol=1e-6)
