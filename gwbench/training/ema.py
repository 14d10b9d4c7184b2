"""Objectives whose target is a slowly moving copy of the network that learns."""

from __future__ import annotations

import copy
from abc import abstractmethod

import torch
from lightly.utils.scheduler import cosine_schedule
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from gwbench.contracts import Encode, Objective, View


def ema_copy(module: nn.Module) -> nn.Module:
    """A copy that learns nothing itself: `ema_update` alone moves its weights and its buffers.

    In training its BatchNorm normalises by the batch, as that of the original does, without moving its own statistics.
    """
    slow = copy.deepcopy(module).requires_grad_(False)
    for layer in slow.modules():
        if isinstance(layer, _BatchNorm):
            layer.momentum = 0.0
    return slow


@torch.no_grad()
def ema_update(slow: nn.Module, fast: nn.Module, momentum: float) -> None:
    """Move an EMA copy: slow = momentum * slow + (1 - momentum) * fast, for weights and buffers alike.

    Buffers of whole numbers, such as BatchNorm's counter, take the value of the original.
    """
    pairs = zip(slow.parameters(), fast.parameters(), strict=True)
    buffers = zip(slow.buffers(), fast.buffers(), strict=True)
    for old, new in (*pairs, *buffers):
        if old.is_floating_point():
            old.lerp_(new, 1 - momentum)
        else:
            old.copy_(new)


class MomentumObjective(Objective):
    """An objective that compares one view's projection with that of the other view by an EMA copy of the network.

    A subclass implements `compare`. Both views go through both networks, so that with an encoder per group of
    detectors each of them learns.

    Args:
        embed_dim: width of the embedding.
        projector: on the encoder; it has an EMA copy as well.
        predictor: on the projector of the learning network alone.
        momentum: of the EMA copy at the first step; it rises to 1 over the training, along a half cosine
            (arXiv:2006.07733, section 3.3).

    Attributes:
        projector, predictor: the heads that learn.
        target_encoder, target_projector: the EMA copies.
    """

    target_encoder: nn.Module

    def __init__(
        self, embed_dim: int, projector: nn.Module, predictor: nn.Module | None = None, *, momentum: float
    ) -> None:
        super().__init__(embed_dim)
        self.projector = projector
        self.predictor = predictor or nn.Identity()
        self.target_projector = ema_copy(projector)
        self.momentum = momentum

    @abstractmethod
    def compare(self, online: Tensor, target: Tensor) -> Tensor:
        """Scalar loss of [2 B, K] predictions of both views and, row by row, the other view's [2 B, K] targets.

        The first B rows are the predictions of view a and the targets of view b.
        """

    def attach(self, encoder: nn.Module) -> None:
        """Copy the encoder."""
        self._encoder = (encoder,)  # in a tuple, so that it is no part of this module
        self.target_encoder = ema_copy(encoder)

    def loss(self, a: Tensor, b: Tensor) -> Tensor:
        """Scalar loss of embeddings [B, embed_dim], as if the target's encoder were the encoder."""
        return self._loss(a, b, a.detach(), b.detach())

    def forward(self, a: View, b: View, encode: Encode) -> Tensor:
        """Scalar loss of two views."""
        fast_a, fast_b = encode(a), encode(b)
        with torch.no_grad():
            slow_a, slow_b = self.target_encoder(a), self.target_encoder(b)
        with torch.autocast(fast_a.device.type, enabled=False):
            return self._loss(fast_a.float(), fast_b.float(), slow_a.float(), slow_b.float())

    def after_step(self, step: int, total_steps: int) -> None:
        """Move the EMA copies; `step` counts the steps taken."""
        momentum = cosine_schedule(step - 1, total_steps, self.momentum, 1.0)
        ema_update(self.target_encoder, self._encoder[0], momentum)
        ema_update(self.target_projector, self.projector, momentum)

    def _loss(self, fast_a: Tensor, fast_b: Tensor, slow_a: Tensor, slow_b: Tensor) -> Tensor:
        online = [self.predictor(self.projector(embedding)) for embedding in (fast_a, fast_b)]
        with torch.no_grad():
            target = [self.target_projector(embedding) for embedding in (slow_b, slow_a)]
        return self.compare(torch.cat(online), torch.cat(target))
