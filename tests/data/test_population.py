"""Samples against the priors' closed forms (Kolmogorov-Smirnov, 20,000 draws)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from gwbench.data.population import Population, SnrDistribution
from gwbench.errors import UserError

N = 20_000
PI = np.pi


def draw() -> dict[str, Any]:
    population = Population(mass=(10.0, 60.0), spin=(-0.5, 0.8), arrival=(1.0, 1.5))
    return population.sample(np.random.default_rng(1), N)


@pytest.mark.parametrize(
    ("name", "cdf"),
    [
        # The larger and the smaller of two uniform numbers.
        ("mass_1", lambda m: ((m - 10) / 50) ** 2),
        ("mass_2", lambda m: 1 - (1 - (m - 10) / 50) ** 2),
        ("spin_1z", lambda chi: (chi + 0.5) / 1.3),
        ("spin_2z", lambda chi: (chi + 0.5) / 1.3),
        ("ra", lambda angle: angle / (2 * PI)),
        ("dec", lambda angle: (1 + np.sin(angle)) / 2),
        ("inclination", lambda angle: (1 - np.cos(angle)) / 2),
        ("polarization", lambda angle: angle / PI),
        ("phase", lambda angle: angle / (2 * PI)),
        ("geocent_time", lambda t: (t - 1.0) / 0.5),
    ],
)
def test_priors(name: str, cdf: Callable[[Any], Any]) -> None:
    values = draw()[name]
    assert values.shape == (N,)
    assert stats.kstest(values, cdf).pvalue > 0.005


def test_parameters_are_independent_but_for_the_masses() -> None:
    sample = draw()
    names = [name for name in sample if name != "mass_2"]
    correlation = np.corrcoef([sample[name] for name in names]) - np.eye(len(names))
    assert np.abs(correlation).max() < 4.5 / np.sqrt(N)
    assert (sample["mass_1"] >= sample["mass_2"]).all()


def test_uniform_snr() -> None:
    snr = SnrDistribution.uniform(6, 20).sample(np.random.default_rng(2), N)
    assert stats.kstest(snr, stats.uniform(6, 14).cdf).pvalue > 0.005


def test_clipped_normal_snr() -> None:
    snr = SnrDistribution.clipped_normal(2.2, mean=3.6, floor=1.0).sample(np.random.default_rng(3), N)
    floor = snr == 2.2
    expected = stats.norm.cdf(1 - 3.6)
    assert abs(floor.mean() - expected) < 4 * np.sqrt(expected / N)
    above = stats.truncnorm(1 - 3.6, np.inf, loc=2.2 * 3.6, scale=2.2)
    assert stats.kstest(snr[~floor], above.cdf).pvalue > 0.005


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        ({"mass": (60.0, 10.0)}, r"mass = 60,10 .*the lower first"),
        ({"mass": (0.0, 10.0)}, "between 1 and 500 solar masses"),
        ({"spin": (-1.0, 1.0)}, "between -0.99 and 0.99"),
        ({"arrival": (-0.1, 1.0)}, "seconds"),
        ({"arrival": (float("nan"), 1.0)}, "not a range"),
    ],
)
def test_impossible_populations(ranges: dict[str, tuple[float, float]], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Population(**ranges)


def test_impossible_snr() -> None:
    with pytest.raises(UserError, match="snr = 20,6"):
        SnrDistribution.uniform(20, 6)


def test_populations_describe_themselves() -> None:
    assert "[15, 75] solar masses" in str(Population())
    assert str(SnrDistribution.uniform(6, 20)) == "uniform in [6, 20]"
    assert str(SnrDistribution.clipped_normal(2.2, mean=3.6, floor=1.0)) == "2.2 max(N(3.6, 1), 1)"
