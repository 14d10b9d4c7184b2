"""A residual network over time."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from gwbench.contracts import Encoder, InputShape
from gwbench.errors import UserError
from gwbench.nn.layers import Pooling, as_row, conv, pool
from gwbench.registry import register


class BasicBlock(nn.Module):
    """Two convolutions and a shortcut (arXiv:1512.03385, fig. 5 left), the shortcut a 1x1 one where shapes change."""

    def __init__(self, channels: int, wider: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(channels, wider, kernel, stride=stride, padded=True, bias=False),
            nn.BatchNorm2d(wider),
            nn.ReLU(),
            conv(wider, wider, kernel, padded=True, bias=False),
            nn.BatchNorm2d(wider),
        )
        self.shortcut = nn.Sequential()
        if stride > 1 or channels != wider:
            self.shortcut.append(conv(channels, wider, 1, stride=stride, bias=False))
            self.shortcut.append(nn.BatchNorm2d(wider))

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, 1, T] -> [B, wider, 1, ceil(T / stride)]."""
        return torch.relu(self.body(x) + self.shortcut(x))


@register(
    "encoder",
    "resnet1d",
    citation="He et al., arXiv:1512.03385; ResNets on time series: Wang et al., arXiv:1611.06455",
    tags=("1-d", "convolutional", "residual"),
)
class ResNet1d(Encoder):
    """1-D residual network: a strided stem, stages of basic blocks that halve time and double channels, a pooling.

    ResNet-18 of the paper, its 2-D kernels made 1-D, is
    `width=64, kernel=3, stem_kernel=7, stride=2, pooling="mean"`.

    Args:
        width: channels of the stem and the first stage; each further stage has twice as many.
        embed_dim: width of the embedding.
        stride: of the stem; a max pooling by 2 follows.
        layers: blocks of every stage; all but the first stage start with a stride of 2.
        kernel: samples of the blocks' convolutions.
        stem_kernel: samples of the stem's convolution.
        pooling: over what is left of time.
    """

    def __init__(
        self,
        shape: InputShape,
        *,
        width: Annotated[int, Field(ge=1)] = 24,
        embed_dim: Annotated[int, Field(ge=1)] = 128,
        stride: Annotated[int, Field(ge=1)] = 4,
        layers: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] = (2, 2, 2, 2),
        kernel: Annotated[int, Field(ge=3)] = 7,
        stem_kernel: Annotated[int, Field(ge=3)] = 31,
        pooling: Pooling = "gem",
    ) -> None:
        super().__init__()
        self.embed_dim = embed_dim
        shortening = stride * 2 ** len(layers)
        if shape.samples < shortening:
            raise UserError(
                f"resnet1d makes one step of {shortening} samples, which is more than a window's {shape.samples}: "
                "lower encoder.stride, name fewer encoder.layers, or raise dataset.duration."
            )
        for name, samples in (("kernel", kernel), ("stem_kernel", stem_kernel)):
            if samples % 2 == 0:
                raise UserError(f"encoder.{name}={samples} has no middle: give an odd number of samples.")
        self.stem = nn.Sequential(
            conv(shape.channels, width, stem_kernel, stride=stride, padded=True, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.MaxPool2d((1, 3), stride=(1, 2), padding=(0, 1)),
        )
        self.stages = nn.Sequential()
        channels = width
        for stage, blocks in enumerate(layers):
            for block in range(blocks):
                wider = width * 2**stage
                self.stages.append(BasicBlock(channels, wider, kernel, 2 if stage and not block else 1))
                channels = wider
        self.pool = pool(pooling)
        self.head = nn.Linear(channels, embed_dim)
        self.to(memory_format=torch.channels_last)

    def forward(self, strain: Tensor) -> Tensor:
        """[B, C, T] -> [B, embed_dim]."""
        return self.head(self.pool(self.stages(self.stem(as_row(strain)))))  # type: ignore[no-any-return]
