"""What a report reads: a run's folder, which may hold anything, and the runs beside it."""

from __future__ import annotations

import math
import os
import re
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gwbench import seeds
from gwbench.errors import UserError
from gwbench.evaluation.labelled import known_rows
from gwbench.evaluation.metrics import Array
from gwbench.evaluation.statistics import Interval
from gwbench.experiment.record import DIAGNOSTICS, PREDICTIONS, RECORD, RunRecord, load_record
from gwbench.reporting.records.data_asked import recipe_of
from gwbench.reporting.records.entry import EntryReader, load_scored
from gwbench.reporting.records.method import method_of
from gwbench.reporting.records.predictions import Predictions, read_predictions
from gwbench.reporting.records.recompute import disagreements
from gwbench.utils.untrusted_arrays import open_archive, read_array, read_header
from gwbench.utils.untrusted_files import MIB, UnusableError

POINTS = 4000
"""Test windows whose embeddings are shown; of more, as many are drawn."""

WIDEST, LARGEST, BLOCK = 2**16, 4096 * MIB, 4 * MIB
"""Features of an embedding; bytes of all of them that are read, and of those in memory at once."""


@dataclass(frozen=True)
class EmbeddingSample:
    """Some test windows' embeddings [M, F], labels [M] and optimal network SNRs [M]; `of` windows there are."""

    embedding: Array
    label: Array
    snr: Array
    of: int


@dataclass(frozen=True)
class Correlation:
    """What `gwbench.training.diagnostics` kept.

    Attributes:
        matrix: [K, K] of the views' projections.
        width: dimensions of the projections, K or more.
        windows: how many it is over.
        pretrained_by: the run that pre-trained, where it was another.
    """

    matrix: Array
    width: int
    windows: int
    pretrained_by: str | None


@dataclass(frozen=True)
class LabelPoint:
    """The AUC of a run with `labelled` labels, its share of them, and whether it is the run that is reported."""

    labelled: int
    fraction: float
    auc: Interval
    itself: bool


@dataclass(frozen=True)
class RunFiles:
    """A run, as far as it was kept.

    Attributes:
        record: of the run.
        predictions: of the labelled test windows.
        embedded: test embeddings, where the method has any.
        correlation: of the projections in pre-training.
        labels: this run and those beside it that differ in the share of labels alone, by labels.
        missing: why the scores or the matrix are not there, by field name.
    """

    record: RunRecord
    predictions: Predictions | None = None
    embedded: EmbeddingSample | None = None
    correlation: Correlation | None = None
    labels: tuple[LabelPoint, ...] = ()
    missing: dict[str, str] = field(default_factory=dict)


def read_run(run: str | Path) -> RunFiles:
    """A run's record and whatever else its folder holds.

    Args:
        run: its folder, or its record file.

    Raises:
        UserError: there is no record, or a file of the folder is damaged or belongs to another run.
    """
    path = Path(run)
    path = path / RECORD if path.is_dir() else path
    advice = "Give the folder of a run."
    try:
        record = load_record(path).record
        advice = "Run its command again with --rerun."
        return RunFiles(record) if record.status != "ok" else _read(record, path.parent)
    except UnusableError as error:
        raise UserError(f"{path.parent} holds no run that can be reported: {error}. {advice}") from None


def _read(record: RunRecord, folder: Path) -> RunFiles:
    missing: dict[str, str] = {}
    predictions = embedded = None
    if record.metrics is None:  # of another task, whose predictions are no scores of signals
        return RunFiles(record)
    if os.path.lexists(folder / PREDICTIONS):
        predictions = _predictions(record, folder)
        embedded = _embedded(record, folder)
    else:
        missing["predictions"] = f"the folder holds no {PREDICTIONS}, so that the figures of the record are not checked"
    correlation = None
    if record.training:
        try:
            correlation = _correlation(record, folder)
        except _AbsentError as error:
            missing["correlation"] = str(error)
    return RunFiles(record, predictions, embedded, correlation, _labels(record, folder), missing)


def _predictions(record: RunRecord, folder: Path) -> Predictions:
    predictions = read_predictions(folder, _windows(record))
    first = next(disagreements(record, predictions), None)
    if first is not None:
        raise UnusableError(f"{PREDICTIONS} belongs to another run: {first}")
    return predictions


def _windows(record: RunRecord) -> int:
    assert record.metrics
    return record.metrics.n_test + record.metrics.n_unlabelled


# --- embeddings ---------------------------------------------------------------------------------------------


def _embedded(record: RunRecord, folder: Path) -> EmbeddingSample | None:
    n = _windows(record)
    with open_archive(folder / PREDICTIONS) as archive:
        if "embedding.npy" not in archive.namelist():
            return None
        label, snr = read_array(archive, "label", 16 * n), read_array(archive, "snr", 16 * n)
        rows = known_rows(label)
        of = len(rows)
        if of > POINTS:
            rows = np.sort(seeds.numpy_generator(0, "diagnostics").choice(rows, POINTS, replace=False))
        embedding = _rows(archive, "embedding", n, rows)
    if not np.isfinite(embedding).all():
        raise UnusableError(f"{PREDICTIONS} holds embeddings that are not finite")
    return EmbeddingSample(embedding, label[rows], snr[rows], of)


def _rows(archive: zipfile.ZipFile, name: str, n: int, rows: Array) -> Array:
    """Some rows, ascending, of an array [n, F] of numbers, without ever holding all of it."""
    with archive.open(f"{name}.npy") as member:
        shape, dtype, _ = read_header(member, name)
        if (
            len(shape) != 2
            or shape[0] != n
            or not 0 < shape[1] <= WIDEST
            or math.prod(shape) * dtype.itemsize > LARGEST
        ):
            raise ValueError(f"{name} is {list(shape)}, not [{n}, features] of a size that is read")
        row = shape[1] * dtype.itemsize
        step = max(BLOCK // row, 1)
        parts = []
        for start in range(0, n, step):
            count = min(step, n - start)
            content = member.read(count * row)
            if len(content) < count * row:
                raise ValueError(f"{name} is cut off")
            block = np.frombuffer(content, dtype).reshape(count, shape[1])
            parts.append(block[rows[(rows >= start) & (rows < start + count)] - start].astype(np.float32))
    return np.concatenate(parts)


# --- the cross-correlation matrix ---------------------------------------------------------------------------


class _AbsentError(Exception):
    """Why there is no matrix, though nothing is wrong."""


def _correlation(record: RunRecord, folder: Path) -> Correlation:
    other = record.details.get("pretrained_by")
    if other is not None:
        folder = _folder_of(str(other), folder.parent)
    if not os.path.lexists(folder / DIAGNOSTICS):
        raise _AbsentError(
            "it was not kept: the objective compares no projections, or the run is older than the matrix"
        )
    with open_archive(folder / DIAGNOSTICS, 16 * MIB) as archive:
        matrix = read_array(archive, "cross_correlation", 4 * MIB).astype(np.float32)
        width, windows = (int(read_array(archive, name, 64).item()) for name in ("width", "windows"))
        if matrix.ndim != 2 or not 0 < matrix.shape[0] == matrix.shape[1] <= width or windows < 1:
            raise ValueError(f"the matrix is {list(matrix.shape)} for {width} dimensions and {windows} windows")
        if not (np.abs(matrix) <= 1.01).all():  # NaN included
            raise ValueError("the matrix holds what is no correlation")
    return Correlation(matrix, width, windows, None if other is None else str(other))


def _folder_of(run_id: str, beside: Path) -> Path:
    """The folder of a run by its identity."""
    if re.fullmatch(r"[0-9a-f]{16}", run_id):
        for path in sorted(beside.glob(f"*-{run_id[:8]}/{RECORD}")):
            try:
                if load_scored(path).record.run_id == run_id:
                    return path.parent
            except UnusableError:
                continue
    raise _AbsentError(f"the run {run_id} keeps it, which did the pre-training and is not beside this one")


# --- the same method with other shares of labels ------------------------------------------------------------


def _labels(record: RunRecord, folder: Path) -> tuple[LabelPoint, ...]:
    """The run, and those beside it that differ in the share of labels alone, by that share."""
    assert record.metrics and record.data
    points = {record.spec.evaluation.label_fraction: _point(record, itself=True)}
    reader, method, recipe = EntryReader(), method_of(record).key, recipe_of(record)
    stem, _, identity = folder.resolve().name.rpartition("-")
    named = stem if stem and record.run_id.startswith(identity) else ""  # those of one method and seed begin alike
    for path in sorted(folder.resolve().parent.glob(f"{_literal(named)}*/{RECORD}")):
        if path.parent.is_symlink():
            continue
        try:
            entry = reader.read(str(path))
            if (
                entry.metrics
                and (entry.content_hash == record.data.content_hash or (recipe and entry.recipe == recipe))
                and entry.seed == record.spec.seed
                and (entry.protocol, entry.method.key) == (record.protocol, method)
                and entry.label_fraction not in points
            ):
                points[entry.label_fraction] = _point(load_scored(path).record, itself=False)
        except UnusableError:
            continue  # the leaderboard names such records; a report of another run does not stop for them
    return tuple(points[fraction] for fraction in sorted(points))


def _literal(text: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", text)


def _point(record: RunRecord, *, itself: bool) -> LabelPoint:
    assert record.metrics and record.data
    return LabelPoint(record.data.labelled, record.spec.evaluation.label_fraction, record.metrics.auc, itself)
