"""A transformer over patches of strain."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from gwbench.contracts import Encoder, InputShape
from gwbench.errors import UserError
from gwbench.registry import register


@register(
    "encoder",
    "patch-transformer",
    citation="ViT: Dosovitskiy et al., arXiv:2010.11929; PatchTST: Nie et al., arXiv:2211.14730",
    tags=("1-d", "transformer"),
)
class PatchTransformer(Encoder):
    """Pre-norm transformer whose tokens are patches of strain.

    A patch holds all channels. Zeros behind the window's end complete the last patch.

    Args:
        width: of a token.
        embed_dim: width of the embedding.
        patch: samples of a patch.
        stride: samples from one patch to the next; patches overlap where it is shorter than one.
        depth: layers.
        heads: of the attention; they divide the width.
        mlp_ratio: width of a layer's hidden part, in widths of a token.
        positions: "learned" (ViT) or "sinusoidal" (arXiv:1706.03762, sec. 3.5).
        pooling: the "mean" of the tokens, or a class token of its own, "cls".
        dropout: of attention and hidden parts, in training.
    """

    positions: Tensor

    def __init__(
        self,
        shape: InputShape,
        *,
        width: Annotated[int, Field(ge=2, multiple_of=2)] = 128,
        embed_dim: Annotated[int, Field(ge=1)] = 128,
        patch: Annotated[int, Field(ge=1)] = 64,
        stride: Annotated[int, Field(ge=1)] = 64,
        depth: Annotated[int, Field(ge=1)] = 4,
        heads: Annotated[int, Field(ge=1)] = 4,
        mlp_ratio: Annotated[int, Field(ge=1)] = 2,
        positions: Literal["learned", "sinusoidal"] = "learned",
        pooling: Literal["mean", "cls"] = "mean",
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    ) -> None:
        super().__init__()
        self.embed_dim = embed_dim
        if width % heads:
            raise UserError(f"encoder.width={width} cannot be split between encoder.heads={heads}: choose a multiple.")
        if stride > patch:
            raise UserError(
                f"encoder.stride={stride} leaves out strain between patches of {patch}: give {patch} at most."
            )
        if shape.samples < patch:
            raise UserError(
                f"A patch of {patch} samples is longer than a window's {shape.samples}: "
                "lower encoder.patch or raise dataset.duration."
            )
        self.padding = -(shape.samples - patch) % stride
        tokens = (shape.samples - patch + self.padding) // stride + 1
        self.patches = nn.Conv1d(shape.channels, width, patch, stride=stride)
        self.cls = nn.Parameter(torch.randn(1, 1, width) * 0.02) if pooling == "cls" else None
        if positions == "learned":
            self.positions = nn.Parameter(nn.init.trunc_normal_(torch.empty(tokens, width), std=0.02))
        else:
            self.register_buffer("positions", sinusoids(tokens, width), persistent=False)
        layer = nn.TransformerEncoderLayer(
            width, heads, mlp_ratio * width, dropout, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, depth, norm=nn.LayerNorm(width), enable_nested_tensor=False)
        self.head = nn.Linear(width, embed_dim)

    def forward(self, strain: Tensor) -> Tensor:
        """[B, C, T] -> [B, embed_dim]."""
        tokens = self.patches(F.pad(strain, (0, self.padding))).transpose(1, 2) + self.positions  # [B, tokens, width]
        if self.cls is not None:
            tokens = torch.cat([self.cls.expand(len(tokens), -1, -1), tokens], dim=1)
        tokens = self.layers(tokens)
        return self.head(tokens.mean(dim=1) if self.cls is None else tokens[:, 0])  # type: ignore[no-any-return]


def sinusoids(tokens: int, width: int) -> Tensor:
    """[tokens, width]: sines and cosines of wavelengths from 2 pi to 10000 x 2 pi tokens, in turn."""
    angle = torch.arange(tokens)[:, None] * torch.exp(-math.log(10000.0) / width * torch.arange(0, width, 2))
    return torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1)
