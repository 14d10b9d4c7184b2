"""SimSiam."""

from __future__ import annotations

from typing import Annotated

from lightly.loss import NegativeCosineSimilarity
from lightly.models.modules import SimSiamPredictionHead, SimSiamProjectionHead
from pydantic import Field
from torch import Tensor

from gwbench.contracts import Objective
from gwbench.registry import register


@register(
    "objective",
    "simsiam",
    citation="Chen and He, Exploring Simple Siamese Representation Learning, arXiv:2011.10566",
    tags=("self-distillation", "negative-free"),
)
class SimSiam(Objective):
    """SimSiam: predict the other view's projection, through which no gradient flows (eq. 4).

    The predictor's hidden layer is a quarter as wide as the projections, as in the paper.

    Behaviour on collapse: the loss is at its minimum, -1; only the effective rank shows it.

    Args:
        hidden_dim: width of the projector's two hidden layers.
        output_dim: width of the projections.
    """

    def __init__(
        self,
        embed_dim: int,
        *,
        hidden_dim: Annotated[int, Field(ge=1)] = 512,
        output_dim: Annotated[int, Field(ge=4)] = 512,
    ) -> None:
        super().__init__(embed_dim)
        self.projector = SimSiamProjectionHead(embed_dim, hidden_dim, output_dim)
        self.predictor = SimSiamPredictionHead(output_dim, output_dim // 4, output_dim)
        self.criterion = NegativeCosineSimilarity()

    def loss(self, a: Tensor, b: Tensor) -> Tensor:
        """Scalar loss of embeddings [B, embed_dim]."""
        a, b = self.projector(a), self.projector(b)
        forth, back = self.criterion(self.predictor(a), b.detach()), self.criterion(self.predictor(b), a.detach())
        return (forth + back) / 2  # type: ignore[no-any-return]
