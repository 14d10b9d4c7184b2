"""A view with a band of frequencies taken out."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field

from gwbench.contracts import Augmentation, StrainInfo, View
from gwbench.errors import UserError
from gwbench.registry import register


@register(
    "augmentation",
    "frequency-mask",
    citation="Park et al., SpecAugment, arXiv:1904.08779",
    tags=("frequency", "mask"),
)
class FrequencyMask(Augmentation):
    """Takes a band of frequencies out of all detectors of a view: its bins of the Fourier transform become zero.

    As in SpecAugment, the width is uniform from nothing up to the widest, and so is the place where it fits. The
    window is taken as periodic.

    Args:
        widest: most that is taken out at once, Hz.
        low: Hz; nothing below it is taken out.
        high: Hz; nothing above it, nor above the Nyquist frequency.
        count: bands taken out of a view; they may overlap.
    """

    def __init__(
        self,
        info: StrainInfo,
        *,
        widest: Annotated[float, Field(ge=0)] = 100.0,
        low: Annotated[float, Field(ge=0)] = 20.0,
        high: Annotated[float, Field(gt=0)] = 600.0,
        count: Annotated[int, Field(ge=1)] = 1,
    ) -> None:
        self.low, self.high = low, min(high, info.sample_rate / 2)
        if not widest <= self.high - low:
            raise UserError(
                f"frequency-mask: a band of widest={widest:g} Hz does not fit between low={low:g} and "
                f"{self.high:g} Hz (high, or the Nyquist frequency). Make it narrower."
            )
        self.widest, self.count, self.sample_rate = widest, count, info.sample_rate

    def augment(self, view: View, generator: torch.Generator) -> View:
        """A view [B, C, T], each window with its own bands taken out."""
        batch, _, samples = view.samples.shape
        chance = torch.rand(2, batch, self.count, 1, generator=generator, device=generator.device)
        width = chance[0] * self.widest
        start = self.low + chance[1] * (self.high - self.low - width)
        frequency = torch.fft.rfftfreq(samples, 1 / self.sample_rate, device=generator.device)
        masked = ((frequency >= start) & (frequency < start + width)).any(dim=1, keepdim=True)
        spectrum = torch.fft.rfft(view.samples).masked_fill(masked.to(view.samples.device), 0.0)
        return View(torch.fft.irfft(spectrum, n=samples), view.detectors)
