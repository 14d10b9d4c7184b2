"""Windows out of real noise, and its PSD."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal

from gwbench.data.injections import draw, noise_psds

RATE = 512.0


def test_every_start_is_equally_probable_and_no_window_leaves_its_stretch() -> None:
    stretches = [np.arange(0, 40, dtype=np.float32), np.arange(100, 110), np.arange(200, 225)]
    windows = draw(np.random.default_rng(0), stretches, 10, 48_000)
    assert (np.diff(windows, axis=1) == 1).all()
    starts, counts = np.unique(windows[:, 0], return_counts=True)
    np.testing.assert_array_equal(starts, [*range(31), 100, *range(200, 216)])
    # 48 starts, 1000 draws each: chi-square of 47 degrees of freedom.
    assert ((counts - 1000) ** 2 / 1000).sum() < scipy.stats.chi2.ppf(0.999, 47)


def test_one_stretch_gives_scipys_median_welch() -> None:
    strain = np.random.default_rng(0).normal(scale=1e-21, size=int(100 * RATE))
    psds, delta_f = noise_psds([[strain]], RATE)
    frequencies, expected = scipy.signal.welch(strain, RATE, nperseg=int(4 * RATE), average="median")
    assert delta_f == 0.25
    measured, cut = (frequencies >= 1) & (frequencies <= 0.9 * RATE / 2), frequencies > 0.9 * RATE / 2
    np.testing.assert_allclose(psds[0, measured], expected[measured], rtol=1e-9)
    assert not psds[0, cut].any()


def test_white_noise_in_pieces_has_the_psd_of_its_variance() -> None:
    rng = np.random.default_rng(1)
    pieces = [rng.normal(scale=sigma, size=(60, int(3 * RATE))) for sigma in (1e-21, 3e-21)]
    psds, delta_f = noise_psds([list(part) for part in pieces], RATE)
    assert delta_f == 0.5  # pieces of 3 s hold no periodogram of 4 s
    for row, sigma in zip(psds, (1e-21, 3e-21), strict=True):
        assert row[5:400].mean() == pytest.approx(2 * sigma**2 / RATE, rel=0.02)


def test_a_glitch_hardly_moves_the_psd() -> None:
    strain = np.random.default_rng(2).normal(size=int(100 * RATE))
    glitch = strain.copy()
    glitch[30_000:30_100] += 1e4
    clean, loud = noise_psds([[strain], [glitch]], RATE)[0]
    # At most 3 of 49 periodograms hold it: their median is at most the 0.53 quantile of an exponential variable.
    assert 1 <= loud[5:400].mean() / clean[5:400].mean() < np.log(1 - 0.53) / np.log(0.5)


def test_short_data_take_shorter_periodograms() -> None:
    strain = np.random.default_rng(3).normal(size=int(30 * RATE))
    assert noise_psds([[strain]], RATE)[1] == 1.0
    assert noise_psds([[strain], [strain[: int(0.5 * RATE)]]], RATE)[1] == 2.0
