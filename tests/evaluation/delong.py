"""DeLong's covariance of AUCs: from all pairs, and as the core has it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gwbench.evaluation.seed_inference import influence

Array = NDArray[Any]


def pair_kernel(label: Array, score: Array) -> Array:
    """DeLong 1988, equation 1: 1, 1/2 or 0 for every (signal, noise) pair."""
    signal, noise = score[label == 1][:, None], score[label == 0][None, :]
    return np.where(signal > noise, 1.0, np.where(signal == noise, 0.5, 0.0))


def all_pairs(label: Array, scores: Array) -> tuple[Array, Array]:
    """DeLong 1988 from all pairs, sum by sum."""
    kernels = [pair_kernel(label, score) for score in scores]
    m, n = kernels[0].shape
    area = np.array([kernel.sum() / (m * n) for kernel in kernels])
    cov = np.zeros((len(scores), len(scores)))
    for r in range(len(scores)):
        for s in range(len(scores)):
            s10 = sum((kernels[r][i].mean() - area[r]) * (kernels[s][i].mean() - area[s]) for i in range(m)) / (m - 1)
            s01 = sum((kernels[r][:, j].mean() - area[r]) * (kernels[s][:, j].mean() - area[s]) for j in range(n)) / (
                n - 1
            )
            cov[r, s] = s10 / m + s01 / n
    return area, cov


def delong(label: Array, scores: Array) -> tuple[Array, Array]:
    """AUCs [M] of scores [M, N] and their covariance [M, M], from the influence of every window."""
    areas, errors = zip(*(influence(label, score) for score in scores), strict=True)
    stacked = np.stack(errors)
    return np.array(areas), stacked @ stacked.T
