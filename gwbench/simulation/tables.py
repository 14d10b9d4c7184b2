"""Densities that have no closed form: tabulated once, inverted by interpolation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

POINTS = 8193
"""Points of one grid; integrals by the trapezoidal rule are then good to about 1e-7."""


@dataclass(frozen=True, eq=False)
class InterpolationTable:
    """A distribution known by its density at some points, linear between them.

    Attributes:
        x: [P], rising.
        share: [P] share of values up to `x`, from 0 to 1.
    """

    x: Float
    share: Float

    @classmethod
    def of(cls, density: Callable[[Float], Float], *grids: Float) -> InterpolationTable:
        """From a density of any norm and from grids whose points are put together."""
        x = np.unique(np.concatenate(grids))
        values = density(x)
        share = np.concatenate([[0.0], np.cumsum(np.diff(x) * (values[1:] + values[:-1]) / 2)])
        return cls(x, share / share[-1])

    def cdf(self, x: Any) -> Float:
        """The share of values up to `x`."""
        return np.asarray(np.interp(x, self.x, self.share))

    def quantile(self, u: Any) -> Float:
        """The inverse of `cdf`."""
        return np.asarray(np.interp(u, self.share, self.x))


def smooth(x: Float, low: float, width: float) -> Float:
    """The rise from 0 at `low` to 1 at `low + width`: 1 / (1 + exp(width / d + width / (d - width))), d = x - low.

    Source: arXiv:1801.02699; appendix B of arXiv:2111.03634.
    """
    from scipy.special import expit

    rise = np.where(x >= low + width, 1.0, 0.0)
    inside = (x > low) & (x < low + width)
    distance = x[inside] - low
    rise[inside] = expit(-width / distance - width / (distance - width))
    return rise


def smooth_grids(low: float, high: float, width: float) -> tuple[Float, Float]:
    """Points to tabulate a density on that is wide in [low, high] and smoothed over `width`."""
    return np.geomspace(low, high, POINTS), np.linspace(low, min(low + width, high), POINTS)


__all__ = ["POINTS", "InterpolationTable", "smooth", "smooth_grids"]
