"""Distributions of the network SNR against scipy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import kstest, norm, uniform

from gwbench.errors import UserError
from gwbench.simulation.snr_models import SnrDistribution


def test_uniform() -> None:
    drawn = SnrDistribution.create("uniform", (6.0, 20.0)).drawn(np.random.default_rng(0), 5000)
    assert drawn is not None
    assert kstest(drawn, uniform(6, 14).cdf).pvalue > 1e-3


def test_clipped_normal() -> None:
    """G2Net-like: 2.2 max(N(3.6, 1), 1)."""
    drawn = SnrDistribution.create("clipped-normal", (7.92, 2.2, 2.2)).drawn(np.random.default_rng(1), 20000)
    assert drawn is not None
    at_floor = drawn == 2.2
    assert at_floor.mean() == pytest.approx(norm.cdf(-2.6), abs=4 * np.sqrt(norm.cdf(-2.6) / 20000))
    above = norm(7.92, 2.2)
    cdf = lambda x: (above.cdf(x) - above.cdf(2.2)) / above.sf(2.2)  # noqa: E731
    assert kstest(drawn[~at_floor], cdf).pvalue > 1e-3


def test_from_distance_draws_nothing_and_drops_what_is_faint() -> None:
    model = SnrDistribution.create("distance", (4.0,))
    assert model.drawn(np.random.default_rng(0), 3) is None
    assert model.audible(np.array([3.9, 4.0, 5.0])).tolist() == [False, True, True]
    assert SnrDistribution.create("uniform", (1.0, 2.0)).audible(np.array([0.1])).all()


@pytest.mark.parametrize(
    ("model", "values", "message"),
    [
        ("uniform", (6.0,), "expected snr = LOW,HIGH"),
        ("uniform", (20.0, 6.0), "snr = 20,6 is not a range"),
        ("uniform", (0.0, 6.0), "between 0.001"),
        ("clipped-normal", (7.0, 1.0), "expected snr = MEAN,SIGMA,FLOOR"),
        ("clipped-normal", (7.0, -1.0, 1.0), "sigma at least 0"),
        ("distance", (-1.0,), "least network SNR"),
        ("distance", (1.0, 2.0), "expected snr = LEAST"),
    ],
)
def test_values_that_make_no_sense(model: Any, values: tuple[float, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        SnrDistribution.create(model, values)
