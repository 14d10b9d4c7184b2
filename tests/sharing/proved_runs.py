"""One small run of an encoder and one of a baseline, made once for a file of tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import gwbench
from gwbench.experiment.record import PREDICTIONS, RECORD

TINY = {"dataset.train": 64, "dataset.val": 32, "dataset.test": 48, "training.epochs": 1, "training.batch_size": 16}
SMALL = {**TINY, "objective.hidden_dim": 8, "objective.output_dim": 8, "encoder.width": 8}
DATA = {name: value for name, value in TINY.items() if name.startswith("dataset.")}


def trained(out: Path, **more: Any) -> Path:
    record = gwbench.run(encoder="cnn1d", settings={**SMALL}, precision="fp32", out=out, **more)
    return Path(str(record.folder))


def baseline(out: Path, name: str, **more: Any) -> Path:
    return Path(str(gwbench.run(baseline=name, settings=dict(DATA), out=out, **more).folder))


def edit_record(run: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    document = json.loads((run / RECORD).read_text())
    edit(document)
    (run / RECORD).write_text(json.dumps(document))


def replace_scores(run: Path, **arrays: Any) -> None:
    with np.load(run / PREDICTIONS) as before:
        np.savez(run / PREDICTIONS, **{**before, **arrays})


def forge(run: Path) -> None:
    """Scores that separate the classes, and a record whose metrics and hash are those of the scores."""
    import hashlib

    from gwbench.evaluation.metrics import evaluate_scores

    with np.load(run / PREDICTIONS) as arrays:
        label, snr = arrays["label"], arrays["snr"]
    score = label + np.linspace(0, 1e-3, len(label))
    replace_scores(run, score=score)
    digest = hashlib.sha256((run / PREDICTIONS).read_bytes()).hexdigest()

    def rewrite(document: dict[str, Any]) -> None:
        document["metrics"] = evaluate_scores(label, score, snr).model_dump(mode="json")
        document["files"][PREDICTIONS] = digest

    edit_record(run, rewrite)
