"""A conditioner measured anew, on strain that may have another PSD than the training split's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gwbench.data.whitening_filters import refuse_non_finite
from gwbench.errors import UserError
from gwbench.preprocessing.conditioning import fit_to_strain

if TYPE_CHECKING:
    from gwbench.data.dataset import Array
    from gwbench.preprocessing.base import Conditioner


def refitted(conditioner: Conditioner, strain: Array) -> Conditioner:
    """What `Conditioner.refit` gives."""
    values = np.asarray(strain)
    samples = conditioner.window + 2 * conditioner.margin
    detectors = len(conditioner.detectors)
    if values.ndim == 2 and len(values) == detectors and values.shape[1] >= samples:
        windows = _windows(values, samples)
    elif values.ndim == 3 and len(values) and values.shape[1:] == (detectors, samples):
        windows = values
    else:
        raise UserError(
            f"Strain of shape {list(values.shape)} cannot be measured: expected [{detectors}, L] of "
            f"{', '.join(conditioner.detectors)} with L of at least {samples} samples "
            f"({samples / conditioner.sample_rate:g} s), or windows [N, {detectors}, {samples}]."
        )
    refuse_non_finite(windows, conditioner.detectors, "", np.arange(len(windows)))
    fresh = fit_to_strain(
        windows,
        sample_rate=conditioner.sample_rate,
        margin=conditioner.margin,
        detectors=conditioner.detectors,
        settings=conditioner.settings,
    )
    fresh.refitted = True
    return fresh.to(conditioner.device)


def _windows(strain: Array, samples: int) -> Array:
    """Windows [N, D, samples] of a stretch [D, L] that overlap by half, without a copy."""
    view = np.lib.stride_tricks.sliding_window_view(strain, samples, axis=1)[:, :: max(samples // 2, 1)]
    return np.moveaxis(view, 0, 1)


__all__ = ["refitted"]
