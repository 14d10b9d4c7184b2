"""Sensitive distance against MLGWSC-1's definition written again with loops, on random sets and on named edges."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import ArrayLike
from scipy.stats import binomtest

from gwbench.errors import UserError
from gwbench.search.event_files import EventList
from gwbench.search.false_alarms import MONTH, Background
from gwbench.search.injection_files import InjectionList
from gwbench.search.reach import measure_reach
from gwbench.search.sensitive_distance import inside, loudest_true, sensitivity
from tests.search import challenge

HOUR = 3600.0
SEGMENTS = [(1e9, 1e9 + 2 * HOUR), (1e9 + 2 * HOUR + 17, 1e9 + 4 * HOUR)]


def injections_at(tc: ArrayLike, seed: int = 0, chirp: bool = False) -> InjectionList:
    rng, times = np.random.default_rng(seed), np.asarray(tc, np.float64)
    n = len(times)
    heavier, lighter = rng.uniform(10, 50, n), rng.uniform(10, 50, n)
    return InjectionList(
        times,
        rng.uniform(200, 5000, n),
        np.maximum(heavier, lighter),
        np.minimum(heavier, lighter),
        rng.uniform(130, 350, n) if chirp else None,
        rng.uniform(3, 30, n),
    )


def events_of(rows: Sequence[tuple[float, float, float]]) -> EventList:
    return EventList(*np.array(rows, np.float64).reshape(-1, 3).T)


def rows_of(events: EventList) -> list[tuple[float, float, float]]:
    return list(zip(events.time.tolist(), events.stat.tolist(), events.var.tolist(), strict=True))


def random_events(rng: np.random.Generator, injections: InjectionList, n: int) -> EventList:
    """Near injections and elsewhere, unsorted, with ties in the statistic and in time."""
    near = rng.choice(injections.tc, n) + rng.normal(scale=0.3, size=n)
    anywhere = rng.uniform(SEGMENTS[0][0], SEGMENTS[-1][1], n)
    times = np.where(rng.random(n) < 0.6, near, anywhere)
    return EventList(times, np.round(rng.normal(5, 3, n), 1), rng.choice([0.2, 0.5, 3.0], n))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("chirp", [False, True])
def test_reach_is_that_of_the_challenge_s_definition(seed: int, chirp: bool) -> None:
    rng = np.random.default_rng(seed)
    tc = SEGMENTS[0][0] + 5 + 27 * rng.permutation(533) + rng.uniform(-1, 1, 533)
    injections = injections_at(tc, seed, chirp)
    events, noise = random_events(rng, injections, 900), np.round(rng.normal(3, 2, 300), 1)
    rates = (1000.0, 900.0, 180.0, 5000.0, 1.0)
    seconds = sum(stop - start for start, stop in SEGMENTS)
    found = measure_reach(events, Background.of(noise, seconds), injections, SEGMENTS, rates)

    which = challenge.counted(tc.tolist(), SEGMENTS)
    loudest = challenge.loudest_true(rows_of(events), tc[which].tolist())
    m1, m2 = injections.mass1[which], injections.mass2[which]
    masses = ((m1 * m2) ** 0.6 / (m1 + m2) ** 0.2).tolist() if chirp else None
    expected = {rate: challenge.threshold(noise.tolist(), seconds, rate) for rate in rates}
    assert [point.far for point in found.points] == [5000.0, 1000.0, 900.0, 180.0]
    for point in found.points:
        above = expected[point.far]
        assert above is not None and point.threshold == above
        n, volume, error, distance = challenge.reach(loudest, injections.distance[which].tolist(), masses, above)
        assert (point.found, point.injections) == (n, len(which))
        assert point.volume == pytest.approx(volume, rel=1e-6)
        assert point.volume_error == pytest.approx(error, rel=1e-6)
        assert point.distance == pytest.approx(distance, rel=1e-6)
        assert 0 < n < len(which)
    assert expected[1.0] is None and "1 false alarms a month" in found.unsupported[0]


@pytest.mark.parametrize("seed", range(20))
def test_events_belong_to_the_nearest_injection_whatever_the_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    # whole seconds, so that events lie midway between injections, and injections at one time, are frequent
    tc = rng.integers(0, 40, rng.integers(1, 12)).astype(np.float64)
    events = EventList(
        rng.integers(-5, 45, 30).astype(np.float64),
        rng.integers(0, 6, 30).astype(np.float64),
        rng.integers(0, 4, 30).astype(np.float64),
    )
    assert loudest_true(events, tc).tolist() == challenge.loudest_true(rows_of(events), tc.tolist())


def test_several_triggers_on_one_injection_find_it_once_by_the_loudest() -> None:
    events = events_of([(100.1, 5, 0.5), (100.0, 9, 0.5), (99.9, 7, 0.5), (100.2, 9, 0.5)])
    assert loudest_true(events, np.array([100.0, 130.0])).tolist() == [9, -np.inf]


def test_a_trigger_with_a_wide_var_finds_one_injection_only() -> None:
    assert loudest_true(events_of([(104.0, 9, 50.0)]), np.array([100.0, 110.0])).tolist() == [9, -np.inf]


def test_an_event_equally_near_two_injections_belongs_to_the_earlier() -> None:
    assert loudest_true(events_of([(105.0, 9, 5.0)]), np.array([110.0, 100.0])).tolist() == [-np.inf, 9]


def test_an_injection_at_var_from_an_event_is_found_and_beyond_it_is_not() -> None:
    assert loudest_true(events_of([(100.5, 9, 0.5)]), np.array([100.0]))[0] == 9
    assert loudest_true(events_of([(100.501, 9, 0.5)]), np.array([100.0]))[0] == -np.inf


def test_injections_at_segment_ends_count_from_30_s_on() -> None:
    tc = np.array([29.999, 30.0, 70.0, 70.001, 0.0, 200.0, 159.0, 161.0])
    assert inside(tc, [(0.0, 100.0), (100.0, 161.0)]).tolist() == [c in (1, 2) for c in range(8)]
    assert inside(np.array([30.0]), [(0.0, 60.0)]).tolist() == [True]
    assert inside(np.array([29.0]), [(0.0, 59.0)]).tolist() == [False]


def test_a_score_that_ties_with_the_threshold_is_not_above_it() -> None:
    injections = injections_at([100.0, 130.0])
    noise = Background.of([4.0, 4.0, 4.0], MONTH)
    reach = measure_reach(events_of([(100, 4, 1), (130, 4.1, 1)]), noise, injections, [(0, 1000)], (1.0, 2.0, 3.0))
    assert [(point.far, point.found, point.threshold) for point in reach.points] == [
        (3.0, 2, None),  # three are allowed, and there are no more: every event counts
        (2.0, 1, 4.0),
        (1.0, 1, 4.0),
    ]


def test_no_trigger_reaches_nothing() -> None:
    injections = injections_at([100.0, 130.0], chirp=True)
    reach = measure_reach(events_of([]), Background.of([1.0, 2.0], MONTH), injections, [(0, 1000)], (1.0,))
    (point,) = reach.points
    assert (point.found, point.volume, point.volume_error, point.distance, point.distance_error) == (0, 0, 0, 0, 0)


def test_one_background_trigger_sets_no_threshold_above_its_rate_and_no_rate_below() -> None:
    injections, events = injections_at([100.0, 130.0]), events_of([(100, 4, 1)])
    reach = measure_reach(events, Background.of([7.0], 10 * HOUR), injections, [(0, 1000)], (72.0, 70.0))
    assert [(point.far, point.found, point.threshold) for point in reach.points] == [(72.0, 1, None)]


def test_injections_of_another_time_are_refused() -> None:
    with pytest.raises(UserError, match="None of the 1 injections lies 30 s or more within a segment"):
        measure_reach(events_of([]), Background.of([], 1.0), injections_at([10.0]), [(0, 1000)])


def test_finding_every_injection_reaches_the_whole_volume() -> None:
    injections = injections_at(np.arange(100.0, 900.0, 25.0))
    everything = sensitivity(np.full(32, 9.0), injections, [0.0])
    assert everything.volume[0] == pytest.approx(4 / 3 * np.pi * injections.distance.max() ** 3)
    assert everything.distance[0] == pytest.approx(injections.distance.max()) and everything.volume_error[0] == 0


def test_the_distance_s_error_is_a_difference_quotient_of_the_volume() -> None:
    figures = sensitivity(np.arange(40, dtype=np.float64), injections_at(np.arange(40.0), chirp=True), [20.0])
    small = 1e-4
    bounds = [np.cbrt((figures.volume + s * small * figures.volume_error) * 3 / (4 * np.pi)) for s in (-1, 1)]
    assert figures.distance_error == pytest.approx((bounds[1] - bounds[0]) / (2 * small), rel=1e-5)


def test_found_shares_fill_their_bins_and_hold_the_binomial_intervals() -> None:
    rng = np.random.default_rng(3)
    injections = injections_at(np.arange(100.0, 100 + 400 * 25, 25.0))
    assert injections.optimal_snr is not None
    heard = injections.optimal_snr > rng.normal(10, 2, 400)
    rows = [(float(t), 9.0, 0.5) for t in injections.tc[heard]]
    reach = measure_reach(events_of(rows), Background.of([1.0, 2.0], MONTH), injections, [(0, 20000)], (1.0,))
    for by in ("snr", "chirp_mass", "distance"):
        bins = [share for share in reach.found if share.by == by]
        assert sum(one.injections for one in bins) == 400 and sum(one.found for one in bins) == heard.sum()
        assert all(one.injections == 40 for one in bins) and len(bins) == 10
        for one in bins:
            expected = binomtest(one.found, one.injections).proportion_ci(0.95, method="exact")
            assert (one.share_low, one.share_high) == pytest.approx((expected.low, expected.high))
    snr = [share.share for share in reach.found if share.by == "snr"]
    assert snr[0] < 0.1 and snr[-1] == 1.0


def test_a_million_events_and_a_hundred_thousand_injections_take_seconds() -> None:
    rng = np.random.default_rng(0)
    tc = np.arange(100_000) * 25.0 + 1e9
    injections = injections_at(rng.permutation(tc), chirp=True)
    n = 1_000_000
    events = EventList(rng.uniform(tc[0], tc[-1], n), rng.normal(size=n), np.full(n, 0.5))
    begun = time.process_time()
    reach = measure_reach(events, Background.of(rng.normal(size=n), MONTH), injections, [(tc[0] - 99, tc[-1] + 99)])
    assert time.process_time() - begun < 20
    assert len(reach.points) == 10
