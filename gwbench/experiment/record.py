"""RunRecord: what a run was and what came of it, validated and written atomically."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pydantic
from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

from gwbench.errors import UserError
from gwbench.evaluation.metrics import Metrics
from gwbench.experiment.spec import RunSpec
from gwbench.utils.files import atomic

if TYPE_CHECKING:
    from gwbench.contracts import Array, Scores, Split

RECORD = "record.json"
WEIGHTS = "weights.safetensors"
CONDITIONER = "conditioner.npz"
PREDICTIONS = "predictions.npz"
DIAGNOSTICS = "diagnostics.npz"
SUPERSEDED = "record.superseded.json"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PluginUsed(_Part):
    """A plugin as it was: its version, the SHA-256 of its source file, and its tags (None in the oldest records)."""

    kind: str
    name: str
    version: int
    source_hash: str
    tags: tuple[str, ...] | None = None


class Data(_Part):
    """The data as they were.

    Attributes:
        content_hash: of every number in the three splits.
        fingerprint: what identified the data before they were read, such as file digests.
        sizes: windows per split.
        labelled: training windows whose labels the method used.
        notes: what a reader must know of these data.
    """

    content_hash: str
    fingerprint: dict[str, str]
    detectors: tuple[str, ...]
    sample_rate: float
    sizes: dict[str, int]
    labelled: int
    notes: tuple[str, ...]


class TrainingOutcome(_Part):
    """What came of pre-training: per-epoch loss and collapse diagnostics."""

    loss: list[float]
    collapse: list[dict[str, float]]
    warning: str | None
    resumed_from: int


class Phase(_Part):
    """Seconds of one phase, and its throughput where it has one."""

    seconds: float
    samples_per_second: float | None = None


class Environment(_Part):
    """Where the run was made.

    Attributes:
        devices, nodes: over how many pre-training was spread, devices per node; it is the same run on any.
    """

    gwbench: str
    git_commit: str | None
    packages: dict[str, str]
    hardware: dict[str, str | int | float]
    device: str
    precision: str
    devices: int = 1
    nodes: int = 1


class RunRecord(_Part):
    """One run.

    Attributes:
        status: "ok", or "failed" with its reason.
        run_id: hash of the spec, the plugins' sources and the data's fingerprint.
        protocol: version of the evaluation protocol.
        created: ISO 8601, UTC.
        command: how to get this run again.
        seeds: the seed behind every role.
        metrics: of the test split; None where the run failed, or its task reports others.
        task_metrics: what a task other than the default reports of the test split.
        details: what the method reports of itself, such as the probe's chosen strength.
        parameters: trainable parameters of the encoder.
        phases: seconds and throughput per phase; "diagnose" is the watch for collapse, which "pretrain" does not count.
        peak_memory: bytes.
    """

    schema_version: Literal[1] = 1
    status: Literal["ok", "failed"]
    reason: str | None = None
    run_id: str
    protocol: int
    created: str
    command: str
    spec: RunSpec
    plugins: list[PluginUsed]
    seeds: dict[str, int]
    data: Data | None = None
    metrics: Metrics | None = None
    task_metrics: dict[str, Any] | None = None
    details: dict[str, Any] = {}
    parameters: int | None = None
    training: TrainingOutcome | None = None
    phases: dict[str, Phase] = {}
    peak_memory: int | None = None
    environment: Environment
    folder: str | None = None

    @model_serializer(mode="wrap")
    def _without_default_task(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Records of the default task read as they did before there were others."""
        fields: dict[str, Any] = serialize(self)
        if self.task_metrics is None:
            fields.pop("task_metrics", None)
        return fields

    @property
    def auc(self) -> float:
        """ROC-AUC of the test split; raises `UserError` where the run failed, or its task has none."""
        if self.metrics is None and self.task_metrics is not None:
            raise UserError(f"The run {self.run_id} has no ROC-AUC; its task reports {', '.join(self.task_metrics)}.")
        if self.metrics is None:
            raise UserError(f"The run {self.run_id} failed: {self.reason}.")
        return self.metrics.auc.value


def write_record(folder: Path, record: RunRecord) -> None:
    """Write `record.json`; a reader sees the old one, the new one or none."""
    with atomic(folder / RECORD) as path:
        path.write_text(record.model_dump_json(indent=2, exclude={"folder"}) + "\n")


def read_record(folder: Path) -> RunRecord:
    """The record in a run's folder.

    Raises:
        UserError: there is none, or it is damaged or of another schema.
    """
    path = folder / RECORD
    try:
        found = RunRecord.model_validate(json.loads(path.read_text()))
        return found.model_copy(update={"folder": str(folder)})
    except FileNotFoundError:
        raise UserError(f"There is no record in {folder}.") from None
    except (OSError, ValueError) as error:
        first = error.errors()[0] if isinstance(error, pydantic.ValidationError) else None
        reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}" if first else str(error)
        raise UserError(f"The record {path} cannot be read ({reason}). Run with --rerun to make it again.") from None


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
    """Write a compressed npz atomically; it opens with `allow_pickle=False`."""
    with atomic(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]


def write_predictions(folder: Path, test: Split, scores: Scores, targets: Array | None = None) -> None:
    """Write labels, SNRs, scores and embeddings of the test windows, and a task's targets that are not the labels."""
    arrays = {"label": test.label, "score": scores.test, "snr": test.snr}
    if targets is not None:
        arrays["target"] = targets
    if scores.embeddings is not None:
        arrays["embedding"] = scores.embeddings
    write_arrays(folder / PREDICTIONS, arrays)
