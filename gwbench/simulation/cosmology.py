"""Redshift and luminosity distance of sources spread over the universe: the key `distance` of `populations.toml`."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from gwbench.simulation.priors import Model, Slope
from gwbench.simulation.tables import InterpolationTable

Float = NDArray[np.float64]

COSMOLOGY = "Planck15"
"""The name of astropy's cosmology (Planck Collaboration XIII, arXiv:1502.01589, table 4)."""

REDSHIFTS = 8193
"""Points of the table; an interpolated distance is within 1e-4 of exact for nearby sources, far less beyond."""


class ComovingVolume(Model):
    """Mergers in comoving volume and source-frame time, whose rate density goes as (1 + z)^rate_slope up to `z_max`.

    The redshift's density is proportional to dV_c/dz (1 + z)^(rate_slope - 1); the last factor is the source's time
    dilation.
    """

    model: Literal["comoving-volume"]
    z_max: Annotated[float, Field(gt=0, le=10)]
    rate_slope: Slope = 0.0

    def sample(self, rng: np.random.Generator, n: int) -> tuple[Float, Float]:
        """Draw redshifts and luminosity distances in Mpc, each float64 [n] and above zero."""
        table, comoving = _redshifts(self)
        # From (0, 1], not [0, 1): a source at no distance would be infinitely loud.
        redshift = table.quantile(1 - rng.random(n))
        return redshift, (1 + redshift) * np.interp(redshift, table.x, comoving)

    def __str__(self) -> str:
        law = f", rate as (1 + z)^{self.rate_slope:g}" if self.rate_slope else ""
        return f"uniform in comoving volume and source-frame time{law} up to redshift {self.z_max:g} ({COSMOLOGY})"


@lru_cache(maxsize=32)
def _redshifts(model: ComovingVolume) -> tuple[InterpolationTable, Float]:
    """The redshift's distribution, and the transverse comoving distance in Mpc at the table's points."""
    import astropy.cosmology

    cosmology = getattr(astropy.cosmology, COSMOLOGY)

    def density(redshift: Float) -> Float:
        volume = cosmology.differential_comoving_volume(redshift).value
        return np.asarray(volume * (1 + redshift) ** (model.rate_slope - 1))

    table = InterpolationTable.of(density, np.linspace(0, model.z_max, REDSHIFTS))
    return table, np.asarray(cosmology.comoving_transverse_distance(table.x).to_value("Mpc"), np.float64)


__all__ = ["COSMOLOGY", "ComovingVolume"]
