"""Embeddings in two dimensions: the two directions in which they vary most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gwbench.evaluation.metrics import Array


@dataclass(frozen=True)
class EmbeddingMap:
    """Where embeddings lie in the plane of their first two principal components.

    Attributes:
        points: [M, 2].
        share: [2], of the variance of the standardised features.
        features: how many vary, of all that there are.
    """

    points: Array
    share: Array
    features: tuple[int, int]


def principal_map(embedding: Array) -> EmbeddingMap | None:
    """Principal components of standardised embeddings [M, F]: no label is seen, and nothing is drawn at random.

    Every feature has mean 0 and standard deviation 1 over the windows, and those that do not vary are left out; the
    plane is that of the two leading eigenvectors of their correlation matrix (Jolliffe, Principal Component Analysis,
    2nd ed. 2002, sections 1.1 and 2.3). An eigenvector has no sign of its own: here its largest component is positive.

    Returns:
        None where fewer than two features vary, or there are fewer than three windows.
    """
    if len(embedding) < 3:
        return None
    values = embedding.astype(np.float64)
    centred = values - values.mean(axis=0)
    spread = centred.std(axis=0)
    varies = spread > 1e-6 * np.abs(values).max(axis=0, initial=1e-300)  # below it, rounding of fp32
    kept = int(varies.sum())
    if kept < 2:
        return None
    standard = centred[:, varies] / spread[varies]  # [M, K]
    correlation = standard.T @ standard / len(standard)
    variance, directions = np.linalg.eigh(correlation)
    leading = directions[:, [-1, -2]]  # eigh ascends
    largest = np.abs(leading).argmax(axis=0)
    leading = leading * np.sign(leading[largest, [0, 1]])
    share = np.clip(variance[[-1, -2]], 0.0, None) / kept
    return EmbeddingMap(standard @ leading, share, (kept, values.shape[1]))
