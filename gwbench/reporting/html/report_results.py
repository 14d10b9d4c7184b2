"""What came of a run: the sections with its figures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from gwbench.evaluation.statistics import threshold_at_fpr
from gwbench.reporting.html import report_charts, report_data
from gwbench.reporting.html.embedding_map import principal_map
from gwbench.reporting.html.formatting import interval
from gwbench.reporting.html.page import TableCell, TableColumn, TableRow, escape, facts, fold, prose, section, table
from gwbench.reporting.html.report_inputs import RunFiles
from gwbench.training.collapse import LEAST_RANK, LEAST_SPREAD

if TYPE_CHECKING:
    from gwbench.evaluation.metrics import Metrics, SnrAtHalf
    from gwbench.experiment.record import RunRecord


def headline(record: RunRecord) -> str:
    """The AUC, and what else came out on the test split."""
    metrics = record.metrics
    assert metrics
    figures: list[tuple[str, object]] = []
    for rate, found in metrics.tpr_at_fpr.items():
        figures.append((f"TPR at FPR {rate}", interval(found, 3) if found else "too few noise windows"))
    figures += [(f"half found from SNR, FPR {rate}", _half(half)) for rate, half in metrics.snr_at_half.items()]
    if metrics.knn_auc:
        figures.append((f"AUC of {record.spec.evaluation.neighbours} neighbours", interval(metrics.knn_auc, 4)))
    figures.append(("average precision", f"{metrics.average_precision:.4f}"))
    auc, warning = metrics.auc, record.training.warning if record.training else None
    warned = f"\n<p><mark>{prose(warning)}</mark></p>" if warning else ""
    level = f"{100 * metrics.level:g} %"
    return section(
        f"ROC-AUC {auc.value:.4f}",
        facts(figures) + warned,
        note=f"{level} interval {auc.low:.4f} to {auc.high:.4f} (DeLong), from {metrics.n_signal:,} signals and "
        f"{metrics.n_noise:,} noise windows. Brackets below are {level} intervals as well.",
        anchor="result",
    )


def _half(found: SnrAtHalf) -> str:
    if found.value >= found.high:
        return f"above {found.high:.3g}"
    return f"below {found.low:.3g}" if found.value <= found.low else f"{found.value:.2f}"


def detection(found: RunFiles) -> str:
    """Curves of the test scores, and what fewer or more labels give."""
    metrics, scored = found.record.metrics, found.predictions
    assert metrics
    figures, small = [], []
    if scored:
        curve = report_data.roc(scored.label, scored.score)
        curves = report_data.efficiencies(scored.label, scored.score, scored.snr, report_data.FPRS)
        noise = scored.score[scored.label == 0]
        thresholds = {
            rate: threshold_at_fpr(noise, rate) for rate in report_data.FPRS if metrics.tpr_at_fpr.get(f"{rate:g}")
        }
        figures += [report_charts.roc_log(curve, metrics), report_charts.roc_linear(curve, metrics)]
        figures += [report_charts.efficiency(curves, metrics)] if curves else []
        figures += [report_charts.histogram(report_data.score_histogram(scored.label, scored.score), thresholds)]
    else:
        small.append(f"No curves: {found.missing['predictions']}, which has the test scores.")
    if len({point.labelled for point in found.labels}) > 1:
        figures.append(report_charts.label_efficiency(found.labels))
    else:
        again = "; nothing is pre-trained again for it" if found.record.training else ""
        small.append(
            "No label-efficiency curve: no run beside this one differs from it in the share of labels alone. Its "
            f"command with another --label-fraction and the same --out makes one{again}."
        )
    said = f'<p class="note">{prose(" ".join(small))}</p>' if small else ""
    return section("Detection", _grid(figures) + _snr_table(metrics) + said, anchor="detection")


def _snr_table(metrics: Metrics) -> str:
    if not metrics.per_snr_bin:
        return ""
    rates = list(metrics.tpr_at_fpr)
    columns = [TableColumn("optimal network SNR", left=True), TableColumn("signals"), TableColumn("ROC-AUC")]
    columns += [TableColumn(f"TPR at FPR {rate}") for rate in rates]
    rows = []
    for part in metrics.per_snr_bin:
        span = f"{part.low:g} to {part.high:g}" if part.high is not None else f"from {part.low:g}"
        cells = [
            TableCell(span, part.low),
            TableCell(f"{part.n:,}", part.n),
            TableCell(interval(part.auc, 4), part.auc.value),
        ]
        for rate in rates:
            share = part.tpr_at_fpr.get(rate)
            cells.append(TableCell(interval(share, 3), share.value) if share else TableCell("–"))
        rows.append(TableRow(cells))
    return fold("The record’s bins in SNR, as a table", table(columns, rows, name="snr-bins", noun="bins in SNR"))


def pretraining(found: RunFiles) -> str:
    """The loss, and whether the embeddings collapsed; nothing where nothing was pre-trained."""
    record = found.record
    training = record.training
    if not training:
        return ""
    figures = []
    if training.loss:
        figures.append(
            report_charts.per_epoch(training.loss, "Loss", "The mean loss of every epoch of pre-training.", "loss")
        )
    spread, rank = ([each[name] for each in training.collapse if name in each] for name in ("spread", "effective_rank"))
    if spread:
        figures.append(
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
        figures.append(
            report_charts.per_epoch(
                rank,
                "Effective rank",
                "In how many directions the embeddings of training windows vary: the exponential of the entropy of "
                "their singular values (Roy & Vetterli 2007). Below the dashed line: collapsed.",
                "effective rank",
                LEAST_RANK,
            )
        )
    small = []
    if found.correlation:
        figures.append(report_charts.correlation(found.correlation, _redundancy(found)))
    else:
        small.append(f"No cross-correlation matrix: {found.missing['correlation']}.")
    if training.resumed_from:
        small.append(f"Training was interrupted, and went on after epoch {training.resumed_from}.")
    return section("Pre-training", _grid(figures), note=prose(" ".join(small)), anchor="pre-training")


def _redundancy(found: RunFiles) -> str:
    matrix = found.correlation
    assert matrix
    said = report_data.redundancy(matrix.matrix, matrix.windows)
    kept = len(matrix.matrix)
    which = f"{kept} of {matrix.width:,} dimensions" if kept < matrix.width else f"{kept} dimensions"
    rest = f"; off it {said.off_diagonal:.2f} rms, {said.chance:.2f} by chance" if said.off_diagonal is not None else ""
    return (
        f"Projections of two views after training, {which} over {matrix.windows:,} training windows (Zbontar et al. "
        f"2021, eq. 2). On the diagonal {said.diagonal:.2f} on average{rest}."
    )


def embeddings(found: RunFiles) -> str:
    """The map of test windows' embeddings, where there are some."""
    shown = found.embedded
    plane = principal_map(shown.embedding) if shown else None
    if not shown:
        return ""
    if not plane:
        return section("Embeddings", "", note="No map: too little varies in them.")
    vary, of = plane.features
    small = f"{vary:,} of {of:,} features vary" if vary < of else f"{of:,} features"
    return section(
        "Embeddings",
        _grid(report_charts.embedding_maps(plane, shown)),
        note=escape(
            f"{small}. Principal components are linear: classes that overlap here may be apart in other directions."
        ),
        anchor="embeddings",
    )


def _grid(figures: Iterable[str]) -> str:
    shown = list(figures)
    if len(shown) == 1:
        shown.append("<div></div>")  # keeps a figure from growing across the page
    inside = "\n".join(shown)
    return f'<div class="charts">{inside}</div>' if inside else ""
