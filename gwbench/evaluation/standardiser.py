"""Features at zero mean and unit standard deviation, a bounded number of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Floats = NDArray[np.float64]

FARTHEST = 1e6
"""Standard deviations at which a standardised feature is cut off, so that one which hardly varies in the labelled
training part and does elsewhere cannot overflow. Training windows never get there: they lie within sqrt(n)."""

BLOCK_BYTES = 64 * 2**20
"""Size of a block of embeddings in float64."""


@dataclass(frozen=True)
class Standardiser:
    """Takes every feature to zero mean and unit standard deviation; a constant feature to zero.

    Attributes:
        mean: [F].
        inverse_std: [F]; 0 where a feature is constant up to its rounding.
    """

    mean: Floats
    inverse_std: Floats

    @classmethod
    def fit(cls, x: Array) -> Standardiser:
        """Measure embeddings [N, F]."""
        mean = sum(block.sum(axis=0) for _, block in row_blocks(x)) / len(x)
        std = np.sqrt(sum(((block - mean) ** 2).sum(axis=0) for _, block in row_blocks(x)) / len(x))
        rounding = float(np.finfo(x.dtype).eps) if np.issubdtype(x.dtype, np.floating) else 0.0
        varies = std > 4.0 * rounding * np.abs(mean)
        return cls(mean, np.divide(1.0, std, out=np.zeros_like(std), where=varies))

    def blocks(self, x: Array) -> Iterator[tuple[slice, Floats]]:
        """Standardised embeddings, float64, a bounded number of rows at a time, with the rows they are."""
        for rows, block in row_blocks(x):
            yield rows, np.clip((block - self.mean) * self.inverse_std, -FARTHEST, FARTHEST)

    def transform(self, x: Array) -> NDArray[np.float32]:
        """Standardised embeddings [N, F] as float32."""
        out = np.empty(x.shape, dtype=np.float32)
        for rows, block in self.blocks(x):
            out[rows] = block
        return out


def row_blocks(x: Array) -> Iterator[tuple[slice, Floats]]:
    """The rows of [N, F] as float64, a bounded number at a time."""
    step = max(1, BLOCK_BYTES // (8 * max(1, x.shape[1])))
    for start in range(0, len(x), step):
        rows = slice(start, min(start + step, len(x)))
        yield rows, x[rows].astype(np.float64)
