"""Coincident strain of the network, and the same strain slid in time between detectors."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from gwbench.contracts import Pairing, Parts, StrainInfo, View
from gwbench.errors import UserError
from gwbench.registry import REGISTRY, register

SLIDES_TAG = "coincidence"
"""On objectives that tell coincident from slid strain, and on pairings that give them both."""


@register(
    "pairing",
    "coincidence",
    citation="Time slides: Usman et al. (PyCBC), arXiv:1508.02357; coherence: Klimenko et al., arXiv:0802.3232",
    tags=("network", "natural-views", SLIDES_TAG),
)
class Coincidence(Pairing):
    """View a: windows of the whole network; view b: the same strain slid in time between detectors.

    A gravitational wave reaches all detectors within milliseconds. Strain of different times can hold no coincident
    signal, which is how searches measure their background. Window i of view b takes detector d from window i + s_d of
    the batch, counted around its end, with another slide s_d for every detector, drawn for the batch: no two
    detectors of a slid window come from the same one. Every detector's strain is in both views, so that nothing but
    coincidence tells them apart.

    Whatever else could tell them apart is the same in both. Window i and its slid partners are moved, jittered, turned
    round and emptied alike, after the slide: so the seam of a moved window lies where the partner's does.

    Args:
        slides: slid windows for each window. View b is so many times as long as view a.
        longest_ms: largest common shift to either side, milliseconds; 0 for none. The window is closed to a ring, as
            by the augmentation `time-shift`.
        jitter_ms: largest further shift of each detector by itself, milliseconds. Delays of a wave then vary beyond
            those of the data; up to 27 ms between H1 and V1 are the light's own.
        polarity: what is turned round with a probability of one half: "common", all detectors together; "each", every
            detector by itself, as another polarisation or place in the sky would; or "none".
        absent: probability that one detector of a window, drawn at random, is zero, where there are three or more: so
            smaller networks are learnt too.
    """

    network: ClassVar[bool] = True

    def __init__(
        self,
        info: StrainInfo,
        *,
        slides: Annotated[int, Field(ge=1, le=16)] = 1,
        longest_ms: Annotated[float, Field(ge=0)] = 300.0,
        jitter_ms: Annotated[float, Field(ge=0)] = 0.0,
        polarity: Literal["common", "each", "none"] = "common",
        absent: Annotated[float, Field(ge=0, le=1)] = 0.0,
    ) -> None:
        if len(info.detectors) < 2:
            raise UserError(
                f"coincidence needs two detectors; the data have {', '.join(info.detectors)} alone. "
                "See dataset.detectors."
            )
        self.longest, self.jitter = (
            _samples(name, milliseconds, info)
            for name, milliseconds in (("longest_ms", longest_ms), ("jitter_ms", jitter_ms))
        )
        self.slides, self.polarity, self.absent = slides, polarity, absent

    @classmethod
    def skip(cls, parts: Parts) -> str:
        """Other objectives would pull slid strain to what it was slid from."""
        tags = {tag for plugin in REGISTRY.loaded() if plugin.target is parts.objective for tag in plugin.tags}
        if parts.objective is not None and SLIDES_TAG not in tags:
            return (
                "the pairing coincidence gives coincident and slid strain, which the objective is to tell apart: "
                f"choose one tagged {SLIDES_TAG}, such as coincidence, or the pairing network or time-slide."
            )
        return ""

    def pair(self, strain: Tensor, generator: torch.Generator) -> tuple[View, View]:
        """[B, D, T] -> views [B, D, T] and [slides B, D, T]; raises `UserError` for fewer windows than detectors."""
        batch, detectors, _ = strain.shape
        if batch < detectors:
            raise UserError(
                f"coincidence needs a batch of {detectors} windows or more; raise --batch-size above {batch}."
            )
        change = self._draw(strain, generator)
        true = self._change(strain, *change)
        slid = [self._change(self.slide(strain, generator), *change) for _ in range(self.slides)]
        index = torch.arange(detectors, device=strain.device)
        return (
            View(true, index.expand(batch, detectors)),
            View(torch.cat(slid), index.expand(self.slides * batch, detectors)),
        )

    @staticmethod
    def slide(strain: Tensor, generator: torch.Generator) -> Tensor:
        """[B, D, T] with every detector of a window from another window."""
        batch, detectors, _ = strain.shape
        slides = torch.randperm(batch, generator=generator, device=generator.device)[:detectors].to(strain.device)
        window = torch.arange(batch, device=strain.device).unsqueeze(1)
        return strain[(window + slides) % batch, torch.arange(detectors, device=strain.device)]

    def _draw(self, strain: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """For each window and detector, [B, D, 1]: the shift in samples, and the factor -1, 0 or 1."""
        batch, detectors, _ = strain.shape
        device = generator.device

        def whole(low: int, high: int, channels: int) -> Tensor:
            return torch.randint(low, high + 1, (batch, channels, 1), generator=generator, device=device)

        shift = whole(-self.longest, self.longest, 1) + whole(-self.jitter, self.jitter, detectors)
        sign = 2 * whole(0, 1, detectors if self.polarity == "each" else 1) - 1
        factor = torch.ones_like(sign) if self.polarity == "none" else sign
        factor = factor.expand(batch, detectors, 1)
        if self.absent and detectors > 2:
            off = torch.rand(batch, 1, 1, generator=generator, device=device) < self.absent
            which = torch.arange(detectors, device=device).view(1, -1, 1) == whole(0, detectors - 1, 1)
            factor = factor.masked_fill(off & which, 0)
        return shift.to(strain.device), factor.to(strain.device, strain.dtype)

    def _change(self, strain: Tensor, shift: Tensor, factor: Tensor) -> Tensor:
        """[B, D, T] moved to later times where the shift is positive, and multiplied."""
        if self.longest or self.jitter:
            samples = strain.shape[2]
            source = (torch.arange(samples, device=strain.device) - shift) % samples
            strain = strain.gather(2, source.expand_as(strain))
        return strain * factor


def _samples(name: str, milliseconds: float, info: StrainInfo) -> int:
    """Raises `UserError` where a shift is longer than half of the window."""
    samples = round(milliseconds * 1e-3 * info.sample_rate)
    if samples > info.window // 2:
        raise UserError(
            f"coincidence: {name}={milliseconds:g} is {samples} samples of {info.sample_rate:g} Hz: expected at most "
            f"half of the window's {info.window}."
        )
    return samples
