from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.preprocessing import StandardScaler

from gwbench import seeds
from gwbench.errors import UserError
from gwbench.evaluation.probe import Probe

Array = NDArray[Any]


def split(windows: int, seed: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    label = np.arange(windows) % 2
    return (rng.normal(size=(windows, 6)) + 0.7 * label[:, None] * np.arange(6) / 6).astype(np.float32), label


TRAIN, VAL, TEST = split(300, 0), split(200, 1), split(400, 2)


@pytest.fixture(scope="module")
def probe() -> Probe:
    return Probe().fit(*TRAIN, *VAL)


def test_it_is_the_logistic_regression_of_scikit_learn(probe: Probe) -> None:
    scaler = StandardScaler().fit(TRAIN[0])
    model = LogisticRegression(C=1 / probe.strength_, tol=1e-8, max_iter=10_000)
    model.fit(scaler.transform(TRAIN[0]), TRAIN[1])
    expected = model.decision_function(scaler.transform(TEST[0]))
    np.testing.assert_allclose(probe.decision_function(TEST[0]), expected, atol=2e-3)
    np.testing.assert_allclose(probe.coef_, model.coef_, atol=2e-3)
    assert probe.val_auc_ == pytest.approx(roc_auc_score(VAL[1], probe.decision_function(VAL[0])))


def test_its_metrics_are_those_of_the_scores(probe: Probe) -> None:
    snr = np.where(TEST[1] == 1, np.linspace(5, 25, len(TEST[1])), np.nan)
    metrics = probe.score(*TEST, snr=snr)
    scores = probe.decision_function(TEST[0])
    assert metrics.auc.value == pytest.approx(roc_auc_score(TEST[1], scores))
    assert metrics.average_precision == pytest.approx(average_precision_score(TEST[1], scores))
    assert metrics.auc.low < metrics.auc.value < metrics.auc.high
    assert metrics.knn_auc is not None
    assert sum(each.n for each in metrics.per_snr_bin) == 200
    eight = next(each for each in metrics.per_snr_bin if each.low == 8.0)
    inside = (TEST[1] == 0) | ((snr >= 8) & (snr < 10))
    assert eight.auc.value == pytest.approx(roc_auc_score(TEST[1][inside], scores[inside]))
    assert probe.score(*TEST).per_snr_bin == ()


def test_tensors_and_arrays_give_the_same(probe: Probe) -> None:
    tensors = [torch.from_numpy(each) for pair in (TRAIN, VAL, TEST) for each in pair]
    other = Probe().fit(*tensors[:4])
    assert other.score(*tensors[4:]) == probe.score(*TEST)


def test_probabilities_follow_the_scores(probe: Probe) -> None:
    probability = probe.predict_proba(TEST[0])
    np.testing.assert_allclose(probability.sum(axis=1), 1.0)
    order = np.argsort(probe.decision_function(TEST[0]))
    assert (np.diff(probability[order, 1]) >= 0).all()
    assert (probe.predict(TEST[0]) == (probability[:, 1] > 0.5)).all()
    assert abs(probe.predict_proba(VAL[0])[:, 1].mean() - 0.5) < 0.02  # the prior of validation


def test_labels_are_drawn_as_a_run_draws_them() -> None:
    probe = Probe(label_fraction=0.1, seed=3).fit(*TRAIN, *VAL)
    rng = seeds.numpy_generator(3, "split")
    expected = [rng.permutation(np.flatnonzero(TRAIN[1] == value))[:15] for value in (0, 1)]
    assert probe.labelled_.tolist() == sorted(np.concatenate(expected).tolist())
    alone = Probe().fit(TRAIN[0][probe.labelled_], TRAIN[1][probe.labelled_], *VAL)
    assert alone.score(*TEST) == probe.score(*TEST)


def test_unlabelled_windows_are_left_out() -> None:
    label = np.where(np.arange(300) < 100, -1, TRAIN[1])
    unknown = np.where(np.arange(300) < 100, np.nan, TRAIN[1])
    rest = Probe().fit(TRAIN[0][100:], TRAIN[1][100:], *VAL).score(*TEST)
    assert Probe().fit(TRAIN[0], label, *VAL).score(*TEST) == rest
    assert Probe().fit(TRAIN[0], unknown, *VAL).score(*TEST) == rest


def test_it_has_the_manners_of_scikit_learn(probe: Probe) -> None:
    chosen = Probe(label_fraction=0.5, seed=2)
    assert clone(chosen).get_params() == chosen.get_params()
    assert clone(probe).set_params(neighbours=5).neighbours == 5
    for unfitted in (lambda: Probe().score(*TEST), lambda: Probe().decision_function(TEST[0])):
        with pytest.raises(NotFittedError):
            unfitted()
    assert probe.n_features_in_ == 6
    assert probe.classes_.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ((TRAIN[0][0], TRAIN[1], *VAL), r"training embeddings are float32 of shape \(6,\)"),
        ((*TRAIN, VAL[0][:, :3], VAL[1]), "6 features and validation embeddings 3"),
        ((TRAIN[0], TRAIN[1][:-1], *VAL), r"training labels are int64 of shape \(299,\)"),
        ((TRAIN[0], np.zeros(300), *VAL), "no signal window"),
        ((np.full((300, 6), np.nan), TRAIN[1], *VAL), "NaN or infinity"),
        ((TRAIN[0].astype(str), TRAIN[1], *VAL), "expected numbers"),
        ((np.empty((0, 6)), np.empty(0), *VAL), "no noise window"),
    ],
)
def test_what_cannot_be_fitted_is_refused(given: tuple[Any, ...], match: str) -> None:
    with pytest.raises(UserError, match=match):
        Probe().fit(*given)


def test_what_cannot_be_scored_is_refused(probe: Probe) -> None:
    with pytest.raises(UserError, match="fitted on 6"):
        probe.score(TEST[0][:, :2], TEST[1])
    with pytest.raises(UserError, match="NaN or infinity"):
        probe.decision_function(np.full((2, 6), np.inf))
    with pytest.raises(UserError, match="below 0"):
        probe.score(*TEST, snr=np.full(len(TEST[1]), -1.0))
    with pytest.raises(UserError, match="neighbours=0"):
        Probe(neighbours=0).fit(*TRAIN, *VAL)
    with pytest.raises(UserError, match="label fraction of 0"):
        Probe(label_fraction=0).fit(*TRAIN, *VAL)
