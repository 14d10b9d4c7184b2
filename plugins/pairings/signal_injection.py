"""The same simulated signal in two pieces of strain."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from gwbench.contracts import Pairing, SignalSettings, StrainInfo, View
from gwbench.errors import UserError
from gwbench.plugins.pairings.any_pair import AnyPair
from gwbench.registry import register
from gwbench.simulation.snr_models import SnrModel


@register(
    "pairing",
    "signal-injection",
    citation="Twin waveforms: arXiv:2302.00295; IMRPhenomXAS: Pratten et al., arXiv:2001.11412",
    tags=("simulated-signals",),
)
class SignalInjection(Pairing):
    """Both views carry one simulated source, projected on each view's detector, in strain that has nothing in common.

    View a holds a detector of a window, view b another detector of another window of the batch: what they share is the
    injected signal alone. The rest of the windows are paired as they are, two detectors of each. No label is used, but
    the encoder is told what signals look like: compare it to methods that see strain alone with that in mind.

    Args:
        share: probability that a pair carries an injected signal.
        population: what binaries there are: a name of gwbench/simulation/populations.toml, or a file like it.
        snr_model: where the optimal network SNR comes from: "uniform" or "clipped-normal" (drawn, and the distance
            chosen to fit), or "distance" (from the population's distances).
        snr: lowest and highest; or mean, sigma and floor; or the least SNR that is kept.
        count: sources that are simulated, to draw from.
    """

    notes: ClassVar[tuple[str, ...]] = (
        "Pre-training saw simulated signals besides the strain: the pairing signal-injection.",
    )
    """What a reader of a record must know."""

    least_detectors: ClassVar[int] = 2

    def __init__(
        self,
        info: StrainInfo,
        *,
        share: Annotated[float, Field(ge=0, le=1)] = 0.8,
        population: str = "flat-bbh",
        snr_model: SnrModel = "uniform",
        snr: tuple[float, ...] = (6.0, 20.0),
        count: Annotated[int, Field(ge=1)] = 4096,
    ) -> None:
        if len(info.detectors) < self.least_detectors:
            raise UserError(
                f"signal-injection needs two detectors; the data have {info.detectors[0]} alone. See dataset.detectors."
            )
        self.share = share
        self.signals = info.signals(SignalSettings(population, snr_model, snr, count))

    def pair(self, strain: Tensor, generator: torch.Generator) -> tuple[View, View]:
        """[B, D, T] -> two views [B, 1, T]; raises `UserError` for a batch of one window."""
        batch, detectors, _ = strain.shape
        if batch < 2:
            raise UserError("signal-injection needs a batch of two windows or more; raise --batch-size.")
        device = generator.device
        injected = torch.rand(batch, generator=generator, device=device) < self.share
        step = torch.randint(1, batch, (), generator=generator, device=device)
        first, second = AnyPair.draw(batch, detectors, generator).to(strain.device)
        signals = self.signals.draw(batch, generator).to(strain.device)
        loud, moved = injected.to(strain.device), (injected * step).to(strain.device)
        rows = torch.arange(batch, device=strain.device)
        views = []
        for detector, window in ((first, rows), (second, (rows + moved) % batch)):
            samples = strain[window, detector] + signals[rows, detector] * loud.unsqueeze(1)
            views.append(View(samples.unsqueeze(1), detector.unsqueeze(1)))
        return views[0], views[1]
