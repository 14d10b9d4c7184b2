"""Layers that encoders share.

One-dimensional layers work on [B, C, 1, T] in channels-last layout: a convolution then runs as a 1xK two-dimensional
one, which gives the same numbers as `nn.Conv1d` several times faster on a CPU. An encoder turns its strain by
`as_row` and ends its constructor with `self.to(memory_format=torch.channels_last)`, because weights in another layout
fall back to the slow path.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Pooling = Literal["mean", "max", "gem"]
"""How to pool over all of time; "gem" (see `GeM`) starts between the other two."""


def as_row(x: Tensor) -> Tensor:
    """[B, C, T] -> [B, C, 1, T] in channels-last layout."""
    return x.unsqueeze(2).contiguous(memory_format=torch.channels_last)


def conv(
    channels: int, wider: int, kernel: int, *, stride: int = 1, padded: bool = False, bias: bool = True
) -> nn.Conv2d:
    """A convolution over time, [B, channels, 1, T] -> [B, wider, 1, T'].

    T' is (T - kernel) // stride + 1. With half a kernel of zeros at both ends (`padded`) it is ceil(T / stride) for odd
    kernels, and T + 1 for even ones at stride 1.
    """
    padding = (0, kernel // 2 if padded else 0)
    return nn.Conv2d(channels, wider, (1, kernel), stride=(1, stride), padding=padding, bias=bias)


def stem(channels: int, width: int, kernel: int, stride: int) -> nn.Sequential:
    """A learned filter bank that shortens strain: convolution without padding, BatchNorm, SiLU."""
    return nn.Sequential(conv(channels, width, kernel, stride=stride), nn.BatchNorm2d(width), nn.SiLU())


class GeM(nn.Module):
    """Generalised-mean pooling, avg_pool(max(x, 1e-6)^p)^(1/p), p learnable (arXiv:1711.02512, eq. 3).

    Args:
        kernel: samples that become one; None for all of them.
    """

    def __init__(self, kernel: int | None = None) -> None:
        super().__init__()
        self.kernel = kernel
        self.p = nn.Parameter(torch.tensor([3.0]))

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, 1, T] -> [B, C, 1, T // kernel]."""
        # exp(p log x) for x^p: the gradient of a power with a learnable exponent costs three times as much
        power = (x.float().clamp(min=1e-6).log() * self.p).exp()
        return (F.avg_pool2d(power, (1, self.kernel or x.shape[-1])).log() / self.p).exp()


def pool(how: Pooling) -> nn.Sequential:
    """Pooling over all of time, [B, C, 1, T] -> [B, C]."""
    layer = {"mean": nn.AdaptiveAvgPool2d, "max": nn.AdaptiveMaxPool2d}.get(how)
    return nn.Sequential(layer(1) if layer else GeM(), nn.Flatten())
