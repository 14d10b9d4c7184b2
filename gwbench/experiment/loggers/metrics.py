"""What loggers are told of a run besides the figures of its steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gwbench.experiment.settings import as_argument

if TYPE_CHECKING:
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
    metrics = record.metrics
    assert metrics is not None
    figures = {"test/average_precision": metrics.average_precision}
    intervals = {"auc": metrics.auc, "knn_auc": metrics.knn_auc}
    intervals |= {f"tpr_at_fpr_{rate}": interval for rate, interval in metrics.tpr_at_fpr.items()}
    for name, interval in intervals.items():
        if interval:
            figures[f"test/{name}"] = interval.value
            figures |= {f"test/{name}_low": interval.low, f"test/{name}_high": interval.high}
    if record.validation_auc is not None:
        figures["validation/auc"] = record.validation_auc
    seconds = {name: phase.seconds for name, phase in record.phases.items()}
    figures |= {f"seconds/{name}": value for name, value in seconds.items()}
    return figures | {"seconds/total": sum(seconds.values())}
