"""A run's record as a notebook shows it."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gwbench.evaluation.statistics import Interval
    from gwbench.experiment.record import RunRecord


def in_short(record: RunRecord) -> str:
    """What was run and what came of it, in one line."""
    return f"{record.spec.title} on {record.spec.dataset.name}, seed {record.spec.seed}: {_outcome(record)}"


def as_table(record: RunRecord) -> str:
    """HTML: the method, its figures with their intervals, and where the run is."""
    rows = [("outcome", _outcome(record))]
    if record.metrics:
        metrics = record.metrics
        rows = [("ROC-AUC", with_interval(metrics.auc))]
        rows += [("kNN AUC", with_interval(metrics.knn_auc))] if metrics.knn_auc else []
        rows += [(f"TPR at FPR {rate}", with_interval(each)) for rate, each in metrics.tpr_at_fpr.items() if each]
        rows += [("validation AUC", f"{record.val_auc:.4f}")] if record.val_auc is not None else []
    if record.data:
        sizes = ", ".join(f"{size:,} {name}" for name, size in record.data.sizes.items())
        rows += [("windows", sizes), ("labels", f"{record.data.labelled:,}")]
    rows += [("seconds", ", ".join(f"{name} {phase.seconds:.0f}" for name, phase in record.phases.items()))]
    rows += [("folder", record.folder)] if record.folder else []
    title = html.escape(f"{record.spec.title} on {record.spec.dataset.name}, seed {record.spec.seed}")
    cells = "".join(
        f'<tr><th style="text-align:left">{html.escape(name)}</th><td style="text-align:left">{html.escape(value)}</td>'
        "</tr>"
        for name, value in rows
    )
    return f'<table><caption style="text-align:left"><b>{title}</b></caption>{cells}</table>'


def with_interval(interval: Interval) -> str:
    """A figure with its interval."""
    return f"{interval.value:.4f} [{interval.low:.4f}, {interval.high:.4f}]"


def _outcome(record: RunRecord) -> str:
    if record.metrics:
        return f"ROC-AUC {with_interval(record.metrics.auc)}"
    if record.task_metrics is not None:
        return ", ".join(record.task_metrics)
    return f"failed: {record.reason}"
