from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.neighbors import KNeighborsClassifier

from gwbench.errors import UserError
from gwbench.evaluation import knn
from gwbench.evaluation.knn import knn_scores

Array = NDArray[Any]


def embeddings(seed: int = 0, n: int = 120, features: int = 9) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(seed)
    x = (rng.normal(size=(n + 50, features)) * np.logspace(-2, 2, features) + 3.0).astype(np.float32)
    return x[:n], rng.integers(0, 2, n), x[n:]


def standardised(x: Array, train_x: Array) -> Array:
    z = (x.astype(np.float64) - train_x.mean(axis=0, dtype=np.float64)) / train_x.std(axis=0, dtype=np.float64)
    return np.asarray(z / np.linalg.norm(z, axis=1, keepdims=True))


def brute_force(train_x: Array, train_y: Array, test_x: Array, k: int, temperature: float | None) -> Array:
    bank, scores = standardised(train_x, train_x), []
    for query in standardised(test_x, train_x):
        cosine = np.array([query @ known for known in bank])
        nearest = np.argsort(-cosine)[:k]
        weight = np.ones(k) if temperature is None else np.exp(cosine[nearest] / temperature)
        scores.append(np.sum(weight * train_y[nearest]) / np.sum(weight))
    return np.array(scores)


@pytest.mark.parametrize("temperature", [None, 0.07, 0.5])
@pytest.mark.parametrize("k", [1, 5, 20])
def test_scores_agree_with_brute_force(k: int, temperature: float | None) -> None:
    parts = embeddings()
    found = knn_scores(*parts, neighbours=k, temperature=temperature)
    np.testing.assert_allclose(found, brute_force(*parts, k, temperature), atol=2e-5)


def test_uniform_votes_are_those_of_scikit_learn() -> None:
    train_x, train_y, test_x = embeddings(1)
    reference = KNeighborsClassifier(7, metric="cosine").fit(standardised(train_x, train_x), train_y)
    expected = reference.predict_proba(standardised(test_x, train_x))[:, 1]
    found = knn_scores(train_x, train_y, test_x, neighbours=7, temperature=None)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_fewer_windows_than_neighbours_all_vote() -> None:
    train_x, train_y, test_x = embeddings(n=12)
    found = knn_scores(train_x, train_y, test_x, neighbours=500, temperature=None)
    np.testing.assert_allclose(found, train_y.mean(), atol=1e-6)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = embeddings()
    whole = knn_scores(*parts)
    monkeypatch.setattr(knn, "BLOCK_BYTES", 4 * 120 * 7)
    np.testing.assert_allclose(knn_scores(*parts), whole, atol=1e-6)


def test_a_small_temperature_does_not_overflow() -> None:
    parts = embeddings()
    found = knn_scores(*parts, temperature=1e-6)
    np.testing.assert_allclose(found, knn_scores(*parts, neighbours=1), atol=1e-6)


def test_unlabelled_windows_do_not_vote() -> None:
    train_x, train_y, test_x = embeddings()
    half = train_y.copy()
    half[60:] = -1
    expected = knn_scores(train_x[:60], train_y[:60], test_x)
    np.testing.assert_allclose(knn_scores(train_x, half, test_x), expected, atol=1e-6)


def test_a_collapsed_encoder_scores_every_window_the_same() -> None:
    x = np.full((40, 3), 0.3, dtype=np.float32)
    found = knn_scores(x, np.arange(40) % 2, x)
    assert np.all(np.isfinite(found))
    assert np.ptp(found) == 0


def test_bad_input() -> None:
    train_x, train_y, test_x = embeddings()
    with pytest.raises(UserError, match="no signal window"):
        knn_scores(train_x, np.zeros(120), test_x)
    broken = test_x.copy()
    broken[4] = np.inf
    with pytest.raises(UserError, match="1 of 50 test embeddings"):
        knn_scores(train_x, train_y, broken)
    with pytest.raises(ValueError, match="width"):
        knn_scores(train_x, train_y, test_x[:, :2])
    with pytest.raises(ValueError, match="cannot vote"):
        knn_scores(train_x, train_y, test_x, neighbours=0)
    with pytest.raises(ValueError, match="cannot vote"):
        knn_scores(train_x, train_y, test_x, temperature=0.0)
