"""Probabilities of a signal: Platt's curve, against scikit-learn and the truth."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from gwbench.evaluation.calibration import Calibration


def test_it_is_the_logistic_regression_on_platts_targets() -> None:
    rng = np.random.default_rng(0)
    label = np.arange(600) % 2
    score = 40 * (rng.normal(size=600) + 0.9 * label) + 100
    found = Calibration.fit(label, score)
    # a soft target is two windows of opposite labels, weighted
    high, low = 301 / 302, 1 / 302
    target = np.where(label == 1, high, low)
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000)
    model.fit(
        np.concatenate([score, score])[:, None] / 40,
        np.repeat([1, 0], 600),
        sample_weight=np.concatenate([target, 1 - target]),
    )
    assert found.slope == pytest.approx(model.coef_[0, 0] / 40, rel=1e-3)
    assert found.intercept == pytest.approx(model.intercept_[0], rel=1e-3)
    assert (found.signals, found.noise) == (300, 300)


def test_gaussian_scores_have_the_probability_that_bayes_gives() -> None:
    """Scores of unit variance around 0 and 2, a quarter of them signals: log-odds 2 s - 2 + log(1/3)."""
    rng = np.random.default_rng(1)
    label = (rng.random(200_000) < 0.25).astype(int)
    found = Calibration.fit(label, rng.normal(size=len(label)) + 2 * label)
    assert found.slope == pytest.approx(2.0, abs=0.03)
    assert found.intercept == pytest.approx(-2 + np.log(1 / 3), abs=0.03)
    for score in (-1.0, 1.0, 2.5):
        true = 1 / (1 + np.exp(-(2 * score - 2 + np.log(1 / 3))))
        assert found.probability(np.array([score]))[0] == pytest.approx(true, abs=0.01)


def test_separated_classes_stay_finite() -> None:
    label = np.array([0] * 20 + [1] * 30)
    found = Calibration.fit(label, np.where(label == 1, 1e3, -1e3))
    # the targets of Platt, (30 + 1) / (30 + 2) and 1 / (20 + 2), can be met exactly
    np.testing.assert_allclose(found.probability(np.array([1e3, -1e3])), [31 / 32, 1 / 22], rtol=1e-3)


@pytest.mark.parametrize(
    ("label", "score", "probability"),
    [
        ([0, 1, 0, 1], [2.0, 1.0, 4.0, 3.0], 0.5),  # larger scores mean noise
        ([0, 0, 0, 1], [1.0, 1.0, 1.0, 1.0], 2 / 6),  # all the same
        ([1, 1, 1, -1], [1.0, 2.0, 3.0, 4.0], 4 / 5),  # no noise
        ([-1, -1], [1.0, 2.0], 0.5),  # nothing known
        ([0, 1], [np.nan, np.nan], 0.5),
    ],
)
def test_without_anything_to_tell_by_it_is_the_prior(label: list[int], score: list[float], probability: float) -> None:
    found = Calibration.fit(np.array(label), np.array(score))
    assert found.slope == 0
    np.testing.assert_allclose(found.probability(np.array([-100.0, 100.0])), probability)
