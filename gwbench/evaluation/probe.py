"""The evaluation protocol's linear probe, for embeddings from anywhere."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from gwbench import seeds
from gwbench.data.dataset import Array
from gwbench.errors import UserError
from gwbench.evaluation.calibration import Calibration
from gwbench.evaluation.knn import knn_scores
from gwbench.evaluation.labelled import draw_labelled
from gwbench.evaluation.linear_probe import linear_probe
from gwbench.evaluation.metrics import Metrics, evaluate_scores

HELD_OUT = 0.25
"""Share of the labelled windows that choose the strength where no validation split is given."""


class Probe(ClassifierMixin, BaseEstimator):
    """Fits and judges frozen embeddings as a run does: logistic regression whose strength validation chooses.

        probe = gwbench.Probe().fit(train, train_labels, val, val_labels)
        probe.metrics(test, test_labels)  # ROC-AUC and efficiencies with intervals, as in a record

    A scikit-learn classifier. Labels are 1 for signal, 0 for noise and -1 for unknown; unknown ones are left out.

    Args:
        label_fraction: share of the training labels that may be used, drawn class by class.
        neighbours: of the nearest-neighbour score in `metrics`; 0 for none.
        seed: of the labels that are drawn: with a run's seed and fraction they are the run's.

    Attributes:
        strength_: of the regularisation.
        val_auc_: ROC-AUC on validation.
        labelled_: positions of the training windows whose labels were used.
        coef_: [F] weights of standardised features.
        classes_: noise and signal.
        n_features_in_: F.
    """

    def __init__(self, *, label_fraction: float = 1.0, neighbours: int = 20, seed: int = 0) -> None:
        self.label_fraction = label_fraction
        self.neighbours = neighbours
        self.seed = seed

    def fit(self, X: ArrayLike, y: ArrayLike, X_val: ArrayLike | None = None, y_val: ArrayLike | None = None) -> Probe:
        """Fit the probe.

        Args:
            X: [N, F] embeddings of the training split.
            y: [N] labels.
            X_val: [M, F] embeddings of the validation split; without it a quarter of the labelled windows is held out.
            y_val: [M] labels.

        Raises:
            UserError: the arrays do not fit each other, a class is missing, or an embedding is not finite.
        """
        x, label = _embeddings(X, "X"), _labels(y)
        _require_rows(x, label, "X", "y")
        if (X_val is None) != (y_val is None):
            raise UserError("X_val and y_val go together: give both or neither.")
        labelled = draw_labelled(label, self.label_fraction, seeds.numpy_generator(self.seed, "split"))
        if X_val is None:
            part = draw_labelled(label[labelled], HELD_OUT, seeds.numpy_generator(self.seed, "probe"))
            held, labelled = labelled[part], np.delete(labelled, part)
            val, val_label = x[held], label[held]
        else:
            val, val_label = _embeddings(X_val, "X_val"), _labels(y_val)
            _require_rows(val, val_label, "X_val", "y_val")
            if val.shape[1] != x.shape[1]:
                raise UserError(f"X_val has {val.shape[1]} features, and X {x.shape[1]}: expected as many.")
        self._result = linear_probe(x[labelled], label[labelled], val, val_label, val[:1])
        self._calibration = Calibration.fit(val_label, self._result.val_scores)
        self._train = x[labelled], label[labelled]
        self.labelled_ = labelled
        self.strength_, self.val_auc_ = self._result.strength, self._result.chosen.val_auc
        self.coef_, self.classes_ = self._result.weight, np.array([0, 1])
        self.n_features_in_ = x.shape[1]
        return self

    def decision_function(self, X: ArrayLike) -> Array:
        """Log-odds [N] of "signal"."""
        return self._result.decision(self._checked(X))

    def predict_proba(self, X: ArrayLike) -> Array:
        """[N, 2] probabilities of noise and of signal, calibrated on validation (its share of signals is the prior)."""
        signal = self._calibration.probability(self.decision_function(X))
        return np.stack([1 - signal, signal], axis=1)

    def predict(self, X: ArrayLike) -> Array:
        """[N] 1 where a signal is the more probable, else 0."""
        return (self.predict_proba(X)[:, 1] > 0.5).astype(int)

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: None = None) -> float:
        """ROC-AUC of labelled windows."""
        if sample_weight is not None:
            raise UserError("A probe's ROC-AUC takes no weights: leave out sample_weight.")
        return self.metrics(X, y).auc.value

    def metrics(self, X: ArrayLike, y: ArrayLike, snr: ArrayLike | None = None) -> Metrics:
        """What a record reports of a test split: ROC-AUC, efficiencies, both by SNR, with intervals.

        Args:
            X: [N, F] embeddings.
            y: [N] labels.
            snr: [N] optimal network SNR, for figures by SNR; NaN where unknown.

        Raises:
            UserError: the arrays do not fit each other, or a class is missing.
        """
        x, label = self._checked(X), _labels(y)
        _require_rows(x, label, "X", "y")
        known = np.full(len(x), np.nan) if snr is None else np.asarray(snr, dtype=np.float64)
        _require_rows(x, known, "X", "snr")
        nearest = knn_scores(*self._train, x, neighbours=self.neighbours) if self.neighbours else None
        return evaluate_scores(label, self._result.decision(x), known, knn_score=nearest)

    def _checked(self, X: ArrayLike) -> Array:
        check_is_fitted(self)
        x = _embeddings(X, "X")
        if x.shape[1] != self.n_features_in_:
            raise UserError(f"X has {x.shape[1]} features; the probe was fitted to {self.n_features_in_}.")
        return x


def _embeddings(values: Any, name: str) -> Array:
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    array = np.asarray(values)
    if array.ndim != 2 or array.dtype.kind not in "fiu" or not array.size:
        raise UserError(f"{name} has shape {array.shape} and type {array.dtype}: expected numbers [windows, features].")
    return array if array.dtype.kind == "f" else array.astype(np.float32)


def _labels(values: Any) -> Array:
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    array = np.asarray(values)
    if array.ndim != 1 or array.dtype.kind not in "fiub" or not np.isin(array, (-1, 0, 1)).all():
        raise UserError("Labels are 1 for signal, 0 for noise and -1 for unknown, one a window.")
    return array.astype(np.int8)


def _require_rows(x: Array, other: Array, name: str, other_name: str) -> None:
    if other.shape != (len(x),):
        raise UserError(f"{other_name} has shape {other.shape}, and {name} has {len(x)} windows.")
