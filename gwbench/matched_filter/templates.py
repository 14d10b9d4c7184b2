"""Templates of a population as vectors of an inner product, through the conditioning that the data went through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gwbench.matched_filter.waveforms import template_strain

if TYPE_CHECKING:
    from gwbench.contracts import StrainConditioner
    from gwbench.matched_filter.inner_product import InnerProduct

Params = dict[str, NDArray[np.float64]]

SHAPE = ("mass_1", "mass_2", "spin_1z", "spin_2z")
"""The parameters that a template's shape depends on; of a precessing signal, what it has of these."""

MERGER = 0.9
"""Where in the window templates coalesce: late enough to hold the inspiral, early enough to hold the ringdown."""


def known_shapes(parameters: Mapping[str, NDArray[Any]], positions: NDArray[Any]) -> Params:
    """`SHAPE` of those signals at some positions of a split of which it is known; empty arrays where it is of none."""
    if not all(name in parameters for name in SHAPE):
        return {name: np.empty(0) for name in SHAPE}
    rows = np.stack([np.asarray(parameters[name], np.float64)[positions] for name in SHAPE])
    return dict(zip(SHAPE, rows[:, np.isfinite(rows).all(axis=0)], strict=True))


def drawn_like(known: Params, n: int, rng: np.random.Generator) -> Params:
    """`n` draws from a density estimated from some signals' parameters, within the ranges that these span."""
    from scipy.stats import gaussian_kde

    rows = np.stack([known[name] for name in SHAPE])
    low, high = rows.min(axis=1), rows.max(axis=1)
    varied = high > low
    drawn = np.repeat(low[:, None], n, axis=1)
    if varied.any():
        drawn[varied] = gaussian_kde(rows[varied]).resample(n, seed=rng)
    params = dict(zip(SHAPE, np.clip(drawn, low[:, None], high[:, None]), strict=True))
    params["mass_2"] = np.minimum(params["mass_2"], params["mass_1"])
    return params


def drawn_uniform(mass: tuple[float, float], spin: tuple[float, float], n: int, rng: np.random.Generator) -> Params:
    """`n` draws of masses (solar masses, detector frame) and aligned spins uniform in ranges."""
    masses = np.sort(rng.uniform(*mass, (2, n)), axis=0)
    spins = rng.uniform(*spin, (2, n))
    return dict(zip(SHAPE, (masses[1], masses[0], *spins), strict=True))


def template_vectors(
    params: Params,
    conditioner: StrainConditioner,
    inner: InnerProduct,
    *,
    approximant: Literal["IMRPhenomXAS", "IMRPhenomD"],
    f_low: float,
) -> Tensor:
    """Vectors [n, D, F] of templates that coalesce at sample 0, of sources overhead of each detector.

    Raises:
        UserError: the approximant refuses the parameters.
    """
    merger = round(MERGER * conditioner.window)
    vectors = torch.empty((len(params["mass_1"]), *inner.power.shape), dtype=torch.complex64, device=inner.power.device)
    chunks = template_strain(
        params,
        merger=(merger + conditioner.margin) / conditioner.sample_rate,
        sample_rate=conditioner.sample_rate,
        samples=conditioner.window + 2 * conditioner.margin,
        approximant=approximant,
        f_low=f_low,
    )
    for positions, strain in chunks:
        alike = np.repeat(strain, len(conditioner.detectors), axis=1)
        conditioned = conditioner(alike).to(vectors.device)
        vectors[torch.from_numpy(positions)] = inner.vectors(conditioned.roll(-merger, dims=-1))
    return vectors


def network_vectors(vectors: Tensor) -> Tensor:
    """Vectors [n, F] whose inner products are those of templates [n, D, F] summed over the detectors.

    Every detector is handed the same waveform and conditions it without changing its phase, so one phase serves all.
    """
    size: Tensor = torch.linalg.vector_norm(vectors, dim=1)
    return torch.sgn(vectors[:, 0]) * size


__all__ = ["SHAPE", "drawn_like", "drawn_uniform", "known_shapes", "network_vectors", "template_vectors"]
