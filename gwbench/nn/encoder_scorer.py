"""An encoder with a linear head as a scorer: a pre-trained encoder with its probe, or a trained classifier."""

from __future__ import annotations

from torch import Tensor

from gwbench.nn.detector_encoder import DetectorEncoder, frozen_embedding
from gwbench.nn.head_scorer import HeadScorer
from gwbench.nn.linear_head import LinearHead


class EncoderScorer(HeadScorer):
    """Log-odds of "signal" from the detectors' embeddings side by side.

    Where every detector has embeddings of its own, the log-odds are a sum of single-detector terms (`parts`) and the
    head's intercept (`offset`). An encoder of the whole network has no parts.

    Attributes:
        encoder: evaluated in fp32 whatever it was trained in, as the probe saw it.
        head: of the embeddings.
    """

    head: LinearHead

    def __init__(self, encoder: DetectorEncoder, head: LinearHead) -> None:
        super().__init__(encoder, head)

    @property
    def offset(self) -> float:
        """The head's intercept; 0 where there are no parts."""
        return 0.0 if self.network else float(self.head.intercept)

    @property
    def network(self) -> bool:
        """Whether the encoder sees all detectors at once."""
        return self.encoder.network

    def parts(self, strain: Tensor) -> Tensor | None:
        """What each detector's embedding adds, [B, D] float64; None for an encoder of the network."""
        if self.network:
            return None
        return self.head.terms(frozen_embedding(self.encoder, strain), strain.shape[1])
