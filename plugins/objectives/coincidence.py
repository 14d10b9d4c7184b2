"""Telling coincident strain from slid strain."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from gwbench.contracts import Encode, Objective, Parts, View
from gwbench.errors import UserError
from gwbench.plugins.pairings.coincidence import SLIDES_TAG, slide
from gwbench.registry import REGISTRY, register


@register(
    "objective",
    "coincidence",
    citation=(
        "Time slides, foreground removal: Usman et al. (PyCBC), arXiv:1508.02357; coherence: Klimenko et al., "
        "arXiv:0802.3232; true against recombined: van den Oord et al. (CPC), arXiv:1807.03748"
    ),
    tags=("generative", "coincidence", "coherence"),
)
class Coincidence(Objective):
    """Binary cross-entropy of a small network that tells coincident windows from slid ones by their embeddings.

    View a holds strain of the whole network as it was recorded, view b the same strain slid in time between detectors.
    The head's output is then log-odds, and at its best the log-likelihood ratio of coherent against incoherent strain:
    a detection statistic that no label went into. Both kinds have the same weight, however many windows are slid.

    Both views go through the encoder in one batch. In batches of their own they would differ in BatchNorm's statistics,
    which tell one batch from the other: the loss then falls to zero and nothing is learnt of a window by itself
    (shuffled BatchNorm answers the same leak in MoCo, arXiv:1911.05722, sec. 3.3).

    Where signals are frequent, most slid windows hold a signal in one detector or another, and few are noise: their
    false alarms teach little. Searches leave their loudest coincidences out of the background for the same reason. So
    can this one: from some step on, the windows of view a that the head finds loudest in a batch are left out, and the
    slid windows are made of the others, which cost one more pass without a gradient. More signals are then found at low
    false-alarm rates; but the faintest stay among the others and are learnt as background, which lowers the AUC.

    Behaviour on collapse: all windows look alike, and the loss stays at log 2 = 0.693.

    Args:
        hidden_dim: width of the head's hidden layer.
        removed: share of a batch's windows, the loudest, that the slid windows are not made of; 0 for none.
        removal_from: share of the training after which they are left out, when the head knows what is loud.
    """

    def __init__(
        self,
        embed_dim: int,
        *,
        hidden_dim: Annotated[int, Field(ge=1)] = 256,
        removed: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        removal_from: Annotated[float, Field(ge=0, le=1)] = 0.5,
    ) -> None:
        super().__init__(embed_dim)
        self.removed, self.removal_from = removed, removal_from
        self.head = nn.Sequential(
            nn.BatchNorm1d(embed_dim), nn.Linear(embed_dim, hidden_dim), nn.SiLU(), nn.Linear(hidden_dim, 1)
        )
        self.register_buffer("trained", torch.zeros(()))
        self.trained: Tensor  # share of the training that is done

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
        """Scalar loss of coincident windows [B, D, T] and slid windows [K, D, T].

        Raises:
            UserError: too few windows of the batch are left to make slid windows of.
        """
        slid = b.samples
        if self.removed and float(self.trained) >= self.removal_from:
            slid = slide(self.background(a, encode), len(slid))
        both = View(torch.cat([a.samples, slid]), torch.cat([a.detectors, b.detectors]))
        embedding = encode(both)
        with torch.autocast(embedding.device.type, enabled=False):
            first, second = embedding.float().tensor_split([len(a.samples)])
            return self.loss(first, second)

    def background(self, view: View, encode: Encode) -> Tensor:
        """Windows [b, D, T] of coincident windows [B, D, T] without the loudest."""
        windows, detectors, _ = view.samples.shape
        kept = math.ceil((1 - self.removed) * windows)
        if kept < detectors:
            raise UserError(
                f"objective.removed={self.removed:g} leaves {kept} of {windows} windows, too few to slide {detectors} "
                "detectors: lower it, or raise --batch-size."
            )
        with torch.no_grad():
            embedding = encode(view)
            with torch.autocast(embedding.device.type, enabled=False):
                loudness = self.log_odds(embedding.float())
        torch.clear_autocast_cache()  # weights that were cast without a gradient must not serve the next pass
        return view.samples[loudness.argsort()[:kept]]

    def loss(self, a: Tensor, b: Tensor) -> Tensor:
        """Scalar loss of embeddings of coincident windows [B, embed_dim] and of slid windows [K, embed_dim]."""
        coincident, slid = self.log_odds(torch.cat([a, b])).tensor_split([len(a)])
        return (F.softplus(-coincident).mean() + F.softplus(slid).mean()) / 2

    def log_odds(self, embedding: Tensor) -> Tensor:
        """[B] log-odds of coincident against slid, of embeddings [B, embed_dim]."""
        logits: Tensor = self.head(embedding)
        return logits.squeeze(1)

    def after_step(self, step: int, total_steps: int) -> None:
        """Note how far the training is."""
        self.trained.fill_(step / total_steps)
