"""MoCo."""

from __future__ import annotations

from typing import Annotated

from lightly.loss import NTXentLoss
from lightly.models.modules import MoCoProjectionHead
from pydantic import Field
from torch import Tensor

from gwbench.registry import register
from gwbench.training.ema import MomentumObjective


@register(
    "objective",
    "moco",
    citation="He et al., Momentum Contrast for Unsupervised Visual Representation Learning, arXiv:1911.05722",
    tags=("contrastive", "momentum", "queue"),
)
class MoCo(MomentumObjective):
    """MoCo: find an EMA copy's projection of the other view among a queue of earlier ones (InfoNCE, eq. 1).

    Both views are queries, and the keys of both enter the queue. As in MoCo v3 (arXiv:2104.02057) the projector has
    BatchNorm and the momentum starts at 0.99 and rises to 1; the temperature is that of MoCo v2 (arXiv:2003.04297).
    The first version's shuffled BatchNorm needs several devices.

    Behaviour on collapse: the loss is log(1 + queue) once the queue has been filled.

    Args:
        temperature: of the softmax over cosine similarities.
        momentum: of the target at the first step; it rises to 1.
        queue: how many keys are kept as negatives; a few per cent of the training windows, a few batches at least.
        hidden_dim: width of the projector's hidden layer.
        output_dim: width of the projections.
    """

    def __init__(
        self,
        embed_dim: int,
        *,
        temperature: Annotated[float, Field(gt=0)] = 0.2,
        momentum: Annotated[float, Field(ge=0, le=1)] = 0.99,
        queue: Annotated[int, Field(ge=1)] = 2048,
        hidden_dim: Annotated[int, Field(ge=1)] = 512,
        output_dim: Annotated[int, Field(ge=2)] = 128,
    ) -> None:
        projector = MoCoProjectionHead(embed_dim, hidden_dim, output_dim, batch_norm=True)
        super().__init__(embed_dim, projector, momentum=momentum)
        self.criterion = NTXentLoss(temperature, memory_bank_size=(queue, output_dim), gather_distributed=True)
        bank = self.criterion.memory_bank
        for name in ("bank", "bank_ptr"):  # lightly leaves them out of checkpoints
            bank.register_buffer(name, getattr(bank, name))

    def compare(self, online: Tensor, target: Tensor) -> Tensor:
        """InfoNCE of [2 B, output_dim] queries and keys; the keys then enter the queue."""
        return self.criterion(online, target)  # type: ignore[no-any-return]
