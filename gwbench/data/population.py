"""Populations of binary black holes, as data: what is drawn, and from which prior."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gwbench.errors import UserError

Float = NDArray[np.float64]
Parameters = dict[str, Float]
"""One array [n] per parameter."""

REFERENCE_GPS = 1126259462.0
"""GPS seconds at which the earth's rotation is held for every source.

Sky positions are isotropic, so the choice changes no distribution.
"""


@dataclass(frozen=True)
class Population:
    """Priors of quasi-circular binary black holes with spins along the orbital angular momentum.

    Attributes:
        mass: range of the component masses in the detector frame, solar masses; both are uniform in it and
            the larger is called `mass_1`.
        spin: range of the dimensionless spins along the orbital angular momentum, each uniform.
        arrival: range of the coalescence time at the centre of the earth, seconds after the window's start,
            uniform.

    Sky position and orientation are isotropic; polarisation angle and coalescence phase are uniform.

    The defaults keep the signal in a two-second window: at aLIGO design sensitivity it holds 99.96 % of the SNR above
    20 Hz on average, 97.2 % for the longest binary at the earliest arrival (15 + 15 solar masses, spins 0.9, 1.4 s),
    98.4 % at the latest (1.9 s), and at least 99 % from 20 + 20 solar masses on.

    Raises:
        UserError: a range that is empty or unphysical.
    """

    mass: tuple[float, float] = (15.0, 75.0)
    spin: tuple[float, float] = (-0.9, 0.9)
    arrival: tuple[float, float] = (1.4, 1.9)

    def __post_init__(self) -> None:
        _check_range("mass", self.mass, low=1.0, high=500.0, unit="solar masses")
        _check_range("spin", self.spin, low=-0.99, high=0.99, unit="(dimensionless)")
        _check_range("arrival", self.arrival, low=0.0, high=np.inf, unit="seconds")

    def sample(self, rng: np.random.Generator, n: int) -> Parameters:
        """Draw `n` binaries.

        Returns:
            `mass_1`, `mass_2` (solar masses, detector frame), `spin_1z`, `spin_2z`, `ra`, `dec`,
            `inclination`, `polarization`, `phase` (radians) and `geocent_time` (seconds after the window's
            start), each float64 [n].
        """
        masses = np.sort(rng.uniform(*self.mass, (2, n)), axis=0)
        spins = rng.uniform(*self.spin, (2, n))
        return {
            "mass_1": masses[1],
            "mass_2": masses[0],
            "spin_1z": spins[0],
            "spin_2z": spins[1],
            "ra": rng.uniform(0, 2 * np.pi, n),
            "dec": np.arcsin(rng.uniform(-1, 1, n)),
            "inclination": np.arccos(rng.uniform(-1, 1, n)),
            "polarization": rng.uniform(0, np.pi, n),
            "phase": rng.uniform(0, 2 * np.pi, n),
            "geocent_time": rng.uniform(*self.arrival, n),
        }

    def __str__(self) -> str:
        return (
            f"component masses uniform in {_span(self.mass)} solar masses (detector frame), aligned spins "
            f"uniform in {_span(self.spin)}, isotropic sky and orientation, coalescence uniform in "
            f"{_span(self.arrival)} s of the window"
        )


class SnrDistribution(ABC):
    """Where the optimal network SNR of a signal comes from."""

    @abstractmethod
    def sample(self, rng: np.random.Generator, n: int) -> Float:
        """Draw `n` network SNRs: float64 [n]."""

    @staticmethod
    def uniform(low: float, high: float) -> SnrDistribution:
        """Uniform between `low` and `high`. Raises `UserError` unless 0 < low <= high."""
        return _Uniform(low, high)

    @staticmethod
    def clipped_normal(scale: float, mean: float, floor: float) -> SnrDistribution:
        """The larger of N(mean, 1) and `floor`, times `scale`."""
        return _ClippedNormal(scale, mean, floor)


@dataclass(frozen=True)
class _Uniform(SnrDistribution):
    low: float
    high: float

    def __post_init__(self) -> None:
        _check_range("snr", (self.low, self.high), low=1e-3, high=1e4, unit="(network SNR)")

    def sample(self, rng: np.random.Generator, n: int) -> Float:
        return rng.uniform(self.low, self.high, n)

    def __str__(self) -> str:
        return f"uniform in {_span((self.low, self.high))}"


@dataclass(frozen=True)
class _ClippedNormal(SnrDistribution):
    scale: float
    mean: float
    floor: float

    def sample(self, rng: np.random.Generator, n: int) -> Float:
        return self.scale * np.maximum(rng.normal(self.mean, 1.0, n), self.floor)

    def __str__(self) -> str:
        return f"{self.scale:g} max(N({self.mean:g}, 1), {self.floor:g})"


def default_arrival(duration: float) -> tuple[float, float]:
    """Where binaries coalesce unless asked otherwise: late in a window of `duration` seconds, which holds the rest."""
    return 0.7 * duration, 0.95 * duration


def _span(limits: tuple[float, float]) -> str:
    return f"[{limits[0]:g}, {limits[1]:g}]"


def _check_range(name: str, limits: tuple[float, float], *, low: float, high: float, unit: str) -> None:
    if not low <= limits[0] <= limits[1] <= high:
        raise UserError(
            f"{name} = {limits[0]:g},{limits[1]:g} is not a range: expected two numbers, the lower first, "
            f"between {low:g} and {high:g} {unit}."
        )


__all__ = ["REFERENCE_GPS", "Parameters", "Population", "SnrDistribution", "default_arrival"]
