"""Convolution over time by torch's own kernels, which slide the convolution's kernel along."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


def slide(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int) -> Tensor:
    """What `conv2d` computes of [B, C, 1, T]; torch takes as long over the bias's gradient as over all the others.

    A kernel of one sample is given the samples it lands on: torch 2.14's gradient of a strided one, for fewer
    channels than an AVX2 register holds, writes outside its memory.
    """
    if weight.shape[3] == 1 and padding == 0 and stride > 1:
        x, stride = x[..., ::stride], 1
    y: Tensor = _Sliding.apply(x, weight, bias, (1, stride), (0, padding))
    return y


class _Sliding(torch.autograd.Function):
    @staticmethod
    @torch.autocast("cpu", enabled=False)
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, stride: tuple[int, int], padding: tuple[int, int]
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        return F.conv2d(x, weight.to(x.dtype), None if bias is None else bias.to(x.dtype), stride, padding)

    @staticmethod
    @once_differentiable
    @torch.autocast("cpu", enabled=False)
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        x, weight = ctx.saved_tensors
        for_x, for_weight, for_bias, *_ = ctx.needs_input_grad
        dx, dw, _ = torch.ops.aten.convolution_backward(
            gradient,
            x,
            weight.to(x.dtype),
            None,
            ctx.stride,
            ctx.padding,
            (1, 1),
            False,
            (0, 0),
            1,
            (for_x, for_weight, False),
        )
        db = gradient.permute(0, 2, 3, 1).flatten(0, 2).sum(0).to(weight.dtype) if for_bias else None
        return dx, dw.to(weight.dtype) if for_weight else None, db, None, None
