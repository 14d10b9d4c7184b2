"""Network views, some of them of detectors at different times."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from gwbench.contracts import Parts, StrainInfo, View
from gwbench.errors import UserError
from gwbench.plugins.pairings.network import Network
from gwbench.registry import REGISTRY, register


@register(
    "pairing",
    "time-slide",
    citation="Usman et al. (PyCBC), arXiv:1508.02357; for networks: Skliris et al. (MLy), arXiv:2009.14611",
    tags=("noise", "network", "negatives"),
)
class TimeSlide(Network):
    """Network views, some of them of time-slid windows: each detector's strain comes from another window.

    Searches estimate their background so: strain of different times can hold no coincident signal. Slid window i takes
    detector d of window i + d s of the batch, counted around its end, with one slide s drawn for the batch. Both views
    of it hold the same slid strain, each in its own added noise, so that it is a sample like any other; in the batch
    are others that hold the very same strain of one detector beside the partners it was recorded with. An objective
    with negatives has to tell these apart, for which one detector's strain does not suffice. Slid windows are no
    labels: the objective does not learn which ones are slid.

    Args:
        share: probability that a window is slid.
        probability: that a view gets noise, in all its detectors.
        scale: factor on the noise's amplitude; 1 is as loud as a detector with that PSD.
        psds: PSD names to draw from, for every detector; by default the curated list of each detector.
    """

    def __init__(
        self,
        info: StrainInfo,
        *,
        share: Annotated[float, Field(ge=0, le=1)] = 0.5,
        probability: Annotated[float, Field(ge=0, le=1)] = 1.0,
        scale: Annotated[float, Field(ge=0)] = 1.0,
        psds: tuple[str, ...] | None = None,
    ) -> None:
        super().__init__(info, probability=probability, scale=scale, psds=psds)
        if len(info.detectors) < 2:
            raise UserError(
                f"time-slide needs two detectors; the data have {info.detectors[0]} alone. See dataset.detectors."
            )
        self.share = share

    @classmethod
    def skip(cls, parts: Parts) -> str:
        """Where no loss compares a slid window to those of its batch that share strain with it."""
        tags = {tag for plugin in REGISTRY.loaded() if plugin.target is parts.objective for tag in plugin.tags}
        if parts.objective is None or ("contrastive" in tags and not {"momentum", "queue"} <= tags):
            return ""
        used = "takes its negatives from earlier batches" if "contrastive" in tags else "uses none"
        return (
            f"time-slide makes negatives within a batch, and this objective {used}: choose another one tagged "
            "contrastive, such as simclr, or the pairing network."
        )

    def pair(self, strain: Tensor, generator: torch.Generator) -> tuple[View, View]:
        """[B, D, T] -> two views [B, D, T]; raises `UserError` for a batch of fewer windows than detectors."""
        a, b = super().pair(self.slide(strain, generator), generator)
        return a, b

    def slide(self, strain: Tensor, generator: torch.Generator) -> Tensor:
        """[B, D, T] with a share of the windows slid."""
        batch, detectors, _ = strain.shape
        if batch < detectors:
            raise UserError(
                f"time-slide needs a batch of {detectors} windows or more; raise --batch-size above {batch}."
            )
        # No multiple of the slide, up to the last detector's, comes back to the same window.
        largest = (batch - 1) // (detectors - 1)
        step = torch.randint(1, largest + 1, (), generator=generator, device=generator.device)
        slid = torch.rand(batch, 1, generator=generator, device=generator.device) < self.share
        channel = torch.arange(detectors, device=strain.device)
        window = torch.arange(batch, device=strain.device).unsqueeze(1)
        source = (window + (slid * step).to(strain.device) * channel) % batch
        return strain[source, channel]
