from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg

from benchmarks import masked_modelling as bounds


def test_the_share_of_signals_is_that_of_snr_squared_in_the_number_of_samples() -> None:
    """In white noise of unit variance, sum h^2 is the SNR squared; one window in two holds a signal."""
    noise = np.random.default_rng(0).standard_normal((50, 1, 4096))
    waves = np.zeros((50, 1, 4096))
    waves[..., 128:192] = 10 / 8  # sum h^2 = 100
    expected = 0.5 * 100 / 4096 / (1 + 0.5 * 100 / 4096)
    assert bounds.share(waves, noise) == pytest.approx(expected, rel=0.01)
    # means of 16 hold all of such a wave, and a sixteenth of the noise's variance
    assert bounds.share(bounds.averaged(waves, 16), bounds.averaged(noise, 16)) == pytest.approx(
        0.5 * 1600 / 4096 / (1 + 0.5 * 1600 / 4096), rel=0.02
    )


def test_white_noise_cannot_be_told_from_its_neighbours_and_an_autoregression_can() -> None:
    """The variance of hidden samples of a Gaussian, given the others: the inverse of their block of the precision."""
    generator = np.random.default_rng(1)
    white = generator.standard_normal((200, 1, 4096))
    assert bounds.predictable_noise(white, 1) < 0.005
    spectrum = np.fft.rfft(white) / (1 - 0.9 * np.exp(-2j * np.pi * np.fft.rfftfreq(4096)))
    covariance = scipy.linalg.toeplitz(0.9 ** np.arange(bounds.SPAN * 3)) / (1 - 0.9**2)
    hidden = slice(bounds.SPAN, 2 * bounds.SPAN)
    left = np.linalg.inv(np.linalg.inv(covariance)[hidden, hidden])
    one_span = 1 - np.trace(left) / np.trace(covariance[hidden, hidden])
    # spans beside one another are told from farther away, so that a little less is known than of one span alone
    assert 0.4 * one_span < bounds.predictable_noise(np.fft.irfft(spectrum), 1) < 1.05 * one_span


def test_a_detectors_filter_output_is_told_by_anothers_as_by_their_correlation() -> None:
    """Of 1,000,000 simulated pairs: independent noise of unit variance, and SNRs in one window of two."""
    generator = np.random.default_rng(2)
    snr = generator.uniform(3, 12, (500_000, 1)) * np.array([1.0, 0.8])
    outputs = np.concatenate([snr, np.zeros_like(snr)]) + generator.standard_normal((1_000_000, 2))
    expected = np.corrcoef(outputs.T)[0, 1] ** 2
    (*_, last) = bounds.filter_rows(snr)
    assert float(last.split("|")[-2].split("%")[0]) == pytest.approx(100 * expected, rel=0.01)
