"""An encoder that looks at how power changes over a window."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from gwbench.contracts import Encoder, InputShape
from gwbench.errors import UserError
from gwbench.registry import register

TINY = 1e-6
"""Added to power before its logarithm: conditioned noise has power 1."""


@register("encoder", "pooled-power", citation="", tags=("example",))
class PooledPower(Encoder):
    """Filters learnt from strain, the logarithm of their power in pieces of the window, and a linear layer.

    Args:
        filters: learnt filters.
        kernel: samples of a filter.
        pieces: of the window in which power is averaged.
        embed_dim: width of the embedding.
    """

    def __init__(
        self,
        shape: InputShape,
        *,
        filters: Annotated[int, Field(ge=1)] = 16,
        kernel: Annotated[int, Field(ge=2)] = 64,
        pieces: Annotated[int, Field(ge=1)] = 16,
        embed_dim: Annotated[int, Field(ge=1)] = 64,
    ) -> None:
        super().__init__()
        if shape.samples < kernel + pieces:
            raise UserError(
                f"pooled-power takes windows of {kernel + pieces} samples or more, not of {shape.samples}: lower "
                "encoder.kernel or encoder.pieces."
            )
        self.embed_dim = embed_dim
        self.filters = nn.Conv1d(shape.channels, filters, kernel, stride=4, bias=False)
        self.pool = nn.AdaptiveAvgPool1d(pieces)
        self.normalise = nn.BatchNorm1d(filters)
        self.head = nn.Linear(filters * pieces, embed_dim)

    def power(self, strain: Tensor) -> Tensor:
        """Power of the filtered strain [B, C, T] in every piece of the window: [B, filters, pieces]."""
        power: Tensor = self.pool(self.filters(strain).square())
        return power

    def forward(self, strain: Tensor) -> Tensor:
        """Embeddings [B, embed_dim] of conditioned strain [B, C, T]."""
        embedding: Tensor = self.head(self.normalise((self.power(strain) + TINY).log()).flatten(1))
        return embedding
