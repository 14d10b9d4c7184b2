"""A network view with its detectors in another order."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field

from gwbench.contracts import Augmentation, Parts, StrainInfo, View
from gwbench.errors import UserError
from gwbench.registry import register


@register(
    "augmentation",
    "detector-swap",
    citation="Which detector is which does not change whether there is a signal; views as in arXiv:2002.05709",
    tags=("network", "symmetry"),
)
class DetectorSwap(Augmentation):
    """Permutes the detectors of a network view at random, the indices behind them with them.

    All orders, the original one included, have the same probability.

    Args:
        probability: that a view is permuted.
    """

    def __init__(self, info: StrainInfo, *, probability: Annotated[float, Field(ge=0, le=1)] = 0.5) -> None:
        if len(info.detectors) < 2:
            raise UserError(
                f"detector-swap needs two detectors; the data have {info.detectors[0]} alone. See dataset.detectors."
            )
        self.probability = probability

    @classmethod
    def skip(cls, parts: Parts) -> str:
        """A view of one detector has nothing to permute."""
        if parts.pairing is None or parts.pairing.network:
            return ""
        return "detector-swap permutes the detectors of a view, and here a view holds one: use a network pairing."

    def augment(self, view: View, generator: torch.Generator) -> View:
        """A view [B, C, T], a random share of its windows with their channels permuted."""
        batch, channels, samples = view.samples.shape
        device = view.samples.device
        key = torch.rand(batch, channels, generator=generator, device=generator.device)
        chance = torch.rand(batch, 1, generator=generator, device=generator.device)
        # Where nothing is to be permuted, the keys are in order already.
        key = torch.where(chance < self.probability, key, torch.arange(channels, device=generator.device))
        order = key.argsort(dim=1).to(device)
        moved = view.samples.gather(1, order.unsqueeze(2).expand(-1, -1, samples))
        return View(moved, view.detectors.gather(1, order))
