"""Any two detectors' strain of one window."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from gwbench.contracts import Pairing, StrainInfo, View
from gwbench.errors import UserError
from gwbench.registry import register


@register(
    "pairing",
    "any-pair",
    citation="A gravitational wave reaches every detector, noise does not; losses as in arXiv:2103.03230",
    tags=("natural-views",),
)
class AnyPair(Pairing):
    """Two different detectors of a window, one for each view, drawn for every window from all ordered pairs.

    Suits one encoder shared by all detectors: each of them takes each side.
    """

    selects: ClassVar[bool] = True

    def __init__(self, info: StrainInfo) -> None:
        if len(info.detectors) < 2:
            raise UserError(
                f"any-pair needs two detectors; the data have {', '.join(info.detectors)} alone. See dataset.detectors."
            )

    def pair(self, strain: Tensor, generator: torch.Generator) -> tuple[View, View]:
        """[B, D, T] -> two views [B, 1, T]."""
        batch, detectors, _ = strain.shape
        first, second = self.draw(batch, detectors, generator).to(strain.device)
        rows = torch.arange(batch, device=strain.device)
        a, b = (View(strain[rows, d].unsqueeze(1), d.unsqueeze(1)) for d in (first, second))
        return a, b

    @staticmethod
    def draw(batch: int, detectors: int, generator: torch.Generator) -> Tensor:
        """[2, batch] two different detectors, every ordered pair with the same chance, on the generator's device."""
        first = torch.randint(detectors, (batch,), generator=generator, device=generator.device)
        step = torch.randint(1, detectors, (batch,), generator=generator, device=generator.device)
        return torch.stack([first, (first + step) % detectors])
