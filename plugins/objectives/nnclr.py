"""NNCLR."""

from __future__ import annotations

from typing import Annotated

import torch
from lightly.models.modules import NNCLRPredictionHead, NNCLRProjectionHead, NNMemoryBankModule
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from gwbench.contracts import Objective
from gwbench.registry import register


@register(
    "objective",
    "nnclr",
    citation="Dwibedi et al., With a Little Help from My Friends, arXiv:2104.14548",
    tags=("contrastive", "queue"),
)
class NnClr(Objective):
    """NNCLR: the nearest of earlier projections to one view finds the prediction of the other (eq. 3).

    Both directions count, and the projections of both views enter the queue. The loss is the paper's: lightly's
    NT-Xent would also take neighbours from neighbours for negatives.

    Behaviour on collapse: the loss is log(B) for a batch of B windows.

    Args:
        temperature: of the softmax over cosine similarities.
        queue: how many projections are kept to look for neighbours in.
        hidden_dim: width of the hidden layers of projector and predictor.
        output_dim: width of the projections.
    """

    def __init__(
        self,
        embed_dim: int,
        *,
        temperature: Annotated[float, Field(gt=0)] = 0.1,
        queue: Annotated[int, Field(ge=1)] = 2048,
        hidden_dim: Annotated[int, Field(ge=1)] = 512,
        output_dim: Annotated[int, Field(ge=2)] = 128,
    ) -> None:
        super().__init__(embed_dim)
        self.projector = NNCLRProjectionHead(embed_dim, hidden_dim, output_dim)
        self.predictor = NNCLRPredictionHead(output_dim, hidden_dim, output_dim)
        self.neighbours = NNMemoryBankModule((queue, output_dim))
        for name in ("bank", "bank_ptr"):  # lightly leaves them out of checkpoints
            self.neighbours.register_buffer(name, getattr(self.neighbours, name))
        self.temperature = temperature

    def loss(self, a: Tensor, b: Tensor) -> Tensor:
        """Scalar loss of embeddings [B, embed_dim]; the queue moves."""
        a, b = self.projector(a), self.projector(b)
        nearest_a, nearest_b = self.neighbours(torch.cat([a, b]).detach(), update=True).chunk(2)
        forth, back = self._contrast(nearest_a, self.predictor(b)), self._contrast(nearest_b, self.predictor(a))
        return (forth + back) / 2

    def _contrast(self, nearest: Tensor, prediction: Tensor) -> Tensor:
        logits = F.normalize(nearest) @ F.normalize(prediction).T / self.temperature  # [B, B]
        return F.cross_entropy(logits, torch.arange(len(logits), device=logits.device))
