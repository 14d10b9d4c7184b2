"""What is measured of a method: one `MetricSpec` each, of which columns, formats, sorting, help and summary are made.

To add a metric, add its spec to `METRICS`. The command line names the metrics in its help, so that nothing heavy is
imported here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from gwbench.evaluation.metrics import Metrics, SnrAtHalf
    from gwbench.evaluation.statistics import Interval
    from gwbench.experiment.record import RunRecord
    from gwbench.reporting.records.predictions import Predictions

    Reading = Interval | SnrAtHalf | float | None

FPRS = ("0.01", "0.001")
"""False-positive rates of a leaderboard; half the signals are found at the first."""

MAIN_FIGURE = "main figure"
"""The name of what the methods of another task than the default are ranked by."""

DEFAULT_METRIC = "auc"
"""By which methods are ranked unless another is named."""


@dataclass(frozen=True)
class MetricSpec:
    """A metric.

    Attributes:
        name: as the command line takes it.
        title: as a column has it.
        read: its value in the record of a run that went well; None where it has none.
        over_seeds: what a row says of its runs' values: "estimate" (mean, standard deviation and interval), "bound"
            (mean of `SnrAtHalf`), "mean" of those that are known, or the "largest" of them.
        larger_is_better: the direction, in which rows are sorted.
        ranks: whether methods can be ranked by it, as an "estimate" of which the larger is better.
        share: whether it is a share, in [0, 1]; only asked of an "estimate".
        of_any_task: whether runs of every task have it, and not only those that score signals against noise.
        paired: whether the test scores give a paired test of it.
        text: a value as text.
        field: in CSV files; a metric without one has no column.
        json_path: keys of its value in a row of a JSON file; by default the field.
        keep: as of `columns.Column`.
        legend: a line that explains the column.
        from_scores: its value by a run's test scores, for records that are older than the metric.
        note: what stands beside it in the summary of a run; None for a metric that is not in it.
        absent: what the summary says where there is none; by default nothing.
        optional: whether its column is there only where it is asked for.
    """

    name: str
    title: str
    read: Callable[[RunRecord], Reading]
    over_seeds: Literal["estimate", "bound", "mean", "largest"] = "estimate"
    larger_is_better: bool = False
    ranks: bool = False
    of_any_task: bool = False
    share: bool = True
    paired: bool = False
    text: Callable[[float], str] = "{:.4f}".format
    field: str = ""
    json_path: tuple[str, ...] = ()
    keep: int = 1
    legend: str = ""
    from_scores: Callable[[Predictions], Reading] | None = None
    note: Callable[[RunRecord], str] | None = None
    absent: str = ""
    optional: bool = False

    def __post_init__(self) -> None:
        if self.ranks and not (self.larger_is_better and self.over_seeds == "estimate"):
            raise ValueError(f"methods cannot be ranked by {self.name}, which is no estimate that is best if large")
        if self.field and not self.json_path:
            object.__setattr__(self, "json_path", (self.field,))


def number_of(figure: Any) -> float | None:
    """What a row is sorted by: a figure over seeds as one number."""
    return figure if figure is None or isinstance(figure, int | float) else figure.mean


# --- how metrics are read -----------------------------------------------------------------------------------


def _metrics(record: RunRecord) -> Metrics:
    assert record.metrics is not None
    return record.metrics


def _metrics_of_task(record: RunRecord) -> Reading:
    raise NotImplementedError("an entry has read it: `records.task_figure.main_figure`")


def _tpr(rate: str) -> Callable[[RunRecord], Reading]:
    return lambda record: _metrics(record).tpr_at_fpr.get(rate)


def _snr_by_scores(predictions: Predictions) -> SnrAtHalf | None:
    from gwbench.evaluation.metrics import snrs_at_half  # imports numpy, which help does without

    label, rate = predictions.label == 1, FPRS[0]
    return snrs_at_half(label, predictions.score, predictions.snr, (float(rate),)).get(rate)


def _seconds(record: RunRecord) -> float | None:
    phase = record.phases.get("pretrain")
    return phase.seconds if phase else None


def _samples_per_second(record: RunRecord) -> float | None:
    phase = record.phases.get("pretrain")
    return phase.samples_per_second if phase else None


# --- how they are shown -------------------------------------------------------------------------------------


def _no_note(_: RunRecord) -> str:
    return ""


def _count(number: float) -> str:
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return str(number)


def _gibibytes(number: float) -> str:
    return f"{number / 2**30:.1f} GiB"


_SPECS = (
    MetricSpec(
        "auc",
        "ROC-AUC",
        lambda record: _metrics(record).auc,
        larger_is_better=True,
        ranks=True,
        paired=True,
        note=lambda record: f"{100 * _metrics(record).level:g} % interval",
    ),
    MetricSpec(
        "knn-auc",
        "kNN AUC",
        lambda record: _metrics(record).knn_auc,
        larger_is_better=True,
        ranks=True,
        note=lambda record: f"{record.spec.evaluation.neighbours} neighbours",
    ),
    MetricSpec(
        "average-precision",
        "average precision",
        lambda record: _metrics(record).average_precision,
        larger_is_better=True,
        ranks=True,
        note=_no_note,
    ),
    *(
        MetricSpec(
            f"tpr-at-{rate}",
            f"TPR at FPR {rate}",
            _tpr(rate),
            larger_is_better=True,
            ranks=True,
            text="{:.3f}".format,
            field=f"tpr_at_{rate}",
            json_path=("tpr", rate),
            keep=3,
            note=_no_note,
            absent="too few noise windows",
        )
        for rate in FPRS
    ),
    MetricSpec(
        "validation-auc",
        "validation AUC",
        lambda record: record.val_auc,
        larger_is_better=True,
        note=lambda _: "choose settings by this one",
    ),
    MetricSpec(
        "half-snr",
        "SNR at TPR 0.5",
        lambda record: _metrics(record).snr_at_half.get(FPRS[0]),
        over_seeds="bound",
        text="{:.1f}".format,
        field="half_snr",
        keep=3,
        legend=f"SNR at TPR 0.5: optimal network SNR at which half the signals are found, at FPR {FPRS[0]}.",
        from_scores=_snr_by_scores,
    ),
    MetricSpec(
        "parameters",
        "parameters",
        lambda record: record.parameters,
        over_seeds="largest",
        text=_count,
        field="parameters",
        keep=2,
        of_any_task=True,
    ),
    MetricSpec(
        "pretrain-seconds",
        "pre-training",
        _seconds,
        over_seeds="mean",
        text="{:,.0f} s".format,
        field="pretrain_seconds",
        keep=2,
        of_any_task=True,
    ),
    MetricSpec(
        "samples-per-second",
        "samples/s",
        _samples_per_second,
        over_seeds="mean",
        larger_is_better=True,
        text="{:,.0f}".format,
        field="samples_per_second",
        of_any_task=True,
    ),
    MetricSpec(
        "peak-memory",
        "memory",
        lambda record: record.peak_memory,
        over_seeds="largest",
        text=_gibibytes,
        field="peak_memory",
        of_any_task=True,
    ),
    MetricSpec(
        "windows",
        "windows seen",
        lambda record: record.budget[1] if record.budget else None,
        over_seeds="mean",
        text="{:,.0f}".format,
        field="windows_seen",
        keep=4,
        legend="Windows seen: of pre-training, with those of runs that it went on from.",
        optional=True,
    ),
)


def task_metric(title: str, *, larger_is_better: bool) -> MetricSpec:
    """What the methods of another task than the default are ranked by: its main figure."""
    return MetricSpec(
        MAIN_FIGURE, title, _metrics_of_task, larger_is_better=larger_is_better, share=False, of_any_task=True
    )


METRICS = {spec.name: spec for spec in _SPECS}
"""By name, in the order of columns, fields and help."""

RANKING = {name: spec for name, spec in METRICS.items() if spec.ranks}
"""Those that methods can be ranked by."""

COLUMNS = tuple(spec for spec in _SPECS if spec.field and not spec.optional)
"""Those with a column of their own."""

OPTIONAL_COLUMNS = {spec.name: spec for spec in _SPECS if spec.optional}
"""Those that have one where it is asked for."""


def columns_among(names: Collection[str]) -> list[MetricSpec]:
    """The metrics of these names that may have a column, in the order of columns."""
    return [spec for spec in (*COLUMNS, *OPTIONAL_COLUMNS.values()) if spec.name in names]
