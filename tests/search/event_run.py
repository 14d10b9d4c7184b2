"""A run on two detectors that is trained in some ten seconds and hears GW150914."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gwbench
from gwbench.experiment.record import RunRecord
from gwbench.utils.progress import Progress

SETTINGS: dict[str, Any] = {
    "dataset.detectors": ("H1", "L1"),
    "dataset.train": 1500,
    "dataset.val": 200,
    "dataset.test": 200,
    "dataset.snr": (12.0, 30.0),
    "encoder.width": 8,
    "encoder.embed_dim": 32,
    "encoder.stride": 8,
    "training.epochs": 5,
    "training.batch_size": 128,
    "objective.hidden_dim": 32,
    "objective.output_dim": 32,
}


def train(out: Path) -> RunRecord:
    """Train and probe it."""
    return gwbench.run(
        dataset="bbh",
        encoder="cnn1d",
        pairing="any-pair",
        objective="simclr",
        encoder_groups="shared",
        settings=SETTINGS,
        device="cpu",
        precision="fp32",
        out=out,
        progress=Progress(),
    )
