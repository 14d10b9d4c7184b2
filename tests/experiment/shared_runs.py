"""A tiny run for the tests of several processes, and what it must come to on any number of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gwbench
from gwbench.experiment.record import RunRecord
from gwbench.utils.progress import Progress
from tests.conftest import TINY

# Each detector's strain is one view: no view is drawn at random.
SETTINGS: dict[str, Any] = TINY | {"dataset.detectors": ("H1", "L1"), "training.epochs": 3, "training.lr": 1e-4}


def run(out: Path, devices: int = 2, progress: Progress | None = None, **options: Any) -> RunRecord:
    options = {"objective": "simclr", "precision": "fp32", "device": "cpu", "settings": SETTINGS, **options}
    return gwbench.run(out=out, devices=devices, progress=progress or Progress(), **options)


def same(found: RunRecord, wanted: RunRecord) -> None:
    """The same run up to the rounding of float32."""
    assert found.training is not None
    assert wanted.training is not None
    assert found.run_id == wanted.run_id
    assert found.spec == wanted.spec
    assert found.training.loss == pytest.approx(wanted.training.loss, abs=2e-5)
    assert found.auc == pytest.approx(wanted.auc, abs=0.01)
    assert found.folder
    assert wanted.folder
    embeddings = []
    for folder in (found.folder, wanted.folder):
        with np.load(Path(folder) / "predictions.npz") as arrays:
            embeddings.append(arrays["embedding"])
    np.testing.assert_allclose(embeddings[0], embeddings[1], atol=1e-3)


def command(out: Path, settings: dict[str, Any] = SETTINGS) -> list[str]:
    words = ["run", "--loss", "simclr", "--out", str(out)]
    words += ["--device", "cpu", "--devices", "2", "--precision", "fp32"]
    for key, value in settings.items():
        words += ["--set", f"{key}={','.join(map(str, value)) if isinstance(value, tuple) else value}"]
    return words
