"""Ridge, rank correlation, several classes and bootstrap intervals, against scikit-learn and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import Ridge
from sklearn.metrics import balanced_accuracy_score, mean_absolute_error, r2_score, roc_auc_score
from sklearn.preprocessing import StandardScaler

from gwbench.errors import UserError
from gwbench.evaluation.bootstrap import bootstrap_intervals
from gwbench.evaluation.classification import classification_figures, multinomial_probe
from gwbench.evaluation.regression import regression_figures, ridge, spearman

RNG = np.random.default_rng(0)


def test_ridge_is_scikit_learns_with_the_best_penalty_on_validation() -> None:
    x = {name: RNG.normal(2, 3, (n, 6)) for name, n in (("train", 60), ("val", 40), ("test", 50))}
    y = {name: rows @ np.arange(6) + RNG.normal(0, 8, len(rows)) for name, rows in x.items()}
    fitted = ridge(x["train"], y["train"], x["val"], y["val"], x["test"])
    scaler = StandardScaler().fit(x["train"])
    for penalty, error in fitted.path:
        model = Ridge(alpha=penalty).fit(scaler.transform(x["train"]), y["train"])
        assert error == pytest.approx(np.mean((model.predict(scaler.transform(x["val"])) - y["val"]) ** 2))
    assert fitted.penalty == min(fitted.path, key=lambda each: each[1])[0]
    model = Ridge(alpha=fitted.penalty).fit(scaler.transform(x["train"]), y["train"])
    assert np.allclose(fitted.test, model.predict(scaler.transform(x["test"])))
    figures = regression_figures(y["test"], fitted.test)
    assert figures["r2"].value == pytest.approx(r2_score(y["test"], fitted.test))
    assert figures["mean_absolute_error"].value == pytest.approx(mean_absolute_error(y["test"], fitted.test))
    assert figures["rank_correlation"].value == pytest.approx(stats.spearmanr(y["test"], fitted.test).statistic)


def test_the_interval_of_the_rank_correlation_is_bonett_and_wrights() -> None:
    x = RNG.normal(size=103)
    found = spearman(x, x + RNG.normal(size=103))
    reach = 1.959964 * np.sqrt((1 + found.value**2 / 2) / 100)
    assert np.arctanh(found.high) - np.arctanh(found.value) == pytest.approx(reach, rel=1e-5)
    assert np.arctanh(found.value) - np.arctanh(found.low) == pytest.approx(reach, rel=1e-5)
    assert spearman(x, np.zeros(103)).value == 0.0
    assert spearman(x, x).value == 1.0


def test_a_bootstrap_interval_of_a_mean_is_the_normal_one() -> None:
    x = RNG.normal(size=400)
    found = bootstrap_intervals(lambda rows: {"mean": float(x[rows].mean())}, 400)["mean"]
    reach = 1.96 * x.std() / 20
    assert found.high - found.value == pytest.approx(reach, rel=0.15)
    assert found.value - found.low == pytest.approx(reach, rel=0.15)


def test_classes_are_judged_as_scikit_learn_does() -> None:
    truth = RNG.integers(3, size=300)
    centres = RNG.normal(size=(3, 5))
    x = centres[truth] + RNG.normal(size=(300, 5))
    fitted = multinomial_probe(x[:150], truth[:150], x[150:200], truth[150:200], x[200:], 4)
    assert np.allclose(fitted.test.sum(1), 1)
    assert (fitted.test[:, 3] == 0).all()  # which no window has
    figures = classification_figures(truth[200:], fitted.test, ("none", "a", "b", "c"))
    expected = roc_auc_score(truth[200:], fitted.test[:, :3], multi_class="ovr", average="macro")
    assert figures["macro_auc"].value == pytest.approx(expected)
    chosen = fitted.test.argmax(1)
    assert figures["balanced_accuracy"].value == pytest.approx(balanced_accuracy_score(truth[200:], chosen))
    assert "auc c" not in figures
    with pytest.raises(UserError, match="all of one class"):
        multinomial_probe(x[:9], np.zeros(9, int), x[:9], np.zeros(9, int), x[:9], 2)
