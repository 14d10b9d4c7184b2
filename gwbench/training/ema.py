"""Objectives whose target is a slowly moving copy of the network that learns."""

from __future__ import annotations

import copy
import math
from abc import abstractmethod

import torch
from lightly.utils.scheduler import cosine_schedule
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from gwbench.contracts import Encode, Objective, View

MOST_INITIAL = 0.1
"""Share of its first weights that a target may keep without a word."""

LEFT = 1e-3
"""Share of its first weights that a target keeps with the momentum that fits its steps. BYOL in 155 steps learns more
with a share of 0.0003 than of 0.01, and far more than of 0.73 (docs/explain/objectives.md)."""

FITTING = (0.9, 0.996)
"""Least and highest momentum that is chosen by the number of steps: the least that was measured, and the default of
BYOL's paper (arXiv:2006.07733), which 3,450 steps reach."""


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


def initial_share(momentum: float, total_steps: int) -> float:
    """The share of an EMA copy's weights that are still those of its start when training ends.

    It is the product of the momenta of all steps, from 1, a copy that never moved, to 0, one that has forgotten its
    start.
    """
    share = 1.0
    for step in range(1, total_steps + 1):
        share *= step_momentum(momentum, step, total_steps)
        if share < 1e-9:  # long trainings get here early
            return 0.0
    return share


def step_momentum(momentum: float, step: int, total_steps: int) -> float:
    """The momentum after step 1, 2, ... of a training: it rises to 1 along a half cosine."""
    return float(cosine_schedule(step - 1, total_steps, momentum, 1.0))


def fitting_momentum(total_steps: int) -> float:
    """The momentum with which an EMA copy keeps `LEFT` of its start in so many steps, within `FITTING`.

    Over a half cosine, steps add up to half their number, so that exp(-(1 - momentum) * steps / 2) is left.
    """
    least, highest = FITTING
    return min(highest, max(least, 1 - _forgetting(total_steps)))


def _forgetting(total_steps: int) -> float:
    return -2 * math.log(LEFT) / total_steps


def slow_target(momentum: float, total_steps: int) -> str | None:
    """What to tell the user of a target that stays near its random start through a whole training; None if it does not.

    The momentum that is named would leave `LEFT`, as that of `fitting_momentum` does. Whether it helps is the
    objective's matter: one whose loss falls when all outputs become alike may need a slow target.
    """
    share = initial_share(momentum, total_steps)
    if share <= MOST_INITIAL:
        return None
    advice = "Train for more steps (--epochs, or a smaller --batch-size)"
    step = _forgetting(total_steps)
    digits = 1 - math.floor(math.log10(step))
    better = 1 - math.ceil(step * 10**digits) / 10**digits
    if better > 0:
        advice += f", or try a lower momentum, --set objective.momentum={better:g}"
    return (
        f"The objective's target still consists of its random first weights by {share:.0%} when training ends: too few "
        f"steps ({total_steps:,}) for a momentum of {momentum:g}. {advice}."
    )


class MomentumObjective(Objective):
    """An objective that compares one view's projection with that of the other view by an EMA copy of the network.

    A subclass implements `compare`. Both views go through both networks, so that with an encoder per group of
    detectors each of them learns.

    Args:
        embed_dim: width of the embedding.
        projector: on the encoder; it has an EMA copy as well.
        predictor: on the projector of the learning network alone.
        momentum: of the EMA copy at the first step; it rises to 1 over the training, along a half cosine
            (arXiv:2006.07733, section 3.3). None chooses it by the number of steps: `fitting_momentum`.

    Attributes:
        projector, predictor: the heads that learn.
        target_encoder, target_projector: the EMA copies.
    """

    target_encoder: nn.Module

    def __init__(
        self, embed_dim: int, projector: nn.Module, predictor: nn.Module | None = None, *, momentum: float | None
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

    def first_momentum(self, total_steps: int) -> float:
        """The momentum at the first of so many steps."""
        return fitting_momentum(total_steps) if self.momentum is None else self.momentum

    def after_step(self, step: int, total_steps: int) -> None:
        """Move the EMA copies; `step` counts the steps taken."""
        momentum = step_momentum(self.first_momentum(total_steps), step, total_steps)
        ema_update(self.target_encoder, self._encoder[0], momentum)
        ema_update(self.target_projector, self.projector, momentum)

    def _loss(self, fast_a: Tensor, fast_b: Tensor, slow_a: Tensor, slow_b: Tensor) -> Tensor:
        online = [self.predictor(self.projector(embedding)) for embedding in (fast_a, fast_b)]
        with torch.no_grad():
            target = [self.target_projector(embedding) for embedding in (slow_b, slow_a)]
        return self.compare(torch.cat(online), torch.cat(target))
