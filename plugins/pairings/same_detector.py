"""One detector's strain twice; augmentations make the views differ."""

from __future__ import annotations

import torch
from torch import Tensor

from gwbench.contracts import Pairing, Parts, StrainInfo, View
from gwbench.registry import REGISTRY, register


@register(
    "pairing",
    "same-detector",
    citation="Two augmentations of one sample: Chen et al. (SimCLR), arXiv:2002.05709",
    tags=("same-detector",),
)
class SameDetector(Pairing):
    """The same strain of one detector, drawn for every window, in both views; augmentations make the views differ.

    The views share the detector's noise as well as the signal.
    """

    def __init__(self, info: StrainInfo) -> None:
        self.detectors = len(info.detectors)

    @classmethod
    def skip(cls, parts: Parts) -> str:
        """Without an augmentation both views are identical, unless the objective hides parts of them itself."""
        generative = {plugin.target for plugin in REGISTRY.loaded() if "generative" in plugin.tags}
        if parts.augmentations or parts.objective in generative:
            return ""
        return "same-detector gives both views the same strain: add an augmentation, such as noise-injection."

    def pair(self, strain: Tensor, generator: torch.Generator) -> tuple[View, View]:
        """[B, D, T] -> two equal views [B, 1, T]."""
        batch = strain.shape[0]
        drawn = torch.randint(self.detectors, (batch,), generator=generator, device=generator.device)
        detector = drawn.to(strain.device)
        rows = torch.arange(batch, device=strain.device)
        view = View(strain[rows, detector].unsqueeze(1), detector.unsqueeze(1))
        return view, view
