"""What came of a run: the sections with its figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gwbench.evaluation.statistics import threshold_at_fpr
from gwbench.reporting.html import curves, report_charts, report_data
from gwbench.reporting.html.embedding_charts import embedding_charts
from gwbench.reporting.html.embedding_map import principal_map
from gwbench.reporting.html.formatting import interval_text
from gwbench.reporting.html.report_inputs import Correlation, RunFiles
from gwbench.reporting.html.report_section import Fact, ReportSection
from gwbench.reporting.html.tables import HtmlTable, TableCell, TableColumn, TableRow
from gwbench.reporting.training_length import length_notes
from gwbench.training.collapse import LEAST_RANK, LEAST_SPREAD

if TYPE_CHECKING:
    from gwbench.evaluation.metrics import Metrics, SnrAtHalf
    from gwbench.experiment.record import RunRecord
    from gwbench.reporting.html.charts import Chart
    from gwbench.reporting.records.predictions import Predictions


def headline(record: RunRecord) -> ReportSection:
    """The AUC, and what else came out on the test split."""
    metrics = record.metrics
    assert metrics
    facts: list[Fact] = []
    for rate, tpr in metrics.tpr_at_fpr.items():
        facts.append((f"TPR at FPR {rate}", interval_text(tpr, 3) if tpr else "too few noise windows"))
    facts += [(f"half found from SNR, FPR {rate}", _half(half)) for rate, half in metrics.snr_at_half.items()]
    if metrics.knn_auc:
        facts.append((f"AUC of {record.spec.evaluation.neighbours} neighbours", interval_text(metrics.knn_auc, 4)))
    facts.append(("average precision", f"{metrics.average_precision:.4f}"))
    auc, warning = metrics.auc, record.training.warning if record.training else None
    level = f"{100 * metrics.level:g} %"
    return ReportSection(
        f"ROC-AUC {auc.value:.4f}",
        "result",
        note=f"{level} interval {auc.low:.4f} to {auc.high:.4f} (DeLong), from {metrics.n_signal:,} signals and "
        f"{metrics.n_noise:,} noise windows. Brackets below are {level} intervals as well.",
        facts=facts,
        warning=warning or "",
    )


def _half(half: SnrAtHalf) -> str:
    if half.value >= half.high:
        return f"above {half.high:.3g}"
    return f"below {half.low:.3g}" if half.value <= half.low else f"{half.value:.2f}"


def detection(files: RunFiles) -> ReportSection:
    """Curves of the test scores, and what fewer or more labels give."""
    metrics = files.record.metrics
    assert metrics
    charts: list[Chart] = []
    missing = []
    if files.predictions:
        charts += _score_charts(files.predictions, metrics)
    else:
        missing.append(f"No curves: {files.missing['predictions']}, which has the test scores.")
    if len({point.labelled for point in files.labels}) > 1:
        charts.append(report_charts.label_efficiency(files.labels))
    else:
        again = "; nothing is pre-trained again for it" if files.record.training else ""
        missing.append(
            "No label-efficiency curve: no run beside this one differs from it in the share of labels alone. Its "
            f"command with another --label-fraction and the same --out makes one{again}."
        )
    folds = [("The record’s bins in SNR, as a table", _snr_table(metrics))] if metrics.per_snr_bin else []
    return ReportSection("Detection", "detection", charts=charts, folds=folds, missing=" ".join(missing))


def _score_charts(predictions: Predictions, metrics: Metrics) -> list[Chart]:
    """The figures of the test scores."""
    label, score = predictions.label, predictions.score
    roc = curves.roc([predictions], curves.whole_window_rates)
    efficiencies = {rate: curves.efficiency([predictions], rate) for rate in report_data.FPRS}
    resolved = {rate: curve for rate, curve in efficiencies.items() if curve}
    thresholds = {
        rate: threshold_at_fpr(score[label == 0], rate)
        for rate in report_data.FPRS
        if metrics.tpr_at_fpr.get(f"{rate:g}")
    }
    return [
        report_charts.roc_log(roc, metrics),
        report_charts.roc_linear(roc, metrics),
        *([report_charts.efficiency_chart(resolved, metrics)] if resolved else []),
        report_charts.score_chart(report_data.score_histogram(label, score), thresholds),
    ]


def _snr_table(metrics: Metrics) -> HtmlTable:
    """The record's bins in SNR."""
    rates = list(metrics.tpr_at_fpr)
    columns = [TableColumn("optimal network SNR", left=True), TableColumn("signals"), TableColumn("ROC-AUC")]
    columns += [TableColumn(f"TPR at FPR {rate}") for rate in rates]
    rows = []
    for part in metrics.per_snr_bin:
        span = f"{part.low:g} to {part.high:g}" if part.high is not None else f"from {part.low:g}"
        cells = [
            TableCell(span, part.low),
            TableCell(f"{part.n:,}", part.n),
            TableCell(interval_text(part.auc, 4), part.auc.value),
        ]
        for rate in rates:
            share = part.tpr_at_fpr.get(rate)
            cells.append(TableCell(interval_text(share, 3), share.value) if share else TableCell("–"))
        rows.append(TableRow(cells))
    return HtmlTable(columns, rows, name="snr-bins", noun="bins in SNR")


def pretraining(files: RunFiles) -> ReportSection | None:
    """The loss, and whether the embeddings collapsed; None where nothing was pre-trained."""
    training = files.record.training
    if not training:
        return None
    charts = []
    if training.loss:
        charts.append(
            report_charts.per_epoch(training.loss, "Loss", "The mean loss of every epoch of pre-training.", "loss")
        )
    if files.record.learning_curve:
        charts.append(report_charts.learning_curve(files.record.learning_curve))
    spread, rank = ([each[name] for each in training.collapse if name in each] for name in ("spread", "effective_rank"))
    if spread:
        charts.append(
            report_charts.per_epoch(
                spread,
                "Spread",
                "Standard deviation of normalised embeddings of training windows: 1 where they fill the sphere, 0 "
                "where all are alike (Chen & He 2021). Below the dashed line: collapsed.",
                "spread",
                LEAST_SPREAD,
            )
        )
    if rank:
        charts.append(
            report_charts.per_epoch(
                rank,
                "Effective rank",
                "In how many directions the embeddings of training windows vary: the exponential of the entropy of "
                "their singular values (Roy & Vetterli 2007). Below the dashed line: collapsed.",
                "effective rank",
                LEAST_RANK,
            )
        )
    notes = []
    if files.record.budget:
        steps, windows = files.record.budget
        notes.append(f"{steps:,} steps of the optimiser, in which {windows:,} windows were seen.")
    if files.correlation:
        charts.append(report_charts.correlation_chart(files.correlation, _redundancy(files.correlation)))
    else:
        notes.append(f"No cross-correlation matrix: {files.missing['correlation']}.")
    notes += length_notes(files.record)
    if training.resumed_from:
        notes.append(f"Training was interrupted, and went on after epoch {training.resumed_from}.")
    return ReportSection("Pre-training", "pre-training", note=" ".join(notes), charts=charts)


def _redundancy(correlation: Correlation) -> str:
    """The cross-correlation matrix in numbers."""
    redundancy = report_data.redundancy(correlation.matrix, correlation.windows)
    kept = len(correlation.matrix)
    which = f"{kept} of {correlation.width:,} dimensions" if kept < correlation.width else f"{kept} dimensions"
    rest = ""
    if redundancy.off_diagonal is not None:
        rest = f"; off it {redundancy.off_diagonal:.2f} rms, {redundancy.chance:.2f} by chance"
    return (
        f"Projections of two views after training, {which} over {correlation.windows:,} training windows (Zbontar et "
        f"al. 2021, eq. 2). On the diagonal {redundancy.diagonal:.2f} on average{rest}."
    )


def embeddings(files: RunFiles) -> ReportSection | None:
    """The map of test windows' embeddings, where there are some."""
    embedded = files.embedded
    if not embedded:
        return None
    plane = principal_map(embedded.embedding)
    if not plane:
        return ReportSection("Embeddings", note="No map: too little varies in them.")
    vary, of = plane.features
    which = f"{vary:,} of {of:,} features vary" if vary < of else f"{of:,} features"
    return ReportSection(
        "Embeddings",
        "embeddings",
        note=f"{which}. Principal components are linear: classes that overlap here may be apart in other directions.",
        charts=embedding_charts(plane, embedded),
    )
