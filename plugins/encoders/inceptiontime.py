"""A convolutional network that looks at several time scales at once."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from gwbench.contracts import Encoder, InputShape
from gwbench.errors import UserError
from gwbench.nn.layers import Pooling, as_row, conv, pool, stem
from gwbench.registry import register

KERNELS = (40, 20, 10)
STEM = 8
"""The stem's kernel, in strides."""


class InceptionModule(nn.Module):
    """Convolutions of several lengths and a max pooling, side by side (arXiv:1909.04939, fig. 2)."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        # one channel has nothing to be squeezed
        self.bottleneck = conv(channels, width, 1, bias=False) if channels > 1 else nn.Identity()
        squeezed = width if channels > 1 else channels
        self.scales = nn.ModuleList([conv(squeezed, width, kernel, padded=True, bias=False) for kernel in KERNELS])
        self.pooled = nn.Sequential(
            nn.MaxPool2d((1, 3), stride=1, padding=(0, 1)), conv(channels, width, 1, bias=False)
        )
        self.norm = nn.BatchNorm2d(4 * width)

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, 1, T] -> [B, 4 width, 1, T]."""
        squeezed = self.bottleneck(x)
        scales = [scale(squeezed)[..., -x.shape[-1] :] for scale in self.scales]  # even kernels give one sample more
        return torch.relu(self.norm(torch.cat([*scales, self.pooled(x)], dim=1)))


class ResidualGroup(nn.Module):
    """Inception modules with a linear shortcut around them (arXiv:1909.04939, fig. 1)."""

    def __init__(self, channels: int, width: int, modules: int) -> None:
        super().__init__()
        inputs = [channels] + [4 * width] * (modules - 1)
        self.body = nn.Sequential(*[InceptionModule(each, width) for each in inputs])
        self.shortcut = nn.Sequential(conv(channels, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width))

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, 1, T] -> [B, 4 width, 1, T]."""
        return torch.relu(self.body(x) + self.shortcut(x))


@register(
    "encoder",
    "inceptiontime",
    citation="Ismail Fawaz et al., arXiv:1909.04939",
    tags=("1-d", "convolutional", "multi-scale", "residual"),
)
class InceptionTime(Encoder):
    """InceptionTime: modules of parallel convolutions over 40, 20 and 10 samples, with shortcuts.

    The paper averages five such networks, of six modules each on unshortened series; one of them is
    `stride=1, pooling="mean"`. A stem that shortens strain makes it affordable on a CPU.

    Args:
        width: channels of every branch; a module has four branches.
        embed_dim: width of the embedding.
        stride: of the stem, a convolution over 8 strides; 1 leaves the stem out.
        groups: groups of modules with a shortcut around each.
        modules: modules of a group.
        pooling: over all of time.
    """

    def __init__(
        self,
        shape: InputShape,
        *,
        width: Annotated[int, Field(ge=1)] = 16,
        embed_dim: Annotated[int, Field(ge=1)] = 128,
        stride: Annotated[int, Field(ge=1)] = 8,
        groups: Annotated[int, Field(ge=1)] = 2,
        modules: Annotated[int, Field(ge=1)] = 3,
        pooling: Pooling = "gem",
    ) -> None:
        super().__init__()
        self.embed_dim = embed_dim
        length = (shape.samples - STEM * stride) // stride + 1 if stride > 1 else shape.samples
        if length < KERNELS[0]:
            raise UserError(
                f"inceptiontime at stride {stride} sees {max(length, 0)} steps of a window of {shape.samples} samples, "
                f"fewer than its longest kernel of {KERNELS[0]}: lower encoder.stride or raise dataset.duration."
            )
        self.stem = stem(shape.channels, width, STEM * stride, stride) if stride > 1 else nn.Identity()
        inputs = [width if stride > 1 else shape.channels] + [4 * width] * (groups - 1)
        self.groups = nn.Sequential(*[ResidualGroup(channels, width, modules) for channels in inputs])
        self.pool = pool(pooling)
        self.head = nn.Linear(4 * width, embed_dim)
        self.to(memory_format=torch.channels_last)

    def forward(self, strain: Tensor) -> Tensor:
        """[B, C, T] -> [B, embed_dim]."""
        return self.head(self.pool(self.groups(self.stem(as_row(strain)))))  # type: ignore[no-any-return]
