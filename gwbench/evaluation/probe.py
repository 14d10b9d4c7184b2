"""The probe of a run for embeddings from anywhere, with the manners of scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from gwbench import seeds
from gwbench.errors import UserError
from gwbench.evaluation.calibration import Calibration
from gwbench.evaluation.knn import NEIGHBOURS, knn_scores
from gwbench.evaluation.labelled import draw_labelled
from gwbench.evaluation.linear_probe import STRENGTHS, linear_probe, require_finite
from gwbench.evaluation.metrics import Metrics, evaluate_scores

if TYPE_CHECKING:
    from gwbench.evaluation.linear_probe import Array, Floats, ProbeResult


class Probe(BaseEstimator):
    """Linear probe and nearest neighbours on frozen embeddings: the evaluation protocol of a run.

        probe = gwbench.Probe(label_fraction=0.25, seed=0)
        probe.fit(train_embeddings, train_labels, val_embeddings, val_labels)
        metrics = probe.score(test_embeddings, test_labels, snr=test_snr)
        metrics.auc.value, metrics.auc.low, metrics.auc.high

    The metrics are those of a record: on the embeddings of a run, with its label fraction and seed, they are the same
    numbers. Embeddings are numpy arrays or torch tensors [N, F]; labels [N] are 1 (signal), 0 (noise) and anything else
    for unknown, which are left out.

    It follows scikit-learn (`get_params`, `clone`, `decision_function`, `predict_proba`), but for two things that the
    protocol asks for: `fit` needs a validation split, on which the strength of the regularisation is chosen, and
    `score` gives metrics with intervals. Score the test split once.

    Args:
        label_fraction: share of the labels in `fit` that are used, drawn as a run draws them; 1 for all.
        seed: of that draw; the `seed` of a run.
        strengths: grid of the regularisation.
        neighbours: k of the nearest-neighbour score.

    Attributes:
        classes_: [2] 0 and 1.
        n_features_in_: F.
        labelled_: positions of the training windows whose labels were used.
        strength_: chosen on validation.
        val_auc_: ROC-AUC of the validation split at that strength.
        converged_: whether the fit met its tolerance.
        coef_: [1, F] of standardised features.
        intercept_: [1].
        calibration_: from log-odds to probabilities, fitted on the validation split.
        result_: the fit as `gwbench.evaluation.linear_probe.linear_probe` gives it.
    """

    def __init__(
        self,
        *,
        label_fraction: float = 1.0,
        seed: int = 0,
        strengths: Sequence[float] = STRENGTHS,
        neighbours: int = NEIGHBOURS,
    ) -> None:
        self.label_fraction = label_fraction
        self.seed = seed
        self.strengths = strengths
        self.neighbours = neighbours

    def fit(self, train_embeddings: Any, train_labels: Any, val_embeddings: Any, val_labels: Any) -> Probe:
        """Fit on the labelled training windows; choose the strength, and calibrate, on validation.

        Args:
            train_embeddings, val_embeddings: [N, F].
            train_labels, val_labels: [N].

        Raises:
            UserError: arrays that do not fit each other, one class only, or an embedding that is not finite.
        """
        if isinstance(self.neighbours, bool) or not isinstance(self.neighbours, int) or self.neighbours < 1:
            raise UserError(f"neighbours={self.neighbours!r}: expected a whole number, 1 or more.")
        train_x, val_x = _embeddings(train_embeddings, "training"), _embeddings(val_embeddings, "validation")
        train_y = _labels(train_labels, len(train_x), "training")
        val_y = _labels(val_labels, len(val_x), "validation")
        if train_x.shape[1] != val_x.shape[1]:
            raise UserError(
                f"Training embeddings have {train_x.shape[1]} features and validation embeddings {val_x.shape[1]}: "
                "embed both with the same encoder."
            )
        rng = seeds.numpy_generator(self.seed, "split")
        self.labelled_ = draw_labelled(train_y, self.label_fraction, rng)
        self._train_x, self._train_y = train_x[self.labelled_], train_y[self.labelled_]
        self.result_: ProbeResult = linear_probe(
            self._train_x, self._train_y, val_x, val_y, val_x[:0], strengths=self.strengths
        )
        self.calibration_ = Calibration.fit(val_y, self.result_.val_scores)
        self.classes_ = np.array([0, 1])
        self.n_features_in_ = train_x.shape[1]
        self.strength_, self.val_auc_ = self.result_.strength, self.result_.chosen.val_auc
        self.converged_ = self.result_.chosen.converged
        self.coef_, self.intercept_ = self.result_.weight[None], np.array([self.result_.intercept])
        return self

    def decision_function(self, embeddings: Any) -> Floats:
        """Log-odds [N] of "signal" by the probe.

        Raises:
            NotFittedError: `fit` comes first.
            UserError: the embeddings are not those of the encoder it was fitted on.
        """
        x = self._checked(embeddings)
        return self.result_.decision(x)

    def predict_proba(self, embeddings: Any) -> Floats:
        """Probabilities [N, 2] of noise and of signal, with the prior of the validation split."""
        scores = self.decision_function(embeddings)
        signal = self.calibration_.probability(scores)
        return np.stack([1.0 - signal, signal], axis=1)

    def predict(self, embeddings: Any) -> Array:
        """Labels [N]: 1 where a signal is more probable than not, else 0."""
        return (self.predict_proba(embeddings)[:, 1] > 0.5).astype(np.int64)

    def score(self, test_embeddings: Any, test_labels: Any, snr: Any = None) -> Metrics:
        """What a record reports of test windows: AUC, efficiency and nearest neighbours, with their intervals.

        Args:
            test_embeddings: [N, F].
            test_labels: [N].
            snr: [N] optimal network SNR of the signals, NaN where unknown, for the figures by SNR.

        Raises:
            NotFittedError: `fit` comes first.
            UserError: arrays that do not fit each other, one class only, or an embedding that is not finite.
        """
        x = self._checked(test_embeddings)
        label = _labels(test_labels, len(x), "test")
        known = np.full(len(x), np.nan) if snr is None else _column(snr, len(x), "test SNRs").astype(np.float64)
        if (known[label == 1] < 0).any():
            raise UserError("A test SNR is below 0: expected optimal network SNRs, NaN where unknown.")
        nearest = knn_scores(self._train_x, self._train_y, x, neighbours=self.neighbours)
        return evaluate_scores(label, self.result_.decision(x), known, knn_score=nearest)

    def _checked(self, embeddings: Any) -> Array:
        check_is_fitted(self, "result_")
        x = _embeddings(embeddings, "given")
        if x.shape[1] != self.n_features_in_:
            raise UserError(
                f"Embeddings of {x.shape[1]} features: the probe was fitted on {self.n_features_in_}. Embed with the "
                "encoder that it was fitted on."
            )
        require_finite(x, "given")
        return x


def _embeddings(values: Any, split: str) -> Array:
    """[N, F] floating point."""
    x = _array(values)
    if x.ndim != 2 or not x.shape[1] or x.dtype.kind not in "fiub":
        raise UserError(
            f"The {split} embeddings are {x.dtype} of shape {x.shape}: expected numbers [windows, features]."
        )
    return x if x.dtype in (np.float32, np.float64) else x.astype(np.float32 if x.dtype == np.float16 else np.float64)


def _labels(values: Any, count: int, split: str) -> Array:
    """[N] numbers; NaN counts as unknown."""
    column = _column(values, count, f"{split} labels")
    return np.where((column == 0) | (column == 1), column, -1).astype(np.int64)


def _column(values: Any, count: int, what: str) -> Array:
    column = _array(values)
    if column.shape != (count,) or column.dtype.kind not in "fiub":
        raise UserError(
            f"The {what} are {column.dtype} of shape {column.shape}: expected {count} numbers, one for each embedding."
        )
    return column


def _array(values: Any) -> Array:
    """A numpy array of a tensor, wherever it is, or of anything else."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        values = (values.float() if values.is_floating_point() and values.itemsize < 4 else values).numpy()
    return np.asarray(values)


__all__ = ["Probe"]
