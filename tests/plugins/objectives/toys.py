"""Small encoders, views and objectives for the tests of objectives."""

from __future__ import annotations

import importlib

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gwbench.contracts import Encoder, InputShape, Objective, View
from gwbench.nn.detector_encoder import DetectorEncoder
from gwbench.registry import REGISTRY

Matrix = NDArray[np.float64]

SAMPLES = 32
EMBED = 6


class ToyEncoder(Encoder):
    """A linear layer with BatchNorm, so that there are buffers to follow."""

    def __init__(self, shape: InputShape) -> None:
        super().__init__()
        self.embed_dim = EMBED
        self.linear = nn.Linear(shape.channels * shape.samples, EMBED)
        self.norm = nn.BatchNorm1d(EMBED)

    def forward(self, strain: Tensor) -> Tensor:
        out: Tensor = self.norm(self.linear(strain.flatten(1)))
        return out


def toy_encoder(groups: list[list[int]] | None = None, channels: int = 1) -> DetectorEncoder:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        shape = InputShape(channels, SAMPLES, 2048.0)
        return DetectorEncoder(lambda: ToyEncoder(shape), groups or [[0, 1, 2]], network=channels > 1)


def build(name: str, **parameters: object) -> Objective:
    importlib.import_module(f"gwbench.plugins.objectives.{name.replace('-', '_')}")
    target = REGISTRY.get("objective", name).target
    assert target is not None
    with torch.random.fork_rng():
        torch.manual_seed(0)
        objective: Objective = target(EMBED, **parameters)
    return objective


def embeddings(seed: int, batch: int = 16) -> Tensor:
    return torch.randn(batch, EMBED, generator=torch.Generator().manual_seed(seed))


def view(seed: int, detector: int = 0, batch: int = 16, channels: int = 1) -> View:
    samples = torch.randn(batch, channels, SAMPLES, generator=torch.Generator().manual_seed(seed))
    return View(samples, torch.arange(detector, detector + channels).expand(batch, channels))


def numbers(x: Tensor) -> Matrix:
    out: Matrix = x.detach().double().numpy()
    return out


def unit(x: Matrix) -> Matrix:
    out: Matrix = x / np.linalg.norm(x, axis=1, keepdims=True)
    return out


def log_softmax(x: Matrix) -> Matrix:
    x = x - x.max(axis=1, keepdims=True)
    out: Matrix = x - np.log(np.exp(x).sum(axis=1, keepdims=True))
    return out
