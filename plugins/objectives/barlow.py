"""Barlow Twins."""

from __future__ import annotations

from typing import Annotated

from lightly.loss import BarlowTwinsLoss
from lightly.models.modules import BarlowTwinsProjectionHead
from pydantic import Field
from torch import Tensor

from gwbench.contracts import Objective
from gwbench.registry import register


@register(
    "objective",
    "barlow",
    citation="Zbontar et al., Barlow Twins: Self-Supervised Learning via Redundancy Reduction, arXiv:2103.03230",
    tags=("default", "redundancy-reduction", "negative-free"),
)
class Barlow(Objective):
    """Barlow Twins: the cross-correlation of two branches' projections is driven to the identity.

    Sum over i of (1 - C_ii)^2 + lambda * sum over i != j of C_ij^2 (eq. 1). The seed recipe's projector is
    `hidden_dim=3192, output_dim=3192`.

    Behaviour on collapse: constant projections correlate with nothing, and the loss rises to `output_dim`.

    Args:
        lambda_param: weight of the off-diagonal terms.
        hidden_dim: width of the projector's two hidden layers.
        output_dim: width of the projections.
    """

    def __init__(
        self,
        embed_dim: int,
        *,
        lambda_param: Annotated[float, Field(gt=0)] = 0.0051,
        hidden_dim: Annotated[int, Field(ge=1)] = 512,
        output_dim: Annotated[int, Field(ge=2)] = 512,
    ) -> None:
        super().__init__(embed_dim)
        self.projector = BarlowTwinsProjectionHead(embed_dim, hidden_dim, output_dim)
        self.criterion = BarlowTwinsLoss(lambda_param, gather_distributed=True)

    def loss(self, a: Tensor, b: Tensor) -> Tensor:
        """Scalar loss of embeddings [B, embed_dim]."""
        return self.criterion(self.projector(a), self.projector(b))  # type: ignore[no-any-return]
