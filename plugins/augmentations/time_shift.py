"""A view moved in time."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field

from gwbench.contracts import Augmentation, StrainInfo, View
from gwbench.errors import UserError
from gwbench.registry import register


@register(
    "augmentation",
    "time-shift",
    citation="Random shifts, the one-dimensional random crop of Chen et al. (SimCLR), arXiv:2002.05709",
    tags=("time",),
)
class TimeShift(Augmentation):
    """Moves a view by a whole number of samples, all its detectors alike, so that delays between them stay.

    The window is closed to a ring: what leaves at one end enters at the other. White noise hides the seam, whereas
    zeros at an end would tell an encoder how far the view was moved.

    Args:
        longest_ms: largest shift to either side, milliseconds; every shift up to it has the same chance. Light takes
            10 ms from H1 to L1 and 27 ms from H1 to V1.
    """

    def __init__(self, info: StrainInfo, *, longest_ms: Annotated[float, Field(gt=0)] = 20.0) -> None:
        self.longest = round(longest_ms * 1e-3 * info.sample_rate)
        if not 1 <= self.longest <= info.window // 2:
            raise UserError(
                f"time-shift: longest_ms={longest_ms:g} is {self.longest} samples of {info.sample_rate:g} Hz: expected "
                f"at least one, and at most half of the window's {info.window}."
            )

    def augment(self, view: View, generator: torch.Generator) -> View:
        """A view [B, C, T], each window moved by its own shift; to later times where that is positive."""
        batch, _, samples = view.samples.shape
        device = view.samples.device
        drawn = torch.randint(
            -self.longest, self.longest + 1, (batch, 1, 1), generator=generator, device=generator.device
        )
        source = (torch.arange(samples, device=device) - drawn.to(device)) % samples
        return View(view.samples.gather(2, source.expand_as(view.samples)), view.detectors)
