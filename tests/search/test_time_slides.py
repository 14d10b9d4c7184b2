"""Time slides: shifts, live time, and whether false-alarm rates are honest in noise and beside a loud signal."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from scipy.ndimage import uniform_filter1d

from gwbench.search.light_travel import longest_light_travel, maximised_over_lag
from gwbench.search.score_series import ScoreSeries
from gwbench.search.time_slides import rescored_background, slide_background, slide_shifts
from gwbench.search.triggers import cluster, local_maxima
from tests.conftest import Heard

STEP, WINDOW, APART = 0.1, 10, 1.03
HOUR = 36_000
"""Windows of an hour."""


def noise_parts(rng: np.random.Generator, n: int, detectors: int = 2) -> NDArray[np.float32]:
    """Parts of unit variance, correlated as windows of ten steps are that slide over white noise."""
    white = rng.standard_normal((detectors, n + 2 * WINDOW), dtype=np.float32)
    sliding = uniform_filter1d(white, WINDOW, axis=1)[:, WINDOW:-WINDOW]
    return np.asarray(sliding * np.sqrt(WINDOW), np.float32)


def series_of(parts: NDArray[np.float32], start: float, offset: float = 0.0) -> ScoreSeries:
    return ScoreSeries(start, STEP, parts.sum(0) + np.float32(offset), parts, offset, ("H1", "L1", "V1")[: len(parts)])


def test_the_triggers_above_the_threshold_of_one_an_hour_are_poisson_in_200_hours_of_noise() -> None:
    rng = np.random.default_rng(20)
    series = [series_of(noise_parts(rng, HOUR), 1e9 + 4000.0 * hour) for hour in range(200)]
    background = slide_background(series, threshold=4.0, apart=APART, slides=12)
    assert background is not None and background.zero_lag == "removed"
    assert background.livetime == pytest.approx(12 * 200 * 3600 - background.removed)
    threshold = background.threshold(720.0)  # a month has 720 hours
    assert threshold is not None
    counts, times = [], []
    for hour, one in enumerate(series):
        found = [trigger.time - one.start for trigger in cluster(one, threshold)]
        counts.append(len(found))
        times += [hour + time / 3600 for time in found]
    # in each hour
    spread = stats.kstest(np.array(counts) + rng.random(200), _continued_poisson)  # uniform within a step: exact KS
    assert spread.pvalue > 0.01
    # from one to the next
    assert stats.kstest(np.diff(times), "expon").pvalue > 0.01
    # in all: the threshold itself is known to 1 / sqrt(2400), or 2 %
    assert abs(len(times) - 200) < 3 * np.sqrt(200 + (0.02 * 200) ** 2)


def _continued_poisson(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The distribution of a Poisson count of mean 1 plus a uniform number from 0 to 1."""
    whole = np.floor(x)
    return np.asarray(stats.poisson.cdf(whole - 1, 1.0) + (x - whole) * stats.poisson.pmf(whole, 1.0))


def loud_signal(rng: np.random.Generator, loud: float = 12.0) -> tuple[ScoreSeries, float]:
    """Half an hour of noise with one signal in both detectors, and its time."""
    parts = noise_parts(rng, HOUR // 2)
    place, shape = 7000, np.concatenate([np.linspace(0, 1, WINDOW), np.linspace(1, 0, WINDOW)[1:]])
    parts[:, place - WINDOW + 1 : place + WINDOW] += (loud * shape).astype(np.float32)
    return series_of(parts, 1e9), 1e9 + STEP * place


def test_a_loud_coincident_signal_does_not_leak_into_the_background_once_zero_lag_is_removed() -> None:
    rng = np.random.default_rng(1)
    series, when = loud_signal(rng)
    kept, removed = (
        slide_background([series], threshold=3.0, apart=APART, slides=200, zero_lag=each)
        for each in ("kept", "removed")
    )
    assert kept is not None and removed is not None and kept.slides == removed.slides == 200
    # a signal of 12 beside noise of unit variance in each slide, in either detector
    assert np.sum(kept.score > 8) >= 200
    pure = [series_of(noise_parts(rng, HOUR // 2), 1e9) for _ in range(3)]
    noise = [slide_background([one], threshold=3.0, apart=APART, slides=200, zero_lag="kept") for one in pure]
    assert all(one is not None for one in noise)
    assert removed.score.max() < max(one.score.max() for one in noise if one is not None) + 0.5
    # what is taken out: around the signal, in each detector, in every slide; one time in ten a noise trigger's, too
    around = 200 * 2 * 2 * (APART + 1.0)
    assert 0.95 * around < removed.removed < 2.05 * around
    assert removed.livetime + removed.removed == pytest.approx(kept.livetime) == 200 * 1800
    trigger = max(cluster(series, 3.0), key=lambda each: each.score)
    assert abs(trigger.time - when) < 0.5 and removed.false_alarms(trigger.score).far == 0


def test_fainter_signals_stand_out_once_the_loudest_are_gone() -> None:
    rng = np.random.default_rng(2)
    parts = noise_parts(rng, HOUR)
    for place, loud in ((3000, 30.0), (9000, 9.0), (15000, 8.0), (21000, 7.0)):
        parts[:, place - 3 : place + 4] += np.float32(loud)
    series = series_of(parts, 1e9)
    background = slide_background([series], threshold=3.5, apart=APART, slides=200)
    assert background is not None
    # each of the four costs every slide its surroundings in both detectors
    assert background.removed == pytest.approx(background.slides * 4 * 2 * 2 * (APART + 1.0), rel=0.05)
    assert background.score.max() < 9


def test_noise_s_own_loudest_moments_stay() -> None:
    """Were all zero-lag triggers removed, the slides would lack noise's tail."""
    series = series_of(noise_parts(np.random.default_rng(3), HOUR), 1e9)
    assert len(local_maxima(series.score, 3.0, WINDOW)) > 100
    background = slide_background([series], threshold=3.0, apart=APART, slides=200)
    assert background is not None and background.removed < 0.01 * background.livetime


@pytest.mark.parametrize(("positions", "apart", "detectors"), [(100, 7, 2), (100, 7, 3), (60, 5, 4), (20, 10, 2)])
def test_shifts_keep_all_detectors_apart_and_none_comes_twice(positions: int, apart: int, detectors: int) -> None:
    shifts = slide_shifts(positions, apart, detectors, 10_000)
    assert shifts and len(set(shifts)) == len(shifts)
    for shift in shifts:
        assert shift[0] == 0 and len(shift) == detectors
        for one, other in combinations(shift, 2):
            around = (one - other) % positions
            assert apart <= around <= positions - apart
    assert slide_shifts(positions, apart, detectors, 3) == shifts[:3]


def test_two_detectors_have_a_slide_for_every_place_and_three_for_every_pair_of_places() -> None:
    assert len(slide_shifts(14 * 21, 21, 2, 10**6)) == 13
    assert len(slide_shifts(14 * 21, 21, 3, 10**6)) == 12 * 11  # of 13, the prime below
    assert slide_shifts(20, 21, 2, 5) == slide_shifts(30, 21, 2, 5) == slide_shifts(1000, 21, 1, 5) == []


def test_segments_of_any_length_make_one_ring_with_all_of_the_live_time() -> None:
    rng = np.random.default_rng(4)
    series = [series_of(noise_parts(rng, n), start) for n, start in ((300, 0.0), (5, 40.0), (700, 100.0), (0, 500.0))]
    background = slide_background(series[::-1], threshold=-9.0, apart=2.0, slides=4, zero_lag="kept")
    assert background is not None and background.livetime == pytest.approx(4 * 1005 * STEP)
    # the first slide, by hand
    parts = np.concatenate([one.parts for one in series if one.parts is not None], axis=1)
    total = parts[0] + np.roll(parts[1], 20)
    expected = total[local_maxima(total, -9.0, WINDOW)]
    first = slide_background(series, threshold=-9.0, apart=2.0, slides=1, zero_lag="kept")
    assert first is not None and first.score.tolist() == sorted(expected.astype(float).tolist())


def test_strain_that_is_too_short_or_of_one_detector_has_no_slides() -> None:
    short = series_of(noise_parts(np.random.default_rng(0), 15), 0.0)
    assert slide_background([short], threshold=0.0, apart=APART) is None
    alone = series_of(noise_parts(np.random.default_rng(0), 500, detectors=1), 0.0)
    assert slide_background([alone], threshold=0.0, apart=APART) is None
    assert slide_background([], threshold=0.0, apart=APART) is None


def test_scores_of_a_whole_network_have_no_parts_to_slide() -> None:
    with pytest.raises(ValueError, match="time slides of parts need parts"):
        slide_background([ScoreSeries(0.0, STEP, np.zeros(9))], threshold=0.0, apart=APART)


def product_score(strain: NDArray[np.float32], step: int, window: int) -> NDArray[np.float64]:
    """A score that is no sum over detectors: the correlation of the two in each window."""
    n = (strain.shape[1] - window) // step + 1
    return np.array([np.sum(strain[0, k * step :][:window] * strain[1, k * step :][:window]) for k in range(n)])


def test_shifted_strain_is_scored_again_without_windows_across_the_ends() -> None:
    rng = np.random.default_rng(5)
    step, window, samples = 4, 16, 403
    strain = rng.standard_normal((2, samples)).astype(np.float32)
    score = product_score(strain, step, window)
    series = ScoreSeries(1e9, 0.5, score)
    told = Heard()
    background = rescored_background(
        [(strain, series)],
        lambda shifted: product_score(shifted, step, window),
        samples_per_step=step,
        threshold=-np.inf,
        apart=10.0,
        slides=3,
        cluster_window=0.0,
        zero_lag="kept",
        progress=told,
    )
    assert background is not None and "3 slides" in told.lines[0]
    # by hand: windows k of H1 beside windows k - shift of L1, each within its own stretch
    expected = []
    for shift in (20, 40, 60):
        for k in range(97):
            other = (k - shift) % 100
            if other <= 96:
                a, b = strain[0, k * step :][:window], strain[1, other * step :][:window]
                expected.append(float(np.sum(a * b)))
    assert background.score == pytest.approx(sorted(expected), rel=1e-4, abs=1e-4)
    assert background.livetime == pytest.approx(len(expected) * 0.5)


def test_a_loud_signal_is_removed_from_slides_of_shifted_strain_too() -> None:
    rng = np.random.default_rng(6)
    step, window = 4, 16
    strain = rng.standard_normal((2, 8000)).astype(np.float32)
    strain[:, 4000:4016] += 30
    series = ScoreSeries(0.0, 0.25, product_score(strain, step, window))
    backgrounds = [
        rescored_background(
            [(strain, series)],
            lambda shifted: product_score(shifted, step, window),
            samples_per_step=step,
            threshold=10.0,
            apart=2.0,
            slides=20,
            zero_lag=each,
        )
        for each in ("kept", "removed")
    ]
    kept, removed = backgrounds
    assert kept is not None and removed is not None
    assert kept.score.max() > 100 > removed.score.max() and removed.removed > 0


def test_light_travel_is_that_of_the_longest_baseline() -> None:
    assert longest_light_travel(("H1", "L1")) == pytest.approx(0.010, abs=2e-4)
    assert longest_light_travel(("H1", "L1", "V1")) == pytest.approx(0.0273, abs=2e-4)
    assert longest_light_travel(("H1",)) == 0


def test_parts_that_peak_a_lag_apart_add_up() -> None:
    parts = np.zeros((2, 20))
    parts[0, 10], parts[1, 12] = 5.0, 7.0
    series = ScoreSeries(0.0, 0.01, parts.sum(0) + 1, parts, 1.0, ("H1", "L1"))
    assert maximised_over_lag(series, 0.02).score[10] == 13.0
    assert maximised_over_lag(series, 0.019).score.max() == 8.0
    assert maximised_over_lag(series, 0.005) is series
