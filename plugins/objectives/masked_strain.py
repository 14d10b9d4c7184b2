"""Masked-strain modelling."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from gwbench.contracts import Encode, Objective, View
from gwbench.errors import UserError
from gwbench.registry import register

OCTAVES = 8
"""Frequencies of the code of a place: patches as short as 1/256 of the window are told apart."""
DETECTORS = 8
"""How many detectors the code of a place tells apart."""


@register(
    "objective",
    "masked-strain",
    citation="He et al., Masked Autoencoders Are Scalable Vision Learners, arXiv:2111.06377, for strain",
    tags=("generative", "negative-free"),
)
class MaskedStrain(Objective):
    """Masked-strain modelling: predict hidden patches of strain from the embedding of what is left.

    Patches of every channel are set to 0 before the encoder sees the view. From the embedding and a patch's place a
    small network predicts its samples, averaged in groups of `downsample`: noise at high frequencies cannot be
    predicted. The loss is the mean square error over the hidden patches in units of their mean square.

    Whitened strain is nearly all noise, of which what is hidden cannot be predicted: the fainter the signals, the less
    of the gradient is about them.

    Behaviour on collapse: the loss stays at 1, that of predicting nothing.

    Args:
        patch: samples of a patch.
        ratio: share of the patches that is hidden.
        downsample: how many samples are averaged into one to predict; divides `patch`.
        others: whether the prediction also sees the other view's embedding, itself of masked strain; only with pairings
            whose views hold different strain, as the other view would else show what is hidden.
        hidden_dim: width of the decoder's two hidden layers.
    """

    def __init__(
        self,
        embed_dim: int,
        *,
        patch: Annotated[int, Field(ge=1)] = 64,
        ratio: Annotated[float, Field(gt=0, lt=1)] = 0.5,
        downsample: Annotated[int, Field(ge=1)] = 16,
        others: bool = False,
        hidden_dim: Annotated[int, Field(ge=1)] = 256,
    ) -> None:
        super().__init__(embed_dim)
        if patch % downsample:
            raise UserError(
                f"objective.downsample={downsample} does not divide objective.patch={patch}. "
                "Set a divisor of the patch, such as 1."
            )
        self.patch, self.ratio, self.downsample, self.others = patch, ratio, downsample, others
        seen = embed_dim * (2 if others else 1)
        # windows' embeddings differ by little at first: BatchNorm brings it out
        self.from_embedding = nn.Sequential(nn.BatchNorm1d(seen), nn.Linear(seen, hidden_dim))
        self.from_place = nn.Linear(4 * OCTAVES, hidden_dim)
        self.decoder = nn.Sequential(
            nn.GELU(), nn.Linear(hidden_dim, hidden_dim), nn.GELU(), nn.Linear(hidden_dim, patch // downsample)
        )

    def loss(self, a: Tensor, b: Tensor) -> Tensor:
        """There is none of embeddings alone.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError("masked-strain compares strain, not embeddings: call the objective with views.")

    def forward(self, a: View, b: View, encode: Encode) -> Tensor:
        """Scalar loss of two views. What is hidden is drawn from torch's global generator."""
        shown_a, places_a, hidden_a = self.mask(a)
        shown_b, places_b, hidden_b = self.mask(b)
        embedding_a, embedding_b = encode(shown_a), encode(shown_b)
        with torch.autocast(embedding_a.device.type, enabled=False):
            seen_a, seen_b = embedding_a.float(), embedding_b.float()
            if self.others:
                seen_a, seen_b = torch.cat([seen_a, seen_b], dim=1), torch.cat([seen_b, seen_a], dim=1)
            return (self._error(seen_a, places_a, hidden_a) + self._error(seen_b, places_b, hidden_b)) / 2

    def mask(self, view: View) -> tuple[View, Tensor, Tensor]:
        """Hide patches of a view.

        Returns:
            The view with the hidden patches at 0; the hidden patches' places [B, M, 2], time and detector, from 0 to
            1; their samples averaged, [B, M, patch / downsample].

        Raises:
            UserError: the window holds fewer than two patches.
        """
        batch, channels, samples = view.samples.shape
        per_channel = samples // self.patch
        count = channels * per_channel
        if count < 2:
            raise UserError(
                f"objective.patch={self.patch} leaves fewer than two patches in {samples} samples. Set a shorter one."
            )
        whole, rest = view.samples.split([per_channel * self.patch, samples - per_channel * self.patch], dim=2)
        patches = whole.reshape(batch, count, self.patch)
        chosen = torch.rand(batch, count, device=patches.device).argsort(1)[:, : self._hidden(count)]  # [B, M]
        hide = torch.zeros(batch, count, 1, dtype=torch.bool, device=patches.device)
        hide.scatter_(1, chosen.unsqueeze(2), True)
        shown = torch.cat([patches.masked_fill(hide, 0).reshape(whole.shape), rest], dim=2)
        detector = view.detectors.gather(1, chosen // per_channel)
        places = torch.stack([(chosen % per_channel) / per_channel, detector / DETECTORS], dim=2)
        hidden = patches.gather(1, chosen.unsqueeze(2).expand(-1, -1, self.patch))
        return View(shown, view.detectors), places, hidden.unflatten(2, (-1, self.downsample)).mean(3)

    def _hidden(self, count: int) -> int:
        return min(max(round(self.ratio * count), 1), count - 1)

    def _error(self, embedding: Tensor, places: Tensor, hidden: Tensor) -> Tensor:
        angles = places.unsqueeze(3) * math.pi * 2 ** torch.arange(OCTAVES, device=places.device)  # [B, M, 2, 8]
        code = torch.cat([angles.sin(), angles.cos()], dim=3).flatten(2)
        predicted = self.decoder(self.from_embedding(embedding).unsqueeze(1) + self.from_place(code))
        return F.mse_loss(predicted, hidden) / hidden.square().mean().clamp(min=1e-12)
