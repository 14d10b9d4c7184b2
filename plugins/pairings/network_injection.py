"""The same simulated signal in two windows of the whole network."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from gwbench.contracts import View
from gwbench.errors import UserError
from gwbench.plugins.pairings.signal_injection import SignalInjection
from gwbench.registry import register


@register(
    "pairing",
    "network-injection",
    citation="Twin waveforms: arXiv:2302.00295; IMRPhenomXAS: Pratten et al., arXiv:2001.11412",
    tags=("network", "simulated-signals"),
)
class NetworkInjection(SignalInjection):
    """Both views carry one simulated source in all detectors of two windows that have nothing in common.

    View a is a window of the whole network, view b another of the batch, and the source is projected on every detector
    of either, so that delays and relative amplitudes are those of one wave. Pairs without an injection share nothing.
    No label is used, but the encoder is told what signals look like: compare it to methods that see strain alone with
    that in mind. Parameters as of `signal-injection`.
    """

    notes: ClassVar[tuple[str, ...]] = (
        "Pre-training saw simulated signals besides the strain: the pairing network-injection.",
    )
    network: ClassVar[bool] = True
    least_detectors: ClassVar[int] = 1

    def pair(self, strain: Tensor, generator: torch.Generator) -> tuple[View, View]:
        """[B, D, T] -> two views [B, D, T]; raises `UserError` for a batch of one window."""
        batch, detectors, _ = strain.shape
        if batch < 2:
            raise UserError("network-injection needs a batch of two windows or more; raise --batch-size.")
        device = generator.device
        injected = torch.rand(batch, 1, 1, generator=generator, device=device) < self.share
        step = torch.randint(1, batch, (), generator=generator, device=device)
        signals = (self.signals.draw(batch, generator) * injected).to(strain.device)
        other = (torch.arange(batch, device=strain.device) + step.to(strain.device)) % batch
        index = torch.arange(detectors, device=strain.device).expand(batch, detectors)
        return View(strain + signals, index), View(strain[other] + signals, index)
