"""VICReg."""

from __future__ import annotations

from typing import Annotated

from lightly.loss import VICRegLoss
from lightly.models.modules.heads import VICRegProjectionHead
from pydantic import Field
from torch import Tensor

from gwbench.contracts import Objective
from gwbench.registry import register


@register(
    "objective",
    "vicreg",
    citation="Bardes et al., VICReg: Variance-Invariance-Covariance Regularization, arXiv:2105.04906",
    tags=("redundancy-reduction", "negative-free"),
)
class VicReg(Objective):
    """VICReg: two branches' projections agree, keep a spread of one in every dimension and stay uncorrelated.

    lambda * s(Z, Z') + mu * [v(Z) + v(Z')] / 2 + nu * [c(Z) + c(Z')] (eq. 1 to 6), with s averaged over the
    dimensions and v over the branches, as in the authors' code.

    Behaviour on collapse: the loss rises to 0.99 mu, the variance term at its worst.

    Args:
        lambda_param: weight of the invariance s.
        mu_param: weight of the variance term v.
        nu_param: weight of the covariance term c.
        hidden_dim: width of the projector's two hidden layers.
        output_dim: width of the projections.
    """

    def __init__(
        self,
        embed_dim: int,
        *,
        lambda_param: Annotated[float, Field(ge=0)] = 25.0,
        mu_param: Annotated[float, Field(ge=0)] = 25.0,
        nu_param: Annotated[float, Field(ge=0)] = 1.0,
        hidden_dim: Annotated[int, Field(ge=1)] = 512,
        output_dim: Annotated[int, Field(ge=2)] = 512,
    ) -> None:
        super().__init__(embed_dim)
        self.projector = VICRegProjectionHead(embed_dim, hidden_dim, output_dim)
        self.criterion = VICRegLoss(lambda_param, mu_param, nu_param, gather_distributed=True)

    def loss(self, a: Tensor, b: Tensor) -> Tensor:
        """Scalar loss of embeddings [B, embed_dim]."""
        return self.criterion(self.projector(a), self.projector(b))  # type: ignore[no-any-return]
