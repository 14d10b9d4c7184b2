"""A run's scorer without a run: a toy encoder of each detector, a head, and a conditioner that was fitted to noise."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gwbench.contracts import Encoder, Scorer
from gwbench.data.dataset import Array
from gwbench.evaluation.calibration import Calibration
from gwbench.experiment.scorer import RunScorer
from gwbench.nn.detector_encoder import DetectorEncoder
from gwbench.nn.encoder_scorer import EncoderScorer
from gwbench.nn.linear_head import LinearHead
from gwbench.preprocessing.conditioning import fit_to_strain
from gwbench.preprocessing.settings import Conditioning

RATE = 1024.0


class Moments(Encoder):
    """Mean square and largest magnitude of the strain, and its first samples."""

    embed_dim = 5

    def __init__(self) -> None:
        nn.Module.__init__(self)

    def forward(self, strain: Tensor) -> Tensor:
        flat = strain.flatten(1)
        return torch.cat([flat.square().mean(1, True), flat.abs().amax(1, True), flat[:, :3]], dim=1)


class Loudest(Scorer):
    """The largest magnitude: a scorer without embeddings."""

    def forward(self, strain: Tensor) -> Tensor:
        return strain.abs().amax(dim=(1, 2))


def noise(n: int, detectors: int = 2, samples: int = 1536, seed: int = 0, scale: float = 1e-21) -> Array:
    return np.random.default_rng(seed).normal(scale=scale, size=(n, detectors, samples))


def toy_run(
    detectors: tuple[str, ...] = ("H1", "L1"),
    rate: float = RATE,
    samples: int = 1536,
    margin: int = 256,
    scorer: Scorer | None = None,
    **record: Any,
) -> RunScorer:
    """A scorer of windows of `samples` with a margin at both ends."""
    conditioner = fit_to_strain(
        noise(64, len(detectors), samples, 99).astype("f4"),
        sample_rate=rate,
        margin=margin,
        detectors=detectors,
        settings=Conditioning(low=20.0, high=0.4 * rate),
    )
    encoder = DetectorEncoder(Moments, [list(range(len(detectors)))])
    features = 5 * len(detectors)
    weight = torch.linspace(-1, 1, features)
    head = LinearHead(torch.zeros(features), torch.ones(features), weight, torch.tensor(0.3))
    about: Any = SimpleNamespace(
        **{
            "run_id": "toy",
            "created": "2026-11-28",
            "folder": "runs/toy",
            "spec": SimpleNamespace(title="a toy"),
            **record,
        }
    )
    made = scorer or EncoderScorer(encoder, head)
    calibration = Calibration(slope=0.5, intercept=-1.0, signals=10, noise=10)
    return RunScorer(about, made.eval(), conditioner, calibration, (1.0,) * len(detectors))
