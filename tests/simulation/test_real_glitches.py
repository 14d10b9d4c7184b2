"""Real glitches: found where they are, kept apart between splits, and as loud in another detector's noise."""

from __future__ import annotations

import pickle
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pycbc.filter import sigma
from pycbc.types import FrequencySeries, TimeSeries
from scipy import stats
from scipy.signal import welch

from gwbench.data.psd import PsdTable, psd_values
from gwbench.data.strain_files.reading import StrainFile, read_strain
from gwbench.data.strain_files.resample import resampled
from gwbench.data.strain_files.segments import Segment, good_segments
from gwbench.errors import UserError
from gwbench.simulation.glitches import SimulatedGlitches
from gwbench.simulation.real_glitches import Cutout, RealGlitches, find_glitches, share_glitches

RATE = 1024.0
WINDOW = round(2.5 * RATE)
GPS = 1.2e9
SOURCE, TARGET = "aLIGOZeroDetHighPower", "AdvVirgo"
FRACTIONS = {"train": 0.6, "val": 0.2, "test": 0.2}
GLITCHES = (9.0, 40.0, 60.0, 61.5, 90.0, 115.0, 140.0, 170.0)


def coloured(seconds: float, name: str, seed: int) -> NDArray[np.float64]:
    size = round(seconds * RATE)
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(size=size))
    strain: NDArray[np.float64] = np.fft.irfft(spectrum * np.sqrt(psd_values(name, RATE, size) * RATE / 2), n=size)
    return strain


def stretch_of(strain: NDArray[Any], start: float = GPS, detector: str = "H1") -> Segment:
    file = StrainFile(detector, start, RATE, strain, ((0, len(strain)),), Path(f"{detector}-{start:.0f}.hdf5"))
    (segment,) = good_segments([file])
    return segment


def blip(snr_distribution: float) -> NDArray[np.float64]:
    """8 s with one blip of this optimal SNR in the source's noise, 4 s in."""
    time = np.arange(round(8 * RATE)) / RATE - 4
    wave = np.exp(-((time / 0.01) ** 2)) * np.cos(2 * np.pi * 120 * time)
    psd = FrequencySeries(psd_values(SOURCE, RATE, len(wave)), delta_f=1 / 8)
    unit = sigma(TimeSeries(wave, delta_t=1 / RATE), psd=psd, low_frequency_cutoff=20.0)
    return np.asarray(wave * (snr_distribution / unit), np.float64)


@pytest.fixture(scope="module")
def segment() -> Segment:
    """200 s of simulated noise with blips of SNR 40 at the times of `GLITCHES`."""
    strain = coloured(200, SOURCE, seed=1)
    for time in GLITCHES:
        first = round((time - 4) * RATE)
        strain[first : first + round(8 * RATE)] += blip(40.0)
    return stretch_of(strain)


@pytest.fixture(scope="module")
def found(segment: Segment) -> list[Cutout]:
    return find_glitches([segment], WINDOW)


def apply(
    glitches: RealGlitches, n: int, split: str = "train", seed: int = 0, samples: int = WINDOW
) -> tuple[NDArray[np.float32], dict[str, NDArray[np.float64]]]:
    noise = np.full((n, 2, samples), 7.0, np.float32)
    known = glitches.apply(
        np.random.default_rng(seed),
        noise,
        split=split,
        psds=PsdTable(np.stack([psd_values(name, RATE, 8192) for name in (SOURCE, TARGET)]), RATE / 8192),
        rows=np.tile([0, 1], (n, 1)),
        detectors=("H1", "V1"),
        sample_rate=RATE,
    )
    return noise, known


def test_glitches_are_found_when_they_happened(found: list[Cutout]) -> None:
    np.testing.assert_allclose([cutout.gps - GPS for cutout in found], GLITCHES, atol=0.01)
    heights = np.array([cutout.heights.max() for cutout in found])
    # One sample holds part of a blip's SNR of 40, give or take the noise.
    assert (heights > 10).all() and (heights < 45).all()


def test_noise_alone_holds_none() -> None:
    assert find_glitches([stretch_of(coloured(200, SOURCE, seed=2))], WINDOW, threshold=6.0) == []


def test_the_o3a_strain_holds_one_loud_glitch(test_data: Path) -> None:
    file = resampled(read_strain(test_data / "o3a-noise" / "real_noise.hdf"), 2048.0)
    segments = good_segments([file])
    for threshold in (5.5, 8.0):
        (glitch,) = find_glitches(segments, 5120, threshold=threshold)
        assert glitch.gps - file.start == pytest.approx(455.1, abs=0.05)
        assert 25 < glitch.heights[0] < 45
    with pytest.raises(UserError, match="Found 1 glitch"):
        share_glitches([glitch], FRACTIONS)
    given = find_glitches(segments, 5120, times=[file.start + second for second in (100.0, 250.0, 455.1)])
    assert given[2].heights[0] == glitch.heights[0]
    assert [len(share) for share in share_glitches(given, FRACTIONS).values()] == [1, 1, 1]


def test_whitened_cut_outs_have_a_flat_psd_of_two_over_the_sample_rate(segment: Segment) -> None:
    quiet = find_glitches([segment], WINDOW, times=[GPS + 25, GPS + 75, GPS + 127])
    for cutout in quiet:
        frequencies, psd = welch(cutout.white.astype(float), RATE, nperseg=512, detrend=False)
        level = psd * RATE / 2
        band = (frequencies > 30) & (frequencies < 430)
        assert level[band].mean() == pytest.approx(1.0, abs=0.1)
        assert level[frequencies > 480].max() < 0.01


def test_recoloured_noise_has_the_psd_of_what_it_replaces() -> None:
    times = np.arange(8.0, 292.0, 6.0)
    quiet = find_glitches([stretch_of(coloured(300, SOURCE, seed=3))], WINDOW, times=(GPS + times).tolist())
    assert len(quiet) == len(times)
    noise, _ = apply(RealGlitches({"train": quiet}, 100.0, RATE), 300)
    frequencies, psd = welch(noise[:, 1].astype(float) * 1e21, RATE, nperseg=WINDOW, detrend=False)
    ratio = psd.mean(axis=0) / 1e42 / psd_values(TARGET, RATE, WINDOW).clip(1e-60)
    for low, high in ((20, 30), (30, 60), (60, 120), (120, 250), (250, 420)):
        assert ratio[(frequencies >= low) & (frequencies < high)].mean() == pytest.approx(1.0, abs=0.08)


def test_a_recoloured_glitch_has_the_snr_it_had() -> None:
    snr_distribution, wave = 25.0, blip(25.0)
    white = np.fft.rfft(wave) / np.sqrt(psd_values(SOURCE, RATE, len(wave), 5.0).clip(1e-60) * RATE / 2)
    white[: 8 * 15] = 0
    middle = len(wave) // 2
    cutout = Cutout(
        np.fft.irfft(white).astype(np.float32), middle, GPS, np.array([middle]), np.array([20.0]), (GPS - 5, GPS + 5)
    )
    glitches = RealGlitches({"train": [cutout]}, 100.0, RATE)
    samples = round(4 * RATE)
    noise, known = apply(glitches, 8, samples=samples)
    for channel, (detector, name) in enumerate((("H1", SOURCE), ("V1", TARGET))):
        psd = FrequencySeries(psd_values(name, RATE, samples), delta_f=1 / 4)
        for window, time in enumerate(known[f"glitch_time_{detector}"]):
            assert np.abs(noise[window, channel]).argmax() / RATE == pytest.approx(time, abs=0.01)
            if 0.5 < time < 3.5:
                series = TimeSeries(noise[window, channel].astype(float), delta_t=1 / RATE)
                assert sigma(series, psd=psd, low_frequency_cutoff=20.0) == pytest.approx(snr_distribution, rel=0.01)
    assert set(known["glitch_peak_V1"]) == {20.0}


def test_glitches_fall_anywhere_inside_their_window(found: list[Cutout]) -> None:
    glitches = RealGlitches({"train": found}, 100.0, RATE)
    noise, known = apply(glitches, 400)
    assert (noise != 7).all()
    for detector in ("H1", "V1"):
        assert known[f"glitches_{detector}"].min() == 1
        assert known[f"glitches_{detector}"].max() == 2  # those at 60 and 61.5 s
        time, gps = known[f"glitch_time_{detector}"], known[f"glitch_gps_{detector}"] - GPS
        assert time.min() >= 0 and time.max() < 2.5
        assert np.abs(gps[:, None] - GLITCHES).min(axis=1).max() < 0.01
        alone = np.isin(gps.round(1), (40.0, 90.0, 115.0, 140.0, 170.0))
        assert stats.kstest(time[alone] / 2.5, "uniform").pvalue > 1e-3
    single = known["glitches_H1"] == 1
    peak = np.abs(noise[single, 0]).argmax(axis=-1) / RATE
    # One at the very end may leave too little of itself to be the largest excursion of strain.
    assert np.mean(np.abs(peak - known["glitch_time_H1"][single]) < 0.02) > 0.97


def test_the_rate_sets_the_chance_and_detectors_are_independent(found: list[Cutout]) -> None:
    n, rate = 1500, 0.3
    noise, known = apply(RealGlitches({"train": found}, rate, RATE), n)
    hit = np.stack([known["glitches_H1"], known["glitches_V1"]], axis=1) > 0
    assert ((noise == 7).all(axis=-1) == ~hit).all()
    chance = 1 - np.exp(-rate * 2.5)
    assert (np.abs(hit.mean(axis=0) - chance) < 4 * np.sqrt(chance * (1 - chance) / n)).all()
    both = hit.all(axis=1).mean()
    assert abs(both - chance**2) < 4 * np.sqrt(chance**2 * (1 - chance**2) / n)
    assert np.isnan(known["glitch_time_H1"][~hit[:, 0]]).all() and (known["glitch_peak_H1"][~hit[:, 0]] == 0).all()
    untouched, known = apply(RealGlitches({"train": found}, 0.0, RATE), 5)
    assert (untouched == 7).all() and not known["glitches_H1"].any()


def test_splits_share_no_strain(found: list[Cutout]) -> None:
    shares = share_glitches(found, FRACTIONS)
    assert sum(map(len, shares.values())) == len(found)
    assert all(shares.values())
    for a, b in combinations(shares, 2):
        for one in shares[a]:
            for other in shares[b]:
                assert one.span[1] <= other.span[0] or other.span[1] <= one.span[0]
    # The span is the truth: other strain outside it changes nothing but the PSD.
    for cutout in found:
        assert cutout.span[0] + 1 <= cutout.gps <= cutout.span[1] - 1
    by_gps = {split: {round(cutout.gps - GPS, 1) for cutout in share} for split, share in shares.items()}
    assert any({60.0, 61.5} <= times for times in by_gps.values())
    _, known = apply(RealGlitches(shares, 100.0, RATE), 60, split="test")
    assert set((known["glitch_gps_V1"] - GPS).round(1)) <= by_gps["test"]


def test_what_two_detectors_saw_together_goes_to_one_split() -> None:
    def cutout(begin: float) -> Cutout:
        return Cutout(np.zeros(10, np.float32), 5, begin + 3, np.array([5]), np.array([9.0]), (begin, begin + 6))

    shares = share_glitches([cutout(0), cutout(20), cutout(40), cutout(23), cutout(60), cutout(3)], FRACTIONS)
    assert [[c.span[0] for c in share] for share in shares.values()] == [[0, 3, 20, 23], [40], [60]]
    with pytest.raises(UserError, match=r"Found 5 glitch\(es\), 2 of which share no strain"):
        share_glitches([cutout(0), cutout(5), cutout(10), cutout(15), cutout(30)], FRACTIONS)
    with pytest.raises(UserError, match=r"Found 0 .* one each for train, val, test.*Give more or longer files"):
        share_glitches([], FRACTIONS)


def test_glitches_near_an_end_are_used_as_far_as_the_strain_goes(segment: Segment) -> None:
    early, late = segment.between(GPS + 36, GPS + 66), segment.between(GPS + 88.5, GPS + 130)
    first, *_ = find_glitches([early], WINDOW)
    assert first.gps == pytest.approx(GPS + 40, abs=0.01)
    assert first.main == pytest.approx(3 * RATE, abs=10)
    noise, _ = apply(RealGlitches({"train": [first]}, 100.0, RATE), 40)
    assert np.isfinite(noise).all()
    # 1.5 s after the start, the filters leave no window that holds it.
    assert [round(c.gps - GPS) for c in find_glitches([late], WINDOW)] == [115]
    assert find_glitches([segment.between(GPS + 36, GPS + 48)], WINDOW) == []


def test_both_kinds_can_be_sent_to_another_process_and_repeat(found: list[Cutout]) -> None:
    glitches = RealGlitches(share_glitches(found, FRACTIONS), 1.0, RATE)
    again = pickle.loads(pickle.dumps(glitches))
    np.testing.assert_array_equal(apply(glitches, 20, seed=3)[0], apply(again, 20, seed=3)[0])
    assert pickle.loads(pickle.dumps(SimulatedGlitches(0.1))) == SimulatedGlitches(0.1)
    assert str(glitches).startswith("1 per second and detector, real ones")
    assert "for train" in str(glitches)


def test_bad_values_are_explained(segment: Segment, found: list[Cutout]) -> None:
    with pytest.raises(UserError, match="glitch rate = -1"):
        RealGlitches({"train": found}, -1.0, RATE)
    for threshold in (3.0, float("nan")):
        with pytest.raises(UserError, match="expected at least 5 standard deviations"):
            find_glitches([segment], WINDOW, threshold=threshold)
    for time in (0.5, 300.0):
        with pytest.raises(UserError, match=rf"GPS {GPS + time:.3f} cannot be cut out"):
            find_glitches([segment], WINDOW, times=[GPS + 90, GPS + time])
    with pytest.raises(ValueError, match="cut-outs of 2048 Hz for noise of 1024 Hz"):
        apply(RealGlitches({"train": found}, 1.0, 2048.0), 2)
