"""The PSD along real noise: which piece of it has which."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import scipy.signal

from gwbench.contracts import Array
from gwbench.data.psd import PsdTable
from gwbench.data.strain_files.reading import StrainFile
from gwbench.data.strain_files.segments import Segment, good_segments
from gwbench.data.strain_files.tracked_psd import sensitivity, tracked

RATE = 512.0


def segments(strain: Array, good: Sequence[tuple[float, float]] = (), start: float = 1e9) -> list[Segment]:
    """Segments of strain between some seconds of it; by default the whole."""
    spans = [(round(a * RATE), round(b * RATE)) for a, b in good] or [(0, len(strain))]
    return good_segments([StrainFile("H1", start, RATE, strain, tuple(spans), Path(f"{start}"))])


def white(seconds: float, sigma: float = 1e-21, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(scale=sigma, size=round(seconds * RATE))


def test_one_stretch_gives_scipys_median_welch() -> None:
    strain = white(88)
    (noise,), psds = tracked([segments(strain)], RATE)
    frequencies, expected = scipy.signal.welch(strain, RATE, nperseg=int(4 * RATE), average="median")
    assert (psds.values.shape[0], psds.delta_f, noise[0].row(0), noise[0].row(44_000)) == (1, 0.25, 0, 0)
    measured, cut = (frequencies >= 1) & (frequencies <= 0.9 * RATE / 2), frequencies > 0.9 * RATE / 2
    np.testing.assert_allclose(psds.values[0, measured], expected[measured], rtol=1e-9)
    assert not psds.values[0, cut].any()


def test_a_long_stretch_is_followed_minute_by_minute() -> None:
    # Noise whose power doubles every 64 s.
    strain = np.concatenate([white(64, 1e-21 * 2 ** (k / 2), seed=k) for k in range(4)])
    (noise,), psds = tracked([segments(strain)], RATE)
    assert psds.delta_f == 0.5  # 64 s hold 31 periodograms of 4 s, 63 of 2 s
    np.testing.assert_allclose(psds.values[:, 20:400].mean(axis=1), 2 * 1e-42 / RATE * 2.0 ** np.arange(4), rtol=0.03)
    (segment,) = noise
    seconds = np.array([0.0, 63.9, 64.1, 127.9, 128.1, 255.9])
    assert [segment.row(round(t * RATE)) for t in seconds] == [0, 0, 1, 1, 2, 3]
    np.testing.assert_array_equal(segment.strain, strain)
    assert segment.gps == 1e9


def test_short_gaps_do_not_shorten_what_is_measured_but_long_ones_end_it() -> None:
    strain = white(400)
    # 96 s of good time with gaps of 2 s; 150 s later 50 s more.
    good = [(0.0, 30.0), (32.0, 64.0), (66.0, 100.0), (250.0, 300.0)]
    (noise,), psds = tracked([segments(strain, good)], RATE)
    rows = [(part.edges.tolist(), part.rows.tolist()) for part in noise]
    # 96 s make 1.5 pieces, rounded to 2 of 48 s: the second begins 18 s into the second segment.
    assert rows == [([0], [0]), ([0, 18 * RATE], [0, 1]), ([0], [1]), ([0], [2])]
    assert len(psds.values) == 3


def test_rows_of_several_channels_do_not_mix() -> None:
    quiet, loud = white(70), white(70, 1e-20, seed=1)
    noise, psds = tracked([segments(quiet), segments(loud)], RATE)
    levels = [psds.values[part[0].row(0), 20:400].mean() for part in noise]
    assert levels == pytest.approx([2e-42 / RATE, 2e-40 / RATE], rel=0.03)


def test_a_short_piece_takes_shorter_periodograms_and_shares_the_grid_of_the_finest() -> None:
    noise, psds = tracked([segments(white(85)), segments(white(30, seed=1)), segments(white(2.5, seed=2))], RATE)
    assert psds.delta_f == 0.25
    assert psds.values.shape == (3, RATE / 2 / 0.25 + 1)
    assert [part[0].row(0) for part in noise] == [0, 1, 2]
    # 30 s: 59 periodograms of 1 s. A row on a grid four times as fine is straight between its own bins.
    logs = np.log(psds.values[1, 80:800])
    np.testing.assert_allclose(logs[2::4], (logs[0::4] + np.append(logs[4::4], np.log(psds.values[1, 800]))) / 2)
    # 2.5 s: 9 periodograms of half a second, whose median has a relative variance of 2.1 / 9.
    assert psds.values[2, 80:800].mean() == pytest.approx(2e-42 / RATE, rel=0.2)


def test_a_glitch_hardly_moves_the_psd() -> None:
    strain = white(64, 1.0, seed=2)
    glitch = strain.copy()
    glitch[20_000:20_100] += 1e4
    clean, loud = (tracked([segments(each)], RATE)[1].values[0, 20:400].mean() for each in (strain, glitch))
    # At most 2 of 63 periodograms hold it: the median is at most an exponential variable's (0.5 + 2/63) quantile.
    assert 1 <= loud / clean < np.log(1 - 0.5 - 2 / 63) / np.log(0.5)


def test_sensitivity_is_the_inspiral_range_of_pycbc() -> None:
    """Ratios of ranges, for which pycbc's horizon distance takes the same integral."""
    from pycbc.filter import sigma
    from pycbc.psd import from_string
    from pycbc.waveform import get_fd_waveform

    names, delta_f, bins = ("aLIGOZeroDetHighPower", "AdvVirgo"), 0.25, 2049
    psds = [from_string(name, bins + 1, delta_f, 15.0) for name in names]
    wave, _ = get_fd_waveform(approximant="TaylorF2", mass1=1.4, mass2=1.4, delta_f=delta_f, f_lower=15.0)
    wave.resize(bins + 1)
    expected = [sigma(wave, psd=psd, low_frequency_cutoff=20.0, high_frequency_cutoff=511.0) for psd in psds]
    found = sensitivity(PsdTable(np.stack([psd.numpy()[: bins - 4] for psd in psds]), delta_f))
    assert found[0] / found[1] == pytest.approx(expected[0] / expected[1], rel=1e-3)
