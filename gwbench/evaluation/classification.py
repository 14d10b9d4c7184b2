"""A linear classifier of frozen embeddings with several classes, and how well it tells them apart."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gwbench.contracts import Array
from gwbench.errors import UserError
from gwbench.evaluation.bootstrap import bootstrap_intervals

Floats = NDArray[np.float64]

STRENGTHS = tuple(float(10.0**power) for power in range(-4, 3))
"""Inverse penalties of the logistic regression, for standardised features: each is tried."""

ITERATIONS = 500


@dataclass(frozen=True)
class FittedClassifier:
    """A multinomial logistic regression whose strength validation chose.

    Attributes:
        test: [N_test, K] probabilities; 0 for a class that no training window has.
        strength: that was chosen.
        path: the mean log-likelihood on validation for each strength.
    """

    test: Floats
    strength: float
    path: tuple[tuple[float, float], ...]


def multinomial_probe(
    train: Array, targets: Array, val: Array, val_targets: Array, test: Array, classes: int
) -> FittedClassifier:
    """Multinomial logistic regression of standardised features, with the strength most likely on validation.

    Args:
        train, val, test: [n, F] embeddings.
        targets, val_targets: [n] classes from 0 on.
        classes: K.

    Raises:
        UserError: the training windows have fewer than two classes, or an embedding is not finite.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    for name, rows in (("training", train), ("validation", val), ("test", test)):
        if not np.isfinite(rows).all():
            raise UserError(f"An embedding of the {name} windows is NaN or infinite: the encoder diverged.")
    if len(np.unique(targets)) < 2:
        raise UserError(
            f"The {len(targets)} labelled windows are all of one class: raise --label-fraction, or use more windows."
        )
    mean, std = train.mean(0, dtype=np.float64), train.std(0, dtype=np.float64)
    scale = np.where(std > 1e-12 * np.abs(mean), std, np.inf)
    x, x_val, x_test = ((np.asarray(rows, np.float64) - mean) / scale for rows in (train, val, test))
    path, fits = [], []
    for strength in STRENGTHS:
        model = LogisticRegression(C=strength, max_iter=ITERATIONS)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # what validation chooses has most often converged
            model.fit(x, targets)
        given = _spread(model.predict_proba(x_val), model.classes_, classes)
        own = given[np.arange(len(val_targets)), val_targets]
        path.append((strength, float(np.mean(np.log(np.maximum(own, 1e-12))))))
        fits.append(model)
    best = int(np.argmax([likelihood for _, likelihood in path]))
    test_shares = _spread(fits[best].predict_proba(x_test), fits[best].classes_, classes)
    return FittedClassifier(test_shares, STRENGTHS[best], tuple(path))


def classification_figures(truth: NDArray[Any], shares: Floats, names: Sequence[str]) -> dict[str, Any]:
    """Macro AUC (each class against the rest) and balanced accuracy, with bootstrap intervals; AUC by class.

    Classes that no test window has are left out. A window's class is the one of the largest share.

    Args:
        truth: [N] classes.
        shares: [N, K].
        names: of the classes.

    Raises:
        UserError: the test windows have fewer than two classes.
    """
    present = [number for number in range(len(names)) if (truth == number).any()]
    if len(present) < 2:
        raise UserError("The test windows are all of one class: use a larger test split.")
    chosen = shares.argmax(1)

    def figures(rows: NDArray[Any]) -> Mapping[str, float]:
        y, p, c = truth[rows], shares[rows], chosen[rows]
        if any(not (y == number).any() for number in present):
            return {"macro_auc": np.nan, "balanced_accuracy": np.nan}
        return {
            "macro_auc": float(np.mean([_auc(y == number, p[:, number]) for number in present])),
            "balanced_accuracy": float(np.mean([np.mean(c[y == number] == number) for number in present])),
        }

    made: dict[str, Any] = dict(bootstrap_intervals(figures, len(truth)))
    return {
        **made,
        **{f"auc {names[number]}": _auc(truth == number, shares[:, number]) for number in present},
        **{f"windows {names[number]}": int((truth == number).sum()) for number in present},
    }


def _auc(label: NDArray[np.bool_], score: Floats) -> float:
    """The area under the ROC curve by ranks, half a point for a tie."""
    order = np.sort(score[~label])
    below = np.searchsorted(order, score[label], "left") + np.searchsorted(order, score[label], "right")
    return float(below.mean() / (2 * len(order)))


def _spread(shares: Floats, present: Array, classes: int) -> Floats:
    """[N, K] of the classes that the training windows have."""
    spread = np.zeros((len(shares), classes))
    spread[:, present] = shares
    return spread


__all__ = ["FittedClassifier", "classification_figures", "multinomial_probe"]
