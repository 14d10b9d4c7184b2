"""BYOL."""

from __future__ import annotations

from typing import Annotated

from lightly.loss import NegativeCosineSimilarity
from lightly.models.modules import BYOLPredictionHead, BYOLProjectionHead
from pydantic import Field
from torch import Tensor

from gwbench.registry import register
from gwbench.training.ema import MomentumObjective


@register(
    "objective",
    "byol",
    citation="Grill et al., Bootstrap Your Own Latent, arXiv:2006.07733",
    tags=("self-distillation", "negative-free", "momentum"),
)
class Byol(MomentumObjective):
    """BYOL: predict an EMA copy's projection of the other view, without negatives.

    Minus the cosine between prediction and target, averaged over both directions: eq. 2 of the paper, which is
    2 - 2 cos, up to a factor and a constant.

    Behaviour on collapse: the loss is at its minimum, -1; only the effective rank shows it.

    Args:
        momentum: of the target at the first step; it rises to 1. None chooses it by the number of steps N, so that a
            thousandth of the target stays random: 1 - 13.8 / N, between 0.9 and 0.996.
        hidden_dim: width of the hidden layers of projector and predictor.
        output_dim: width of the projections.
    """

    def __init__(
        self,
        embed_dim: int,
        *,
        momentum: Annotated[float | None, Field(ge=0, le=1)] = None,
        hidden_dim: Annotated[int, Field(ge=1)] = 512,
        output_dim: Annotated[int, Field(ge=2)] = 128,
    ) -> None:
        projector = BYOLProjectionHead(embed_dim, hidden_dim, output_dim)
        super().__init__(
            embed_dim, projector, BYOLPredictionHead(output_dim, hidden_dim, output_dim), momentum=momentum
        )
        self.criterion = NegativeCosineSimilarity()

    def compare(self, online: Tensor, target: Tensor) -> Tensor:
        """Minus the mean cosine of [2 B, output_dim] predictions and targets."""
        return self.criterion(online, target)  # type: ignore[no-any-return]
