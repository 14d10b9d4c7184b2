from __future__ import annotations

import numpy as np
import pytest

from gwbench.reporting.html.report_data import redundancy, score_histogram


def test_every_finite_score_is_in_a_bin() -> None:
    label = np.repeat([0, 1], 250)
    score = np.random.default_rng(0).normal(size=500) + 2.0 * label
    score[0], score[-1] = -np.inf, np.inf
    found = score_histogram(label, score, bins=20)
    assert (found.noise.sum(), found.signal.sum(), found.infinite) == (249, 249, 2)
    inside = (score >= found.edges[3]) & (score < found.edges[4]) & (label == 1)
    assert found.signal[3] == inside.sum()
    constant = score_histogram(label, np.zeros(500))
    assert constant.noise.sum() == 250


def test_redundancy_of_an_identity_of_equal_dimensions_and_of_noise() -> None:
    identity = redundancy(np.eye(7), 100)
    assert (identity.diagonal, identity.off_diagonal, identity.chance) == (1.0, 0.0, 0.1)
    assert redundancy(np.ones((4, 4)), 9).off_diagonal == 1.0
    assert redundancy(np.ones((1, 1)), 9).off_diagonal is None
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 400, 60))
    noise = redundancy(np.corrcoef(a, b, rowvar=False)[:60, 60:], 400)
    assert noise.off_diagonal == pytest.approx(noise.chance, rel=0.05)
