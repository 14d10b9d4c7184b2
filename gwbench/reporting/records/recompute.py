"""The figures of a record worked out again from its test scores: a record that says anything else is refused.

A reader has the scores (`predictions.npz`) beside the record. What follows from them is computed anew and compared:
ROC-AUC and average precision, the efficiencies, their intervals, how many windows there are, and where they are asked
for the bins in SNR. The AUC of the nearest neighbours needs the embeddings of the training windows, which a run does
not keep; only `gwbench verify --rerun-probe` checks it. That the scores are those of the method is another matter, for
the same command.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gwbench.errors import UserError
from gwbench.evaluation.metrics import SNR_EDGES, Metrics, evaluate_scores
from gwbench.experiment.record import PREDICTIONS, RunRecord
from gwbench.experiment.settings import dotted
from gwbench.reporting.records.predictions import Predictions, read_predictions
from gwbench.utils.untrusted_files import UnusableError

ROUNDING = 1e-9
"""By which a figure may differ from one processor to another."""

FITTED = 1e-5
"""By which an SNR at which half the signals are found may differ: it is the end of an iteration."""

MOST_RATES = 20
"""False-positive rates of a record that are looked at; one that has more is refused for the others."""

_TITLES = {
    "auc": "ROC-AUC",
    "average_precision": "average precision",
    "tpr_at_fpr": "TPR at FPR",
    "per_snr_bin": "SNR bins",
    "snr_at_half": "SNR at TPR 0.5, FPR",
    "n_test": "number of test windows",
    "n_signal": "number of signals",
    "n_noise": "number of noise windows",
    "n_unlabelled": "number of windows without a label",
    "level": "confidence of intervals",
}
"""Figures of `Metrics` in words."""

_ENDS = {"low": "lower end of the interval of", "high": "upper end of the interval of"}


class Disagreement(NamedTuple):
    """A figure of a record, and what its test scores give: as text, or "none" where one has no such figure."""

    figure: str
    recorded: str
    found: str

    def __str__(self) -> str:
        return f"{self.figure} is {self.recorded} in the record and {self.found} by its test scores"


class Checked(NamedTuple):
    """What came of checking a record.

    Attributes:
        unchecked: why it could not be checked; None where it was, and agrees.
        labels: hash of the labels of its test windows; None where they cannot be read.
        predictions: the test scores, where they can be read.
    """

    unchecked: str | None
    labels: str | None = None
    predictions: Predictions | None = None


def check_metrics(record: RunRecord, *, bins: bool = True) -> Checked:
    """Compare a record's metrics with its test scores.

    Args:
        record: as read from a folder.
        bins: whether the figures by SNR are compared too, which takes five times as long.

    Raises:
        UnusableError: the record says what its scores do not give.
    """
    if record.metrics is None or record.folder is None:
        return Checked("it has no metrics of scores")
    path = Path(record.folder) / PREDICTIONS
    if not os.path.lexists(path):
        return Checked(f"there is no {PREDICTIONS}")
    try:
        predictions = read_predictions(record.folder, record.metrics.n_test + record.metrics.n_unlabelled)
    except UnusableError as error:
        return Checked(str(error))
    first = next(disagreements(record, predictions, bins=bins), None)
    if first is not None:
        raise UnusableError(f"{PREDICTIONS} and the record disagree: {first}")
    labels = hashlib.sha256(predictions.label.astype(np.int8).tobytes()).hexdigest()
    return Checked(None, labels, predictions)


def disagreements(record: RunRecord, predictions: Predictions, *, bins: bool = True) -> Iterator[Disagreement]:
    """Every figure of a record that its test scores do not give; the ROC-AUC comes first.

    Args:
        record: with metrics.
        predictions: its labelled test windows.
        bins: as of `check_metrics`; a task other than the default may have bins of its own, which are not compared.

    Raises:
        UnusableError: the scores give no metrics at all.
    """
    assert record.metrics is not None
    bins = bins and record.spec.task is None
    recorded, found = record.metrics, recomputed(record, predictions, bins=bins)
    left_out = {"knn_auc"} | (set() if bins else {"per_snr_bin"}) | (set() if recorded.snr_at_half else {"snr_at_half"})
    ours, theirs = (_flat(each.model_dump(mode="json", exclude=left_out)) for each in (recorded, found))
    for name in dict.fromkeys([*ours, *theirs]):
        if name.split(".")[0] in ("tpr_at_fpr", "snr_at_half") and name in ours and not is_rate(_rate_in(name)):
            continue  # no reader takes it for an efficiency at a rate
        a, b = ours.get(name), theirs.get(name)
        tolerance = FITTED if name.startswith("snr_at_half") else ROUNDING
        if not _agree(a, b, tolerance):
            yield Disagreement(_in_words(name), _figure(a), _figure(b))


def recomputed(record: RunRecord, predictions: Predictions, *, bins: bool = True) -> Metrics:
    """The metrics that a run's test scores give, at the false-positive rates of its record.

    Raises:
        UnusableError: they give none: a score is NaN, or one class is missing.
    """
    assert record.metrics is not None
    rates = _rates(record.metrics)
    if len(np.unique(predictions.label)) < 2:
        raise UnusableError(f"{PREDICTIONS} gives no metrics, which need windows of both classes")
    try:
        found = evaluate_scores(
            predictions.label,
            predictions.score,
            predictions.snr,
            efficiency_fpr=rates,
            snr_edges=SNR_EDGES if bins else (),
        )
    except (UserError, ValueError) as error:
        raise UnusableError(f"{PREDICTIONS} gives no metrics, though the record has some: {error}") from None
    total = record.metrics.n_test + record.metrics.n_unlabelled  # as long as the arrays are, which was checked
    return found.model_copy(update={"n_unlabelled": total - len(predictions.label)})


def _rates(metrics: Metrics) -> list[float]:
    """The false-positive rates that a record has efficiencies at, and SNRs at which half the signals are found."""
    names = list(dict.fromkeys([*metrics.tpr_at_fpr, *metrics.snr_at_half]))[:MOST_RATES]
    return [float(name) for name in names if is_rate(name)]


def is_rate(name: str) -> bool:
    """Whether a name that a record gives a false-positive rate is one."""
    try:
        return 0.0 < float(name) < 1.0
    except ValueError:
        return False


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    """Nested values by dotted name; the bins in SNR by their lower edge."""
    values = {
        name: {f"from {each['low']:g}": each for each in value} if name == "per_snr_bin" else value
        for name, value in values.items()
    }
    return dict(dotted(values))


def _rate_in(name: str) -> str:
    """The rate in the dotted name of an efficiency, such as "0.01" in "tpr_at_fpr.0.01.value"."""
    rate = name.partition(".")[2]
    return next((rate.removesuffix(f".{end}") for end in ("value", *_ENDS) if rate.endswith(f".{end}")), rate)


def _agree(a: Any, b: Any, tolerance: float) -> bool:
    if isinstance(a, int | float) and isinstance(b, int | float):
        return abs(a - b) <= tolerance * max(1.0, abs(b))
    return bool(a == b)


def _in_words(name: str) -> str:
    """A figure by its dotted name, such as "tpr_at_fpr.0.01.value"."""
    field, _, rest = name.partition(".")
    rest, _, last = rest.rpartition(".")
    if last not in ("value", *_ENDS) or (field == "per_snr_bin" and last != "value"):
        rest, last = ".".join(filter(None, [rest, last])), ""
    title = " ".join(filter(None, [_TITLES.get(field, field), rest]))
    return f"{_ENDS[last]} {title}" if last in _ENDS else title


def _figure(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6f}"
    return "none" if value is None else str(value)
