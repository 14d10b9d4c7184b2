from __future__ import annotations

import warnings
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from gwbench.errors import UserError
from gwbench.evaluation import linear_probe as probe
from gwbench.evaluation.linear_probe import Standardiser, draw_labelled, linear_probe

Array = NDArray[Any]


def embeddings(seed: int, n: int, features: int = 20, strength: float = 1.0) -> tuple[Array, Array]:
    """float32 embeddings of mixed scales and offsets whose first features carry the label."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, n).astype(np.int8)
    x = rng.normal(size=(n, features))
    x[:, :3] += strength * label[:, None]
    return (x * np.logspace(-3, 3, features) + 5.0).astype(np.float32), label


def splits(n: int = 300, features: int = 20) -> tuple[Array, Array, Array, Array, Array, Array]:
    train, val, test = (embeddings(seed, n, features) for seed in (1, 2, 3))
    return *train, *val, *test


def test_scores_are_those_of_scikit_learn_at_the_strength_best_on_validation() -> None:
    train_x, train_y, val_x, val_y, test_x, _ = splits()
    grid = (1e3, 1e2, 1e1, 1.0, 0.1)
    found = linear_probe(train_x, train_y, val_x, val_y, test_x, strengths=grid)

    scaler = StandardScaler().fit(train_x.astype(np.float64))
    models = {s: LogisticRegression(C=1 / s, tol=1e-10, max_iter=10_000) for s in found.val_auc}
    for model in models.values():
        model.fit(scaler.transform(train_x.astype(np.float64)), train_y)
    by_strength = {
        s: roc_auc_score(val_y, m.decision_function(scaler.transform(val_x.astype(np.float64))))
        for s, m in models.items()
    }
    assert found.val_auc == pytest.approx(by_strength, abs=5e-4)
    assert found.val_auc[found.strength] == max(found.val_auc.values()) == found.chosen.val_auc
    expected = models[found.strength].decision_function(scaler.transform(test_x.astype(np.float64)))
    np.testing.assert_allclose(found.test_scores, expected, atol=1e-3)
    assert found.n_train == 300
    assert all(fit.converged and fit.iterations > 0 for fit in found.path)


def test_validation_chooses_and_test_does_not() -> None:
    """One feature tells the truth everywhere; the other is louder in training, and lies on one split.

    A lie on validation asks for a stronger regularisation, which trusts the louder feature less. A lie on test
    would ask for the same, but must change nothing: the choice stays, though it ruins the test scores.
    """
    rng = np.random.default_rng(0)
    train_y, val_y, test_y = (rng.integers(0, 2, 400) for _ in range(3))

    def windows(label: Array, sign: float) -> Array:
        honest = label + 0.8 * rng.normal(size=400)
        other = sign * (label - 0.5) + 0.05 * rng.normal(size=400)
        return np.stack([honest, other], axis=1)

    train_x, truthful_val, lying_val = windows(train_y, 1), windows(val_y, 1), windows(val_y, -1)
    truthful_test, lying_test = windows(test_y, 1), windows(test_y, -1)

    strong_to_weak = (1e4, 1e2, 1.0)
    honest = linear_probe(train_x, train_y, truthful_val, val_y, truthful_test, strengths=strong_to_weak)
    betrayed = linear_probe(train_x, train_y, truthful_val, val_y, lying_test, strengths=strong_to_weak)
    warned = linear_probe(train_x, train_y, lying_val, val_y, truthful_test, strengths=strong_to_weak)
    assert betrayed.path == honest.path
    np.testing.assert_array_equal(betrayed.val_scores, honest.val_scores)
    assert roc_auc_score(test_y, betrayed.test_scores) < 0.2 < 0.9 < roc_auc_score(test_y, honest.test_scores)
    assert warned.strength > honest.strength
    assert warned.chosen.val_auc == max(warned.val_auc.values())


def test_standardisation_sees_the_labelled_training_part_alone() -> None:
    train_x, train_y, val_x, val_y, test_x, _ = splits()
    both = linear_probe(train_x, train_y, val_x, val_y, np.concatenate([test_x, 1e6 * test_x]))
    alone = linear_probe(train_x, train_y, val_x, val_y, test_x)
    np.testing.assert_array_equal(both.test_scores[:300], alone.test_scores)

    junk = np.full((50, train_x.shape[1]), 1e4, dtype=np.float32)
    unlabelled = np.full(50, -1, dtype=np.int8)
    padded = linear_probe(
        np.concatenate([train_x, junk]),
        np.concatenate([train_y, unlabelled]),
        np.concatenate([val_x, junk]),
        np.concatenate([val_y, unlabelled]),
        test_x,
    )
    np.testing.assert_array_equal(padded.test_scores, alone.test_scores)
    assert padded.path == alone.path
    assert padded.val_scores.shape == (350,)


def test_ties_on_validation_go_to_the_strongest() -> None:
    """One feature: its direction, and with it the AUC, is the same at every strength."""
    train_x, train_y, val_x, val_y, test_x, _ = splits()
    found = linear_probe(train_x[:, :1], train_y, val_x[:, :1], val_y, test_x[:, :1], strengths=(1.0, 100.0, 10.0))
    assert len(set(found.val_auc.values())) == 1
    assert found.strength == 1000.0
    # The strong edge wins a tie, and is continued by one step, which brings nothing and ends the search.
    assert [fit.strength for fit in found.path] == [1000.0, 100.0, 10.0, 1.0]


@pytest.mark.parametrize(("grid", "towards"), [((1e-2, 1e-3), "stronger"), ((1e6, 1e5), "weaker")])
def test_a_grid_whose_edge_wins_is_continued(grid: tuple[float, float], towards: str) -> None:
    rng = np.random.default_rng(5)
    label = rng.integers(0, 2, 700)
    # Few windows, many features of shared noise: neither the weakest nor the strongest regularisation is best.
    shared = rng.normal(size=(700, 4)) @ rng.normal(size=(4, 60))
    x = rng.normal(size=(700, 60)) + 2 * shared + 0.35 * label[:, None] * rng.normal(size=60)
    parts = x[:200], label[:200], x[200:], label[200:], x[:5]
    found = linear_probe(*parts, strengths=grid)
    assert 3 <= len(found.path) <= 2 + probe.MAX_EXTENSIONS
    assert found.strength > max(grid) if towards == "stronger" else found.strength < min(grid)
    assert found.chosen.val_auc > max(found.val_auc[strength] for strength in grid)
    assert list(found.val_auc) == sorted(found.val_auc, reverse=True)
    assert linear_probe(*parts, strengths=grid[:1]).strength == grid[0]


def test_a_fit_that_does_not_converge_is_recorded_and_warns_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "MAX_ITERATIONS", 2)
    train_x, train_y, val_x, val_y, test_x, _ = splits()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = linear_probe(train_x, train_y, val_x, val_y, test_x, strengths=(1e-4,))
    assert not found.chosen.converged
    assert found.chosen.iterations == 2


def test_the_same_call_gives_the_same_bits() -> None:
    parts = splits(features=64)[:5]
    first, second = linear_probe(*parts), linear_probe(*parts)
    np.testing.assert_array_equal(first.test_scores, second.test_scores)
    assert first.path == second.path


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = splits()[:5]
    whole = linear_probe(*parts)
    monkeypatch.setattr(probe, "BLOCK_BYTES", 8 * 20 * 7)
    np.testing.assert_allclose(linear_probe(*parts).test_scores, whole.test_scores, atol=1e-4)


def test_standardiser_agrees_with_scikit_learn() -> None:
    x, _ = embeddings(4, 500)
    scaler = StandardScaler().fit(x.astype(np.float64))
    other, _ = embeddings(5, 100)
    np.testing.assert_allclose(
        Standardiser.fit(x).transform(other), scaler.transform(other.astype(np.float64)), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("constant", [0.0, 0.1, -3e4])
def test_a_constant_feature_becomes_zero(constant: float) -> None:
    train_x, train_y, val_x, val_y, test_x, _ = splits()
    for x in (train_x, val_x):
        x[:, 5] = constant
    train_x[::2, 5] = np.nextafter(np.float32(constant), np.float32(np.inf))
    transformed = Standardiser.fit(train_x).transform(test_x)
    if constant:
        assert not transformed[:, 5].any()
    else:  # The float next to zero is no rounding of it: the feature varies, little as it is.
        assert np.abs(transformed[:, 5]).max() == probe.FARTHEST
    assert np.all(np.isfinite(linear_probe(train_x, train_y, val_x, val_y, test_x).test_scores))


def test_a_collapsed_encoder_scores_every_window_the_same() -> None:
    _, train_y, _, val_y, _, _ = splits()
    x = np.full((300, 8), 0.7, dtype=np.float32)
    found = linear_probe(x, train_y, x, val_y, x)
    assert np.ptp(found.test_scores) == 0
    assert found.chosen.val_auc == 0.5


def test_more_features_than_windows() -> None:
    train_x, train_y, val_x, val_y, test_x, test_y = splits(n=120, features=400)
    found = linear_probe(train_x, train_y, val_x, val_y, test_x)
    assert roc_auc_score(test_y, found.test_scores) > 0.6


@pytest.mark.parametrize("split", ["training", "validation"])
def test_one_class_is_refused(split: str) -> None:
    train_x, train_y, val_x, val_y, test_x, _ = splits()
    broken = train_y if split == "training" else val_y
    broken[broken == 0] = -1
    with pytest.raises(UserError, match=f"The {split} split has no noise window with a label"):
        linear_probe(train_x, train_y, val_x, val_y, test_x)


@pytest.mark.parametrize(("position", "split"), [(0, "training"), (2, "validation"), (4, "test")])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_embeddings_that_are_not_finite_are_counted_and_placed(position: int, split: str, value: float) -> None:
    parts = splits()[:5]
    parts[position][[3, 7, 7], [1, 2, 3]] = value
    with pytest.raises(UserError, match=f"2 of 300 {split} embeddings hold NaN or infinity.*diverged"):
        linear_probe(*parts)


def test_other_bad_input() -> None:
    train_x, train_y, val_x, val_y, test_x, _ = splits()
    with pytest.raises(UserError, match="positive"):
        linear_probe(train_x, train_y, val_x, val_y, test_x, strengths=(1.0, 0.0))
    with pytest.raises(UserError, match="positive"):
        linear_probe(train_x, train_y, val_x, val_y, test_x, strengths=())
    with pytest.raises(ValueError, match="width"):
        linear_probe(train_x, train_y, val_x, val_y, test_x[:, :4])
    with pytest.raises(ValueError, match=r"\[N\]"):
        linear_probe(train_x, train_y[:-1], val_x, val_y, test_x)


def label_vector() -> Array:
    label = np.repeat(np.array([0, 1, -1], dtype=np.int8), [600, 200, 100])
    return np.random.default_rng(0).permutation(label)


@pytest.mark.parametrize("fraction", [0.001, 0.01, 0.25, 0.5, 1.0])
def test_labelled_draw_is_stratified(fraction: float) -> None:
    label = label_vector()
    drawn = draw_labelled(label, fraction, np.random.default_rng(1))
    assert np.all(np.diff(drawn) > 0)
    assert np.count_nonzero(label[drawn] == 0) == max(1, round(600 * fraction))
    assert np.count_nonzero(label[drawn] == 1) == max(1, round(200 * fraction))
    assert not np.any(label[drawn] == -1)


def test_labelled_draws_of_one_seed_are_nested() -> None:
    label = label_vector()
    draws = [set(draw_labelled(label, f, np.random.default_rng(2))) for f in (0.001, 0.01, 0.1, 0.25, 0.7, 1.0)]
    assert all(small < large for small, large in pairwise(draws))
    assert draws[3] != set(draw_labelled(label, 0.25, np.random.default_rng(3)))


@pytest.mark.parametrize("fraction", [0.0, -0.1, 1.01, float("nan")])
def test_label_fraction_out_of_range(fraction: float) -> None:
    with pytest.raises(UserError, match="label fraction"):
        draw_labelled(label_vector(), fraction, np.random.default_rng(0))


def test_labelled_draw_needs_both_classes() -> None:
    with pytest.raises(UserError, match="no signal window"):
        draw_labelled(np.array([0, 0, -1]), 0.5, np.random.default_rng(0))
