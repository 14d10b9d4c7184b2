"""What loggers are told of a run besides the figures of its steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gwbench.experiment.settings import as_argument

if TYPE_CHECKING:
    from gwbench.evaluation.metrics import Metrics
    from gwbench.experiment.record import RunRecord
    from gwbench.experiment.spec import RunSpec

FIELDS = ("encoder_groups", "precision", "seed", "data_seed")
"""What a spec sets besides plugins and their settings."""


def settings_of(spec: RunSpec) -> dict[str, str | int | float]:
    """What was chosen and set, by the names that the command line has for it."""
    settings: dict[str, Any] = {name: getattr(spec, name) for name in FIELDS}
    for kind, choice in spec.choices():
        settings[f"augmentation.{choice.name}" if kind == "augmentation" else kind] = choice.name
    settings |= spec.settings()
    return {n: value if isinstance(value, (str, int, float)) else as_argument(value) for n, value in settings.items()}


def metrics_of(record: RunRecord) -> dict[str, float]:
    """What came of a run: its figures on the test split, with their intervals, and the seconds that it took."""
    figures = _of_scores(record.metrics) if record.metrics else _of_task(record.task_metrics or {})
    result = {f"test/{name}": value for name, value in figures.items()}
    if record.val_auc is not None:
        result["validation/auc"] = record.val_auc
    seconds = {name: phase.seconds for name, phase in record.phases.items()}
    result |= {f"seconds/{name}": value for name, value in seconds.items()}
    return result | {"seconds/total": sum(seconds.values())}


def _of_scores(metrics: Metrics) -> dict[str, float]:
    figures = {"average_precision": metrics.average_precision}
    intervals = {"auc": metrics.auc, "knn_auc": metrics.knn_auc}
    intervals |= {f"tpr_at_fpr_{rate}": interval for rate, interval in metrics.tpr_at_fpr.items()}
    for name, interval in intervals.items():
        if interval:
            figures |= {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
    return figures


def _of_task(metrics: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """The numbers among what a task reports, those of nested mappings under joined names."""
    figures: dict[str, float] = {}
    for name, value in metrics.items():
        if isinstance(value, Mapping):
            figures |= _of_task(value, f"{prefix}{name}_")
        elif isinstance(value, (int, float)):
            figures[f"{prefix}{name}".removesuffix("_value")] = float(value)
    return figures
