"""Measured features with a linear head as a scorer: what needs no network."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from gwbench.contracts import Scorer
from gwbench.nn.linear_head import LinearHead


class FeatureScorer(Scorer):
    """Log-odds of "signal" from features that a function measures.

    Args:
        measure: gives features [B, F] of conditioned strain [B, D, T].
        head: of the features.
    """

    def __init__(self, measure: Callable[[Tensor], Tensor], head: LinearHead) -> None:
        super().__init__()
        self._measure = measure
        self.head = head

    @torch.no_grad()
    def forward(self, strain: Tensor) -> Tensor:
        """Log-odds [B] float64 of conditioned strain [B, D, T]."""
        scores: Tensor = self.head(self._measure(strain))
        return scores
