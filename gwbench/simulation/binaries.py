"""What the two bodies of a binary are, as data: the keys `masses` and `spins` of `populations.toml`."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field, model_validator

from gwbench.simulation.priors import AnyDistribution, Model, Slope, span
from gwbench.simulation.tables import InterpolationTable, smooth, smooth_grids

Float = NDArray[np.float64]

MASS_LIMITS = (1.0, 500.0)
"""Solar masses, of one component."""

SPIN_LIMITS = (-0.99, 0.99)
"""Dimensionless; what the waveform models accept."""


def _mass(prior: AnyDistribution) -> AnyDistribution:
    return _within(prior, MASS_LIMITS, "solar masses")


def _spin(prior: AnyDistribution) -> AnyDistribution:
    return _within(prior, SPIN_LIMITS, "(dimensionless)")


def _magnitude(prior: AnyDistribution) -> AnyDistribution:
    return _within(prior, (0.0, SPIN_LIMITS[1]), "(dimensionless)")


def _within(prior: AnyDistribution, limits: tuple[float, float], unit: str) -> AnyDistribution:
    low, high = prior.limits
    if low < limits[0] or high > limits[1]:
        raise ValueError(f"values in {span(prior.limits)}: expected between {limits[0]:g} and {limits[1]:g} {unit}")
    return prior


MassPrior = Annotated[AnyDistribution, AfterValidator(_mass)]
SpinPrior = Annotated[AnyDistribution, AfterValidator(_spin)]
MagnitudePrior = Annotated[AnyDistribution, AfterValidator(_magnitude)]


class SortedMasses(Model):
    """Both masses drawn alike and independently; the larger is called the first."""

    model: Literal["sorted"]
    component: MassPrior

    @property
    def limits(self) -> tuple[float, float]:
        """The lowest and the highest component mass."""
        return self.component.limits

    def sample(self, rng: np.random.Generator, n: int) -> tuple[Float, Float]:
        """Draw the larger and the smaller masses, each float64 [n]."""
        first, second = self.component.sample(rng, n), self.component.sample(rng, n)
        return np.maximum(first, second), np.minimum(first, second)

    def describe(self, unit: str) -> str:
        """The half of a sentence."""
        return f"component masses {self.component} {unit}"


class SeparateMasses(Model):
    """Two kinds of body: each mass has its own distribution, and the first is never the lighter."""

    model: Literal["separate"]
    mass_1: MassPrior
    mass_2: MassPrior

    @model_validator(mode="after")
    def _ordered(self) -> SeparateMasses:
        if self.mass_2.limits[1] > self.mass_1.limits[0]:
            raise ValueError(
                f"mass_2 reaches {self.mass_2.limits[1]:g}, above the lowest mass_1, {self.mass_1.limits[0]:g}"
            )
        return self

    @property
    def limits(self) -> tuple[float, float]:
        """The lowest and the highest component mass."""
        return self.mass_2.limits[0], self.mass_1.limits[1]

    def sample(self, rng: np.random.Generator, n: int) -> tuple[Float, Float]:
        """Draw the larger and the smaller masses, each float64 [n]."""
        return self.mass_1.sample(rng, n), self.mass_2.sample(rng, n)

    def describe(self, unit: str) -> str:
        """The half of a sentence."""
        return f"masses {self.mass_1} and {self.mass_2} {unit}"


class MassRatio(Model):
    """The larger mass, and the ratio q of the smaller to it with density proportional to q^slope S(q mass_1).

    S is `tables.smooth`, over `smoothing` solar masses above the lowest `mass_1`, below which there is no
    mass. Source: arXiv:2111.03634, appendix B.
    """

    model: Literal["mass-ratio"]
    mass_1: MassPrior
    slope: Slope
    smoothing: Annotated[float, Field(ge=0)] = 0.0

    @model_validator(mode="after")
    def _fits(self) -> MassRatio:
        low, high = self.limits
        if self.smoothing > high - low:
            raise ValueError(f"smoothing = {self.smoothing:g} is wider than the range of mass_1, {span(self.limits)}")
        if low == high:
            raise ValueError("mass_1 has one value only, which leaves no range to mass_2")
        return self

    @property
    def limits(self) -> tuple[float, float]:
        """The lowest and the highest component mass."""
        return self.mass_1.limits

    def sample(self, rng: np.random.Generator, n: int) -> tuple[Float, Float]:
        """Draw the larger and the smaller masses, each float64 [n]."""
        mass_1 = self.mass_1.sample(rng, n)
        # Given mass_1, mass_2 has a density that mass_1 only cuts off: one table serves every mass_1.
        table = _smaller_mass(self)
        mass_2 = table.quantile(rng.random(n) * table.cdf(mass_1))
        return mass_1, np.minimum(mass_2, mass_1)

    def describe(self, unit: str) -> str:
        """The half of a sentence."""
        law = f"mass ratio as a power law of slope {self.slope:g}"
        return f"larger mass {self.mass_1} {unit}, {law}" + (" smoothed alike" if self.smoothing else "")


@lru_cache(maxsize=32)
def _smaller_mass(model: MassRatio) -> InterpolationTable:
    low, high = model.limits

    def density(mass: Float) -> Float:
        return np.asarray((mass / high) ** model.slope * smooth(mass, low, model.smoothing))

    return InterpolationTable.of(density, *smooth_grids(low, high, model.smoothing))


class AlignedSpins(Model):
    """Spins along the orbital angular momentum."""

    model: Literal["aligned"]
    spin_1: SpinPrior
    spin_2: SpinPrior

    @property
    def largest(self) -> float:
        """The largest component along the orbital angular momentum that can occur."""
        return max(self.spin_1.limits[1], self.spin_2.limits[1])

    def sample(self, rng: np.random.Generator, n: int) -> dict[str, Float]:
        """Draw `spin_1z` and `spin_2z`, each float64 [n]."""
        return {"spin_1z": self.spin_1.sample(rng, n), "spin_2z": self.spin_2.sample(rng, n)}

    def __str__(self) -> str:
        both = self.spin_1 == self.spin_2
        return f"aligned spins {self.spin_1}" if both else f"aligned spins {self.spin_1} and {self.spin_2}"


class IsotropicSpins(Model):
    """Spins of any direction, so that the orbit precesses."""

    model: Literal["isotropic"]
    magnitude_1: MagnitudePrior
    magnitude_2: MagnitudePrior

    @property
    def largest(self) -> float:
        """The largest component along the orbital angular momentum that can occur."""
        return max(self.magnitude_1.limits[1], self.magnitude_2.limits[1])

    def sample(self, rng: np.random.Generator, n: int) -> dict[str, Float]:
        """Draw the Cartesian components `spin_1x` to `spin_2z`, z along the orbital momentum, each float64 [n]."""
        spins: dict[str, Float] = {}
        for body, prior in ((1, self.magnitude_1), (2, self.magnitude_2)):
            magnitude, cosine, azimuth = prior.sample(rng, n), rng.uniform(-1, 1, n), rng.uniform(0, 2 * np.pi, n)
            in_plane = magnitude * np.sqrt(1 - cosine**2)
            spins[f"spin_{body}x"] = in_plane * np.cos(azimuth)
            spins[f"spin_{body}y"] = in_plane * np.sin(azimuth)
            spins[f"spin_{body}z"] = magnitude * cosine
        return spins

    def __str__(self) -> str:
        both = self.magnitude_1 == self.magnitude_2
        sizes = str(self.magnitude_1) if both else f"{self.magnitude_1} and {self.magnitude_2}"
        return f"spins of isotropic direction and magnitude {sizes}"


Masses = Annotated[SortedMasses | SeparateMasses | MassRatio, Field(discriminator="model")]
Spins = Annotated[AlignedSpins | IsotropicSpins, Field(discriminator="model")]

__all__ = ["MASS_LIMITS", "SPIN_LIMITS", "AlignedSpins", "IsotropicSpins", "Masses", "SortedMasses", "Spins"]
