"""A view with its sign reversed."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field

from gwbench.contracts import Augmentation, StrainInfo, View
from gwbench.registry import register


@register(
    "augmentation",
    "polarity-flip",
    citation="Antenna patterns change sign as the polarisation turns by 90 degrees: Anderson et al., gr-qc/0008066",
    tags=("symmetry",),
)
class PolarityFlip(Augmentation):
    """Reverses the sign of a view, of all its detectors together.

    That is what a source turned by 90 degrees about the line of sight looks like, and noise has no preferred sign.

    Args:
        probability: that a view is reversed.
    """

    def __init__(self, info: StrainInfo, *, probability: Annotated[float, Field(ge=0, le=1)] = 0.5) -> None:
        self.probability = probability

    def augment(self, view: View, generator: torch.Generator) -> View:
        """A view [B, C, T] with a random share of its windows reversed."""
        chance = torch.rand(view.samples.shape[0], 1, 1, generator=generator, device=generator.device)
        sign = 1 - 2 * (chance < self.probability).to(view.samples)
        return View(view.samples * sign, view.detectors)
