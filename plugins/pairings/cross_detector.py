"""Two detectors' strain of one window."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from gwbench.contracts import Pairing, StrainInfo, View
from gwbench.errors import UserError
from gwbench.nn.detector_encoder import parse_groups
from gwbench.registry import register

SEED_GROUPS = "H1,L1|V1"


@register(
    "pairing",
    "cross-detector",
    citation="A gravitational wave reaches every detector, noise does not; losses as in arXiv:2103.03230",
    tags=("default", "natural-views"),
)
class CrossDetector(Pairing):
    """One view from each of two groups of detectors: what they share is the signal.

    The detector of a view is drawn from its group, independently for every window.

    Args:
        groups: two groups, such as "H1,L1|V1". By default H1 or L1 against V1 where the data have the three, else
            the first detector against the others.
    """

    selects: ClassVar[bool] = True

    def __init__(self, info: StrainInfo, *, groups: str | None = None) -> None:
        names = info.detectors
        if len(names) < 2:
            raise UserError(
                f"cross-detector needs two detectors; the data have {', '.join(names)} alone. See dataset.detectors."
            )
        if groups is None:
            groups = SEED_GROUPS if set(names) == {"H1", "L1", "V1"} else f"{names[0]}|{','.join(names[1:])}"
        self.groups = [torch.tensor(group) for group in parse_groups(groups, names)]
        if len(self.groups) != 2:
            raise UserError(f"cross-detector pairs two groups of detectors; {groups!r} has {len(self.groups)}.")

    def pair(self, strain: Tensor, generator: torch.Generator) -> tuple[View, View]:
        """[B, D, T] -> two views [B, 1, T]."""
        first, second = (self._draw(strain, group, generator) for group in self.groups)
        return first, second

    def _draw(self, strain: Tensor, group: Tensor, generator: torch.Generator) -> View:
        batch = strain.shape[0]
        choice = torch.randint(len(group), (batch,), generator=generator, device=generator.device)
        detector = group.to(strain.device)[choice.to(strain.device)]
        rows = torch.arange(batch, device=strain.device)
        return View(strain[rows, detector].unsqueeze(1), detector.unsqueeze(1))
