"""RunRecord: what a run was and what came of it, validated and written atomically."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from pydantic import SerializerFunctionWrapHandler, model_serializer

from gwbench.errors import UserError
from gwbench.evaluation.metrics import Metrics
from gwbench.evaluation.statistics import Interval
from gwbench.experiment.record_html import as_table, in_short
from gwbench.experiment.spec import RunSpec
from gwbench.experiment.training_outcome import CurvePoint, TrainingOutcome
from gwbench.utils.files import atomic
from gwbench.utils.models import FrozenModel
from gwbench.utils.untrusted_files import MIB, AbsentError, UnusableError
from gwbench.utils.untrusted_text import read_json
from gwbench.utils.validation_errors import first_problem

if TYPE_CHECKING:
    from gwbench.contracts import Array, Scores, Split

RECORD = "record.json"
WEIGHTS = "weights.safetensors"
CONDITIONER = "conditioner.npz"
SCORER = "scorer.safetensors"
PREDICTIONS = "predictions.npz"
DIAGNOSTICS = "diagnostics.npz"
OBJECTIVE = "objective.safetensors"
SUPERSEDED = "record.superseded.json"
KEPT = (PREDICTIONS, WEIGHTS, CONDITIONER, SCORER, DIAGNOSTICS, OBJECTIVE)
"""What a finished run may leave beside its record, whose hashes that holds."""

LARGEST = 16 * MIB
"""Bytes of a record: ordinary ones have some ten thousand."""

SCHEMA = 1
"""The newest schema of records that is understood."""


class PluginUsed(FrozenModel):
    """A plugin as it was: its version, the SHA-256 of its source file, and its tags (None in the oldest records).

    One of an installed package other than gwbench also tells that package's name and version, as "my-package 1.2".
    """

    kind: str
    name: str
    version: int
    source_hash: str
    tags: tuple[str, ...] | None = None
    package: str | None = None

    @model_serializer(mode="wrap")
    def _without_package(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What is of no package of its own reads as it did before there were any."""
        fields: dict[str, Any] = serialize(self)
        if self.package is None:
            fields.pop("package", None)
        return fields


class ObjectUsed(FrozenModel):
    """An object that a run was given in Python in place of a plugin's name.

    Attributes:
        kind, name: of what it stands for, as the spec names it.
        class_name: its module and class, or its own where it is a class or a function.
        source_hash: SHA-256 of what its code does.
        state_hash: SHA-256 of what it held, such as its weights.
        source: its code, which may be cut; empty where Python kept none.
    """

    kind: str
    name: str
    class_name: str
    source_hash: str
    state_hash: str
    source: str


class Data(FrozenModel):
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


class Phase(FrozenModel):
    """Seconds of one phase, and its throughput where it has one."""

    seconds: float
    samples_per_second: float | None = None


class Environment(FrozenModel):
    """Where the run was made.

    Attributes:
        devices, nodes: over how many pre-training was spread, devices per node; it is the same run on any.
        deterministic: whether only algorithms were used that give the same bits again.
    """

    gwbench: str
    git_commit: str | None
    packages: dict[str, str]
    hardware: dict[str, str | int | float]
    device: str
    precision: str
    devices: int = 1
    nodes: int = 1
    deterministic: bool = False

    @model_serializer(mode="wrap")
    def _without_default(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Ordinary runs read as they did before there was a choice."""
        fields: dict[str, Any] = serialize(self)
        if not self.deterministic:
            fields.pop("deterministic", None)
        return fields


class RunRecord(FrozenModel):
    """One run.

    Attributes:
        status: "ok", or "failed" with its reason.
        run_id: hash of the spec, the plugins' sources and the data's fingerprint.
        protocol: version of the evaluation protocol.
        created: ISO 8601, UTC.
        command: how to get this run again; a call in Python where it was given objects.
        objects: those that stood for plugins; None where every plugin has a name, so that the command line can give the
            run again.
        seeds: the seed behind every role.
        metrics: of the test split; None where the run failed, or its task reports others.
        task_metrics: what a task other than the default reports of the test split.
        details: what the method reports of itself, such as the probe's chosen strength.
        parameters: trainable parameters of the encoder.
        learning_curve: the probe on validation while training went on; None where it was not asked for.
        phases: seconds and throughput per phase; "diagnose" is the watch for collapse, which "pretrain" does not count.
        peak_memory: bytes.
        files: SHA-256 of the run's other files by name; None where the run failed, or is older than this field.
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
    learning_curve: tuple[CurvePoint, ...] | None = None
    phases: dict[str, Phase] = {}
    peak_memory: int | None = None
    environment: Environment
    files: dict[str, str] | None = None
    objects: tuple[ObjectUsed, ...] | None = None
    folder: str | None = None

    @model_serializer(mode="wrap")
    def _without_absent(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Records without the fields that came later read as they did before there were any."""
        fields: dict[str, Any] = serialize(self)
        for name in ("task_metrics", "learning_curve", "files", "objects"):
            if getattr(self, name) is None:
                fields.pop(name, None)
        return fields

    def __repr__(self) -> str:
        """The method, the data and the outcome on one line."""
        return f"<RunRecord {in_short(self)}>"

    def __str__(self) -> str:
        """The same as its `repr`."""
        return repr(self)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return as_table(self)

    @property
    def auc(self) -> float:
        """ROC-AUC of the test split; raises `UserError` where the run failed, or its task has none."""
        if self.metrics is None and self.task_metrics is not None:
            raise UserError(f"The run {self.run_id} has no ROC-AUC; its task reports {', '.join(self.task_metrics)}.")
        if self.metrics is None:
            raise UserError(f"The run {self.run_id} failed: {self.reason}.")
        return self.metrics.auc.value

    @property
    def budget(self) -> tuple[int, int] | None:
        """Optimiser steps of pre-training, and windows seen in them; None where nothing was pre-trained.

        Those of the runs that this one goes on from are among them.
        """
        if self.training is None or self.spec.training is None or self.data is None:
            return None
        settings, before = self.spec.training, self.spec.extends
        steps = len(self.training.loss) * (self.data.sizes.get("train", 0) // settings.batch_size)
        if settings.windows is not None:
            steps = min(steps, settings.windows // settings.batch_size)
        windows = steps * settings.batch_size
        return (steps + before.steps, windows + before.windows) if before else (steps, windows)

    @property
    def val_auc(self) -> float | None:
        """ROC-AUC of the validation split, by which settings are chosen; None where the method tells none."""
        for name in ("val_auc", "probe_val_auc"):
            value = self.details.get(name)
            if isinstance(value, float) and 0.0 <= value <= 1.0:  # details may be anything
                return value
        return None


def write_record(folder: Path, record: RunRecord) -> None:
    """Write `record.json`; a reader sees the old one, the new one or none."""
    with atomic(folder / RECORD) as path:
        path.write_text(record.model_dump_json(indent=2, exclude={"folder"}) + "\n")


class LoadedRecord(NamedTuple):
    """A record from a file, and the JSON document that it was validated from."""

    record: RunRecord
    document: Any


def load_record(path: str | Path) -> LoadedRecord:
    """A record from a file that may be anything.

    Raises:
        AbsentError: there is no such file.
        UnusableError: it is no record, is damaged, of a newer schema, or holds what no run can give.
    """
    document = read_json(path, largest=LARGEST)
    version = document.get("schema_version", SCHEMA) if isinstance(document, dict) else SCHEMA
    if isinstance(version, int) and version > SCHEMA:
        raise UnusableError(f"its schema version {version} is newer than {SCHEMA}, which this gwbench reads: update it")
    try:
        record = RunRecord.model_validate(document)
    except (ValueError, OverflowError, RecursionError, UserError) as error:
        raise UnusableError(f"it is no record: {first_problem(error)}") from None
    _check(record)
    return LoadedRecord(record.model_copy(update={"folder": str(Path(path).parent)}), document)


def read_record(folder: Path) -> RunRecord:
    """The record in a run's folder.

    Raises:
        UserError: there is none, or it cannot serve (`load_record`).
    """
    path = folder / RECORD
    try:
        return load_record(path).record
    except AbsentError:
        raise UserError(f"There is no record in {folder}.") from None
    except UnusableError as error:
        raise UserError(f"The record {path} cannot be read ({error}). Run with --rerun to make it again.") from None


def _check(record: RunRecord) -> None:
    """Refuse what is well-formed and cannot be."""
    metrics = record.metrics
    if record.status == "ok" and ((metrics is None and record.task_metrics is None) or record.data is None):
        raise UnusableError("it says that the run went well and holds no metrics or no data")
    if metrics:
        intervals = [metrics.auc, metrics.knn_auc, *metrics.tpr_at_fpr.values()]
        if not all(map(_is_share, intervals)) or not 0.0 <= metrics.average_precision <= 1.0:
            raise UnusableError("a metric of it is no number between 0 and 1")
    if record.training and not record.training.is_whole:
        raise UnusableError("its training has no figures of every epoch")
    phases = record.phases.values()
    numbers = (record.parameters, record.peak_memory, *(phase.seconds for phase in phases))
    rates = (phase.samples_per_second for phase in phases)
    if not all(number is None or 0 <= number < 1e30 for number in (*numbers, *rates)):  # not NaN, and fits a float
        raise UnusableError("a size, time or rate of it is no sensible number")


def _is_share(interval: Interval | None) -> bool:
    return interval is None or (interval.low >= 0.0 and interval.high <= 1.0)


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
