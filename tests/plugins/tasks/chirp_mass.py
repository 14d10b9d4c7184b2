"""A task of another sort than the shipped one, as a user would write it: one file."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from pydantic import Field
from sklearn.linear_model import RidgeCV

from gwbench import seeds
from gwbench.contracts import Array, Embedded, ProbeSettings, Scores, Split, Task
from gwbench.errors import UserError
from gwbench.evaluation.statistics import Interval
from gwbench.registry import register


@register("task", "chirp-mass")
class ChirpMass(Task):
    """The logarithm of the detector-frame chirp mass, by ridge regression; R2 with a bootstrap interval.

    Args:
        resamples: of the test windows, for the interval.
    """

    def __init__(self, *, resamples: Annotated[int, Field(ge=100)] = 400) -> None:
        self.resamples = resamples

    def targets(self, split: Split) -> Array:
        """Logarithms of the chirp mass [N]; NaN for noise."""
        if not {"mass_1", "mass_2"} <= set(split.parameters):
            return np.full(len(split), np.nan)
        m1, m2 = np.asarray(split.parameters["mass_1"]), np.asarray(split.parameters["mass_2"])
        return np.asarray(np.log((m1 * m2) ** 0.6 / (m1 + m2) ** 0.2))

    def fit_predict(self, train: Embedded, val: Embedded, test: Array, settings: ProbeSettings) -> Scores:
        """Predictions [N_test]."""
        known = np.isfinite(train.targets)
        if known.sum() < 2:
            raise UserError("This dataset does not tell its signals' masses.")
        model = RidgeCV(alphas=np.logspace(-3, 3, 7)).fit(train.embeddings[known], train.targets[known])
        judged = np.isfinite(val.targets)
        error = model.predict(val.embeddings[judged]) - val.targets[judged]
        return Scores(model.predict(test), details={"val_rmse": float(np.sqrt(np.mean(error**2)))})

    def metrics(self, test: Split, scores: Scores) -> dict[str, Any]:
        """R2 and the root mean square error, of the signals."""
        targets = self.targets(test)
        known = np.isfinite(targets)
        truth, predicted = targets[known], scores.test[known]
        rows = seeds.numpy_generator(0, "probe").integers(len(truth), size=(self.resamples, len(truth)))
        value = r2(truth, predicted)
        low, high = np.quantile([r2(truth[index], predicted[index]) for index in rows], (0.025, 0.975))
        return {
            "r2": Interval(value, min(float(low), value), max(float(high), value)),
            "rmse": float(np.sqrt(np.mean((truth - predicted) ** 2))),
            "n_signal": len(truth),
        }


def r2(truth: Array, predicted: Array) -> float:
    """The share of the variance that is explained."""
    return float(1.0 - np.mean((truth - predicted) ** 2) / np.var(truth))
