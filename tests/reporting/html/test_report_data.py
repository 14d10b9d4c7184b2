from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_curve
from statsmodels.stats.proportion import proportion_confint  # type: ignore[import-untyped]

from gwbench.evaluation.statistics import binomial_interval, tpr_at_fpr
from gwbench.reporting.html.report_data import efficiencies, redundancy, roc, score_histogram, wilson

Array = np.ndarray[Any, Any]


def scored(n: int, shift: float, seed: int = 0, ties: int | None = None) -> tuple[Array, Array]:
    """Half noise, half signals that score `shift` more; rounded to so many decimals."""
    rng = np.random.default_rng(seed)
    label = np.repeat([0, 1], n // 2)
    score = rng.normal(size=n) + shift * label
    return label, score if ties is None else np.round(score, ties)


# --- the ROC curve ---


@pytest.mark.parametrize(("n", "shift", "ties"), [(300, 1.0, None), (2000, 2.0, None), (500, 1.0, 1), (40, 6.0, None)])
def test_the_curve_is_that_of_scikit_learn_at_every_rate_told(n: int, shift: float, ties: int | None) -> None:
    label, score = scored(n, shift, ties=ties)
    found = roc(label, score, replicates=10)
    fpr, tpr, _ = roc_curve(label, score, drop_intermediate=False)
    expected = [tpr[fpr <= rate + 1e-12].max() for rate in found.fpr]
    np.testing.assert_allclose(found.tpr, expected, atol=1e-12)
    assert (found.fpr[0], found.fpr[-1], found.tpr[-1]) == (2 / n, 1.0, 1.0)
    assert (np.diff(found.fpr) > 0).all()


def test_the_curve_passes_through_the_efficiencies_of_a_record() -> None:
    label, score = scored(4000, 1.5)
    found = roc(label, score, replicates=10)
    for rate in (0.01, 0.001):
        (place,) = np.flatnonzero(np.isclose(found.fpr, rate)) if rate == 0.001 else [np.abs(found.fpr - rate).argmin()]
        assert found.tpr[place] == tpr_at_fpr(label, score, found.fpr[place]).value


def test_the_band_is_the_bootstrap_of_either_class_by_hand() -> None:
    label, score = scored(400, 1.0)
    noise, signal = score[label == 0], score[label == 1]
    found = roc(label, score, replicates=4000)
    rng = np.random.default_rng(7)
    place = int(np.abs(found.fpr - 0.05).argmin())
    allowed = round(found.fpr[place] * 200)
    drawn = []
    for _ in range(4000):
        again, others = rng.choice(noise, 200), rng.choice(signal, 200)
        drawn.append(np.mean(others > np.sort(again)[::-1][allowed]))
    low, high = np.percentile(drawn, [2.5, 97.5])
    exact = binomial_interval(int(found.tpr[place] * 200 + 0.5), 200)
    assert high - low > 1.2 * (exact.high - exact.low)  # the scatter of the threshold counts
    assert found.low[place] == pytest.approx(min(low, exact.low), abs=0.012)
    assert found.high[place] == pytest.approx(max(high, exact.high), abs=0.012)


def test_the_band_covers_the_true_curve_as_often_as_it_says() -> None:
    truth = norm.sf(norm.isf(0.1) - 1.2)
    covered = []
    for seed in range(120):
        label, score = scored(400, 1.2, seed)
        found = roc(label, score, replicates=150)
        place = int(np.abs(found.fpr - 0.1).argmin())
        assert found.fpr[place] == pytest.approx(0.1, abs=0.006)
        covered.append(found.low[place] <= truth <= found.high[place])
    assert 0.9 <= np.mean(covered) <= 0.995


def test_the_band_holds_the_curve_is_never_narrower_than_exact_and_the_same_every_time() -> None:
    label, score = scored(300, 6.0)
    found, again = roc(label, score), roc(label, score)
    np.testing.assert_array_equal(found.low, again.low)
    assert ((found.low <= found.tpr) & (found.tpr <= found.high)).all()
    perfect = binomial_interval(150, 150)
    assert found.tpr[-1] == 1
    assert found.low[-1] <= perfect.low < 1  # the bootstrap alone would be certain
    assert ((found.low >= 0) & (found.high <= 1)).all()


def test_infinite_scores_have_a_curve() -> None:
    label, score = scored(100, 1.0)
    score[:3], score[-3:] = -np.inf, np.inf
    found = roc(label, score, replicates=10)
    assert np.isfinite([found.fpr, found.tpr, found.low, found.high]).all()
    assert found.tpr[0] >= 3 / 50


# --- efficiency against SNR ---


def test_efficiencies_are_shares_of_the_signals_above_the_noise_threshold() -> None:
    rng = np.random.default_rng(1)
    label = np.repeat([0, 1], [1000, 600])
    snr = np.where(label == 1, rng.uniform(5, 20, 1600), np.nan)
    score = rng.normal(size=1600) + np.nan_to_num(snr) * 0.4
    snr[-20:] = np.nan  # of unknown SNR
    low_rate, high_rate = efficiencies(label, score, snr, (0.01, 0.1))
    assert (low_rate.rate, high_rate.rate) == (0.01, 0.1)
    threshold = np.sort(score[:1000])[::-1][10]
    known = (label == 1) & np.isfinite(snr)
    assert low_rate.n.sum() == known.sum() == 580
    assert low_rate.n.max() - low_rate.n.min() <= 2
    assert low_rate.value @ low_rate.n == pytest.approx((score[known] > threshold).sum())
    first = np.sort(snr[known])[: low_rate.n[0]]
    inside = known & (snr <= first[-1])
    assert low_rate.snr[0] == pytest.approx(first.mean())
    assert low_rate.value[0] == pytest.approx((score[inside] > threshold).mean())
    assert (high_rate.value >= low_rate.value).all()


def test_rates_that_the_noise_cannot_resolve_and_unknown_snrs_give_no_curve() -> None:
    label, score = scored(200, 1.0)
    snr = np.where(label == 1, 10.0, np.nan)
    assert [curve.rate for curve in efficiencies(label, score, snr, (0.05, 0.001))] == [0.05]
    assert efficiencies(label, score, np.full(200, np.nan), (0.05,)) == []
    (curve,) = efficiencies(label, score, snr, (0.05,))  # all of one SNR
    assert (curve.n.tolist(), curve.snr.tolist()) == ([100], [10.0])


@pytest.mark.parametrize("level", [0.68, 0.95])
def test_wilsons_interval_is_that_of_statsmodels(level: float) -> None:
    hits, n = np.array([0, 1, 13, 29, 30]), np.array([30, 30, 30, 30, 30])
    low, high = wilson(hits, n, level)
    expected = proportion_confint(hits, n, 1 - level, method="wilson")
    np.testing.assert_allclose(low, expected[0], atol=1e-12)
    np.testing.assert_allclose(high, expected[1], atol=1e-12)


# --- scores, redundancy ---


def test_every_finite_score_is_in_a_bin() -> None:
    label, score = scored(500, 2.0)
    score[0], score[-1] = -np.inf, np.inf
    found = score_histogram(label, score, bins=20)
    assert (found.noise.sum(), found.signal.sum(), found.infinite) == (249, 249, 2)
    inside = (score >= found.edges[3]) & (score < found.edges[4]) & (label == 1)
    assert found.signal[3] == inside.sum()
    constant = score_histogram(label, np.zeros(500))
    assert constant.noise.sum() == 250


def test_redundancy_of_an_identity_of_equal_dimensions_and_of_noise() -> None:
    identity = redundancy(np.eye(7), 100)
    assert (identity.diagonal, identity.off_diagonal, identity.chance) == (1.0, 0.0, 0.1)
    assert redundancy(np.ones((4, 4)), 9).off_diagonal == 1.0
    assert redundancy(np.ones((1, 1)), 9).off_diagonal is None
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 400, 60))
    noise = redundancy(np.corrcoef(a, b, rowvar=False)[:60, 60:], 400)
    assert noise.off_diagonal == pytest.approx(noise.chance, rel=0.05)
