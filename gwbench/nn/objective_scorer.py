"""An encoder with the head of its own objective as a scorer, for which no label was used."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from gwbench.nn.detector_encoder import DetectorEncoder
from gwbench.nn.head_scorer import HeadScorer
from gwbench.nn.objective_head import ObjectiveHead


class ObjectiveScorer(HeadScorer):
    """Log-odds of "signal" by an objective's own head.

    Where the head tells coherent strain from strain of other times, what it says of a window h(x) has a term for every
    detector by itself: how likely that detector's strain is among incoherent strain. Signals in the training data make
    this large, so that h tells coherence from incoherence, and hardly signals from noise. The terms cancel against what
    the head says where one detector is silent:

        score(x) = h(x) - sum_d h(x without d) / (D - 1)

    What is left is how much more the detectors say together. A network that sees zeros in place of a detector's strain
    sees what it may not have been trained on; that this is no hindrance was measured (benchmarks/coherence.py).

    Attributes:
        encoder: evaluated in fp32 whatever it was trained in.
        head: of the embeddings.
        coherence: whether the head tells coherent from incoherent strain, rather than signals from noise.
    """

    head: ObjectiveHead

    def __init__(self, encoder: DetectorEncoder, head: ObjectiveHead, *, coherence: bool) -> None:
        super().__init__(encoder, head)
        self.coherence = coherence

    def embedded(self, strain: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings [B, F] of conditioned strain [B, D, T], and the scores [B] float64."""
        plain = super().embedded
        embedding, log_odds = plain(strain)
        if self.coherence:
            log_odds = without_single_detectors(lambda given: plain(given)[1], strain, log_odds)
        return embedding, log_odds


def without_single_detectors(log_odds: Callable[[Tensor], Tensor], strain: Tensor, whole: Tensor) -> Tensor:
    """Scores [B] of strain [B, D, T]: its log-odds [B], less those with each detector silent in turn, over D - 1."""
    detectors = strain.shape[1]
    score = whole
    for d in range(detectors):
        silent = torch.cat([strain[:, :d], torch.zeros_like(strain[:, d : d + 1]), strain[:, d + 1 :]], dim=1)
        score = score - log_odds(silent) / max(detectors - 1, 1)
    return score
