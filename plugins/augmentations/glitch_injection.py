"""Simulated glitches added to a view."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field

from gwbench.contracts import Augmentation, StrainInfo, View
from gwbench.errors import UserError
from gwbench.registry import register

FREQUENCY, QUALITY = (60.0, 500.0), (2.0, 8.0)
"""Hz, log-uniform, and without a unit, uniform: blips, as Cabero et al. find them."""


@register(
    "augmentation",
    "glitch-injection",
    citation="Sine-Gaussians as blips are: Cabero et al., arXiv:1901.05093",
    tags=("glitch",),
)
class GlitchInjection(Augmentation):
    """Adds a glitch to some detectors of a view: a sine-Gaussian at a random time, independent of all others.

    The two views of a window get glitches of their own, so that nothing is gained by remembering them. A glitch is

        A exp(-t^2 / tau^2) sin(2 pi f t + phase),    tau = Q / (sqrt(2) pi f),

    f log-uniform from 60 to 500 Hz (to a quarter of the sample rate where that is less), Q uniform from 2 to 8. Its
    amplitude is in units of the whitened noise: the sum of its squared samples, over the whole glitch also where the
    window cuts it, is loudness^2. That is the optimal SNR in noise that is white up to the Nyquist frequency; in noise
    of unit variance within a band of W Hz the SNR is sqrt(2 W / sample rate) times as large, 0.75 from 20 to 600 Hz at
    2048 Hz. Its density falls as loudness^-3, so most glitches are faint.

    Args:
        probability: that a detector of a view gets a glitch.
        loudness: of the faintest and of the loudest glitch.
    """

    def __init__(
        self,
        info: StrainInfo,
        *,
        probability: Annotated[float, Field(ge=0, le=1)] = 0.3,
        loudness: tuple[float, float] = (7.5, 50.0),
    ) -> None:
        if not 0 < loudness[0] <= loudness[1]:
            raise UserError(
                f"glitch-injection: loudness={loudness[0]:g},{loudness[1]:g} is not a range: expected two numbers "
                "above 0, the lower first, such as 7.5,50."
            )
        self.highest = min(FREQUENCY[1], info.sample_rate / 4)
        if self.highest <= FREQUENCY[0]:
            raise UserError(
                f"glitch-injection at a sample rate of {info.sample_rate:g} Hz: expected more than "
                f"{4 * FREQUENCY[0]:g} Hz. Use data of a higher rate."
            )
        self.probability, self.loudness, self.sample_rate = probability, loudness, info.sample_rate

    def augment(self, view: View, generator: torch.Generator) -> View:
        """A view [B, C, T] with a glitch in a random share of its channels."""
        samples, rate = view.samples.shape[-1], self.sample_rate
        shape = (6, *view.detectors.shape, 1)
        chance = torch.rand(shape, generator=generator, device=generator.device).to(view.samples.device)
        which, place, turn, pitch, sharpness, strength = chance
        frequency = FREQUENCY[0] * (self.highest / FREQUENCY[0]) ** pitch
        quality = QUALITY[0] + (QUALITY[1] - QUALITY[0]) * sharpness
        tau = quality / (math.sqrt(2) * math.pi * frequency)
        phase = 2 * math.pi * turn
        loudest, faintest = self.loudness[1] ** -2, self.loudness[0] ** -2
        loudness = (loudest + (faintest - loudest) * strength) ** -0.5
        # The integral of exp(-2 t^2 / tau^2) sin^2(2 pi f t + phase) dt.
        energy = math.sqrt(math.pi / 8) * tau * (1 - torch.exp(-(quality**2)) * torch.cos(2 * phase))
        time = torch.arange(samples, device=view.samples.device) / rate - place * (samples / rate)
        wave = torch.exp(-((time / tau) ** 2)) * torch.sin(2 * math.pi * frequency * time + phase)
        amplitude = loudness / torch.sqrt(energy * rate) * (which < self.probability)
        return View(view.samples + amplitude * wave, view.detectors)
