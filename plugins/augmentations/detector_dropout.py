"""A network view with some detectors switched off."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field

from gwbench.contracts import Augmentation, Parts, StrainInfo, View
from gwbench.errors import UserError
from gwbench.registry import register


@register(
    "augmentation",
    "detector-dropout",
    citation="Detectors do not always observe together; whole channels as in Tompson et al., arXiv:1411.4280",
    tags=("network", "mask"),
)
class DetectorDropout(Augmentation):
    """Sets whole detectors of a network view to zero, never all of them.

    Where the draw would switch off all, one that is drawn at random stays on.

    Args:
        probability: that a detector is switched off, each by itself.
    """

    def __init__(self, info: StrainInfo, *, probability: Annotated[float, Field(ge=0, le=1)] = 0.3) -> None:
        if len(info.detectors) < 2:
            raise UserError(
                f"detector-dropout needs two detectors; the data have {info.detectors[0]} alone. See dataset.detectors."
            )
        self.probability = probability

    @classmethod
    def skip(cls, parts: Parts) -> str:
        """A view of one detector would be empty without it."""
        if parts.pairing is None or parts.pairing.network:
            return ""
        return "detector-dropout empties some detectors of a view, and here a view holds one: use a network pairing."

    def augment(self, view: View, generator: torch.Generator) -> View:
        """A view [B, C, T] with random channels at zero."""
        chance = torch.rand(view.detectors.shape, generator=generator, device=generator.device)
        # The channel with the largest number is the last to go; the numbers are alike, so it may be any.
        last = chance == chance.amax(dim=1, keepdim=True)
        off = (chance < self.probability) & ~last
        return View(view.samples.masked_fill(off.unsqueeze(2).to(view.samples.device), 0.0), view.detectors)
