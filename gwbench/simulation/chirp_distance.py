"""Chirp distance: how far away a binary would be as loud if it were two neutron stars of 1.4 solar masses."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from gwbench.simulation.priors import Model, span

Float = NDArray[np.float64]

REFERENCE_CHIRP_MASS = 1.4 * 2 ** (-1 / 5)
"""Solar masses, of two neutron stars of 1.4 each."""


class ChirpDistance(Model):
    """Chirp distances uniform in volume from `low` to `high`, in Mpc.

    The luminosity distance is d = d_c (M_c / M_0)^(5/6), M_0 the chirp mass of two neutron stars of 1.4 solar masses:
    the amplitude of an inspiral goes as M_c^(5/6) / d, so that heavy binaries do not outnumber light ones among those
    that are heard. Source: the MLGWSC-1 challenge, arXiv:2209.11146, section III.
    """

    model: Literal["chirp-distance"]
    low: Annotated[float, Field(gt=0, le=1e5)]
    high: Annotated[float, Field(gt=0, le=1e5)]

    @model_validator(mode="after")
    def _ordered(self) -> ChirpDistance:
        if not self.low < self.high:
            raise ValueError(f"low = {self.low:g} is not below high = {self.high:g}")
        return self

    def sample(self, rng: np.random.Generator, mass_1: Float, mass_2: Float) -> dict[str, Float]:
        """Draw `chirp_distance` and `luminosity_distance`, Mpc, float64 [n], for masses [n] of the detector frame."""
        low, high = self.low**3, self.high**3
        distance = np.cbrt(low + (high - low) * rng.random(len(mass_1)))
        scale = (chirp_mass(mass_1, mass_2) / REFERENCE_CHIRP_MASS) ** (5 / 6)
        return {"chirp_distance": distance, "luminosity_distance": distance * scale}

    def __str__(self) -> str:
        return f"chirp distance uniform in volume in {span((self.low, self.high))} Mpc"


def chirp_mass(mass_1: NDArray[Any], mass_2: NDArray[Any]) -> Float:
    """(m_1 m_2)^(3/5) / (m_1 + m_2)^(1/5), in the unit of the masses."""
    return np.asarray((mass_1 * mass_2) ** 0.6 / (mass_1 + mass_2) ** 0.2, np.float64)


__all__ = ["REFERENCE_CHIRP_MASS", "ChirpDistance", "chirp_mass"]
