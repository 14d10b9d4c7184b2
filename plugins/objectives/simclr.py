"""SimCLR."""

from __future__ import annotations

from typing import Annotated

from lightly.loss import NTXentLoss
from lightly.models.modules import SimCLRProjectionHead
from pydantic import Field
from torch import Tensor

from gwbench.contracts import Objective
from gwbench.registry import register


@register(
    "objective",
    "simclr",
    citation="Chen et al., A Simple Framework for Contrastive Learning of Visual Representations, arXiv:2002.05709",
    tags=("contrastive",),
)
class SimClr(Objective):
    """SimCLR: a view finds its partner among all other views of the batch (NT-Xent, eq. 1).

    Behaviour on collapse: all views look alike, and the loss rises to log(2B - 1) for a batch of B.

    Args:
        temperature: of the softmax over cosine similarities.
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
        self.criterion = NTXentLoss(temperature, gather_distributed=True)

    def loss(self, a: Tensor, b: Tensor) -> Tensor:
        """Scalar loss of embeddings [B, embed_dim]."""
        return self.criterion(self.projector(a), self.projector(b))  # type: ignore[no-any-return]
