"""A linear probe, or a classifier's last layer, as a module: embeddings in, log-odds out."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

FAR = 1e6
"""Standard deviations at which a standardised feature is cut off, as the linear probe cuts it off."""


class LinearHead(nn.Module):
    """Log-odds of "signal": the sum of weights times standardised features, and an intercept. In float64.

    Buffers:
        mean: [F], subtracted from the features.
        inverse_std: [F], by which they are then multiplied; 0 for a feature that was constant in training.
        weight: [F].
        intercept: [].
    """

    mean: Tensor
    inverse_std: Tensor
    weight: Tensor
    intercept: Tensor

    def __init__(self, mean: Tensor, inverse_std: Tensor, weight: Tensor, intercept: Tensor) -> None:
        super().__init__()
        values = {"mean": mean, "inverse_std": inverse_std, "weight": weight, "intercept": intercept}
        for name, value in values.items():
            self.register_buffer(name, value.detach().to("cpu", torch.float64, copy=True))

    @classmethod
    def plain(cls, weight: Tensor, intercept: Tensor) -> LinearHead:
        """A layer's weights [F] and bias [], on features as they are."""
        return cls(torch.zeros_like(weight), torch.ones_like(weight), weight, intercept)

    @classmethod
    def of_state(cls, state: Mapping[str, Tensor]) -> LinearHead:
        """The head whose `state_dict` this is.

        Raises:
            ValueError: tensors are missing, or do not fit each other.
        """
        names = ("mean", "inverse_std", "weight", "intercept")
        if set(state) != set(names):
            raise ValueError(f"a linear head has {', '.join(names)}, not {', '.join(sorted(state)) or 'nothing'}")
        features = state["weight"].shape
        if len(features) != 1 or any(state[name].shape != features for name in names[:3]) or state[names[3]].ndim:
            shapes = ", ".join(f"{name} {list(state[name].shape)}" for name in names)
            raise ValueError(f"the tensors of the linear head do not fit each other: {shapes}")
        return cls(*(state[name] for name in names))

    @property
    def features(self) -> int:
        """F."""
        return len(self.weight)

    def terms(self, embedding: Tensor, groups: int) -> Tensor:
        """What each of `groups` equal parts of the features [B, F] adds to the log-odds: [B, groups]."""
        standardised = (embedding.double() - self.mean) * self.inverse_std
        terms: Tensor = (standardised.clamp(-FAR, FAR) * self.weight).unflatten(1, (groups, -1)).sum(dim=2)
        return terms

    def forward(self, embedding: Tensor) -> Tensor:
        """Log-odds [B] of embeddings [B, F]."""
        standardised = (embedding.double() - self.mean) * self.inverse_std
        scores: Tensor = standardised.clamp(-FAR, FAR) @ self.weight + self.intercept
        return scores
