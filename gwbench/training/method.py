"""What is pre-trained, and on what views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gwbench.contracts import Augmentation, Objective, Pairing, View
from gwbench.nn.detector_encoder import DetectorEncoder


@dataclass(frozen=True)
class SslMethod:
    """What is trained."""

    encoder: DetectorEncoder
    pairing: Pairing
    augmentations: Sequence[Augmentation]
    objective: Objective

    @property
    def unchanging(self) -> bool:
        """Whether a detector's strain in a window gives the same view at every step."""
        return self.pairing.selects and not self.augmentations

    def views(self, strain: Tensor, generator: torch.Generator) -> tuple[View, View]:
        """Two augmented views of conditioned strain [B, D, T]."""
        return views_of(strain, self.pairing, self.augmentations, generator)


def views_of(
    strain: Tensor, pairing: Pairing, augmentations: Sequence[Augmentation], generator: torch.Generator
) -> tuple[View, View]:
    """Two augmented views of conditioned strain [B, D, T]."""
    a, b = pairing.pair(strain, generator)
    for augmentation in augmentations:
        a, b = augmentation.augment(a, generator), augmentation.augment(b, generator)
    return a, b
