"""A 1-D convolutional network that reads every detector with the same filters before it puts them together."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from gwbench.contracts import Encoder, InputShape
from gwbench.errors import UserError
from gwbench.nn.layers import GeM, Layers, as_row, conv
from gwbench.registry import register

TOWER = ((64, 1), (32, 2), (32, 1), (32, 4))
"""Kernel and pooling of a tower's layers, at stride 1."""


@register(
    "encoder",
    "shared-towers",
    citation="Towers with shared weights: Bromley et al., Signature Verification using a Siamese network (NIPS 1993)",
    tags=("1-d", "convolutional", "recurrent", "network"),
)
class SharedTowers(Encoder):
    """The layers of `cnn1d`, of which the first four read each detector by itself, all with the same weights.

    A wave is of the same kind in every detector, and comes with other amplitudes, signs and delays: filters over all
    detectors at once, as those of `cnn1d` for a network, have to be learnt again for each of these. Here a tower learns
    its filters from all detectors, and their features meet after it, at a resolution of some 16 ms.

    Args:
        tower_width: channels of a tower.
        width: of the layers behind the towers, which have 2 and 4 times as many channels.
        embed_dim: width of the embedding.
        stride: stride of the first convolution. The kernels behind it shrink by the same factor, so that they span
            the same time.
    """

    def __init__(
        self,
        shape: InputShape,
        *,
        tower_width: Annotated[int, Field(ge=1)] = 16,
        width: Annotated[int, Field(ge=2, multiple_of=2)] = 32,
        embed_dim: Annotated[int, Field(ge=1)] = 128,
        stride: Literal[1, 2, 4, 8] = 4,
    ) -> None:
        super().__init__()
        self.embed_dim = embed_dim

        def kernel(taps: int) -> int:
            return max(taps // stride, 1)

        (first, _), *others = TOWER
        self.tower = Layers(conv(1, tower_width, first, stride=stride), nn.BatchNorm2d(tower_width), nn.SiLU())
        for taps, pool in others:
            self.tower.extend(_layer(tower_width, tower_width, kernel(taps), pool))
        channels = 4 * width
        self.joint = Layers(
            *_layer(shape.channels * tower_width, 2 * width, kernel(32)),
            *_layer(2 * width, 2 * width, kernel(16), 6),
            conv(2 * width, channels, kernel(16)),
            nn.BatchNorm2d(channels),
        )
        self.gru = nn.GRU(channels, channels // 2, batch_first=True, bidirectional=True)
        self.after = Layers(*_layer(channels, channels, kernel(16), 4), *_layer(channels, channels, 1))
        self.head = nn.Linear(channels * self._steps(shape.samples, stride), embed_dim)
        self.to(memory_format=torch.channels_last)

    def forward(self, strain: Tensor) -> Tensor:
        """[B, C, T] -> [B, embed_dim]."""
        batch, detectors, samples = strain.shape
        features = self.tower(as_row(strain.reshape(batch * detectors, 1, samples))).squeeze(2)
        x = self.joint(as_row(features.reshape(batch, -1, features.shape[2]))).squeeze(2)  # [B, 4 width, T']
        x, _ = self.gru(x.transpose(1, 2))
        return self.head(self.after(as_row(x.transpose(1, 2))).flatten(1))  # type: ignore[no-any-return]

    def _steps(self, samples: int, stride: int) -> int:
        """Samples that are left of a window in front of the last layer; raises `UserError` where there are none."""
        length = samples
        for layer in (*self.tower, *self.joint, *self.after):
            if isinstance(layer, nn.Conv2d):
                length = (length - layer.kernel_size[1]) // layer.stride[1] + 1
            elif isinstance(layer, GeM) and layer.kernel:
                length //= layer.kernel
            if length < 1:
                raise UserError(
                    f"shared-towers at stride {stride} cannot take windows as short as {samples} samples: "
                    "raise dataset.duration."
                )
        return length


def _layer(channels: int, wider: int, kernel: int, pool: int = 1) -> list[nn.Module]:
    """A convolution, pooling where there is some, BatchNorm and SiLU."""
    pooling: list[nn.Module] = [GeM(pool)] if pool > 1 else []
    return [conv(channels, wider, kernel), *pooling, nn.BatchNorm2d(wider), nn.SiLU()]
