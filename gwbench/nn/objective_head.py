"""The score that an objective gives by itself, as a module: embeddings in, log-odds out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gwbench.contracts import Objective


class ObjectiveHead(nn.Module):
    """Log-odds of "signal" by an objective's own head, for which no label was used.

    Attributes:
        objective: trained; it has a score of its own (`Objective.scores_windows`).
    """

    def __init__(self, objective: Objective) -> None:
        super().__init__()
        self.objective = objective

    def forward(self, embedding: Tensor) -> Tensor:
        """Log-odds [B] float64 of embeddings [B, F], in evaluation mode and full fp32.

        Raises:
            TypeError: the objective gives another number of scores.
        """
        was_training = self.objective.training
        self.objective.eval()
        try:
            with torch.no_grad(), torch.autocast(embedding.device.type, enabled=False):
                scores = self.objective.log_odds(embedding.float())
        finally:
            self.objective.train(was_training)
        if scores.shape != (len(embedding),):
            raise TypeError(
                f"{type(self.objective).__name__}.log_odds gives {list(scores.shape)} for {len(embedding)} windows, "
                f"expected [{len(embedding)}]"
            )
        return scores.double()
