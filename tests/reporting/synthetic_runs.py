"""Runs as they lie on disk, without having been run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gwbench.evaluation.metrics import evaluate_scores
from gwbench.experiment.record import (
    PREDICTIONS,
    RECORD,
    Data,
    Environment,
    Phase,
    PluginUsed,
    RunRecord,
    write_arrays,
    write_record,
)
from gwbench.experiment.spec import RunSpec

Array = NDArray[Any]

LABEL = np.repeat([0, 1], [150, 150]).astype(np.int8)
SNR = np.where(LABEL == 1, np.linspace(6, 20, len(LABEL)), np.nan).astype(np.float32)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def scores_of(quality: float, seed: int, method: str = "") -> Array:
    """Scores whose shift between the classes is `quality`; half of their noise is the windows' own."""
    rng = np.random.default_rng([seed, int(digest(method)[:8], 16)])
    windows = np.random.default_rng(99).normal(size=len(LABEL))
    noise = (windows + rng.normal(size=len(LABEL))) / np.sqrt(2)
    return np.asarray(noise + quality * LABEL, dtype=np.float32)


def write_run(
    root: Path,
    *,
    quality: float = 1.5,
    seed: int = 0,
    data: str = "data",
    fraction: float = 0.25,
    failed: str | None = None,
    predictions: bool = True,
    protocol: int = 1,
    created: str = "2026-01-01T00:00:00+00:00",
    code: str = "code",
    folder: str | None = None,
    score: Array | None = None,
    edit: Callable[[dict[str, Any]], None] | None = None,
    settings: dict[str, Any] | None = None,
    data_seed: int = 0,
    **parts: Any,
) -> Path:
    """Write a run's folder: its record and, where it went well, its test scores."""
    chosen = {"evaluation.label_fraction": fraction, **(settings or {})}
    spec = RunSpec.create(seed=seed, data_seed=data_seed, settings=chosen, **parts)
    score = scores_of(quality, seed, spec.title) if score is None else score
    good = failed is None
    used = [
        PluginUsed(kind=k, name=c.name, version=1, source_hash=digest(code + c.name),
                   tags=("simulated",) if k == "dataset" else None)
        for k, c in spec.choices()
    ]  # fmt: skip
    record = RunRecord(
        status="ok" if good else "failed",
        reason=failed,
        run_id=digest(spec.canonical() + data)[:16],
        protocol=protocol,
        created=created,
        command=spec.command(),
        spec=spec,
        plugins=used,
        seeds={},
        data=Data(
            content_hash=digest(data),
            fingerprint={},
            detectors=("H1", "L1", "V1"),
            sample_rate=2048.0,
            sizes={"train": 1000, "val": 200, "test": len(LABEL)},
            labelled=int(1000 * fraction),
            notes=("Simulated.",),
        )
        if good
        else None,
        metrics=evaluate_scores(LABEL, score, SNR) if good else None,
        parameters=1000 if good else None,
        phases={"pretrain": Phase(seconds=10.0 + seed, samples_per_second=100.0)} if good and spec.training else {},
        peak_memory=2**30 + seed,
        environment=Environment(
            gwbench="0", git_commit=None, packages={}, hardware={"processor": "P", "cores": 2}, device="cpu",
            precision="fp32",
        ),
    )  # fmt: skip
    place = root / (folder or f"{spec.title}-{data}-{fraction}-{seed}-{record.run_id}-{code}".replace(" ", ""))
    write_record(place, record)
    if good and predictions:
        write_arrays(place / PREDICTIONS, {"label": LABEL, "score": score, "snr": SNR})
    if edit:
        document = json.loads((place / RECORD).read_text())
        edit(document)
        (place / RECORD).write_text(json.dumps(document))
    return place
