"""Triggers are the local maxima of a series, with ties, plateaus and NaN, as a loop over all pairs finds them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from gwbench.search.score_series import ScoreSeries
from gwbench.search.triggers import cluster, local_maxima, steps_within


def by_pairs(score: NDArray[np.float64], threshold: float, steps: int) -> list[int]:
    """Local maxima by their definition."""
    found = []
    for i in range(len(score)):
        others = [j for j in range(len(score)) if j != i and abs(j - i) <= steps]
        surpassed = any(score[j] > score[i] or (score[j] == score[i] and j < i) for j in others)
        if score[i] > threshold and not surpassed:
            found.append(i)
    return found


@pytest.mark.parametrize("seed", range(200))
def test_local_maxima_are_those_that_no_pair_surpasses(seed: int) -> None:
    rng = np.random.default_rng(seed)
    steps = int(rng.integers(0, 8))
    score = rng.integers(0, 6, rng.integers(0, 60)).astype(np.float64)  # full of ties
    score[rng.random(len(score)) < 0.1] = np.nan
    score[rng.random(len(score)) < 0.05] = np.inf
    for threshold in (-np.inf, 1.0, 4.0, 9.0):
        assert local_maxima(score, threshold, steps).tolist() == by_pairs(score, threshold, steps)


def test_a_chain_in_which_each_surpasses_the_last_leaves_the_loudest_alone() -> None:
    score = np.zeros(30)
    score[[5, 10, 15, 20]] = [1, 2, 3, 4]
    assert local_maxima(score, 0.5, 5).tolist() == [20]
    assert local_maxima(score, 0.5, 4).tolist() == [5, 10, 15, 20]


def test_steps_within_a_time_are_not_lost_to_rounding() -> None:
    assert steps_within(1.0, 0.1) == 10 and steps_within(0.3, 0.1) == 3 and steps_within(0.29, 0.1) == 2


def test_a_trigger_has_each_detector_s_part_and_the_time_at_which_it_peaks() -> None:
    parts = np.zeros((2, 50))
    parts[0, 19:24] = [1, 2, 5, 2, 1]
    parts[1, 20:25] = [1, 4, 5, 6, 1]
    series = ScoreSeries(1e9, 0.25, parts.sum(0) - 3.0, parts, -3.0, ("H1", "L1"))
    (trigger,) = cluster(series, 0.0, window=2.0, var=0.5)
    assert trigger.time == 1e9 + 21 * 0.25 and trigger.score == 5 + 4 - 3 and trigger.var == 0.5
    assert trigger.detectors["H1"].time == trigger.time and trigger.detectors["H1"].score == 5
    assert trigger.detectors["L1"].time == 1e9 + 23 * 0.25 and trigger.detectors["L1"].score == 4
    assert sum(part.score for part in trigger.detectors.values()) + series.offset == trigger.score


def test_of_equal_parts_the_nearest_is_the_arrival() -> None:
    series = ScoreSeries(0.0, 1.0, np.array([0, 1, 3, 1, 0.0]), np.array([[2, 1, 2, 1, 2.0]]), 1.0, ("H1",))
    (trigger,) = cluster(series, 2.0, window=1.0, var=2.0)
    assert trigger.detectors["H1"].time == 2.0


def test_a_network_s_score_has_no_parts() -> None:
    (trigger,) = cluster(ScoreSeries(5.0, 1.0, np.array([0, 1, 0.0])), 0.5)
    assert trigger.time == 6.0 and not trigger.detectors


def test_a_series_without_windows_has_no_triggers() -> None:
    assert cluster(ScoreSeries(5.0, 1.0, np.empty(0)), -np.inf) == []
