"""From scores to probabilities: Platt's logistic curve, fitted on the validation split.

Source: J. Platt, Probabilistic outputs for support vector machines, in Advances in Large Margin Classifiers (1999).
The targets that he takes, (N+ + 1) / (N+ + 2) and 1 / (N- + 2), keep the curve finite where the scores separate the
classes.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from gwbench.evaluation.labelled import known_rows
from gwbench.utils.models import FrozenModel

Array = NDArray[Any]
Floats = NDArray[np.float64]


class Calibration(FrozenModel):
    """P(signal | score) = 1 / (1 + exp(-(slope * score + intercept))).

    The prior is that of the validation split, `signals / (signals + noise)`, which is often a half: in a search nearly
    every window is noise, and its probabilities are far smaller. They are to be compared, not to be taken for those of
    a detection.

    Attributes:
        slope: per unit of the score; 0 where larger scores do not mean signals on validation.
        intercept: the log-odds at a score of 0.
        signals, noise: windows of the validation split that it was fitted to.
    """

    slope: Annotated[float, Field(ge=0)]
    intercept: float
    signals: Annotated[int, Field(ge=0)]
    noise: Annotated[int, Field(ge=0)]

    @classmethod
    def fit(cls, label: Array, score: Array) -> Calibration:
        """The curve of highest likelihood.

        Args:
            label: [N] 1 signal, 0 noise; windows with another label, or without a finite score, are left out.
            score: [N], larger for "signal".
        """
        known = known_rows(label)
        known = known[np.isfinite(score[known])]
        is_signal, x = label[known] == 1, np.asarray(score[known], np.float64)
        signals, noise = int(is_signal.sum()), int((~is_signal).sum())
        target = np.where(is_signal, (signals + 1) / (signals + 2), 1 / (noise + 2))
        constant = cls(slope=0.0, intercept=float(np.log((signals + 1) / (noise + 1))), signals=signals, noise=noise)
        centre, scale = (x.mean(), x.std()) if len(x) else (0.0, 0.0)
        if not (signals and noise and scale > 0):
            return constant
        steep, level = _logistic((x - centre) / scale, target)
        if not (np.isfinite([steep, level]).all() and steep > 0):
            return constant
        return cls(
            slope=float(steep / scale), intercept=float(level - steep * centre / scale), signals=signals, noise=noise
        )

    def probability(self, scores: Array) -> Floats:
        """The probability of a signal, of scores of any shape, with the prior of the validation split."""
        from scipy.special import expit

        return np.asarray(expit(self.slope * np.asarray(scores, np.float64) + self.intercept))


def _logistic(x: Floats, target: Floats) -> tuple[float, float]:
    """Slope and level of the logistic curve that fits targets between 0 and 1 best."""
    from scipy.optimize import minimize
    from scipy.special import expit

    def loss(point: Floats) -> tuple[float, Floats]:
        z = point[0] * x + point[1]
        wrong = expit(z) - target
        return float(np.sum(np.logaddexp(0, z) - target * z)), np.array([wrong @ x, wrong.sum()])

    found = minimize(loss, np.array([1.0, 0.0]), jac=True, method="BFGS", options={"gtol": 1e-8 * len(x)})
    return float(found.x[0]), float(found.x[1])
