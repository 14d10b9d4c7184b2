"""The second half of `gwbench verify --rerun-probe`: data made again, embedded by the saved encoder, probed anew.

On the machine that made a run the scores come out to the last bit. Another processor or library rounds otherwise, and
the probe's regularisation, which is chosen on validation, may fall on the next value of its grid; so scores are
compared by their ranks, which is all that the metrics depend on.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gwbench.contracts import Array, Scores
from gwbench.errors import UserError
from gwbench.evaluation.metrics import Metrics
from gwbench.evaluation.version import PROTOCOL
from gwbench.experiment import record as files
from gwbench.experiment.checkpoint import load_encoder
from gwbench.experiment.context import ExperimentContext
from gwbench.experiment.data_cache import ConditionedData, DataCache
from gwbench.experiment.judge_encoder import judged_scores
from gwbench.experiment.record import RunRecord
from gwbench.experiment.recorder import jsonable
from gwbench.experiment.scorer import load_scorer
from gwbench.experiment.settings import dotted
from gwbench.registry import REGISTRY
from gwbench.sharing.check import ProofCheck
from gwbench.utils.printable import printable
from gwbench.utils.untrusted_arrays import open_archive, read_array
from gwbench.utils.untrusted_files import AbsentError, UnusableError

if TYPE_CHECKING:
    from gwbench.utils.progress import Progress

RANKS = 0.01
"""Share of all ranks by which a window may move..."""

WINDOWS = 0.01
"""...but for this share of the windows."""

FIGURE = 2e-3
"""By which an AUC or an average precision may differ; the order of two windows always may."""

CHUNK = 256
"""Windows scored at once."""


def rerun_checks(
    record: RunRecord, *, cache: str | Path | None, device: str, progress: Progress
) -> Iterator[ProofCheck]:
    """The checks of a finished run that need its data."""
    try:
        yield from _rerun(record, DataCache(cache), device, progress)
    except UserError as error:  # data or a plugin that are not here
        yield ProofCheck(name="rerun", status="not checkable", detail=printable(error, 500))
    except UnusableError as error:
        yield ProofCheck(name="rerun", status="failed", detail=printable(error, 500))


def _rerun(record: RunRecord, data_cache: DataCache, device: str, progress: Progress) -> Iterator[ProofCheck]:
    if record.protocol != PROTOCOL:
        raise UserError(f"its protocol has version {record.protocol}, and this gwbench {PROTOCOL}")
    spec = record.spec.current()
    data = data_cache.conditioned(spec, progress)
    check = _compare_data(record, data)
    yield check
    if check.status != "passed":
        return
    context = ExperimentContext.create(spec, data, device, progress)
    how, scores = _scores(record, context, data)
    try:
        recorded = _recorded_scores(record, len(data.splits.test))
    except AbsentError:
        yield ProofCheck(name="scores", status="not checkable", detail=f"there is no {files.PREDICTIONS}")
    else:
        yield _compare_scores(recorded, np.asarray(scores.test), how)
        if record.metrics is not None:
            yield _compare_labels(record, data)
    metrics = spec.build_task().metrics(data.splits.test, scores)
    yield _compare_figures(record, metrics, how)


def _compare_data(record: RunRecord, data: ConditionedData) -> ProofCheck:
    """The hash of data made again; where a processor or library rounds otherwise, it is another.

    Raises:
        UserError: the hash is another, and the run has kept nothing of its test windows to compare.
    """
    assert record.data is not None
    found, wanted = data.splits.content_hash, record.data.content_hash
    if found == wanted:
        return ProofCheck(name="data", status="passed", detail=f"made again, they have the hash {found[:16]}")
    why = f"made again they have the hash {found[:16]}, recorded is {printable(wanted[:16])}"
    if not _same_code(record, "dataset"):
        return ProofCheck(name="data", status="not checkable", detail=f"{why}; the dataset's code here is another")
    try:
        same = _same_windows(record, data)
    except AbsentError:
        raise UserError(f"the data have another hash here, and there is no {files.PREDICTIONS} to compare") from None
    if not same:
        return ProofCheck(name="data", status="failed", detail=why)
    hint = "labels and SNRs of the test windows are the same, as where a processor or library rounds otherwise"
    return ProofCheck(name="data", status="passed", detail=f"{why}; {hint}: the scores decide")


def _scores(record: RunRecord, context: ExperimentContext, data: ConditionedData) -> tuple[str, Scores]:
    """How the test split was scored again, and the scores.

    Raises:
        UserError: the run has kept nothing to do so with.
    """
    assert record.folder is not None
    folder, spec = Path(record.folder), context.spec
    if spec.baseline is None:
        if not (folder / files.WEIGHTS).exists():
            raise UserError(f"the encoder is not here ({files.WEIGHTS}), so that nothing can be embedded")
        encoder = load_encoder(folder).encoder
        how = "by a probe on the saved encoder" if spec.uses_labels else "by the saved objective on the saved encoder"
        return how, judged_scores(context.with_encoder(encoder), folder)
    baseline: Any = REGISTRY.get("baseline", spec.baseline.name).target
    if not (baseline.trains or baseline.pretrains):
        return "by the baseline, carried out again", spec.baseline.build("baseline").scores(context)
    if not (folder / files.SCORER).exists():
        raise UserError(f"the baseline trains a network, and {files.SCORER} is not here to score with")
    scorer = load_scorer(folder).scorer.to(context.device)
    parts, test = [], data.strain["test"]
    with context.progress.task("Score", len(test), "windows") as task:
        for start in range(0, len(test), CHUNK):
            part = test[slice(start, start + CHUNK)]
            parts.append(scorer(part.to(context.device)).detach().double().cpu().numpy())
            task.advance(len(part))
    return "by the saved scorer", Scores(test=np.concatenate(parts))


def _recorded_scores(record: RunRecord, n: int) -> Array:
    """The scores of all test windows, unlabelled ones included."""
    assert record.folder is not None
    with open_archive(Path(record.folder) / files.PREDICTIONS) as archive:
        scores = read_array(archive, "score", 16 * n * 1024)
        if len(scores) != n:
            raise ValueError(f"it has {len(scores)} scores, and the test split {n} windows")
        return scores


def _compare_scores(recorded: Array, found: Array, how: str) -> ProofCheck:
    if recorded.shape != found.shape:
        why = f"the shape of those recorded is {list(recorded.shape)}, made again {list(found.shape)}"
        return ProofCheck(name="scores", status="failed", detail=why)
    if np.array_equal(recorded, found.astype(recorded.dtype)):
        return ProofCheck(name="scores", status="passed", detail=f"all {len(found):,} are the same, {how}")
    if recorded.ndim != 1:
        close = np.isclose(recorded, found, rtol=1e-2, atol=1e-2 * float(np.std(found))).all(axis=1).mean()
        share, moved = 1.0 - float(close), float("nan")
    else:
        shift = np.abs(_ranks(recorded) - _ranks(found))
        share, moved = float((shift > max(1.0, RANKS * len(found))).mean()), float(shift.max())
    largest = f"; the largest shift is {moved:g} ranks"
    detail = (
        f"{how}: {100 * share:.1f} % of the windows move by more than {100 * RANKS:g} % of the ranks"
        f"{'' if np.isnan(moved) else largest}"
    )
    return ProofCheck(name="scores", status="passed" if share <= WINDOWS else "failed", detail=detail)


def _ranks(score: Array) -> Array:
    from scipy.stats import rankdata

    return np.asarray(rankdata(score))


def _same_windows(record: RunRecord, data: ConditionedData) -> bool:
    """Whether the test windows of a run's data have the labels and SNRs that the run has kept.

    Raises:
        AbsentError: it has kept none.
        UnusableError: they cannot be read.
    """
    assert record.folder is not None
    test = data.splits.test
    with open_archive(Path(record.folder) / files.PREDICTIONS) as archive:
        label, snr = (read_array(archive, name, 16 * len(test)) for name in ("label", "snr"))
    return np.array_equal(label, test.label) and np.allclose(snr, test.snr, rtol=1e-5, equal_nan=True)


def _compare_labels(record: RunRecord, data: ConditionedData) -> ProofCheck:
    same = _same_windows(record, data)
    detail = "labels and SNRs of the test windows are those of the data" if same else (
        "labels or SNRs of the test windows are not those of the data"
    )  # fmt: skip
    return ProofCheck(name="labels", status="passed" if same else "failed", detail=detail)


def _compare_figures(record: RunRecord, metrics: Any, how: str) -> ProofCheck:
    """The figures of scores made again; the nearest neighbours' too, where there are any."""
    name = "figures again"
    if isinstance(metrics, Metrics):
        if record.metrics is None:
            return ProofCheck(name=name, status="failed", detail="the record has figures of another task")
        pairs = {
            "ROC-AUC": (record.metrics.auc.value, metrics.auc.value),
            "average precision": (record.metrics.average_precision, metrics.average_precision),
        }
        if record.metrics.knn_auc and metrics.knn_auc:
            pairs["kNN AUC"] = (record.metrics.knn_auc.value, metrics.knn_auc.value)
        tolerance = max(FIGURE, 2.0 / max(1, metrics.n_signal * metrics.n_noise))
        wrong = {each: values for each, values in pairs.items() if abs(values[0] - values[1]) > tolerance}
    else:
        again, recorded = dict(dotted(jsonable(metrics))), dict(dotted(record.task_metrics or {}))
        pairs = {each: (recorded.get(each), value) for each, value in again.items()}  # type: ignore[misc]
        wrong = {each: values for each, values in pairs.items() if not _close(*values)}
    told = wrong or pairs
    detail = f"{how}: " + "; ".join(f"{each} {_text(a)} recorded, {_text(b)} now" for each, (a, b) in told.items())
    return ProofCheck(name=name, status="failed" if wrong else "passed", detail=detail)


def _close(a: Any, b: Any) -> bool:
    """Whether two values of JSON are the same but for rounding."""
    if isinstance(a, int | float) and isinstance(b, int | float):
        return bool(np.isclose(a, b, rtol=1e-2, atol=FIGURE, equal_nan=True))
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_close, a, b))
    return bool(a == b)


def _text(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else printable(value)


def _same_code(record: RunRecord, kind: str) -> bool:
    """Whether the plugin of a kind is here with the code that the record knows."""
    used = next(each for each in record.plugins if each.kind == kind)
    return REGISTRY.get(kind, used.name).is_of(used.source_hash)
