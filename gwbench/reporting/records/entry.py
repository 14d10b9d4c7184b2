"""One record, as far as a leaderboard needs it."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gwbench.evaluation.metrics import Metrics
from gwbench.experiment.record import Environment, LoadedRecord, RunRecord, load_record
from gwbench.reporting.records.data_asked import DataAsked, data_asked, recipe_of
from gwbench.reporting.records.method import Method, method_of
from gwbench.reporting.records.recompute import check_metrics
from gwbench.reporting.records.task_figure import MAIN_FIGURE, RankedTask, main_figure, ranked_task
from gwbench.utils.untrusted_files import UnusableError

OTHER_TASK = "the figures of its task need the data, which `gwbench verify --rerun-probe` makes again"
"""Why a record of another task than the default is not checked."""

OF_THE_CELL = ("dataset", "seed", "data_seed", "limit")
"""Fields of a spec that are no part of the method."""


@dataclass(frozen=True)
class RecordEntry:
    """One run.

    Attributes:
        path: of the record.
        run_id, created, command: as recorded.
        reason: why it failed; None where it went well.
        schema_version, protocol: versions of the record and of the evaluation.
        asked: for which data.
        recipe: what made the data (`recipe_of`); None where the run failed, or they come from files.
        content_hash: of the data; None where the run failed.
        sizes, detectors, sample_rate, notes: of the data; empty and None where the run failed.
        method, seed, label_fraction: which cell it is.
        metrics: of the test split, without the bins in SNR; None where it failed.
        readings: of the record, by name, as `EntryReader` was asked for them; empty where the run failed.
        hardware: what the times were taken on.
        made_with: versions, commit and machine, by name.
        unchecked: why its metrics are not checked against its test scores; None where they are, or the run failed.
        labels: hash of the labels of its test windows; None where they are not known.
    """

    path: str
    run_id: str
    created: str
    command: str
    reason: str | None
    schema_version: int
    protocol: int
    asked: DataAsked
    recipe: str | None
    content_hash: str | None
    sizes: Mapping[str, int]
    detectors: tuple[str, ...]
    sample_rate: float | None
    notes: tuple[str, ...]
    method: Method
    seed: int
    label_fraction: float
    metrics: Metrics | None
    readings: Mapping[str, Any]
    hardware: str
    made_with: Mapping[str, str]
    unchecked: str | None = None
    labels: str | None = None
    task: RankedTask | None = None

    @property
    def good(self) -> bool:
        """Whether the run went well."""
        return self.reason is None


def load_scored(path: str | Path) -> LoadedRecord:
    """The record of a run that scores signals against noise.

    Raises:
        UnusableError: as `load_record`; or its task is another, which has no ROC-AUC.
    """
    loaded = load_record(path)
    if loaded.record.task_metrics is not None:
        task = loaded.record.spec.task.name if loaded.record.spec.task else "unknown"
        raise UnusableError(f"its task is {task!r}, which has no ROC-AUC: see task_metrics in the record")
    return loaded


class EntryReader:
    """Reads many records, of which many have the same method and data: those are worked out and kept once.

    Args:
        readings: what is read of a record besides, by name.
        of_scores: those of them that only runs of the default task have.
    """

    def __init__(
        self, readings: Mapping[str, Callable[[RunRecord], Any]] | None = None, of_scores: Collection[str] = ()
    ) -> None:
        self._readings, self._of_scores = dict(readings or {}), frozenset(of_scores)
        self._methods: dict[str, Method] = {}
        self._asked: dict[str, DataAsked] = {}
        self._recipes: dict[str, str] = {}
        self._notes: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._made_with: dict[str, dict[str, str]] = {}

    def read(self, path: str) -> RecordEntry:
        """What a leaderboard needs of a record.

        Raises:
            UnusableError: as `load_record`; its task has no figure to rank by; or its metrics are not those of its test
                scores.
        """
        record, document = load_record(path)
        data, hardware = record.data, record.environment.hardware
        good, task = record.status == "ok", ranked_task(record)
        metrics = record.metrics if good and task is None else None
        checked = check_metrics(record, bins=False) if metrics else None
        asked = self._data_asked(record)
        return RecordEntry(
            path=path,
            run_id=record.run_id,
            created=record.created,
            command=record.command,
            reason=None if good else record.reason or "no reason is recorded",
            schema_version=record.schema_version,
            protocol=record.protocol,
            asked=asked,
            recipe=self._recipe(record, asked) if data and good else None,
            content_hash=data.content_hash if data and good else None,
            sizes=data.sizes if data else {},
            detectors=data.detectors if data else (),
            sample_rate=data.sample_rate if data else None,
            notes=self._notes.setdefault(data.notes, data.notes) if data else (),
            method=self._method(record, document),
            seed=record.spec.seed,
            label_fraction=record.spec.evaluation.label_fraction,
            metrics=metrics.model_copy(update={"per_snr_bin": ()}) if metrics else None,
            readings=self._read_figures(record, task) if good else {},
            hardware=str(hardware.get("accelerator") or f"{hardware.get('processor')}, {hardware.get('cores')} cores"),
            made_with=self._environment(record.environment),
            unchecked=checked.unchecked if checked else OTHER_TASK if good else None,
            labels=checked.labels if checked else None,
            task=task,
        )

    def _read_figures(self, record: RunRecord, task: RankedTask | None) -> dict[str, Any]:
        """The readings of a finished run; of one of another task its main figure, and what is no figure of scores."""
        if task is None:
            return {name: read(record) for name, read in self._readings.items()}
        readings = {name: None if name in self._of_scores else read(record) for name, read in self._readings.items()}
        return {**readings, MAIN_FIGURE: main_figure(record, task)}

    def _environment(self, environment: Environment) -> dict[str, str]:
        written = environment.model_dump_json()
        if written not in self._made_with:
            machine = ", ".join(f"{name} {value}" for name, value in environment.hardware.items())
            self._made_with[written] = {
                "gwbench": environment.gwbench,
                "commit": environment.git_commit or "not known",
                "device": f"{environment.device}, {environment.precision}",
                "machine": machine,
                **{f"{name} version": version for name, version in environment.packages.items()},
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
        asked = data_asked(record)
        return self._asked.setdefault(asked.key, asked)

    def _recipe(self, record: RunRecord, asked: DataAsked) -> str | None:
        recipe = recipe_of(record, asked)
        return recipe and self._recipes.setdefault(recipe, recipe)
