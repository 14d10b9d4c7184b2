"""BatchNorm over the batch that several processes share: their mean and variance together, on any device.

Torch's own synchronised BatchNorm runs on GPUs alone, where it is used here too, and takes the place of a module, which
changes what libraries do who subclass BatchNorm. `SyncedNorms` catches the function that all of them call instead.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


class SyncedNorms(TorchFunctionMode):
    """Within the block, every BatchNorm in training normalises by the windows of all processes.

    All processes pass through the same BatchNorms in the same order.

    Args:
        absent: this process has no window in this batch. What it passes through the layers only stands in for one: it
            is left as it is, counts for nothing, and no gradient comes of it.
    """

    _active: list[SyncedNorms] = []  # noqa: RUF012 - the blocks that this process is in

    def __init__(self, *, absent: bool = False) -> None:
        super().__init__()
        self.absent = absent

    def __enter__(self) -> SyncedNorms:
        self._active.append(self)
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._active.remove(self)

    @classmethod
    def here(cls) -> SyncedNorms | None:
        """The block around the caller."""
        return cls._active[-1] if cls._active else None

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Catch BatchNorm."""
        return (self._batch_norm if func is F.batch_norm else func)(*args, **(kwargs or {}))

    def _batch_norm(
        self,
        input: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:
        """`torch.nn.functional.batch_norm`."""
        if not training:
            return F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)
        seen = input[:0] if self.absent else input
        if input.is_cuda:
            from torch.nn.modules._functions import SyncBatchNorm

            world = dist.group.WORLD
            y: Tensor = SyncBatchNorm.apply(
                seen, weight, bias, running_mean, running_var, eps, momentum, world, dist.get_world_size()
            )
        else:
            y = _SyncedBatchNorm.apply(seen, weight, bias, running_mean, running_var, momentum, eps)
        return input + y.sum().to(input.dtype) if self.absent else y


def joined_moments(
    x: Tensor, running_mean: Tensor | None, running_var: Tensor | None, momentum: float, eps: float
) -> tuple[Tensor, Tensor, int]:
    """The moments of [B, C, ...] over all processes, of which some may have B = 0; the running ones are moved.

    Returns:
        Mean [C] and 1 / sqrt(variance + eps) [C], in fp32 at least; how many numbers there are of a channel.
    """
    channels, kind = x.shape[1], torch.promote_types(x.dtype, torch.float32)
    own = torch.zeros(3, channels, dtype=torch.float64)
    if x.numel():
        unused = torch.zeros(2, channels, dtype=kind)  # their type is that of the moments
        mean, var = torch.batch_norm_update_stats(x, unused[0], unused[1], 0.0)
        own = torch.stack([mean.double(), var.double(), torch.full_like(mean, x.numel() // channels).double()])
    every = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(every, own)
    means, variances, counts = torch.stack(every, dim=1)
    count = counts.sum(0)
    mean = (counts * means).sum(0) / count
    var = (counts * (variances + (means - mean).square())).sum(0) / count
    if running_mean is not None and running_var is not None:
        running_mean.lerp_(mean.to(running_mean.dtype), momentum)
        running_var.lerp_((var * count / (count - 1)).to(running_var.dtype), momentum)
    return mean.to(kind), (var + eps).rsqrt().to(kind), int(count[0])


def joined_backward(
    gradient: Tensor, x: Tensor, weight: Tensor | None, mean: Tensor, deviation: Tensor, count: int, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of a BatchNorm over all processes: of its input, and this process's share of weight's and bias's.

    Args:
        gradient: of the output, [B, C, ...].
        x: the input.
        weight: [C].
        mean, deviation, count: as of `joined_moments`.
        eps: of the layer.
    """
    by_weight, by_bias = torch.zeros(2, len(mean), dtype=mean.dtype)
    if x.numel():
        variance = deviation.pow(-2) - eps
        # What an untrained BatchNorm gives for weight and bias are the two sums that a training one needs.
        _, by_weight, by_bias = torch.ops.aten.native_batch_norm_backward(
            gradient, x, torch.ones_like(mean), mean, variance, mean, deviation, False, eps, [False, True, True]
        )
    sums = torch.stack([by_weight, by_bias]).double()
    dist.all_reduce(sums)
    scale = (deviation if weight is None else deviation * weight).to(mean.dtype)
    per_x = -scale * deviation * (sums[0] / count).to(mean.dtype)
    constant = -scale * (sums[1] / count).to(mean.dtype) - per_x * mean
    shape = (1, -1, *(1,) * (x.ndim - 2))
    scale, per_x, constant = (each.view(shape) for each in (scale, per_x, constant))
    return torch.addcmul(constant, gradient, scale).addcmul_(x, per_x).to(x.dtype), by_weight, by_bias


class _SyncedBatchNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        momentum: float,
        eps: float,
    ) -> Tensor:
        mean, deviation, ctx.count = joined_moments(x, running_mean, running_var, momentum, eps)
        ctx.save_for_backward(x, weight, bias, mean, deviation)
        ctx.eps = eps
        return F.batch_norm(x, mean, deviation.pow(-2) - eps, weight, bias, eps=eps) if x.numel() else x.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias, mean, deviation = ctx.saved_tensors
        dx, dw, db = joined_backward(gradient, x, weight, mean, deviation, ctx.count, ctx.eps)
        return dx, None if weight is None else dw, None if bias is None else db, None, None, None, None
