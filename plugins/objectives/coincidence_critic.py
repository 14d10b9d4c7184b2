"""Telling the strain of two detectors at one time from that at two times."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from gwbench.contracts import Objective, Parts
from gwbench.registry import register


@register(
    "objective",
    "coincidence-critic",
    citation=(
        "Time slides: Usman et al. (PyCBC), arXiv:1508.02357; critic of pairs: Hjelm et al. (Deep InfoMax), "
        "arXiv:1808.06670, eq. 4, and van den Oord et al. (CPC), arXiv:1807.03748"
    ),
    tags=("contrastive", "coherence"),
)
class CoincidenceCritic(Objective):
    """Binary cross-entropy of a critic that tells two detectors of one window from two detectors of different windows.

    The objective `coincidence` for encoders that see one detector at a time. The critic takes both embeddings and their
    products, so that it may find likeness of another kind than the cosine of SimCLR: its output is at best the
    log-likelihood ratio of coincident against independent strain. View b is slid by embeddings, not by strain, so
    many slides cost nothing. Both kinds are made of the same embeddings, which no batch statistics tell apart.

    Behaviour on collapse: all windows look alike, and the loss stays at log 2 = 0.693.

    Args:
        slides: slid pairs for each coincident one, at most B - 1 in a batch of B. Both kinds have the same weight.
        hidden_dim: width of the critic's hidden layer.
    """

    def __init__(
        self,
        embed_dim: int,
        *,
        slides: Annotated[int, Field(ge=1)] = 8,
        hidden_dim: Annotated[int, Field(ge=1)] = 256,
    ) -> None:
        super().__init__(embed_dim)
        self.slides = slides
        self.norm = nn.BatchNorm1d(embed_dim)
        self.critic = nn.Sequential(nn.Linear(3 * embed_dim, hidden_dim), nn.SiLU(), nn.Linear(hidden_dim, 1))

    @classmethod
    def skip(cls, parts: Parts) -> str:
        """Views of the whole network hold the same detectors twice."""
        if parts.pairing is None or not parts.pairing.network:
            return ""
        return (
            "the objective coincidence-critic compares two detectors, and here a view holds all of them: use the "
            "objective coincidence, or a pairing of single detectors such as any-pair."
        )

    def loss(self, a: Tensor, b: Tensor) -> Tensor:
        """Scalar loss of embeddings [B, embed_dim] of two detectors, slid to the next windows of the batch.

        Batches are drawn at random, so that the next windows are any. The loss is the same on any number of devices.
        """
        a, b = self.norm(torch.cat([a, b])).tensor_split([len(a)])
        offsets = torch.arange(1, min(self.slides, len(a) - 1) + 1, device=a.device)
        rows = (torch.arange(len(a), device=a.device) + offsets.unsqueeze(1)) % len(a)  # [slides, B]
        coincident = self.pair_log_odds(a, b)
        slid = self.pair_log_odds(a.expand(len(offsets), *a.shape), b[rows])
        return (F.softplus(-coincident).mean() + F.softplus(slid).mean()) / 2

    def pair_log_odds(self, a: Tensor, b: Tensor) -> Tensor:
        """[...] log-odds of coincident against slid, of normalised embeddings [..., embed_dim]."""
        logits: Tensor = self.critic(torch.cat([a, b, a * b], dim=-1))
        return logits.squeeze(-1)

    def log_odds(self, embedding: Tensor) -> Tensor:
        """[B] log-odds of coincident against slid, of the detectors' embeddings side by side, [B, D * embed_dim].

        The sum over pairs of detectors, of each the mean of both orders: pairs are taken to be independent of each
        other, which they are not.
        """
        detectors = embedding.shape[1] // self.embed_dim
        normalised = self.norm(embedding.reshape(-1, self.embed_dim)).reshape(-1, detectors, self.embed_dim)
        first, second = torch.triu_indices(detectors, detectors, 1, device=embedding.device)
        one, other = normalised[:, first], normalised[:, second]
        return (self.pair_log_odds(one, other) + self.pair_log_odds(other, one)).sum(dim=1) / 2
