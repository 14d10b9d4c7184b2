"""A view with some time cut out."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field

from gwbench.contracts import Augmentation, StrainInfo, View
from gwbench.registry import register


@register(
    "augmentation",
    "time-mask",
    citation="Park et al., SpecAugment, arXiv:1904.08779",
    tags=("time", "mask"),
)
class TimeMask(Augmentation):
    """Sets a stretch of time to zero, the mean of the noise, in all detectors of a view.

    As in SpecAugment, the length is uniform from nothing up to the longest, and so is the place where it fits.

    Args:
        longest: most that is cut out at once, as a share of the window.
        count: stretches cut out of a view; they may overlap.
    """

    def __init__(
        self,
        info: StrainInfo,
        *,
        longest: Annotated[float, Field(ge=0, le=1)] = 0.2,
        count: Annotated[int, Field(ge=1)] = 1,
    ) -> None:
        self.longest, self.count = round(longest * info.window), count

    def augment(self, view: View, generator: torch.Generator) -> View:
        """A view [B, C, T], each window with its own stretches cut out."""
        batch, _, samples = view.samples.shape
        chance = torch.rand(2, batch, self.count, 1, generator=generator, device=generator.device)
        length = (chance[0] * (self.longest + 1)).floor()
        start = (chance[1] * (samples - length + 1)).floor()
        time = torch.arange(samples, device=generator.device)
        masked = ((time >= start) & (time < start + length)).any(dim=1, keepdim=True)
        return View(view.samples.masked_fill(masked.to(view.samples.device), 0.0), view.detectors)
