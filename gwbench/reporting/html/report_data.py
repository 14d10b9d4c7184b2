"""The numbers behind the figures of a report, apart from how they are drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gwbench.evaluation.metrics import Array

FPRS = (1e-2, 1e-3)
"""False-positive rates of efficiencies, as records have them."""

SCORE_BINS = 60


@dataclass(frozen=True)
class Histogram:
    """Scores by label: edges [K + 1], noise and signal counts [K], and the infinite ones that have no bin."""

    edges: Array
    noise: Array
    signal: Array
    infinite: int


def score_histogram(label: Array, score: Array, bins: int = SCORE_BINS) -> Histogram:
    """How the scores of signals and of noise are spread, in bins of equal width over all finite ones."""
    finite = np.isfinite(score)
    low, high = (float(score[finite].min()), float(score[finite].max())) if finite.any() else (0.0, 0.0)
    if not high > low:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, bins + 1)
    noise, signal = (np.histogram(score[finite & (label == which)], edges)[0] for which in (0, 1))
    return Histogram(edges, noise, signal, int((~finite).sum()))


@dataclass(frozen=True)
class Redundancy:
    """A cross-correlation matrix in three numbers.

    Attributes:
        diagonal: its mean on the diagonal; 1 where both views give the same projection.
        off_diagonal: the root mean square of the rest, 0 where the dimensions have nothing in common.
        chance: what the rest would be of as many windows with nothing in common, 1 / sqrt(N).
    """

    diagonal: float
    off_diagonal: float | None
    chance: float


def redundancy(matrix: Array, windows: int) -> Redundancy:
    """What a cross-correlation matrix [K, K] over so many windows says."""
    values = matrix.astype(np.float64)
    rest = values[~np.eye(len(values), dtype=bool)]
    off = float(np.sqrt(np.mean(rest**2))) if rest.size else None
    return Redundancy(float(np.diag(values).mean()), off, windows**-0.5)
