"""Every distribution against its density, integrated numerically here."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pydantic
import pytest
from scipy import integrate, stats

from gwbench.simulation.priors import AnyDistribution, uniform

READ: pydantic.TypeAdapter[AnyDistribution] = pydantic.TypeAdapter(AnyDistribution)


def talbot_thrane(m: float, delta: float = 4.8, low: float = 5.1) -> float:
    """The smoothing of arXiv:2111.03634, appendix B, for one mass."""
    d = m - low
    if d <= 0:
        return 0.0
    if d >= delta:
        return 1.0
    exponent = delta / d + delta / (d - delta)
    return 0.0 if exponent > 700 else 1 / (np.exp(exponent) + 1)


def power_law_plus_peak(m: float) -> float:
    power = m**-3.4 * -2.4 / (87.0**-2.4 - 5.1**-2.4)
    peak = np.exp(-((m - 34) ** 2) / (2 * 3.6**2)) / np.sqrt(2 * np.pi * 3.6**2)
    return float((0.961 * power + 0.039 * peak) * talbot_thrane(m))


PEAK = {"low": 5.1, "high": 87.0, "slope": -3.4, "peak_share": 0.039, "peak_mean": 34.0, "peak_width": 3.6}
CASES: dict[str, tuple[dict[str, Any], Callable[[float], float], tuple[float, float]]] = {
    "uniform": ({"low": -0.5, "high": 0.8}, lambda x: 1.0, (-0.5, 0.8)),
    "log-uniform": ({"low": 5.0, "high": 20.0}, lambda x: 1 / x, (5.0, 20.0)),
    "power-law": ({"low": 5.0, "high": 50.0, "slope": -2.35}, lambda x: x**-2.35, (5.0, 50.0)),
    "truncated-normal": (
        {"low": 1.1, "high": 1.5, "mean": 1.33, "width": 0.09},
        lambda x: np.exp(-0.5 * ((x - 1.33) / 0.09) ** 2),
        (1.1, 1.5),
    ),
    "isotropic-component": ({"high": 0.9}, lambda x: -np.log(abs(x) / 0.9), (-0.9, 0.9)),
    "power-law-plus-peak": (PEAK | {"smoothing": 4.8}, power_law_plus_peak, (5.1, 87.0)),
}


@pytest.mark.parametrize("name", CASES)
def test_a_distribution_is_the_integral_of_its_density(name: str) -> None:
    keys, density, (low, high) = CASES[name]
    prior = READ.validate_python({"distribution": name, **keys})
    assert prior.limits == (low, high)
    edges = [low, *np.linspace(low, high, 23)[1:-1], high]
    breaks = [x for x in (0.0, 9.9, 34.0) if low < x < high]

    def area(a: float, b: float) -> float:
        inside = [x for x in breaks if a < x < b] or None
        return float(integrate.quad(density, a, b, points=inside, epsabs=1e-12, epsrel=1e-9)[0])

    shares = np.cumsum([0.0] + [area(a, b) for a, b in pairwise(edges)])
    shares /= shares[-1]
    assert prior.cdf(np.array(edges)) == pytest.approx(shares, abs=2e-7)
    assert prior.cdf(np.array([low - 1, high + 1])) == pytest.approx([0, 1], abs=1e-12)
    assert prior.cdf(prior.quantile(np.linspace(0, 1, 201))) == pytest.approx(np.linspace(0, 1, 201), abs=1e-9)
    first, last = prior.quantile(np.array([0.0, 1.0]))
    # Smoothing leaves less than 1e-300 of the samples just above `low`.
    assert low <= first <= low + 0.01
    assert high - 1e-7 <= last <= high


@pytest.mark.parametrize("name", CASES)
def test_samples_follow_the_distribution_and_stay_in_its_limits(name: str) -> None:
    keys, _, (low, high) = CASES[name]
    prior = READ.validate_python({"distribution": name, **keys})
    values = prior.sample(np.random.default_rng(5), 20_000)
    assert values.dtype == np.float64 and values.shape == (20_000,)
    assert low <= values.min() and values.max() <= high
    assert stats.kstest(values, prior.cdf).pvalue > 1e-3


def test_a_power_law_of_slope_minus_one_is_uniform_in_the_logarithm() -> None:
    x = np.linspace(4, 21, 50)
    one = READ.validate_python({"distribution": "power-law", "low": 5.0, "high": 20.0, "slope": -1.0})
    other = READ.validate_python({"distribution": "log-uniform", "low": 5.0, "high": 20.0})
    near = READ.validate_python({"distribution": "power-law", "low": 5.0, "high": 20.0, "slope": -1.0 + 1e-9})
    assert one.cdf(x) == pytest.approx(other.cdf(x), abs=1e-14)
    assert near.cdf(x) == pytest.approx(other.cdf(x), abs=1e-8)
    assert one.quantile(np.array([0.5])) == pytest.approx([10.0])


def test_the_isotropic_component_is_that_of_a_vector_drawn_in_space() -> None:
    rng = np.random.default_rng(11)
    direction = rng.normal(size=(20_000, 3))
    component = 0.7 * rng.random(20_000) * direction[:, 1] / np.linalg.norm(direction, axis=1)
    prior = READ.validate_python({"distribution": "isotropic-component", "high": 0.7})
    assert stats.kstest(component, prior.cdf).pvalue > 1e-3


def test_without_smoothing_nor_peak_a_power_law_is_left() -> None:
    keys = PEAK | {"peak_share": 0.0}
    plain = READ.validate_python({"distribution": "power-law", "low": 5.1, "high": 87.0, "slope": -3.4})
    tabulated = READ.validate_python({"distribution": "power-law-plus-peak", **keys})
    x = np.linspace(5, 90, 300)
    assert tabulated.cdf(x) == pytest.approx(plain.cdf(x), abs=1e-6)


def test_a_narrow_peak_is_resolved() -> None:
    keys = PEAK | {"peak_share": 1.0, "peak_width": 0.001}
    prior = READ.validate_python({"distribution": "power-law-plus-peak", **keys})
    x = 34 + 0.001 * np.linspace(-3, 3, 13)
    assert prior.cdf(x) == pytest.approx(stats.norm(34, 0.001).cdf(x), abs=1e-6)


def test_a_range_of_one_value_is_that_value() -> None:
    prior = uniform((30, 30))
    assert prior.limits == (30.0, 30.0)
    assert (prior.sample(np.random.default_rng(0), 5) == 30.0).all()
    assert list(prior.cdf(np.array([29.9, 30.0, 31.0]))) == [0.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"distribution": "uniform", "low": 2.0, "high": 1.0}, "low = 2 is not below high = 1"),
        ({"distribution": "power-law", "low": 0.0, "high": 1.0, "slope": 1.0}, "greater than 0"),
        ({"distribution": "power-law", "low": 1.0, "high": 2.0, "slope": 900.0}, "less than or equal to 20"),
        ({"distribution": "truncated-normal", "low": 1.0, "high": 2.0, "mean": 9.0, "width": 0.1}, "five widths"),
        ({"distribution": "truncated-normal", "low": 1.0, "high": 2.0, "mean": 1.5, "width": 0.0}, "greater than 0"),
        ({"distribution": "power-law-plus-peak", **PEAK, "peak_mean": 99.0}, "peak_mean = 99 is not in"),
        ({"distribution": "power-law-plus-peak", **PEAK, "smoothing": 90.0}, "smoothing = 90 is wider"),
        ({"distribution": "uniform", "low": 1.0, "high": float("inf")}, "finite"),
        ({"distribution": "uniform", "low": "1", "high": 2.0}, "valid number"),
    ],
)
def test_impossible_distributions_are_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=message):
        READ.validate_python(keys)
