"""One record, as far as a leaderboard needs it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydantic
import pydantic_core

from gwbench.errors import UserError
from gwbench.evaluation.metrics import Metrics
from gwbench.evaluation.statistics import Interval
from gwbench.experiment.record import Environment, PluginUsed, RunRecord
from gwbench.registry.code_identity import same_code
from gwbench.reporting.records.discover import MIB, UnusableError, open_plain
from gwbench.reporting.records.method import Method, method_of

LARGEST = 16 * MIB
"""Bytes of a record: ordinary ones have some ten thousand."""

SCHEMA = 1
"""The newest schema of records that is understood."""

OF_THE_CELL = ("dataset", "seed", "data_seed")
"""Fields of a spec that are no part of the method."""


@dataclass(frozen=True)
class DataAsked:
    """What data a run asked for: equal for runs that asked for the same in the same way.

    Attributes:
        key: of all the others, and of the versions of record and protocol.
        dataset, parameters: the plugin and its parameters.
        code: hash of its source.
        seed: of the data.
    """

    key: str
    dataset: str
    parameters: Mapping[str, Any]
    code: str
    seed: int


@dataclass(frozen=True)
class RecordEntry:
    """One run.

    Attributes:
        path: of the record.
        run_id, created, command: as recorded.
        reason: why it failed; None where it went well.
        schema_version, protocol: versions of the record and of the evaluation.
        asked: for which data.
        content_hash: of the data; None where the run failed.
        sizes, detectors, sample_rate, notes: of the data; empty and None where the run failed.
        method, seed, label_fraction: which cell it is.
        metrics: of the test split, without the bins in SNR; None where it failed.
        parameters: trainable parameters of the encoder.
        seconds, rate: of pre-training: seconds, and windows per second.
        memory: peak, bytes.
        hardware: what the times were taken on.
        made_with: versions, commit and machine, by name.
    """

    path: str
    run_id: str
    created: str
    command: str
    reason: str | None
    schema_version: int
    protocol: int
    asked: DataAsked
    content_hash: str | None
    sizes: Mapping[str, int]
    detectors: tuple[str, ...]
    sample_rate: float | None
    notes: tuple[str, ...]
    method: Method
    seed: int
    label_fraction: float
    metrics: Metrics | None
    parameters: int | None
    seconds: float | None
    rate: float | None
    memory: int | None
    hardware: str
    made_with: Mapping[str, str]


def load_record(path: str | Path) -> RunRecord:
    """A record from a file that may be anything.

    Raises:
        UnusableError: it is no record, is damaged, of a newer schema, or holds what no run can give.
    """
    return _validated(_document(path)).model_copy(update={"folder": str(Path(path).parent)})


class EntryReader:
    """Reads many records, of which many have the same method and data: those are worked out and kept once."""

    def __init__(self) -> None:
        self._methods: dict[str, Method] = {}
        self._asked: dict[str, DataAsked] = {}
        self._notes: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._made_with: dict[str, dict[str, str]] = {}

    def read(self, path: str) -> RecordEntry:
        """What a leaderboard needs of a record; raises as `load_record` does."""
        document = _document(path)
        record = _validated(document)
        pretrain = record.phases.get("pretrain")
        data, hardware = record.data, record.environment.hardware
        good = record.status == "ok" and record.metrics
        return RecordEntry(
            path=path,
            run_id=record.run_id,
            created=record.created,
            command=record.command,
            reason=None if good else record.reason or "no reason is recorded",
            schema_version=record.schema_version,
            protocol=record.protocol,
            asked=self._data_asked(record),
            content_hash=data.content_hash if data and good else None,
            sizes=data.sizes if data else {},
            detectors=data.detectors if data else (),
            sample_rate=data.sample_rate if data else None,
            notes=self._notes.setdefault(data.notes, data.notes) if data else (),
            method=self._method(record, document),
            seed=record.spec.seed,
            label_fraction=record.spec.evaluation.label_fraction,
            metrics=good.model_copy(update={"per_snr_bin": ()}) if good else None,
            parameters=record.parameters,
            seconds=pretrain.seconds if pretrain else None,
            rate=pretrain.samples_per_second if pretrain else None,
            memory=record.peak_memory,
            hardware=str(hardware.get("accelerator") or f"{hardware.get('processor')}, {hardware.get('cores')} cores"),
            made_with=self._environment(record.environment),
        )

    def _environment(self, found: Environment) -> dict[str, str]:
        written = found.model_dump_json()
        if written not in self._made_with:
            machine = ", ".join(f"{name} {value}" for name, value in found.hardware.items())
            self._made_with[written] = {
                "gwbench": found.gwbench,
                "commit": found.git_commit or "not known",
                "device": f"{found.device}, {found.precision}",
                "machine": machine,
                **{f"{name} version": version for name, version in found.packages.items()},
            }
        return self._made_with[written]

    def _method(self, record: RunRecord, document: Any) -> Method:
        """The method; told by the document first, which is quicker than to work it out."""
        spec = {name: value for name, value in document["spec"].items() if name not in OF_THE_CELL}
        spec["evaluation"] = {**spec.get("evaluation", {}), "label_fraction": None}
        written = json.dumps([spec, document["plugins"]])
        if written not in self._methods:
            method = method_of(record)
            self._methods[written] = self._methods.setdefault(method.key, method)
        return self._methods[written]

    def _data_asked(self, record: RunRecord) -> DataAsked:
        dataset, seed = record.spec.current().dataset, record.spec.data_seed
        code = next((_code(used) for used in record.plugins if used.kind == "dataset"), "")
        parts = [dataset.name, dataset.parameters, code, seed, record.schema_version, record.protocol]
        key = json.dumps(parts, sort_keys=True)
        return self._asked.setdefault(key, DataAsked(key, dataset.name, dataset.parameters, code, seed))


def _code(used: PluginUsed) -> str:
    return same_code(used.kind, used.name, used.source_hash)


def _document(path: str | Path) -> Any:
    with open_plain(path, LARGEST) as stream:
        content = stream.read(LARGEST + 1)
    try:
        return pydantic_core.from_json(content, allow_inf_nan=False)
    except ValueError as error:
        raise UnusableError(f"it is no JSON: {error}") from None


def _validated(document: Any) -> RunRecord:
    version = document.get("schema_version", SCHEMA) if isinstance(document, dict) else SCHEMA
    if isinstance(version, int) and version > SCHEMA:
        raise UnusableError(f"its schema version {version} is newer than {SCHEMA}, which this gwbench reads: update it")
    try:
        record = RunRecord.model_validate(document)
    except (ValueError, OverflowError, RecursionError, UserError) as error:
        raise UnusableError(f"it is no record: {_first(error)}") from None
    _check(record)
    return record


def _check(record: RunRecord) -> None:
    """Refuse what is well-formed and cannot be."""
    metrics = record.metrics
    if record.task_metrics is not None:
        task = record.spec.task.name if record.spec.task else "unknown"
        raise UnusableError(f"its task is {task!r}, which has no ROC-AUC: see task_metrics in the record")
    if record.status == "ok" and (metrics is None or record.data is None):
        raise UnusableError("it says that the run went well and holds no metrics or no data")
    if metrics:
        intervals = [metrics.auc, metrics.knn_auc, *metrics.tpr_at_fpr.values()]
        if not all(map(_is_share, intervals)) or not 0.0 <= metrics.average_precision <= 1.0:
            raise UnusableError("a metric of it is no number between 0 and 1")
    phases = record.phases.values()
    numbers = (record.parameters, record.peak_memory, *(phase.seconds for phase in phases))
    rates = (phase.samples_per_second for phase in phases)
    if not all(number is None or 0 <= number < 1e30 for number in (*numbers, *rates)):  # not NaN, and fits a float
        raise UnusableError("a size, time or rate of it is no sensible number")


def _is_share(interval: Interval | None) -> bool:
    return interval is None or (interval.low >= 0.0 and interval.high <= 1.0)


def _first(error: Exception) -> str:
    if isinstance(error, pydantic.ValidationError):
        first = error.errors(include_input=False, include_url=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error)
