"""Telling coincident strain from slid strain."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from gwbench.contracts import Encode, Objective, Parts, View
from gwbench.registry import REGISTRY, register

SLIDES_TAG = "coincidence"
"""On pairings that give coincident and slid strain."""


@register(
    "objective",
    "coincidence",
    citation=(
        "Time slides: Usman et al. (PyCBC), arXiv:1508.02357; coherence: Klimenko et al., arXiv:0802.3232; "
        "telling true from recombined: Gutmann & Hyvarinen, Noise-contrastive estimation (AISTATS 2010)"
    ),
    tags=("generative", SLIDES_TAG),
)
class Coincidence(Objective):
    """Binary cross-entropy of a small network that tells coincident windows from slid ones by their embeddings.

    View a holds strain of the whole network as it was recorded, view b the same strain slid in time between detectors.
    The head's output is then log-odds, and at its best the log-likelihood ratio of coherent against incoherent strain:
    a detection statistic that no label went into. Both kinds have the same weight, however many windows are slid.

    Both views go through the encoder in one batch. In batches of their own they would differ in BatchNorm's statistics,
    which tell one batch from the other: the loss then falls to zero and nothing is learnt of a window by itself
    (shuffled BatchNorm answers the same leak in MoCo, arXiv:1911.05722, sec. 3.3).

    Behaviour on collapse: all windows look alike, and the loss stays at log 2 = 0.693.

    Args:
        hidden_dim: width of the head's hidden layer.
    """

    def __init__(self, embed_dim: int, *, hidden_dim: Annotated[int, Field(ge=1)] = 256) -> None:
        super().__init__(embed_dim)
        self.head = nn.Sequential(
            nn.BatchNorm1d(embed_dim), nn.Linear(embed_dim, hidden_dim), nn.SiLU(), nn.Linear(hidden_dim, 1)
        )

    @classmethod
    def skip(cls, parts: Parts) -> str:
        """It needs views that are coincident and slid: those of a pairing that says so."""
        if parts.pairing is None:
            return ""
        tags = [plugin.tags for plugin in REGISTRY.loaded() if plugin.target is parts.pairing]
        if parts.pairing.network and all(SLIDES_TAG in each for each in tags):
            return ""
        return (
            "the objective coincidence tells a pairing's coincident strain from its slid strain: choose a pairing "
            f"tagged {SLIDES_TAG}, such as coincidence."
        )

    def forward(self, a: View, b: View, encode: Encode) -> Tensor:
        """Scalar loss of coincident windows [B, D, T] and slid windows [K, D, T]."""
        both = View(torch.cat([a.samples, b.samples]), torch.cat([a.detectors, b.detectors]))
        embedding = encode(both)
        with torch.autocast(embedding.device.type, enabled=False):
            coincident, slid = embedding.float().tensor_split([len(a.samples)])
            return self.loss(coincident, slid)

    def loss(self, a: Tensor, b: Tensor) -> Tensor:
        """Scalar loss of embeddings of coincident windows [B, embed_dim] and of slid windows [K, embed_dim]."""
        coincident, slid = self.log_odds(torch.cat([a, b])).tensor_split([len(a)])
        return (F.softplus(-coincident).mean() + F.softplus(slid).mean()) / 2

    def log_odds(self, embedding: Tensor) -> Tensor:
        """[B] log-odds of coincident against slid, of embeddings [B, embed_dim]."""
        logits: Tensor = self.head(embedding)
        return logits.squeeze(1)
