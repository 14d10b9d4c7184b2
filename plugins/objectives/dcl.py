"""Decoupled contrastive learning."""

from __future__ import annotations

from typing import Annotated

from lightly.loss import DCLLoss
from lightly.models.modules import SimCLRProjectionHead
from pydantic import Field
from torch import Tensor

from gwbench.contracts import Objective
from gwbench.registry import register


@register(
    "objective",
    "dcl",
    citation="Yeh et al., Decoupled Contrastive Learning, arXiv:2110.06848",
    tags=("contrastive",),
)
class Dcl(Objective):
    """DCL: SimCLR's loss without the positive pair in its denominator, which needs no large batches (eq. 6).

    The paper's temperature is 0.1; that of `simclr` here serves noisy strain better.

    Behaviour on collapse: the loss is log(2 B - 2) for a batch of B windows.

    Args:
        temperature: of the exponentials of cosine similarities.
        hidden_dim: width of the projector's hidden layer.
        output_dim: width of the projections.
    """

    def __init__(
        self,
        embed_dim: int,
        *,
        temperature: Annotated[float, Field(gt=0)] = 0.5,
        hidden_dim: Annotated[int, Field(ge=1)] = 128,
        output_dim: Annotated[int, Field(ge=2)] = 128,
    ) -> None:
        super().__init__(embed_dim)
        self.projector = SimCLRProjectionHead(embed_dim, hidden_dim, output_dim)
        self.criterion = DCLLoss(temperature, gather_distributed=True)

    def loss(self, a: Tensor, b: Tensor) -> Tensor:
        """Scalar loss of embeddings [B, embed_dim]."""
        return self.criterion(self.projector(a), self.projector(b))  # type: ignore[no-any-return]
