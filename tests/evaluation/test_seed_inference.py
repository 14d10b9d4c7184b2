from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import integrate, stats
from scipy.special import expit, logit

from gwbench.errors import UserError
from gwbench.evaluation.multiple_comparisons import holm
from gwbench.evaluation.seed_inference import _two_sided, influence, mean_interval, moderated, pairwise
from gwbench.evaluation.statistics import Interval, auc_interval
from tests.evaluation.synthetic_methods import experiment, summed_up

Array = NDArray[Any]


def kernel(label: Array, score: Array) -> Array:
    """DeLong 1988, equation 1: 1, 1/2 or 0 for every (signal, noise) pair."""
    signal, noise = score[label == 1][:, None], score[label == 0][None, :]
    return np.where(signal > noise, 1.0, np.where(signal == noise, 0.5, 0.0))


def brute_covariance(label: Array, one: Array, other: Array) -> float:
    """DeLong 1988, equations 4 to 6, window by window."""
    k, h = kernel(label, one), kernel(label, other)
    m, n = k.shape
    s10 = sum((k[i].mean() - k.mean()) * (h[i].mean() - h.mean()) for i in range(m)) / (m - 1)
    s01 = sum((k[:, j].mean() - k.mean()) * (h[:, j].mean() - h.mean()) for j in range(n)) / (n - 1)
    return float(s10 / m + s01 / n)


def interval_of(label: Array, scores: Array) -> Interval:
    shared = summed_up(label, scores).shared
    return mean_interval([auc_interval(label, score) for score in scores], shared, 0.95)


@pytest.mark.parametrize("ties", [0.01, 1.0])
def test_influences_give_delongs_covariances(ties: float) -> None:
    label, scores = experiment(np.random.default_rng(0), 0.8, 0.05, seeds=2, n=25)
    one, other = np.round(scores[0] / ties) * ties
    (area, u), (_, v) = influence(label, one), influence(label, other)
    assert area == pytest.approx(kernel(label, one).mean())
    assert u @ v == pytest.approx(brute_covariance(label, one, other), rel=1e-10)
    assert u @ u == pytest.approx(brute_covariance(label, one, one), rel=1e-10)


def test_replicates_hold_mean_variance_and_covariance_of_the_seeds() -> None:
    label, scores = experiment(np.random.default_rng(1), 0.8, 0.05, seeds=4, n=20)
    found = summed_up(label, scores[0])
    assert found.own == pytest.approx(np.mean([brute_covariance(label, s, s) for s in scores[0]]))
    pairs = combinations(scores[0], 2)
    assert found.shared == pytest.approx(np.mean([brute_covariance(label, s, t) for s, t in pairs]))
    assert found.scatter == pytest.approx(np.var([kernel(label, s).mean() for s in scores[0]], ddof=1))
    mean_error = np.mean([influence(label, s)[1] for s in scores[0]], axis=0)
    np.testing.assert_allclose(found.error, mean_error, atol=1e-15)


def test_seeds_do_not_shrink_the_error_of_the_test_windows() -> None:
    """Thirty copies of one network say no more of the windows than one does."""
    label, scores = experiment(np.random.default_rng(2), 0.85, 0.0, seeds=1)
    single = auc_interval(label, scores[0, 0])
    copies = interval_of(label, np.repeat(scores[0], 30, axis=0))
    assert (copies.low, copies.high) == pytest.approx((single.low, single.high), abs=1e-6)


def test_interval_is_the_formula() -> None:
    label, scores = experiment(np.random.default_rng(3), 0.8, 0.05, seeds=4)
    found = interval_of(label, scores[0])
    values = np.array([kernel(label, score).mean() for score in scores[0]])
    pairs = combinations(scores[0], 2)
    shared = np.mean([brute_covariance(label, s, t) for s, t in pairs])
    of_seeds = values.var(ddof=1) / 4
    df = 3 * (1 + shared / (of_seeds * 5 / 3)) ** 2
    reach = stats.t.ppf(0.975, df) * np.sqrt(of_seeds + shared) / (values.mean() * (1 - values.mean()))
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(expit(logit(values.mean()) - reach), abs=1e-9)
    assert found.high == pytest.approx(expit(logit(values.mean()) + reach), abs=1e-9)


@pytest.mark.parametrize(
    ("mean", "sd", "seeds", "together"),
    [(0.85, 0.0, 3, 0.5), (0.85, 0.02, 3, 0.5), (0.8, 0.06, 5, 0.5), (0.95, 0.01, 5, 0.8), (0.85, 0.02, 10, 0.2)],
    ids=["windows alone", "three seeds", "seeds alone", "near one", "ten seeds"],
)
def test_interval_covers_the_methods_mean(mean: float, sd: float, seeds: int, together: float) -> None:
    rng = np.random.default_rng(21)
    covered, by_seeds_alone = 0, 0
    for _ in range(500):
        label, scores = experiment(rng, mean, sd, seeds, together=together)
        found = interval_of(label, scores[0])
        covered += found.low <= mean <= found.high
        values = [influence(label, score)[0] for score in scores[0]]
        by_seeds_alone += abs(found.value - mean) <= 1.96 * np.std(values, ddof=1) / np.sqrt(seeds)
    assert 0.93 <= covered / 500 <= 0.97
    assert by_seeds_alone / 500 < 0.92  # what is wrong without the windows' shared error


def test_without_the_covariance_the_interval_errs_on_the_wide_side() -> None:
    rng = np.random.default_rng(5)
    wider = []
    for _ in range(50):
        label, scores = experiment(rng, 0.85, 0.02, seeds=3)
        seeds = [auc_interval(label, score) for score in scores[0]]
        known, bound = interval_of(label, scores[0]), mean_interval(seeds, None, 0.95)
        wider.append((bound.high - bound.low) / (known.high - known.low))
    assert min(wider) > 0.98  # its variance is larger, and so are its degrees of freedom
    assert np.mean(wider) > 1.02
    assert np.mean(wider) < 1.5


def test_the_variance_of_a_seed_is_read_back_from_its_interval() -> None:
    label, scores = experiment(np.random.default_rng(6), 0.85, 0.0, seeds=1)
    interval = auc_interval(label, scores[0, 0])
    two = mean_interval([interval, interval], None, 0.95)
    assert (two.low, two.high) == pytest.approx((interval.low, interval.high), abs=1e-6)


def test_one_seed_and_seeds_that_are_perfect_keep_their_intervals() -> None:
    one = Interval(0.8, 0.7, 0.9)
    assert mean_interval([one], 1.0, 0.95) == one
    perfect = [Interval(1.0, 0.95, 1.0), Interval(1.0, 0.97, 1.0)]
    assert mean_interval(perfect, 0.0, 0.95) == Interval(1.0, 0.95, 1.0)
    assert mean_interval(perfect, None, 0.95) == Interval(1.0, 0.95, 1.0)


def test_extreme_figures_give_an_interval_all_the_same() -> None:
    for values in ([1e-300, 0.5, 1.0], [5e-324, 1e-320], [0.5, np.nextafter(0.5, 1)], [0.0, 0.0]):
        seeds = [Interval(value, value, value) for value in values]
        for shared in (None, 0.0, 1e-300, 0.1):
            found = mean_interval(seeds, shared, 0.95)
            assert 0.0 <= found.low <= found.value <= found.high <= 1.0


def test_of_one_seed_each_it_is_delongs_paired_test() -> None:
    label, scores = experiment(np.random.default_rng(7), 0.8, 0.05, seeds=1, n=30, methods=2)
    one, other = scores[:, 0]
    found = pairwise([summed_up(label, scores[0]), summed_up(label, scores[1])])
    difference = kernel(label, one).mean() - kernel(label, other).mean()
    own = brute_covariance(label, one, one) + brute_covariance(label, other, other)
    error = np.sqrt(own - 2 * brute_covariance(label, one, other))
    assert found.difference[0, 1] == pytest.approx(difference) == -found.difference[1, 0]
    assert found.of_windows[0, 1] == pytest.approx(error**2)
    assert found.of_seeds[0, 1] == 0.0
    assert found.reach(1, 0.95)[0] == pytest.approx(1.959964 * error, rel=1e-5)
    assert found.p[0, 1] == pytest.approx(2 * stats.norm.sf(abs(difference) / error), rel=1e-6)


def test_of_several_seeds_it_holds_their_scatter_and_the_shared_windows() -> None:
    """Two methods: with the logits' scatter moderated towards one value for both, the formula by hand."""
    label, scores = experiment(np.random.default_rng(8), 0.8, 0.05, seeds=3, n=30, methods=2)
    methods = [summed_up(label, each) for each in scores]
    found = pairwise(methods)
    room = np.array([m.areas.mean() * (1 - m.areas.mean()) for m in methods])
    scatter, freedom = moderated(np.array([m.scatter for m in methods]) / room**2, np.array([2.0, 2.0]))
    scatter = scatter * room**2
    between = np.mean([[brute_covariance(label, s, t) for s in scores[0]] for t in scores[1]])
    within = [np.mean([brute_covariance(label, s, t) for s, t in combinations(each, 2)]) for each in scores]
    assert found.of_seeds[0, 1] == pytest.approx(sum(scatter) / 3)
    assert found.of_windows[0, 1] == pytest.approx(sum(within) - 2 * between)
    assert found.freedom[0, 1] == min(freedom)


@pytest.mark.parametrize("freedom", [1.0, 2.5, 4.0, 30.0, 1e9])
def test_seeds_alone_follow_student_and_windows_alone_the_normal(freedom: float) -> None:
    distance = np.array([0.0, 0.3, 1.0, 3.0, 5.0])
    none, one = np.zeros(5), np.ones(5)
    found = _two_sided(distance, none, one, np.full(5, freedom))
    np.testing.assert_allclose(found, 2 * stats.t.sf(distance, freedom), rtol=2e-4)
    np.testing.assert_allclose(_two_sided(distance, one, none, np.full(5, freedom)), 2 * stats.norm.sf(distance))


def test_the_sum_of_both_is_their_convolution() -> None:
    """Against the integral of the normal's distribution over Student's density."""
    distance, (windows, seeds, freedom) = np.array([0.5, 2.0, 6.0]), (1.0, 0.49, 3.0)
    found = _two_sided(distance, np.full(3, windows), np.full(3, seeds), np.full(3, freedom))
    for x, p in zip(distance, found, strict=True):
        expected, _ = integrate.quad(
            lambda t, x=x: stats.t.pdf(t, freedom) * 2 * stats.norm.sf((x - np.sqrt(seeds) * t) / np.sqrt(windows)),
            -5000,
            5000,
            points=(-100, -10, 0, 10, 100),
            limit=500,
        )
        assert p == pytest.approx(expected, rel=1e-5)


def test_the_reach_is_where_the_level_is_left() -> None:
    label, scores = experiment(np.random.default_rng(14), 0.8, 0.03, seeds=3, n=60, methods=4)
    found = pairwise([summed_up(label, each) for each in scores])
    parts = found.of_windows[:, 2], found.of_seeds[:, 2], found.freedom[:, 2]
    reach = found.reach(2, 0.9)
    outside = _two_sided(reach, *parts)
    assert np.all(reach[[0, 1, 3]] > 0.0)
    np.testing.assert_allclose(outside[[0, 1, 3]], 0.1, rtol=1e-6)
    assert reach[2] == pytest.approx(0.0, abs=1e-9)  # itself


def test_moderation_is_that_of_smyth() -> None:
    """The scaled inverse chi-square prior is found again from many variances, and the posterior means are its."""
    rng = np.random.default_rng(9)
    prior, common, own = 6.0, 0.04, 3.0
    true = prior * common / rng.chisquare(prior, 4000)
    s2 = true * rng.chisquare(own, 4000) / own
    variances, freedom = moderated(s2, np.full(4000, own))
    found = freedom[0] - own
    assert found == pytest.approx(prior, rel=0.15)
    expected = (prior * common + own * s2) / (prior + own)
    np.testing.assert_allclose(variances, expected, rtol=0.1)
    assert np.mean(np.log(variances / true) ** 2) < 0.5 * np.mean(np.log(s2 / true) ** 2)


def test_variances_no_more_scattered_than_chance_become_one() -> None:
    variances, freedom = moderated(np.array([1.0, 1.1, 0.9, np.nan, 0.0]), np.array([2.0, 2.0, 4.0, 0.0, 2.0]))
    np.testing.assert_allclose(variances[:4], (2 * 1.0 + 2 * 1.1 + 4 * 0.9) / 8)
    np.testing.assert_array_equal(freedom[:4], 8.0)
    assert variances[4] == 0.0  # the same whatever the seed
    nothing, _ = moderated(np.array([np.nan, np.nan]), np.zeros(2))
    np.testing.assert_array_equal(nothing, 0.0)


@pytest.mark.parametrize(("sd", "seeds", "methods"), [(0.0, 1, 4), (0.0, 3, 5), (0.02, 3, 5), (0.04, 5, 4)])
def test_equal_methods_are_told_apart_in_one_of_twenty_tables_at_most(sd: float, seeds: int, methods: int) -> None:
    rng = np.random.default_rng(10)
    wrong = 0
    for _ in range(200):
        label, scores = experiment(rng, 0.85, sd, seeds, n=80, methods=methods)
        tests = pairwise([summed_up(label, each) for each in scores])
        wrong += bool(np.any(holm(tests.p[np.triu_indices(methods, 1)]) < 0.05))
    assert wrong / 200 <= 0.085  # 5 % and two standard errors


def test_unlike_scatters_make_few_equal_methods_look_different() -> None:
    """Scatters that differ by a factor of ten: the moderation's own assumption does not hold."""
    rng = np.random.default_rng(13)
    wrong = 0
    for _ in range(120):
        scatters = np.exp(rng.normal(np.log(0.01), 1.2, 6))
        label, scores = experiment(rng, 0.85, 0.0, 3, n=80, methods=6)
        moved = stats.norm.ppf(np.clip(0.85 + scatters[:, None] * rng.normal(size=(6, 3)), 0.5, 0.9999))
        scores = scores + np.sqrt(2.0) * (moved - stats.norm.ppf(0.85))[:, :, None] * label
        tests = pairwise([summed_up(label, each) for each in scores])
        wrong += bool(np.any(holm(tests.p[np.triu_indices(6, 1)]) < 0.05))
    assert wrong / 120 <= 0.1  # 5 % and two standard errors and a half


def test_seeds_that_differ_by_rounding_alone_say_nothing_of_other_methods_scatter() -> None:
    """A bound that is always right has an AUC of 1 with every seed, up to the last digit."""
    label, scores = experiment(np.random.default_rng(16), 0.9, 0.01, 3, n=200, methods=3)
    methods = [summed_up(label, each) for each in scores]
    right = replace(methods[0], areas=np.array([1.0, 1.0 - 2e-16, 1.0]), error=np.zeros(400), own=0.0, shared=0.0)
    found = pairwise([*methods, right])
    assert found.of_seeds[0, 3] == pairwise([*methods, replace(right, areas=np.ones(3))]).of_seeds[0, 3]


def test_an_untrained_encoder_is_told_from_a_good_one_though_its_seeds_scatter() -> None:
    """0.78 +- 0.03 against 0.98, three seeds each, among twelve methods of which some hardly scatter."""
    rng = np.random.default_rng(15)
    methods = []
    for mean, sd in [(0.98, 0.0003), (0.98, 0.005), (0.97, 0.001), (0.95, 0.002), (0.94, 0.007), (0.78, 0.028)] * 2:
        label, scores = experiment(rng, mean, sd, 3, n=1000)
        methods.append(summed_up(label, scores[0]))
    assert pairwise(methods).p[0, 5] < 0.002


def test_different_methods_are_told_apart_with_three_seeds() -> None:
    rng = np.random.default_rng(11)
    label, scores = experiment(rng, 0.85, 0.003, 3, n=1000, methods=8)
    scores[0] += 1.0 * label
    tests = pairwise([summed_up(label, each) for each in scores])
    adjusted = holm(tests.p[np.triu_indices(8, 1)])
    assert adjusted[:7].max() < 0.01  # pairs (0, 1) to (0, 7) come first


def test_the_same_scores_are_no_different() -> None:
    label, scores = experiment(np.random.default_rng(12), 0.8, 0.05, seeds=3, n=30)
    same = summed_up(label, scores[0])
    deterministic = summed_up(label, scores[0][[0, 0, 0]])
    found = pairwise([same, same, deterministic, deterministic])
    assert found.p[0, 1] == 1.0
    assert found.p[2, 3] == 1.0
    assert np.all((found.p >= 0) & (found.p <= 1))


def test_unusable_scores_are_named() -> None:
    with pytest.raises(UserError, match="two windows or more"):
        influence([1, 0, 0], [1.0, 2.0, 3.0])
    with pytest.raises(UserError, match="1 of 4 scores are NaN"):
        influence([1, 0, 0, 1], [1.0, np.nan, 3.0, 4.0])
