"""The Q-transform, against pycbc's and against what a burst and noise must give."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from gwbench.errors import UserError
from gwbench.reporting.strain_plots.q_transform import q_energy

RATE, SECONDS, BAND, Q = 2048.0, 4.0, (20.0, 600.0), 8.0
TIMES = np.arange(int(RATE * SECONDS)) / RATE

Float = NDArray[np.float64]


def burst(time: float, frequency: float, phase: float = 0.3) -> Float:
    """A sine-Gaussian whose bandwidth is that of the bisquare window of this Q."""
    width = 2 * Q / (np.sqrt(11) * 2 * np.pi * frequency)
    shape = np.exp(-(((TIMES - time) / width) ** 2) / 2)
    return np.asarray(shape * np.sin(2 * np.pi * frequency * TIMES + phase))


def flat_noise(seconds: float, seed: int = 1) -> Float:
    """Gaussian noise of unit variance, all of it within the band."""
    samples = int(seconds * RATE)
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(samples))
    frequencies = np.fft.rfftfreq(samples, 1 / RATE)
    spectrum[(frequencies < BAND[0]) | (frequencies > BAND[1])] = 0
    noise = np.fft.irfft(spectrum)
    return np.asarray(noise / noise.std())


@pytest.mark.parametrize(("time", "frequency"), [(1.3, 60.0), (2.71, 145.0), (0.9, 380.0)])
def test_a_burst_is_loudest_at_its_time_and_frequency_with_half_its_squared_snr(time: float, frequency: float) -> None:
    from pycbc.filter import sigma
    from pycbc.types import FrequencySeries, TimeSeries

    strain = burst(time, frequency)
    frequencies = np.geomspace(*BAND, 120)
    energy = q_energy(strain, RATE, frequencies, q=Q, band=BAND)
    row, column = np.unravel_index(np.argmax(energy), energy.shape)
    assert frequencies[row] == pytest.approx(frequency, rel=0.03)  # pixels are 2.9 % apart
    assert TIMES[column] == pytest.approx(time, abs=1 / frequency / 4)

    flat = FrequencySeries(np.full(len(TIMES) // 2 + 1, 1 / (BAND[1] - BAND[0])), delta_f=1 / SECONDS)
    snr = sigma(TimeSeries(strain, delta_t=1 / RATE), psd=flat, low_frequency_cutoff=5.0)
    assert energy.max() == pytest.approx(snr**2 / 2, rel=0.03)  # a bisquare window is nearly a Gaussian


def test_noise_has_energy_one_on_average_and_falls_off_exponentially() -> None:
    energy = q_energy(flat_noise(64), RATE, np.geomspace(30, 500, 25), q=Q, band=BAND)[:, 2048:-2048]
    assert energy.mean() == pytest.approx(1, abs=0.03)
    assert np.allclose(energy.mean(axis=1), 1, atol=0.2)
    for threshold in (1.0, 3.0):
        assert np.mean(energy > threshold) == pytest.approx(np.exp(-threshold), rel=0.06)


def test_it_is_pycbc_s_transform_up_to_its_normalisation() -> None:
    from pycbc.filter.qtransform import qseries
    from pycbc.types import TimeSeries

    strain = flat_noise(SECONDS) + 3 * burst(2.0, 100.0)
    spectrum = TimeSeries(strain, delta_t=1 / RATE).to_frequencyseries()
    frequencies = np.array([40.0, 100.0, 250.0])
    ours = q_energy(strain, RATE, frequencies, q=Q, band=BAND)
    inside = slice(2048, -2048)  # theirs wraps around
    for row, frequency in enumerate(frequencies):
        theirs = np.abs(qseries(spectrum, Q, frequency, return_complex=True).numpy()) ** 2
        a, b = ours[row, inside], theirs[inside]
        assert np.max(np.abs(a / a.max() - b / b.max())) < 0.05  # their window is centred to a bin


def test_an_end_of_the_strain_does_not_reach_the_other() -> None:
    strain = burst(SECONDS - 0.01, 50.0)
    energy = q_energy(strain, RATE, np.array([50.0]), q=Q, band=BAND)[0]
    assert energy[:2048].max() < 1e-4 * energy.max()


@pytest.mark.parametrize("q", [3.0, 200.0, float("nan")])
def test_a_q_that_does_not_fit_is_refused(q: float) -> None:
    with pytest.raises(UserError, match=r"--q .* more than 3\.32 and at most 133\."):
        q_energy(np.zeros(len(TIMES)), RATE, np.array([20.0, 100.0]), q=q, band=BAND)
