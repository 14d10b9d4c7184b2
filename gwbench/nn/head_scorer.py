"""An encoder with a head on its embedding as a scorer."""

from __future__ import annotations

from torch import Tensor, nn

from gwbench.contracts import Scorer
from gwbench.nn.detector_encoder import DetectorEncoder, frozen_embedding


class HeadScorer(Scorer):
    """Log-odds of "signal" by a head, from the embedding of a frozen encoder.

    Attributes:
        encoder: evaluated in fp32 whatever it was trained in.
        head: [B, F] embeddings to [B] float64.
    """

    def __init__(self, encoder: DetectorEncoder, head: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head

    def forward(self, strain: Tensor) -> Tensor:
        """Scores [B] float64 of conditioned strain [B, D, T]."""
        return self.embedded(strain)[1]

    def embedded(self, strain: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings [B, F] of conditioned strain [B, D, T], and the scores [B] float64."""
        embedding = frozen_embedding(self.encoder, strain)
        return embedding, self.head(embedding)
