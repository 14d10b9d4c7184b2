"""A job in numbers small enough to train on within a second."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gwbench.contracts import Array, Encoder, Scores, Split, StrainSplits
from gwbench.nn.detector_encoder import DetectorEncoder
from gwbench.utils.progress import Progress

DETECTORS = ("H1", "L1")
SAMPLES = 16


class ToyEncoder(Encoder):
    """Two layers and dropout; notes the strain that it is trained on."""

    def __init__(self) -> None:
        super().__init__()
        self.embed_dim = 6
        self.net = nn.Sequential(nn.Linear(SAMPLES, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 6))
        self.seen: list[Tensor] = []

    def forward(self, strain: Tensor) -> Tensor:
        if self.training:
            self.seen.append(strain.clone())
        out: Tensor = self.net(strain[:, 0])
        return out


def toy_splits(loudness: float = 3.0, sizes: tuple[int, int, int] = (96, 64, 64)) -> StrainSplits:
    """Unit noise, and in half the windows a constant besides, of either sign and the same in both detectors."""
    rng = np.random.default_rng(0)

    def split(n: int) -> Split:
        label = (np.arange(n) % 2).astype(np.int8)
        sign = np.where(rng.random(n) < 0.5, -1.0, 1.0)
        strain = rng.normal(size=(n, len(DETECTORS), SAMPLES)) + (loudness * label * sign)[:, None, None]
        return Split(strain.astype(np.float32), label, np.full(n, np.nan, np.float32))

    train, val, test = map(split, sizes)
    return StrainSplits(train, val, test, DETECTORS, 1024.0, 0, "toy")


@dataclass
class ToyJob:
    """Keeps `gwbench.contracts.RunContext` as far as baselines that learn from labels ask; notes what is read.

    The test split's labels are hidden as the core hides them; `truth` has them.
    """

    splits: StrainSplits = field(default_factory=toy_splits)
    labelled: Array = field(default_factory=lambda: np.arange(48))
    seed: int = 0
    device: str = "cpu"
    precision: str = "fp32"
    progress: Progress = field(default_factory=Progress)
    conditioner: Any = None
    read: list[tuple[str, list[int]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.truth = self.splits.test.label
        self.splits = replace(
            self.splits, test=replace(self.splits.test, label=np.full_like(self.truth, -1, dtype=np.int8))
        )

    def conditioned(self, split: str, index: slice | Array) -> Tensor:
        self.read.append((split, np.arange(len(self.splits[split]))[index].tolist()))
        return torch.from_numpy(self.splits[split].strain[index])

    def new_encoder(self) -> DetectorEncoder:
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            return DetectorEncoder(ToyEncoder, [[0, 1]])

    def pretrained(self) -> DetectorEncoder:
        return self.new_encoder()

    def probe(self, encoder: nn.Module) -> Scores:
        raise AssertionError("nothing here is probed")

    def windows(self, split: str) -> set[int]:
        """The windows of a split that were read."""
        return {position for name, rows in self.read if name == split for position in rows}


def relabelled(splits: StrainSplits, name: str, label: Array) -> StrainSplits:
    """The splits with other labels in one of them."""
    changed: dict[str, Any] = {name: replace(splits[name], label=label.astype(np.int8))}
    return replace(splits, **changed)
