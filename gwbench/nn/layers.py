"""Layers that encoders share.

One-dimensional layers work on [B, C, 1, T] in channels-last layout: a convolution then runs as a 1xK two-dimensional
one, which gives the same numbers as `nn.Conv1d` several times faster on a CPU. An encoder turns its strain by
`as_row` and ends its constructor with `self.to(memory_format=torch.channels_last)`, because weights in another layout
fall back to the slow path.

On a CPU, convolutions with long kernels go by way of their spectra (`fft_conv`), and what comes between convolutions
is fused (`fused`); elsewhere torch's own kernels do the work.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gwbench.nn.direct_conv import slide
from gwbench.nn.fft_conv import block_length, correlate
from gwbench.nn.fused import gem, norm_silu

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
    return Convolution(channels, wider, (1, kernel), stride=(1, stride), padding=padding, bias=bias)


def stem(channels: int, width: int, kernel: int, stride: int) -> Layers:
    """A learned filter bank that shortens strain: convolution without padding, BatchNorm, SiLU."""
    return Layers(conv(channels, width, kernel, stride=stride), nn.BatchNorm2d(width), nn.SiLU())


class Convolution(nn.Conv2d):
    """A convolution over time that takes the faster way for its shape: sliding its kernel, or multiplying spectra."""

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, 1, T] -> [B, C', 1, T']."""
        if x.device.type != "cpu":
            return super().forward(x)
        x = x.to(torch.get_autocast_dtype("cpu")) if torch.is_autocast_enabled("cpu") else x
        stride, padding = int(self.stride[1]), int(self.padding[1])
        samples, kernel = x.shape[3] + 2 * padding, self.kernel_size[1]
        block = block_length(samples, self.in_channels, self.out_channels, kernel, x.dtype)
        if stride != 1 or block is None:
            return slide(x, self.weight, self.bias, stride, padding)
        row = F.pad(x, (padding, padding)) if padding else x
        return (
            correlate(row.squeeze(2).transpose(1, 2), self.weight.squeeze(2), self.bias, block)
            .transpose(1, 2)
            .unsqueeze(2)
        )


class Layers(nn.Sequential):
    """`nn.Sequential` that runs a BatchNorm and the SiLU behind it as one step."""

    def forward(self, x: Tensor) -> Tensor:
        """Through all layers in turn."""
        layers = list(self)
        while layers:
            layer = layers.pop(0)
            if x.device.type == "cpu" and type(layer) is nn.BatchNorm2d and layers and isinstance(layers[0], nn.SiLU):
                x = norm_silu(x, layer)
                del layers[0]
            else:
                x = layer(x)
        return x


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
        return gem(x, self.p, self.kernel or x.shape[-1])


def pool(how: Pooling) -> nn.Sequential:
    """Pooling over all of time, [B, C, 1, T] -> [B, C]."""
    layer = {"mean": nn.AdaptiveAvgPool2d, "max": nn.AdaptiveMaxPool2d}.get(how)
    return nn.Sequential(layer(1) if layer else GeM(), nn.Flatten())
