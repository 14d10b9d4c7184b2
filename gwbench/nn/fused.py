"""BatchNorm with SiLU, and generalised-mean pooling: what comes between convolutions, written for the memory it moves.

Composed of torch's layers, these keep two to five tensors of the input's size until the gradient is asked for, and read
each of them again then. Here one is kept: the input of BatchNorm, from which the rest is made again, or the derivative
of the pooling. All is done some windows at a time, so that it stays in the cache.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from gwbench.nn.sync_batchnorm import SyncedNorms, joined_backward, joined_moments

SMALLEST = 1e-6
"""What generalised-mean pooling raises smaller inputs to, so that they have a power."""

WORKING_SET = 2**22
"""Bytes of a tensor that is worked on at a time."""


def norm_silu(x: Tensor, norm: nn.BatchNorm2d) -> Tensor:
    """SiLU of a BatchNorm whose running statistics are kept, [B, C, 1, T] -> [B, C, 1, T]."""
    synced = norm.training and SyncedNorms.here()
    if synced and synced.absent:
        return F.silu(norm(x))
    if norm.training and norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
    y: Tensor = _NormSilu.apply(
        x,
        norm.weight,
        norm.bias,
        norm.running_mean,
        norm.running_var,
        norm.training,
        norm.momentum,
        norm.eps,
        bool(synced),
    )
    return y


def gem(x: Tensor, p: Tensor, kernel: int) -> Tensor:
    """avg_pool(max(x, 1e-6)^p)^(1/p) over `kernel` samples, [B, C, 1, T] -> [B, C, 1, T // kernel]."""
    pooled: Tensor = _GeM.apply(x.squeeze(2).transpose(1, 2), p, kernel, torch.is_grad_enabled())
    return pooled.transpose(1, 2).unsqueeze(2)


def _parts(*tensors: Tensor, made: int = 1) -> Iterator[tuple[Tensor, ...]]:
    """Tensors of the same length along the batch, some windows of each at a time where there is a cache to stay in.

    Args:
        tensors: the first one is as large as any.
        made: fp32 tensors of its size that are made of a part at a time.
    """
    batch = len(tensors[0])
    size = WORKING_SET * batch // max(1, 4 * made * tensors[0].numel()) if tensors[0].device.type == "cpu" else batch
    return zip(*(tensor.split(max(1, size)) for tensor in tensors), strict=True)


class _NormSilu(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        running_mean: Tensor,
        running_var: Tensor,
        training: bool,
        momentum: float,
        eps: float,
        synced: bool,
    ) -> Tensor:
        ctx.count = None
        if synced:
            mean, deviation, ctx.count = joined_moments(x, running_mean, running_var, momentum, eps)
            y = F.batch_norm(x, mean, deviation.pow(-2) - eps, weight, bias, eps=eps)
        else:
            y, mean, deviation = torch.native_batch_norm(
                x, weight, bias, running_mean, running_var, training, momentum, eps
            )
        if not training:
            mean, deviation = running_mean, (running_var + eps).rsqrt()
        ctx.save_for_backward(x, weight, bias, mean, deviation)
        ctx.training, ctx.eps = training, eps
        return F.silu(y, inplace=True)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias, mean, deviation = ctx.saved_tensors  # the deviation is 1 / sqrt(variance + eps)
        variance = deviation.pow(-2) - ctx.eps
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        before = torch.empty_like(x)
        for part, given, out in _parts(x, gradient, before):
            normal = F.batch_norm(part, mean, variance, weight, bias, eps=ctx.eps)
            torch.ops.aten.silu_backward.grad_input(given, normal, grad_input=out)
        if ctx.count:
            return *joined_backward(before, x, weight, mean, deviation, ctx.count, ctx.eps), *(None,) * 6
        return (
            *torch.ops.aten.native_batch_norm_backward(
                before, x, weight, mean, variance, mean, deviation, ctx.training, ctx.eps, ctx.needs_input_grad[:3]
            ),
            *(None,) * 6,
        )


class _GeM(torch.autograd.Function):
    """On [B, T, C]; powers are taken in fp32 at least, as exp2(p log2 x), which is faster than a power.

    The derivatives are cheap while the powers are at hand, and take as much memory as the input would: the forward pass
    leaves them behind, and no logarithm is taken twice.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, p: Tensor, kernel: int, keep: bool) -> Tensor:
        y = x.new_empty(len(x), x.shape[1] // kernel, x.shape[2])
        if not keep:
            for part, out in _parts(x, y, made=4):
                out.copy_(_powers(part, p, kernel)[2].mean(0).log2_().div_(p).exp2_())
            return y
        by_x, by_p = torch.empty_like(x), torch.empty_like(y)
        for part, out, dx, dp in _parts(x, y, by_x, by_p, made=4):
            _pool(part, p, kernel, out, _windows(dx, kernel), dp)
        ctx.save_for_backward(by_x, by_p, p)
        ctx.kernel = kernel
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        by_x, by_p, p = ctx.saved_tensors
        kernel, dx = ctx.kernel, torch.empty_like(by_x)
        pooled = gradient.shape[1] * kernel
        dx[:, pooled:] = 0
        dp = torch.zeros_like(p)
        for factor, given, out, for_p in _parts(by_x, gradient, dx, by_p):
            each = torch.cat([given] * kernel, -1).view(len(given), pooled, -1)  # faster than to broadcast short rows
            torch.mul(factor[:, :pooled], each, out=out[:, :pooled])
            dp += torch.dot(for_p.flatten().to(p.dtype), given.flatten().to(p.dtype))
        return dx, dp.mul(math.log(2)).div(p), None, None


def _pool(x: Tensor, p: Tensor, kernel: int, y: Tensor, by_x: Tensor, by_p: Tensor) -> None:
    """Fill in y = m^(1/p), m = mean(x^p), and its derivatives by x and by p, the latter in units of ln 2 / p.

    They are dy/dx = y x^(p - 1) / (k m), and dy/dp = y (mean(x^p ln x) / m - ln y) / p.
    """
    clamped, logarithm, power = _powers(x, p, kernel)
    mean = power.mean(0)
    log_y = mean.log2().div_(p)
    tilt = logarithm.mul_(power).mean(0).div_(mean).sub_(log_y)
    pooled = log_y.exp2_()
    y.copy_(pooled)
    by_p.copy_(tilt.mul_(pooled))
    power *= pooled.div_(mean).div_(kernel)
    power /= clamped
    torch.ops.aten.threshold_backward.grad_input(power, clamped, SMALLEST, grad_input=power)
    by_x.copy_(power)


def _windows(x: Tensor, kernel: int) -> Tensor:
    """[B, T, C] -> [kernel, B, T // kernel, C]."""
    count = x.shape[1] // kernel
    return x[:, : count * kernel].view(len(x), count, kernel, x.shape[2]).movedim(2, 0)


def _powers(x: Tensor, p: Tensor, kernel: int) -> tuple[Tensor, Tensor, Tensor]:
    """max(x, 1e-6), its log2 and its power p in windows, of which those samples lie far apart that are added up."""
    clamped = _windows(x, kernel).to(p.dtype, memory_format=torch.contiguous_format, copy=True).clamp_(min=SMALLEST)
    logarithm = clamped.log2()
    return clamped, logarithm, (logarithm * p).exp2_()
