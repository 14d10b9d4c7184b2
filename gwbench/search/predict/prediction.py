"""What came of scoring windows: in memory for Python, and as a document beside a file of scores."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from gwbench.data.dataset import Array
from gwbench.utils.models import FrozenModel
from gwbench.utils.untrusted_files import UnusableError
from gwbench.utils.untrusted_text import read_json

Conditioned = Literal["run", "refitted"]
"""Whose noise the strain is whitened by: that of the run's training split, or that of the windows themselves."""


@dataclass(frozen=True)
class Prediction:
    """Scores of windows, in their order.

    Attributes:
        ids: [N] names.
        score: [N] log-odds of a signal; NaN for a window that cannot be read.
        probability: [N] of a signal, by the run's calibration; NaN likewise.
        embedding: [N, F] float32; None where the method has none.
        damaged: why a window cannot be read, by id.
        conditioning: whose noise the strain was whitened by.
        whitened_variance: of whitened strain, by detector; near 1 where the noise is what it was whitened by.
    """

    ids: list[str]
    score: Array
    probability: Array
    embedding: Array | None
    damaged: Mapping[str, str] = field(default_factory=dict)
    conditioning: Conditioned = "run"
    whitened_variance: Mapping[str, float] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """As JSON, without embeddings: scores of windows that cannot be read are null."""
        columns = zip(self.ids, self.score.tolist(), self.probability.tolist(), strict=True)
        return {
            "conditioning": self.conditioning,
            "whitened_variance": dict(self.whitened_variance),
            "damaged": dict(self.damaged),
            "predictions": [
                {"id": name, "score": None, "probability": None}
                if math.isnan(score)
                else {"id": name, "score": score, "probability": probability}
                for name, score, probability in columns
            ],
        }


class PredictionRecord(FrozenModel):
    """What lies beside a file of scores, as `FILE.json`: what was scored, by what, and what could not be read.

    Attributes:
        created: ISO 8601, UTC.
        gwbench: version.
        run_id, title: of the run.
        run_folder: its folder's name.
        inputs: where the windows were.
        windows: how many there are, the damaged ones included.
        embedding: values of an embedding in the file; 0 for none.
        conditioning, whitened_variance: as of `Prediction`.
        damaged: why a window cannot be read, by id.
        notes: what a reader must know, one sentence each.
        key: of run, windows and settings: the same command with the same key does nothing more.
        sha256: of the file of scores.
    """

    schema_version: Literal[1] = 1
    kind: Literal["predictions"] = "predictions"
    created: str
    gwbench: str
    run_id: str
    title: str
    run_folder: str
    inputs: tuple[str, ...]
    windows: int
    embedding: int
    conditioning: Conditioned
    whitened_variance: dict[str, float]
    damaged: dict[str, str]
    notes: tuple[str, ...]
    key: str
    sha256: str


def record_path(output: Path) -> Path:
    """The document beside a file of scores."""
    return output.with_name(f"{output.name}.json")


def read_prediction_record(output: Path) -> PredictionRecord | None:
    """The document beside a file of scores; None where there is none that can be read."""
    try:
        return PredictionRecord.model_validate(read_json(record_path(output)))
    except (UnusableError, ValueError):
        return None
