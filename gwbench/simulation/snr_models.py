"""Where the optimal network SNR of a signal comes from: drawn, or from its distance."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gwbench.errors import UserError, did_you_mean

Float = NDArray[np.float64]
SnrModel = Literal["uniform", "clipped-normal", "distance"]

LOWEST, HIGHEST = 1e-3, 1e4
"""Network SNRs that make sense."""


class SnrDistribution(ABC):
    """How loud signals are."""

    @abstractmethod
    def drawn(self, rng: np.random.Generator, n: int) -> Float | None:
        """Network SNRs [n], each signal to be moved to the distance that gives it; None to leave all where they are."""

    @property
    def selects(self) -> bool:
        """Whether any signal is too faint to be kept."""
        return False

    def audible(self, snr: Float) -> NDArray[np.bool_]:
        """[n] which signals of these network SNRs [n] are kept; the others are drawn anew."""
        return np.ones(len(snr), bool)

    @staticmethod
    def create(model: str, values: Sequence[float]) -> SnrDistribution:
        """A distribution from its name and numbers, as a command line gives them.

        Args:
            model: "uniform", "clipped-normal" or "distance".
            values: lowest and highest; mean, sigma and floor; the least SNR that is kept.

        Raises:
            UserError: another model, the wrong number of values, or values that make no sense.
        """
        makers = {"uniform": UniformSnr, "clipped-normal": ClippedNormal, "distance": FromDistance}
        if model not in makers:
            raise UserError(f"snr_model = {model}: expected one of {', '.join(makers)}.{did_you_mean(model, makers)}")
        wanted = {"uniform": "LOW,HIGH", "clipped-normal": "MEAN,SIGMA,FLOOR", "distance": "LEAST"}[model]
        if len(values) != wanted.count(",") + 1:
            given = ",".join(f"{value:g}" for value in values)
            raise UserError(f"snr = {given}: with snr_model = {model}, expected snr = {wanted}.")
        made: SnrDistribution = makers[model](*values)
        return made


@dataclass(frozen=True)
class UniformSnr(SnrDistribution):
    """Uniform between two network SNRs."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not LOWEST <= self.low <= self.high <= HIGHEST:
            raise UserError(
                f"snr = {self.low:g},{self.high:g} is not a range: expected two numbers, the lower first, between "
                f"{LOWEST:g} and {HIGHEST:g} (network SNR)."
            )

    def drawn(self, rng: np.random.Generator, n: int) -> Float:
        """Uniform [n]."""
        return rng.uniform(self.low, self.high, n)

    def __str__(self) -> str:
        return f"uniform in [{self.low:g}, {self.high:g}]"


@dataclass(frozen=True)
class ClippedNormal(SnrDistribution):
    """The larger of N(mean, sigma) and a floor."""

    mean: float
    sigma: float
    floor: float

    def __post_init__(self) -> None:
        if not (LOWEST <= self.floor <= HIGHEST and self.sigma >= 0 and abs(self.mean) <= HIGHEST):
            raise UserError(
                f"snr = {self.mean:g},{self.sigma:g},{self.floor:g}: expected mean, sigma and floor of the network "
                f"SNR, sigma at least 0 and the floor between {LOWEST:g} and {HIGHEST:g}."
            )

    def drawn(self, rng: np.random.Generator, n: int) -> Float:
        """The larger of a normal variate and the floor, [n]."""
        return np.maximum(rng.normal(self.mean, self.sigma, n), self.floor)

    def __str__(self) -> str:
        return f"max(N({self.mean:g}, {self.sigma:g}), {self.floor:g})"


@dataclass(frozen=True)
class FromDistance(SnrDistribution):
    """What the population's distances give; signals fainter than `least` are drawn anew."""

    least: float

    def __post_init__(self) -> None:
        if not 0 <= self.least <= HIGHEST:
            raise UserError(f"snr = {self.least:g}: expected the least network SNR, from 0 to {HIGHEST:g}.")

    def drawn(self, rng: np.random.Generator, n: int) -> None:
        """Nothing: distances are the population's."""
        return

    @property
    def selects(self) -> bool:
        """Where there is a least SNR."""
        return self.least > 0

    def audible(self, snr: Float) -> NDArray[np.bool_]:
        """[n] at least `least`."""
        return np.asarray(snr >= self.least)

    def __str__(self) -> str:
        return "from the population's distances" + (f", at least {self.least:g}" if self.least else "")


__all__ = ["ClippedNormal", "FromDistance", "SnrDistribution", "SnrModel", "UniformSnr"]
