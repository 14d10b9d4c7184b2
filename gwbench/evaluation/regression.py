"""A linear regression of frozen embeddings, and how well it predicts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from gwbench.contracts import Array
from gwbench.errors import UserError
from gwbench.evaluation.bootstrap import bootstrap_intervals
from gwbench.evaluation.statistics import Interval

Floats = NDArray[np.float64]

PENALTIES = tuple(float(10.0**power) for power in range(-4, 7))
"""Of the ridge, for standardised features: each is tried."""


@dataclass(frozen=True)
class FittedRidge:
    """A ridge regression whose penalty validation chose.

    Attributes:
        test: [N_test] predictions.
        penalty: that was chosen.
        path: the mean squared error on validation for each penalty.
    """

    test: Floats
    penalty: float
    path: tuple[tuple[float, float], ...]


def ridge(train: Array, targets: Array, val: Array, val_targets: Array, test: Array) -> FittedRidge:
    """Ridge regression of standardised features, with the penalty of the least mean squared error on validation.

    Args:
        train, val, test: [n, F] embeddings.
        targets, val_targets: [n] finite.

    Raises:
        UserError: an embedding is not finite.
    """
    for name, rows in (("training", train), ("validation", val), ("test", test)):
        if not np.isfinite(rows).all():
            raise UserError(f"An embedding of the {name} windows is NaN or infinite: the encoder diverged.")
    mean, std = train.mean(0, dtype=np.float64), train.std(0, dtype=np.float64)
    scale = np.where(std > 1e-12 * np.abs(mean), std, np.inf)
    x, x_val, x_test = ((np.asarray(rows, np.float64) - mean) / scale for rows in (train, val, test))
    centre = float(np.mean(targets))
    # of U S V^T = x, the prediction is centre + x V s / (s^2 + penalty) U^T y for each penalty
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    projected, through = u.T @ (targets - centre), (x_val @ vt.T, x_test @ vt.T)
    path = []
    for penalty in PENALTIES:
        predicted = centre + through[0] @ (s / (s**2 + penalty) * projected)
        path.append((penalty, float(np.mean((predicted - val_targets) ** 2))))
    penalty = min(path, key=lambda each: each[1])[0]
    return FittedRidge(centre + through[1] @ (s / (s**2 + penalty) * projected), penalty, tuple(path))


def regression_figures(truth: Floats, predicted: Floats) -> dict[str, Interval]:
    """R2 and the mean absolute error with bootstrap intervals, and Spearman's rank correlation with Fisher's.

    Raises:
        UserError: there are fewer than 4 windows, or all have the same truth.
    """
    if len(truth) < 4 or np.ptp(truth) == 0:
        raise UserError(f"{len(truth)} test windows with a target are too few, or all alike: use a larger test split.")

    def figures(rows: NDArray[Any]) -> Mapping[str, float]:
        y, p = truth[rows], predicted[rows]
        spread = float(np.var(y))
        return {
            "r2": 1.0 - float(np.mean((y - p) ** 2)) / spread if spread > 0 else math.nan,
            "mean_absolute_error": float(np.mean(np.abs(y - p))),
        }

    made = bootstrap_intervals(figures, len(truth))
    return {"r2": made["r2"], "rank_correlation": spearman(truth, predicted), **made}


def spearman(truth: Floats, predicted: Floats, level: float = 0.95) -> Interval:
    """Spearman's rank correlation; its interval by Fisher's transform with Bonett and Wright's variance.

    Source: Bonett & Wright, Psychometrika 65 (2000) 23: atanh(r) has a variance of (1 + r^2 / 2) / (n - 3).
    """
    if np.ptp(predicted) == 0:
        return Interval(0.0, -1.0, 1.0)
    value = float(stats.spearmanr(truth, predicted).statistic)
    if abs(value) > 1 - 1e-12:
        return Interval(value, value, value)
    reach = stats.norm.ppf((1 + level) / 2) * math.sqrt((1 + value**2 / 2) / (len(truth) - 3))
    return Interval(value, math.tanh(math.atanh(value) - reach), math.tanh(math.atanh(value) + reach))


__all__ = ["FittedRidge", "regression_figures", "ridge", "spearman"]
