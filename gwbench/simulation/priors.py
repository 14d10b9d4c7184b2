"""One-dimensional distributions as data: what a key of `populations.toml` such as `spin_1` may hold."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import lru_cache
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from gwbench.simulation.tables import POINTS, InterpolationTable, smooth, smooth_grids

Float = NDArray[np.float64]
Slope = Annotated[float, Field(ge=-20, le=20)]


class Model(BaseModel):
    """A table of a populations file: checked when read, constant afterwards."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Distribution(Model, ABC):
    """A distribution of one number."""

    @property
    @abstractmethod
    def limits(self) -> tuple[float, float]:
        """The lowest and the highest value that can occur."""

    @abstractmethod
    def cdf(self, x: NDArray[Any]) -> Float:
        """The share of values up to `x`, float64 of the shape of `x`."""

    @abstractmethod
    def quantile(self, u: NDArray[Any]) -> Float:
        """The inverse of `cdf`, for `u` from 0 to 1."""

    def sample(self, rng: np.random.Generator, n: int) -> Float:
        """Draw float64 [n]: one uniform number of the generator for each."""
        return self.quantile(rng.random(n))


class _Interval(Distribution):
    low: float
    high: float

    @model_validator(mode="after")
    def _ordered(self) -> _Interval:
        if not self.low < self.high:
            raise ValueError(f"low = {self.low:g} is not below high = {self.high:g}")
        return self

    @property
    def limits(self) -> tuple[float, float]:
        return self.low, self.high

    def _clip(self, x: NDArray[Any]) -> Float:
        return np.clip(np.asarray(x, np.float64), self.low, self.high)


class Fixed(Distribution):
    """One value."""

    distribution: Literal["fixed"]
    value: float

    @property
    def limits(self) -> tuple[float, float]:
        return self.value, self.value

    def cdf(self, x: NDArray[Any]) -> Float:
        return np.where(np.asarray(x) >= self.value, 1.0, 0.0)

    def quantile(self, u: NDArray[Any]) -> Float:
        return np.full(np.shape(u), self.value)

    def __str__(self) -> str:
        return f"fixed at {self.value:g}"


class Uniform(_Interval):
    """Uniform between `low` and `high`."""

    distribution: Literal["uniform"]

    def cdf(self, x: NDArray[Any]) -> Float:
        return (self._clip(x) - self.low) / (self.high - self.low)

    def quantile(self, u: NDArray[Any]) -> Float:
        return self._clip(self.low + (self.high - self.low) * np.asarray(u))

    def __str__(self) -> str:
        return f"uniform in {span(self.limits)}"


class PowerLaw(_Interval):
    """Density proportional to x^slope."""

    distribution: Literal["power-law"]
    low: Annotated[float, Field(gt=0)]
    slope: Slope

    def cdf(self, x: NDArray[Any]) -> Float:
        return np.asarray(self._area(self._clip(x)) / self._area(self.high))

    def quantile(self, u: NDArray[Any]) -> Float:
        area = np.asarray(u) * self._area(self.high)
        power = self.slope + 1
        growth = area if power == 0 else np.log1p(power * area) / power
        return self._clip(self.low * np.exp(growth))

    def _area(self, x: Any) -> Any:
        """The integral of (x / low)^slope d(x / low) from `low`; smooth in the slope where it is -1."""
        power, log = self.slope + 1, np.log(x / self.low)
        return log if power == 0 else np.expm1(power * log) / power

    def __str__(self) -> str:
        return f"as a power law of slope {self.slope:g} in {span(self.limits)}"


class LogUniform(_Interval):
    """Uniform in the logarithm."""

    distribution: Literal["log-uniform"]
    low: Annotated[float, Field(gt=0)]

    def cdf(self, x: NDArray[Any]) -> Float:
        return np.asarray(np.log(self._clip(x) / self.low) / np.log(self.high / self.low))

    def quantile(self, u: NDArray[Any]) -> Float:
        return self._clip(self.low * (self.high / self.low) ** np.asarray(u))

    def __str__(self) -> str:
        return f"log-uniform in {span(self.limits)}"


class TruncatedNormal(_Interval):
    """A normal distribution cut off at `low` and `high`; `mean` and `width` are those before the cut."""

    distribution: Literal["truncated-normal"]
    mean: float
    width: Annotated[float, Field(gt=0)]

    def cdf(self, x: NDArray[Any]) -> Float:
        from scipy.special import ndtr

        first, last = ndtr((np.array(self.limits) - self.mean) / self.width)
        return np.asarray((ndtr((self._clip(x) - self.mean) / self.width) - first) / (last - first))

    def quantile(self, u: NDArray[Any]) -> Float:
        from scipy.special import ndtr, ndtri

        first, last = ndtr((np.array(self.limits) - self.mean) / self.width)
        return self._clip(self.mean + self.width * ndtri(first + np.asarray(u) * (last - first)))

    @model_validator(mode="after")
    def _within_reach(self) -> TruncatedNormal:
        # Further out the normal distribution's tail has no digits left to invert.
        if self.high < self.mean - 5 * self.width or self.low > self.mean + 5 * self.width:
            raise ValueError(f"[low, high] = {span(self.limits)} is more than five widths from the mean {self.mean:g}")
        return self

    def __str__(self) -> str:
        return f"normal with mean {self.mean:g} and width {self.width:g} in {span(self.limits)}"


class IsotropicComponent(Distribution):
    """One Cartesian component of a vector of isotropic direction and of length uniform from 0 to `high`.

    The density is -ln(|x| / high) / (2 high): the prior of an aligned spin that an isotropic one leaves (Lange et al.,
    arXiv:1805.10457, appendix).
    """

    distribution: Literal["isotropic-component"]
    high: Annotated[float, Field(gt=0)]

    @property
    def limits(self) -> tuple[float, float]:
        return -self.high, self.high

    def cdf(self, x: NDArray[Any]) -> Float:
        from scipy.special import entr

        share = np.clip(np.asarray(x, np.float64) / self.high, -1, 1)
        return np.asarray(0.5 + 0.5 * (share + np.sign(share) * entr(np.abs(share))))

    def quantile(self, u: NDArray[Any]) -> Float:
        from scipy.special import lambertw

        # y (1 - ln y) = v is solved by y = exp(1 + w) with w exp(w) = -v / e. At v = 1 the branch ends, and rounding
        # may not go beyond.
        side = 2 * np.asarray(u, np.float64) - 1
        size = np.exp(1 + lambertw(-np.minimum(np.abs(side), 1 - 1e-15) / np.e, k=-1).real)
        return np.asarray(self.high * np.sign(side) * size)

    def __str__(self) -> str:
        return f"as components of isotropic vectors of length uniform in {span((0, self.high))}"


class PowerLawPlusPeak(_Interval):
    """A power law and a Gaussian peak, smoothed at the low end.

    The model of Talbot and Thrane, arXiv:1801.02699, as in appendix B of arXiv:2111.03634:
    [(1 - peak_share) P(x) + peak_share G(x)] S(x), with P proportional to x^slope, G a Gaussian of `peak_mean` and
    `peak_width`, both normalised in [low, high], and S of `smooth`.
    """

    distribution: Literal["power-law-plus-peak"]
    low: Annotated[float, Field(gt=0)]
    slope: Slope
    peak_share: Annotated[float, Field(ge=0, le=1)]
    peak_mean: float
    peak_width: Annotated[float, Field(gt=0)]
    smoothing: Annotated[float, Field(ge=0)] = 0.0

    @model_validator(mode="after")
    def _fits(self) -> PowerLawPlusPeak:
        if not self.low <= self.peak_mean <= self.high:
            raise ValueError(f"peak_mean = {self.peak_mean:g} is not in [low, high] = {span(self.limits)}")
        if self.smoothing > self.high - self.low:
            raise ValueError(f"smoothing = {self.smoothing:g} is wider than [low, high] = {span(self.limits)}")
        return self

    def cdf(self, x: NDArray[Any]) -> Float:
        return _power_law_plus_peak(self).cdf(self._clip(x))

    def quantile(self, u: NDArray[Any]) -> Float:
        return _power_law_plus_peak(self).quantile(np.asarray(u))

    def __str__(self) -> str:
        return (
            f"as a power law of slope {self.slope:g} smoothed over {self.smoothing:g}, with a peak at "
            f"{self.peak_mean:g} (width {self.peak_width:g}, share {self.peak_share:g}), in {span(self.limits)}"
        )


AnyDistribution = Annotated[
    Fixed | Uniform | LogUniform | PowerLaw | TruncatedNormal | IsotropicComponent | PowerLawPlusPeak,
    Field(discriminator="distribution"),
]
"""A TOML table whose key `distribution` says which of these it is."""


@lru_cache(maxsize=32)
def _power_law_plus_peak(prior: PowerLawPlusPeak) -> InterpolationTable:
    from scipy.special import ndtr

    law = PowerLaw(distribution="power-law", low=prior.low, high=prior.high, slope=prior.slope)
    below, above = ndtr((np.array(prior.limits) - prior.peak_mean) / prior.peak_width)

    def density(x: Float) -> Float:
        power = (x / prior.low) ** prior.slope / (prior.low * law._area(prior.high))
        peak = np.exp(-0.5 * ((x - prior.peak_mean) / prior.peak_width) ** 2) / (above - below)
        mixture = (1 - prior.peak_share) * power + prior.peak_share * peak / (np.sqrt(2 * np.pi) * prior.peak_width)
        return np.asarray(mixture * smooth(x, prior.low, prior.smoothing))

    around = prior._clip(prior.peak_mean + prior.peak_width * np.linspace(-8, 8, POINTS))
    return InterpolationTable.of(density, *smooth_grids(prior.low, prior.high, prior.smoothing), around)


def uniform(limits: tuple[float, float]) -> AnyDistribution:
    """Uniform between two numbers, which may be the same."""
    low, high = map(float, limits)
    if low == high:
        return Fixed(distribution="fixed", value=low)
    return Uniform(distribution="uniform", low=low, high=high)


def span(limits: tuple[float, float]) -> str:
    """An interval as a sentence has it."""
    return f"[{limits[0]:g}, {limits[1]:g}]"


__all__ = ["AnyDistribution", "Model", "Slope", "span", "uniform"]
