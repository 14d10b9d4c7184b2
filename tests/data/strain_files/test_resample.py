"""Resampling against sines, scipy's FFT method and the alias of a tone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.signal

from gwbench.data.strain_files.reading import StrainFile
from gwbench.data.strain_files.resample import reach, resample, resampled
from gwbench.errors import UserError


def tone(frequency: float, rate: float, count: int, first: float = 0.0) -> np.ndarray:
    return np.asarray(np.sin(2 * np.pi * frequency * (first + np.arange(count)) / rate))


@pytest.mark.parametrize("from_rate", [4096.0, 16384.0, 4000.0, 2560.0])
@pytest.mark.parametrize("frequency", [5.0, 200.0, 900.0])
def test_a_sine_below_the_new_nyquist_keeps_amplitude_and_phase(from_rate: float, frequency: float) -> None:
    out, trimmed = resample(tone(frequency, from_rate, int(from_rate)), from_rate, 2048.0)
    assert len(out) > 2048 * (1 - 2 * reach(2048.0)) - 3
    np.testing.assert_allclose(out, tone(frequency, 2048.0, len(out), trimmed), atol=2e-5)


@pytest.mark.parametrize("frequency", [1025.0, 1300.0, 1900.0])
def test_a_tone_above_the_new_nyquist_is_damped_by_100_db(frequency: float) -> None:
    out, _ = resample(tone(frequency, 4096.0, 8192), 4096.0, 2048.0)
    assert 20 * np.log10(np.sqrt(2) * out.std()) < -99


def test_agrees_with_scipys_fft_method_on_periodic_band_limited_noise() -> None:
    spectrum = np.zeros(8193, dtype=complex)
    rng = np.random.default_rng(0)
    spectrum[1:3600] = rng.normal(size=3599) + 1j * rng.normal(size=3599)  # below 900 Hz of 4 s at 4096 Hz
    strain = np.fft.irfft(spectrum)
    out, trimmed = resample(strain, 4096.0, 2048.0)
    expected = scipy.signal.resample(strain, len(strain) // 2)[trimmed : trimmed + len(out)]
    np.testing.assert_allclose(out, expected, atol=5e-5 * expected.std())


def test_the_same_rate_changes_nothing() -> None:
    strain = np.arange(5.0)
    out, trimmed = resample(strain, 2048.0, 2048.0)
    np.testing.assert_array_equal(out, strain)
    assert trimmed == 0


def test_strain_shorter_than_the_filter_gives_nothing() -> None:
    assert len(resample(np.ones(100), 4096.0, 2048.0)[0]) == 0
    assert len(resample(np.ones(0), 4096.0, 2048.0)[0]) == 0


@pytest.mark.parametrize("from_rate", [4096.0, 4000.0])
def test_gaps_stay_gaps_and_time_stays_where_it_was(from_rate: float) -> None:
    strain = tone(50.0, from_rate, int(2 * from_rate))
    strain[3001:3333] = np.nan
    good = ((1, 3001), (3333, len(strain)), (5, 5))
    out = resampled(StrainFile("H1", 10.0, from_rate, strain, good, Path("x")), 2048.0)
    (first, second) = out.good
    expected = tone(50.0, 2048.0, len(out.strain))
    for start, stop in out.good:
        np.testing.assert_allclose(out.strain[start:stop], expected[start:stop], atol=2e-5)
    outside = np.concatenate((out.strain[: first[0]], out.strain[first[1] : second[0]], out.strain[second[1] :]))
    assert np.isnan(outside).all()
    # Every edge is trimmed by what the filter reaches, and by little more.
    for sample, edge in zip((*first, *second), (1, 3001, 3333, 2 * from_rate), strict=True):
        assert reach(2048.0) - 1e-3 < abs(sample / 2048.0 - edge / from_rate) < reach(2048.0) + 0.07
    assert (out.sample_rate, out.gps_start, out.detector) == (2048.0, 10.0, "H1")


def test_upsampling_names_both_rates() -> None:
    with pytest.raises(UserError, match=r"sampled at 1024 Hz cannot be brought to 2048 Hz"):
        resample(np.zeros(10), 1024.0, 2048.0)
    with pytest.raises(UserError, match=r"The strain file x\.hdf: strain sampled at 1024 Hz"):
        resampled(StrainFile(None, 0.0, 1024.0, np.zeros(10), ((0, 10),), Path("x.hdf")), 2048.0)


def test_rates_without_a_common_grid_are_refused() -> None:
    with pytest.raises(UserError, match="no fraction of small integers"):
        resample(np.zeros(10), 4096.0, 2000.7071)
