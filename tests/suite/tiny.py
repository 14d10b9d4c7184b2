"""A suite of a few cells that take a second each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

TINY_SUITE: dict[str, Any] = {
    "datasets": [{"name": "bbh", "train": 192, "val": 96, "test": 128, "snr": [12, 20]}],
    "encoders": [{"name": "cnn1d", "width": 4, "embed_dim": 8, "stride": 8}],
    "pairings": ["cross-detector"],
    "objectives": [{"name": "barlow", "hidden_dim": 16, "output_dim": 16}, "simclr"],
    "baselines": ["random-init"],
    "training": {"epochs": 2, "batch_size": 32},
    "label_fractions": [0.25, 1.0],
    "precision": "fp32",
}


def write_suite(folder: Path, **changes: Any) -> Path:
    """The tiny suite as a file; a change of None leaves a key out."""
    path = folder / "tiny.yaml"
    said = {key: value for key, value in (TINY_SUITE | changes).items() if value is not None}
    path.write_text(yaml.safe_dump(said))
    return path
