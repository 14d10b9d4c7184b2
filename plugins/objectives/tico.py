"""TiCo."""

from __future__ import annotations

from typing import Annotated

import torch
from lightly.loss import TiCoLoss
from lightly.models.modules.heads import TiCoProjectionHead
from pydantic import Field
from torch import Tensor

from gwbench.registry import register
from gwbench.training.ema import MomentumObjective


@register(
    "objective",
    "tico",
    citation="Zhu et al., TiCo: Transformation Invariance and Covariance Contrast, arXiv:2206.10698",
    tags=("redundancy-reduction", "negative-free", "momentum"),
)
class TiCo(MomentumObjective):
    """TiCo: agree with an EMA copy's projection of the other view, where few windows have gone before.

    One minus the cosine, plus rho times z' C z, where C is a moving average of the second moments of the normalised
    projections z (algorithm 1). Both views enter C, as one batch.

    Behaviour on collapse: the loss rises to rho as C gets there; spread evenly it is about rho / output_dim.

    Args:
        rho: weight of the covariance term; 8 in lightly, 8 to 20 in the paper.
        beta: of the moving average C.
        momentum: of the target at the first step; it rises to 1. None chooses it by the number of steps N, so that a
            thousandth of the target stays random: 1 - 13.8 / N, between 0.9 and 0.996.
        hidden_dim: width of the projector's hidden layer.
        output_dim: width of the projections.
    """

    def __init__(
        self,
        embed_dim: int,
        *,
        rho: Annotated[float, Field(ge=0)] = 8.0,
        beta: Annotated[float, Field(ge=0, lt=1)] = 0.9,
        momentum: Annotated[float | None, Field(ge=0, le=1)] = None,
        hidden_dim: Annotated[int, Field(ge=1)] = 512,
        output_dim: Annotated[int, Field(ge=2)] = 128,
    ) -> None:
        super().__init__(embed_dim, TiCoProjectionHead(embed_dim, hidden_dim, output_dim), momentum=momentum)
        self.criterion = TiCoLoss(beta, rho, gather_distributed=True)
        del self.criterion.C  # a plain attribute, which no checkpoint keeps and no `to(device)` moves
        self.criterion.register_buffer("C", torch.zeros(output_dim, output_dim))

    def compare(self, online: Tensor, target: Tensor) -> Tensor:
        """Loss of [2 B, output_dim] projections and targets; C moves."""
        return self.criterion(online, target)  # type: ignore[no-any-return]
