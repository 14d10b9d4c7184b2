"""False-alarm rates and their Poisson intervals against scipy, by hand, and at the edges."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

from gwbench.search.false_alarms import MONTH, Background, poisson_interval, ranked, ranked_anew
from gwbench.search.triggers import DetectorTrigger, Trigger


@pytest.mark.parametrize("count", [1, 2, 7, 300])
def test_the_interval_s_ends_are_means_at_which_the_count_is_barely_credible(count: int) -> None:
    low, high = poisson_interval(count)
    mean = optimize.brentq(lambda m: stats.poisson.sf(count - 1, m) - 0.025, 1e-9, count)
    assert low == pytest.approx(mean, rel=1e-6)
    mean = optimize.brentq(lambda m: stats.poisson.cdf(count, m) - 0.025, count, 10 * count + 10)
    assert high == pytest.approx(mean, rel=1e-6)


def test_no_background_event_gives_an_upper_limit() -> None:
    low, high = poisson_interval([0, 1])
    assert low[0] == 0.0 and high[0] == pytest.approx(-np.log(0.025)) and low[1] == pytest.approx(-np.log(0.975))
    rates = Background.of([], MONTH / 2).false_alarms([3.0])
    assert rates.far[0] == 0 and rates.high[0] == pytest.approx(-2 * np.log(0.025)) and np.isinf(rates.ifar[0])


def test_one_background_event_counts_for_what_is_as_loud_or_softer() -> None:
    background = Background.of([5.0], 3600.0)
    rates = background.false_alarms([4.0, 5.0, 5.1])
    assert rates.far.tolist() == [720.0, 720.0, 0.0]
    assert rates.ifar.tolist() == [3600.0, 3600.0, np.inf]
    assert (rates.low <= rates.far).all() and (rates.far <= rates.high).all()


def test_the_threshold_leaves_as_many_events_above_as_the_rate_allows() -> None:
    background = Background.of([1, 2, 3, 4, 5], MONTH)
    assert [background.threshold(rate) for rate in (5.0, 4.9, 4.0, 1.0, 0.9)] == [-np.inf, 1.0, 1.0, 4.0, None]
    # the ends of segments have cost a thousandth of the live time
    assert Background.of([1, 2, 3, 4, 5], 0.999 * MONTH).threshold(1.0) == 4.0


def test_triggers_are_ranked_loudest_first_and_the_earlier_of_equals() -> None:
    parts = {"H1": DetectorTrigger(2.9, 1.0), "L1": DetectorTrigger(3.1, 5.0)}
    triggers = [Trigger(1, 3.0, 0.5), Trigger(9, 6.0, 0.5), Trigger(3, 6.0, 0.5, parts)]
    found = ranked(triggers, Background.of([4.0, 6.0], MONTH), lambda score: 1 / (1 + np.exp(-score)))
    assert [(each.time, each.rank, each.far) for each in found] == [(3, 1, 1.0), (9, 2, 1.0), (1, 3, 2.0)]
    assert found[0].detectors["L1"].score == 5.0 and found[0].probability == pytest.approx(1 / (1 + np.exp(-6)))
    assert found[0].ifar == MONTH and found[2].ifar == MONTH / 2
    anew = ranked_anew(found[:2], Background.of([], MONTH))
    assert [(each.rank, each.far, each.ifar) for each in anew] == [(1, 0.0, None), (2, 0.0, None)]
    assert anew[0].detectors == found[0].detectors and anew[0].probability == found[0].probability


def test_without_a_background_there_is_no_rate() -> None:
    for background in (None, Background.of([1.0], 0.0)):
        (only,) = ranked([Trigger(1, 3.0, 0.5)], background)
        assert (only.rank, only.far, only.far_low, only.far_high, only.ifar) == (1, None, None, None, None)


def test_a_record_s_background_gives_the_same_thresholds_as_far_as_its_loudest_events_reach() -> None:
    rng = np.random.default_rng(0)
    whole = Background.of(rng.normal(size=5000), MONTH, slides=7, zero_lag="removed")
    kept = Background.recorded(whole.used())
    assert (kept.slides, kept.zero_lag, kept.livetime, kept.whole) == (7, "removed", MONTH, False)
    assert [kept.threshold(rate) for rate in (1.0, 10.0, 999.0)] == [
        whole.threshold(rate) for rate in (1.0, 10.0, 999.0)
    ]
    assert kept.threshold(1000.0) is None and whole.threshold(1000.0) is not None
    used = whole.used()
    assert list(used.counts) == [int(np.sum(whole.score >= threshold)) for threshold in used.thresholds]
    assert used.counts[0] == 5000 and used.counts[-1] == 1 and used.loudest[0] == whole.score.max()


def test_a_small_background_is_kept_whole_by_a_record() -> None:
    kept = Background.recorded(Background.of([1.0, 1.0, 2.0], MONTH).used())
    assert kept.whole and kept.threshold(3.0) == -np.inf
    assert Background.recorded(Background.of([], MONTH).used()).threshold(1.0) == -np.inf


@pytest.mark.parametrize(("scores", "livetime"), [([np.nan], 1.0), ([1.0], -1.0), ([1.0], np.inf)])
def test_a_background_of_nonsense_is_refused(scores: list[float], livetime: float) -> None:
    with pytest.raises(ValueError, match="a background needs scores and a live time"):
        Background.of(scores, livetime)
