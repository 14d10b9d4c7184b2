"""Scores of methods whose true AUCs are known."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from gwbench.evaluation.seed_inference import Replicates

Array = NDArray[Any]


def experiment(
    rng: np.random.Generator, mean: float, sd: float, seeds: int, n: int = 120, together: float = 0.5, methods: int = 1
) -> tuple[Array, Array]:
    """Labels and scores [methods, seeds, 2 n]: true AUCs normal about `mean`; errors shared between seeds and methods.

    A binormal score with shift d has the AUC Phi(d / sqrt 2).
    """
    label = np.repeat([1, 0], [n, n])
    area = np.clip(rng.normal(mean, sd, (methods, seeds, 1)), 0.5, 0.9999)
    of_windows, of_methods = rng.normal(size=2 * n), rng.normal(size=(methods, 1, 2 * n))
    own = rng.normal(size=(methods, seeds, 2 * n))
    noise = np.sqrt(together) * of_windows + np.sqrt((1 - together) / 2) * (of_methods + own)
    return label, np.sqrt(2.0) * stats.norm.ppf(area) * label + noise


def summed_up(label: Array, scores: Array) -> Replicates:
    return Replicates.of(label, iter(scores))
