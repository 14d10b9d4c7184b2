"""A view made louder or fainter."""

from __future__ import annotations

import math

import torch

from gwbench.contracts import Augmentation, StrainInfo, View
from gwbench.errors import UserError
from gwbench.registry import register


@register(
    "augmentation",
    "amplitude-scale",
    citation="Scaling of a series: Um et al., arXiv:1706.00527",
    tags=("amplitude",),
)
class AmplitudeScale(Augmentation):
    """Multiplies a view, all its detectors alike, by a factor whose logarithm is uniform.

    Noise is scaled as well as the signal, so the signal-to-noise ratio stays.

    Args:
        scale: smallest and largest factor.
    """

    def __init__(self, info: StrainInfo, *, scale: tuple[float, float] = (0.7, 1.4)) -> None:
        low, high = scale
        if not 0 < low <= high:
            raise UserError(
                f"amplitude-scale: scale={low:g},{high:g} is not a range: expected two factors above 0, the smaller "
                "first, such as 0.7,1.4."
            )
        self.low, self.width = math.log(low), math.log(high / low)

    def augment(self, view: View, generator: torch.Generator) -> View:
        """A view [B, C, T], each window with its own factor."""
        chance = torch.rand(view.samples.shape[0], 1, 1, generator=generator, device=generator.device)
        factor = torch.exp(self.low + self.width * chance).to(view.samples)
        return View(view.samples * factor, view.detectors)
