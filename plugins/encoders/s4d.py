"""A sequence model of diagonal state spaces: convolutions as long as the window."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from gwbench.contracts import Encoder, InputShape
from gwbench.errors import UserError
from gwbench.nn.layers import as_row, stem
from gwbench.registry import register

STEM = 8
"""The stem's kernel, in strides."""
RUN = 32
"""Samples of an impulse response that share a table of exponentials."""


class DiagonalStateSpace(nn.Module):
    """x' = A x + u, y = 2 Re(C x) + D u with a diagonal complex A for every channel (S4D, arXiv:2206.11893).

    Discretised with a zero-order hold of a step that every channel learns; run as one convolution by FFT, in fp32.
    The steps and A are kept flat, as one-dimensional parameters, which weight decay leaves alone: the authors' code
    decays C, but neither of these.

    Args:
        width: channels.
        states: complex states of a channel, in conjugate pairs of which one is kept.
        init: of A's imaginary parts: S4D-Lin, pi n, or S4D-Inv, N / pi (N / (2 n + 1) - 1) with N states.
        bidirectional: a second state space runs from the end to the start.
    """

    def __init__(self, width: int, states: int, init: Literal["lin", "inv"], bidirectional: bool) -> None:
        super().__init__()
        directions = 2 if bidirectional else 1
        self.shape = (directions, width, states // 2)
        n = torch.arange(states // 2)
        frequency = math.pi * n if init == "lin" else states / math.pi * (states / (2 * n + 1) - 1)
        step = torch.rand(directions, width) * math.log(0.1 / 0.001) + math.log(0.001)
        self.log_step = nn.Parameter(step.flatten())
        self.log_decay = nn.Parameter(torch.full((directions * width * (states // 2),), math.log(0.5)))
        self.frequency = nn.Parameter(frequency.repeat(directions * width).float())
        self.c = nn.Parameter(torch.randn(*self.shape, 2) * 0.5**0.5)  # real, imaginary
        self.d = nn.Parameter(torch.randn(width))

    def kernel(self, length: int) -> Tensor:
        """Impulse responses [directions, width, length], without D."""
        a = torch.complex(-self.log_decay.exp(), self.frequency).view(self.shape)
        step_a = self.log_step.exp().view(*self.shape[:2], 1) * a
        weight = torch.view_as_complex(self.c) * (step_a.exp() - 1) / a
        # exp(step_a l) with l = RUN i + j as a product of two short tables: complex exponentials are slow
        i = torch.arange(0, length, RUN, device=a.device)
        j = torch.arange(RUN, device=a.device)
        starts = weight[..., None, :] * (step_a[..., None, :] * i[:, None]).exp()  # [directions, width, runs, states]
        within = (step_a[..., None] * j).exp()  # [directions, width, states, RUN]
        return 2 * (starts @ within).real.flatten(2)[..., :length]

    def forward(self, u: Tensor) -> Tensor:
        """[B, width, T] -> [B, width, T]."""
        length = u.shape[-1]
        circle = 2 ** math.ceil(math.log2(2 * length))  # long enough that nothing wraps around
        with torch.autocast(u.device.type, enabled=False):
            u, kernel = u.float(), self.kernel(length)
            response = F.pad(kernel[0], (0, circle - length))
            if len(kernel) > 1:  # the sample behind is at lag -1, the last of the circle
                response = response + F.pad(kernel[1].flip(-1), (circle - length, 0))
            spectrum = torch.fft.rfft(u, n=circle) * torch.fft.rfft(response)
            y: Tensor = torch.fft.irfft(spectrum, n=circle)[..., :length] + self.d[:, None] * u
            return y


class S4dBlock(nn.Module):
    """Norm, state space, GELU, a gated mixing of channels, and a shortcut around them."""

    def __init__(self, width: int, state_space: DiagonalStateSpace) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.state_space = state_space
        self.mix = nn.Linear(width, 2 * width)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, width] -> [B, T, width]."""
        y = F.gelu(self.state_space(self.norm(x).transpose(1, 2).contiguous()))
        return x + F.glu(self.mix(y.transpose(1, 2)))


@register("encoder", "s4d", citation="Gu et al., arXiv:2206.11893", tags=("1-d", "state-space", "long-convolution"))
class S4d(Encoder):
    """Diagonal state spaces (S4D) behind a strided stem.

    Args:
        width: channels.
        embed_dim: width of the embedding.
        stride: of the stem, a convolution over 8 strides.
        depth: blocks.
        states: of every channel's state space.
        init: "lin" (S4D-Lin) or "inv" (S4D-Inv).
        bidirectional: state spaces in both directions of time.
    """

    def __init__(
        self,
        shape: InputShape,
        *,
        width: Annotated[int, Field(ge=1)] = 64,
        embed_dim: Annotated[int, Field(ge=1)] = 128,
        stride: Annotated[int, Field(ge=1)] = 16,
        depth: Annotated[int, Field(ge=1)] = 4,
        states: Annotated[int, Field(ge=2, multiple_of=2)] = 32,
        init: Literal["lin", "inv"] = "lin",
        bidirectional: bool = True,
    ) -> None:
        super().__init__()
        self.embed_dim = embed_dim
        if shape.samples < STEM * stride:
            raise UserError(
                f"s4d at stride {stride} takes windows of {STEM * stride} samples at least, not {shape.samples}: "
                "lower encoder.stride or raise dataset.duration."
            )
        self.stem = stem(shape.channels, width, STEM * stride, stride).to(memory_format=torch.channels_last)
        spaces = [DiagonalStateSpace(width, states, init, bidirectional) for _ in range(depth)]
        self.blocks = nn.Sequential(*[S4dBlock(width, space) for space in spaces], nn.LayerNorm(width))
        self.head = nn.Linear(width, embed_dim)

    def forward(self, strain: Tensor) -> Tensor:
        """[B, C, T] -> [B, embed_dim]: the mean over time of what the blocks give."""
        x = self.stem(as_row(strain)).squeeze(2).transpose(1, 2)  # [B, T', width]
        return self.head(self.blocks(x).mean(dim=1))  # type: ignore[no-any-return]
