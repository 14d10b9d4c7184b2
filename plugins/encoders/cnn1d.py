"""The 1-D convolutional network with a recurrent middle of the seed recipe."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from gwbench.contracts import Encoder, InputShape
from gwbench.errors import UserError
from gwbench.nn.layers import GeM, Layers, as_row, conv
from gwbench.registry import register


class Layer(NamedTuple):
    """A convolution, with GeM pooling if `pool` > 1, BatchNorm, and SiLU."""

    channels: int  # in units of `width`
    kernel: int
    pool: int = 1
    activation: bool = True


FIRST = Layer(1, 64)
BEFORE_GRU = (Layer(1, 32, 2), Layer(1, 32), Layer(1, 32, 4), Layer(2, 32), Layer(2, 16, 6), Layer(4, 16, 1, False))
AFTER_GRU = (Layer(4, 16, 4), Layer(4, 1))


@register(
    "encoder",
    "cnn1d",
    citation="1-D CNN + GeM + GRU of the G2Net Kaggle solutions; GeM: Radenovic et al., arXiv:1711.02512",
    tags=("default", "1-d", "convolutional", "recurrent"),
)
class Cnn1d(Encoder):
    """1-D CNN with GeM pooling and a bidirectional GRU in its middle.

    The default is sized for a laptop's CPU. The seed network, 8.1 M parameters, is
    `width=64, embed_dim=2048, stride=1`.

    Args:
        width: channels of the first layers; later ones have 2 and 4 times as many.
        embed_dim: width of the embedding.
        stride: stride of the first convolution. The kernels behind it shrink by the same factor, so that they span
            the same time; costs fall with its square.
    """

    def __init__(
        self,
        shape: InputShape,
        *,
        width: Annotated[int, Field(ge=2, multiple_of=2)] = 32,
        embed_dim: Annotated[int, Field(ge=1)] = 128,
        stride: Literal[1, 2, 4, 8] = 4,
    ) -> None:
        super().__init__()
        self.embed_dim = embed_dim
        shrunk = [layer._replace(kernel=max(layer.kernel // stride, 1)) for layer in BEFORE_GRU + AFTER_GRU]
        before, after = [FIRST, *shrunk[: len(BEFORE_GRU)]], shrunk[len(BEFORE_GRU) :]
        length = shape.samples
        for layer in (*before, *after):
            length = ((length - layer.kernel) // (stride if layer is FIRST else 1) + 1) // layer.pool
            if length < 1:
                raise UserError(
                    f"cnn1d at stride {stride} cannot take windows as short as {shape.samples} samples: "
                    "raise dataset.duration."
                )
        channels = 4 * width
        self.before = _stack(before, shape.channels, width, stride)
        self.gru = nn.GRU(channels, channels // 2, batch_first=True, bidirectional=True)
        self.after = _stack(after, channels, width)
        self.head = nn.Linear(channels * length, embed_dim)
        self.to(memory_format=torch.channels_last)

    def forward(self, strain: Tensor) -> Tensor:
        """[B, C, T] -> [B, embed_dim]."""
        x = self.before(as_row(strain)).squeeze(2)  # [B, 4 width, T']
        x, _ = self.gru(x.transpose(1, 2))  # [B, T', 4 width]
        return self.head(self.after(as_row(x.transpose(1, 2))).flatten(1))  # type: ignore[no-any-return]


def _stack(layers: Iterable[Layer], channels: int, width: int, stride: int = 1) -> Layers:
    """Layers one behind the other; `stride` is that of the first."""
    stack = Layers()
    for layer in layers:
        wider = layer.channels * width
        stack.append(conv(channels, wider, layer.kernel, stride=stride))
        stack.extend([GeM(layer.pool)] if layer.pool > 1 else [])
        stack.append(nn.BatchNorm2d(wider))
        stack.extend([nn.SiLU()] if layer.activation else [])
        channels, stride = wider, 1
    return stack
