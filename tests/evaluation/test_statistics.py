from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from gwbench.errors import UserError
from gwbench.evaluation.statistics import (
    Interval,
    auc,
    auc_interval,
    average_precision,
    binomial_interval,
    false_positives_allowed,
    signals_found,
    snr_at_efficiency,
    structural_components,
    tpr_at_fpr,
)
from tests.evaluation.delong import all_pairs, delong, pair_kernel

Array = NDArray[Any]


def tied_scores(seed: int, n: int = 200, levels: int = 12) -> tuple[Array, Array]:
    """Labels and scores with many ties within and across the classes."""
    rng = np.random.default_rng(seed)
    label = (rng.random(n) < 0.4).astype(np.int8)
    return label, np.round(levels * (rng.normal(size=n) + 0.8 * label)) / levels


def binormal(rng: np.random.Generator, area: float, n_signal: int, n_noise: int) -> tuple[Array, Array]:
    """Unit-variance normal scores whose true AUC is `area`: Phi(d / sqrt 2)."""
    shift = np.sqrt(2.0) * stats.norm.ppf(area)
    label = np.repeat([1, 0], [n_signal, n_noise])
    return label, rng.normal(size=n_signal + n_noise) + shift * label


@pytest.mark.parametrize("seed", range(5))
def test_auc_agrees_with_sklearn_and_with_all_pairs(seed: int) -> None:
    label, score = tied_scores(seed)
    assert auc(label, score) == pytest.approx(roc_auc_score(label, score), abs=1e-12)
    assert auc(label, score) == pytest.approx(pair_kernel(label, score).mean(), abs=1e-12)
    assert auc_interval(label, score).value == auc(label, score)


def test_auc_takes_infinite_scores() -> None:
    assert auc([0, 0, 1, 1], [-np.inf, 1.0, 1.0, np.inf]) == pytest.approx(3.5 / 4)


@pytest.mark.parametrize("seed", range(3))
def test_delong_agrees_with_all_pairs(seed: int) -> None:
    label, score = tied_scores(seed)
    other = score + np.random.default_rng(seed + 100).normal(size=len(score))
    scores = np.stack([score, other, -score])
    area, cov = delong(label, scores)
    brute_area, brute_cov = all_pairs(label, scores)
    np.testing.assert_allclose(area, brute_area, rtol=1e-12)
    np.testing.assert_allclose(cov, brute_cov, rtol=1e-10, atol=1e-15)


def test_delong_of_a_score_and_its_negative_are_fully_anticorrelated() -> None:
    label, score = tied_scores(7)
    area, cov = delong(label, np.stack([score, -score]))
    assert area.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(cov, cov[0, 0] * np.array([[1, -1], [-1, 1]]), rtol=1e-10)


def test_delong_ignores_monotone_transformations() -> None:
    label, score = tied_scores(8)
    _, cov = delong(label, np.stack([score, np.exp(score)]))
    assert cov[0, 0] + cov[1, 1] - 2 * cov[0, 1] == pytest.approx(0.0, abs=1e-16)


def test_delong_variance_of_pure_noise_is_that_of_mann_whitney() -> None:
    """Without separation and ties Var(U) = m n (m + n + 1) / 12, which DeLong estimates."""
    rng = np.random.default_rng(3)
    m, n = 60, 90
    label = np.repeat([1, 0], [m, n])
    variances = [delong(label, rng.normal(size=(1, m + n)))[1][0, 0] for _ in range(300)]
    assert np.mean(variances) == pytest.approx((m + n + 1) / (12 * m * n), rel=0.03)


def test_delong_variance_is_the_scatter_of_the_auc() -> None:
    rng = np.random.default_rng(4)
    found = [delong(*_stacked(binormal(rng, 0.85, 80, 120))) for _ in range(500)]
    scatter = np.var([area[0] for area, _ in found], ddof=1)
    assert np.mean([cov[0, 0] for _, cov in found]) == pytest.approx(scatter, rel=0.2)


def _stacked(sample: tuple[Array, Array]) -> tuple[Array, Array]:
    return sample[0], sample[1][np.newaxis]


def test_structural_components_keep_the_order_of_the_windows() -> None:
    area, of_signals, of_noise = structural_components([1, 0, 1, 0], [[3.0, 2.0, 1.0, 0.0]])
    np.testing.assert_array_equal(of_signals, [[1.0, 0.5]])
    np.testing.assert_array_equal(of_noise, [[0.5, 1.0]])
    assert area == [0.75]


def test_auc_interval_is_the_delong_variance_on_the_logit_scale() -> None:
    label, score = tied_scores(9)
    found = auc_interval(label, score, level=0.9)
    area, cov = all_pairs(label, score[np.newaxis])
    error = np.sqrt(cov[0, 0]) / (area[0] * (1 - area[0]))
    centre = np.log(area[0] / (1 - area[0]))
    for end, sign in ((found.low, -1), (found.high, 1)):
        assert end == pytest.approx(1 / (1 + np.exp(-(centre + sign * 1.6448536269514722 * error))), abs=1e-12)


@pytest.mark.parametrize(("area", "n_signal", "n_noise"), [(0.6, 50, 80), (0.85, 60, 60), (0.95, 100, 100)])
def test_auc_interval_covers_the_true_area(area: float, n_signal: int, n_noise: int) -> None:
    rng = np.random.default_rng(5)
    intervals = [auc_interval(*binormal(rng, area, n_signal, n_noise)) for _ in range(600)]
    covered = np.mean([found.low <= area <= found.high for found in intervals])
    assert 0.92 <= covered <= 0.98


def test_logit_interval_covers_better_than_the_plain_one_near_one() -> None:
    rng = np.random.default_rng(6)
    area, logit, plain = 0.99, 0, 0
    for _ in range(400):
        label, score = binormal(rng, area, 100, 100)
        found = auc_interval(label, score)
        error = np.sqrt(delong(label, score[np.newaxis])[1][0, 0])
        logit += found.low <= area <= found.high
        plain += abs(found.value - area) <= 1.96 * error
    assert logit / 400 > 0.91
    assert logit - plain > 0.03 * 400


def test_perfect_separation_still_has_a_lower_bound() -> None:
    """The lower end is the area A at which A^30, a bound on 30 separate pairs all in order, is 2.5 %."""
    label = np.repeat([0, 1], [50, 30])
    found = auc_interval(label, np.arange(80.0))
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(0.025 ** (1 / 30))
    flipped = auc_interval(label, -np.arange(80.0))
    assert (flipped.value, flipped.low) == (0.0, 0.0)
    assert flipped.high == pytest.approx(1 - found.low)


def test_a_constant_score_is_not_certain_to_be_worthless() -> None:
    found = auc_interval(np.repeat([0, 1], [100, 100]), np.zeros(200))
    assert found.value == 0.5
    assert 0.35 < found.low < 0.45
    assert found.high == pytest.approx(1 - found.low)


def test_one_signal_gives_an_interval_that_says_next_to_nothing() -> None:
    found = auc_interval([1, *[0] * 99], np.r_[1.5, np.arange(99)])
    assert found.value == pytest.approx(2 / 99)
    assert found.high > 0.9


@pytest.mark.parametrize("seed", range(5))
def test_average_precision_agrees_with_sklearn(seed: int) -> None:
    label, score = tied_scores(seed)
    assert average_precision(label, score) == pytest.approx(average_precision_score(label, score), abs=1e-12)
    assert average_precision(label, np.zeros(len(label))) == pytest.approx(label.mean())


@pytest.mark.parametrize("fpr", [0.001, 0.01, 0.05, 0.29, 0.9])
@pytest.mark.parametrize("seed", range(3))
def test_tpr_at_fpr_is_the_best_threshold_that_keeps_to_the_rate(seed: int, fpr: float) -> None:
    label, score = tied_scores(seed, n=400)
    signal, noise = score[label == 1], score[label == 0]
    thresholds = [*np.unique(score), np.inf]
    best = max(np.mean(signal >= t) for t in thresholds if np.mean(noise >= t) <= fpr)
    assert tpr_at_fpr(label, score, fpr).value == pytest.approx(best)


def test_tpr_at_fpr_rejects_noise_that_ties_at_the_threshold() -> None:
    label = np.repeat([0, 1], [10, 4])
    score = np.array([0, 0, 0, 0, 0, 0, 0, 0, 5, 5, 5, 5, 6, 7], dtype=float)
    assert tpr_at_fpr(label, score, 0.1).value == 0.5
    assert tpr_at_fpr(label, score, 0.2).value == 1.0


def test_signals_found_are_the_roc_curve_of_sklearn() -> None:
    label, score = tied_scores(1, n=400)
    fpr, tpr, _ = roc_curve(label, score, drop_intermediate=False)
    rates = [0.01, 0.05, 0.29, 0.9]
    counts, n_signal = signals_found(label, score, rates)
    assert n_signal == np.count_nonzero(label == 1)
    assert counts / n_signal == pytest.approx([tpr[fpr <= rate + 1e-12].max() for rate in rates])


def test_the_rate_asked_is_met_to_the_last_window() -> None:
    """0.29 * 100 is 28.999... in floating point; 29 of 100 is allowed all the same."""
    assert false_positives_allowed(100, 0.29) == 29
    assert false_positives_allowed(1000, 1e-3) == 1
    assert false_positives_allowed(999, 1e-3) == 0


@pytest.mark.parametrize(("k", "n"), [(0, 20), (3, 20), (20, 20), (970, 1000)])
def test_binomial_interval_agrees_with_scipy(k: int, n: int) -> None:
    found = binomial_interval(k, n, level=0.9)
    expected = stats.binomtest(k, n).proportion_ci(0.9, method="exact")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.value == k / n


def test_unusable_input_is_named() -> None:
    with pytest.raises(UserError, match=r"both classes.*3, 0 are signals"):
        auc([0, 0, 0], [1.0, 2.0, 3.0])
    with pytest.raises(UserError, match="1 of 3 scores are NaN"):
        auc([0, 1, 1], [1.0, np.nan, 3.0])
    with pytest.raises(UserError, match=r"rate of 1\.5"):
        tpr_at_fpr([0, 1], [0.0, 1.0], 1.5)
    with pytest.raises(ValueError, match="unlabelled"):
        auc([-1, 0, 1], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"\[M, N\]"):
        auc([0, 1], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="level"):
        auc_interval([0, 1, 0, 1], [1.0, 2.0, 3.0, 4.0], level=95)
    with pytest.raises(ValueError, match="proportion"):
        binomial_interval(5, 4)
    with pytest.raises(ValueError, match="low <= value"):
        Interval(0.5, float("nan"), 1.0)


def test_structural_components_agree_with_all_pairs_under_ties_and_infinities() -> None:
    label, score = tied_scores(11)
    score = np.where(np.arange(len(score)) % 17 == 0, np.inf, score)
    score = np.where(np.arange(len(score)) % 23 == 0, -np.inf, score)
    _, of_signals, of_noise = structural_components(label, score[np.newaxis])
    kernel = pair_kernel(label, score)
    np.testing.assert_allclose(of_signals[0], kernel.mean(axis=1), atol=1e-12)
    np.testing.assert_allclose(of_noise[0], kernel.mean(axis=0), atol=1e-12)


def test_snr_at_efficiency_is_where_the_curve_of_the_detections_passes() -> None:
    rng = np.random.default_rng(12)
    snr = rng.uniform(6, 20, 4000)
    found = rng.random(4000) < 1 / (1 + (9.0 / snr) ** 7)  # half at 9, three quarters at 9 * 3^(1/7)
    assert snr_at_efficiency(snr, found, 0.5) == pytest.approx(9.0, abs=0.25)
    assert snr_at_efficiency(snr, found, 0.75) == pytest.approx(9.0 * 3 ** (1 / 7), abs=0.3)


def test_snr_at_efficiency_is_the_maximum_likelihood_fit_of_scikit_learn() -> None:
    rng = np.random.default_rng(13)
    snr = rng.uniform(4, 30, 500)
    found = rng.random(500) < 1 / (1 + (11.0 / snr) ** 5)
    logs = np.log(snr)
    fit = LogisticRegression(C=1e9, tol=1e-10, max_iter=1000).fit(np.stack([logs, logs**2], axis=1), found)
    crossings = np.exp(np.roots([fit.coef_[0, 1], fit.coef_[0, 0], fit.intercept_[0]]))
    expected = crossings[np.argmin(np.abs(crossings - 11.0))]
    assert snr_at_efficiency(snr, found, 0.5) == pytest.approx(expected, rel=1e-3)


def test_snr_at_efficiency_stays_within_the_signals() -> None:
    snr = np.linspace(6.0, 20.0, 50)
    assert snr_at_efficiency(snr, np.ones(50), 0.5) == 6.0
    assert snr_at_efficiency(snr, np.zeros(50), 0.5) == 20.0
    assert snr_at_efficiency(snr, snr < 10, 0.5) == 20.0  # the louder, the rarer
    between = snr_at_efficiency(snr, snr > 12.0, 0.5)  # nothing overlaps
    assert snr[snr <= 12.0].max() <= between <= snr[snr > 12.0].min()
    assert snr_at_efficiency(np.full(9, 8.0), np.arange(9) < 5, 0.5) == 8.0
