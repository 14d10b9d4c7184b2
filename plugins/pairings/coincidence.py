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

ANCHOR = 0.8
"""Share of the window at which strain stays where it is when it is stretched: about where signals end."""


@register(
    "pairing",
    "coincidence",
    citation="Time slides: Usman et al. (PyCBC), arXiv:1508.02357; coherence: Klimenko et al., arXiv:0802.3232",
    tags=("network", "natural-views", "coincidence"),
)
class CoincidencePairing(Pairing):
    """View a: windows of the whole network; view b: the same strain slid in time between detectors.

    A gravitational wave reaches all detectors within milliseconds. Strain of different times can hold no coincident
    signal, which is how searches measure their background. No two detectors of a slid window come from the same window
    of the batch, and every detector's strain is as often in view b as in view a, so that nothing but coincidence tells
    them apart.

    Whatever else could tell them apart is the same in both. All windows of a batch are moved alike, and the window is
    closed to a ring: so the seam lies at the same time in all detectors, slid or not, and windows of view a may be
    slid again. Window i of view b has the signs and the jitter of window i of view a.

    Args:
        slides: slid windows for each window. View b is so many times as long as view a.
        longest_ms: largest common shift to either side, milliseconds, drawn for the batch; 0 for none.
        jitter_ms: largest further shift of each detector by itself, milliseconds. Delays then vary beyond those of the
            data, where light takes 10 ms from H1 to L1 and 27 ms from H1 to V1.
        polarity: what is turned round with a probability of one half: "common", all detectors together; "each", every
            detector by itself, as another polarisation or place in the sky would; or "none".
        stretch: how much faster or slower than recorded strain may run, 0.25 for up to a quarter, drawn for the batch.
            A signal is then one of a lighter or heavier source, so that a few thousand signals stand for more.
        absent: probability that one detector, drawn for the batch, is zero in it, where there are three or more: so
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
        stretch: Annotated[float, Field(ge=0, le=1)] = 0.0,
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
        self.slides, self.polarity, self.stretch, self.absent = slides, polarity, stretch, absent

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
        strain = self._of_the_batch(strain, generator)
        shift, sign = self._of_the_window(strain, generator)
        slid = slide(strain, self.slides * batch, generator)
        index = torch.arange(detectors, device=strain.device)
        repeated = [x.repeat(self.slides, 1, 1) for x in (shift, sign)]
        return (
            View(_changed(strain, shift, sign), index.expand(batch, detectors)),
            View(_changed(slid, *repeated), index.expand(self.slides * batch, detectors)),
        )

    def _of_the_batch(self, strain: Tensor, generator: torch.Generator) -> Tensor:
        """[B, D, T] stretched, moved in time, and perhaps without one of its detectors."""
        detectors, device = strain.shape[1], generator.device
        if self.stretch:
            power = 2 * float(torch.rand((), generator=generator, device=device)) - 1
            strain = faster(strain, (1 + self.stretch) ** power)
        shift = torch.randint(-self.longest, self.longest + 1, (), generator=generator, device=device)
        strain = strain.roll(int(shift), dims=2) if self.longest else strain
        if self.absent and detectors > 2 and float(torch.rand((), generator=generator, device=device)) < self.absent:
            off = int(torch.randint(detectors, (), generator=generator, device=device))
            strain = strain.index_fill(1, torch.tensor([off], device=strain.device), 0.0)
        return strain

    def _of_the_window(self, strain: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The further shift of each window and detector in samples, and its sign: [B, D, 1] both."""
        batch, detectors, _ = strain.shape

        def whole(low: int, high: int, channels: int) -> Tensor:
            drawn = torch.randint(low, high + 1, (batch, channels, 1), generator=generator, device=generator.device)
            return drawn.expand(batch, detectors, 1).to(strain.device)

        shift = whole(-self.jitter, self.jitter, detectors)
        sign = 2 * whole(0, 1, detectors if self.polarity == "each" else 1) - 1
        return shift, (torch.ones_like(sign) if self.polarity == "none" else sign).to(strain.dtype)


def slide(strain: Tensor, count: int, generator: torch.Generator | None = None) -> Tensor:
    """Windows [count, D, T] whose detectors come from different windows of [B, D, T], of at least D of them.

    Window i takes detector d from window i + s_d, counted around the end, with another slide s_d for every detector;
    the slides are drawn anew for every B windows.

    Args:
        strain: of the whole network.
        count: of slid windows.
        generator: by default torch's own.
    """
    windows, detectors, _ = strain.shape
    device = generator.device if generator else strain.device
    rounds = -(-count // windows)
    drawn = [torch.randperm(windows, generator=generator, device=device)[:detectors] for _ in range(rounds)]
    start = torch.stack(drawn).repeat_interleave(windows, dim=0)[:count].to(strain.device)
    row = torch.arange(count, device=strain.device).unsqueeze(1)
    return strain[(row + start) % windows, torch.arange(detectors, device=strain.device)]


def faster(strain: Tensor, factor: float) -> Tensor:
    """[..., T] run faster by a factor about `ANCHOR`, by linear interpolation, in a window that is closed to a ring."""
    samples = strain.shape[-1]
    time = torch.arange(samples, device=strain.device, dtype=torch.float64)
    place = (time - ANCHOR * samples) * factor + ANCHOR * samples
    before = place.floor()
    between = (place - before).to(strain.dtype)
    index = before.long() % samples
    return torch.lerp(strain[..., index], strain[..., (index + 1) % samples], between)


def _changed(strain: Tensor, shift: Tensor, sign: Tensor) -> Tensor:
    """[B, D, T] moved to later times where the shift [B, D, 1] is positive, and multiplied by the sign [B, D, 1]."""
    if shift.any():
        samples = strain.shape[2]
        source = (torch.arange(samples, device=strain.device) - shift) % samples
        strain = strain.gather(2, source.expand_as(strain))
    return strain * sign


def _samples(name: str, milliseconds: float, info: StrainInfo) -> int:
    """Raises `UserError` where a shift is longer than half of the window."""
    samples = round(milliseconds * 1e-3 * info.sample_rate)
    if samples > info.window // 2:
        raise UserError(
            f"coincidence: {name}={milliseconds:g} is {samples} samples of {info.sample_rate:g} Hz: expected at most "
            f"half of the window's {info.window}."
        )
    return samples
