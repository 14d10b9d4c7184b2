"""One run as a page: what was done, what came of it, and how to do it again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gwbench.collapse import LEAST_RANK, LEAST_SPREAD
from gwbench.evaluate.statistics import Interval, threshold_at_fpr
from gwbench.leaderboard.method import as_text, method_of
from gwbench.pages import report_charts as charts
from gwbench.pages import report_data as data
from gwbench.pages.embedding_map import principal_map
from gwbench.pages.page import Cell, Column, Row, command, document, escape, facts, fold, listing, prose, section, table
from gwbench.pages.report_files import RunFiles, read_run

if TYPE_CHECKING:
    from gwbench.evaluate.metrics import Metrics, SnrAtHalf
    from gwbench.progress import Progress, Task
    from gwbench.record import RunRecord

REPORT = "report.html"

STEPS = 5
"""What the progress counts: reading, and four groups of figures."""


def report(run: str | Path, progress: Progress) -> str:
    """A run's report as a self-contained HTML page; the same bytes for the same run.

    Args:
        run: its folder, or its record file.
        progress: where to report.

    Raises:
        UserError: there is no run, or its folder is damaged.
    """
    with progress.task("Draw the report", STEPS) as task:
        found = read_run(run)
        task.advance()
        record = found.record
        parts = [_lead(record), *(_failed(record) if record.status != "ok" else _finished(found, task))]
        parts += [_timing(record), _provenance(record)]
        return document(f"{record.spec.title} on {record.spec.dataset.name}", "\n".join(filter(None, parts)))


def _lead(record: RunRecord) -> str:
    spec = record.spec
    pairs: list[tuple[str, object]] = [("run", record.run_id), ("recorded", _date(record.created))]
    pairs += [("seed", spec.seed), ("seed of the data", spec.data_seed), ("precision", spec.precision)]
    return facts(pairs)


def _failed(record: RunRecord) -> Iterator[str]:
    yield section(
        "This run failed",
        f"<p><mark>{prose(record.reason or 'No reason is recorded.')}</mark></p>\n"
        "<p>It has no figures. The same command tries it again.</p>\n" + command(record.command),
    )


def _finished(found: RunFiles, task: Task) -> Iterator[str]:
    record = found.record
    yield _headline(record)
    yield section("What was run", _in_words(record) + command(record.command))
    yield _detection(found)
    task.advance()
    yield _pretraining(found)
    task.advance()
    yield _embeddings(found)
    task.advance()
    yield _details(record)
    yield _data(record)
    task.advance()


# --- what came of it ----------------------------------------------------------------------------------------


def _headline(record: RunRecord) -> str:
    metrics = record.metrics
    assert metrics
    figures: list[tuple[str, object]] = []
    for rate, found in metrics.tpr_at_fpr.items():
        figures.append((f"TPR at FPR {rate}", _interval(found, 3) if found else "too few noise windows"))
    figures += [(f"half found from SNR, FPR {rate}", _half(half)) for rate, half in metrics.snr_at_half.items()]
    if metrics.knn_auc:
        figures.append((f"AUC of {record.spec.evaluation.neighbours} neighbours", _interval(metrics.knn_auc, 4)))
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


def _in_words(record: RunRecord) -> str:
    """The method section: how the encoder came about, and how it was judged."""
    spec, metrics, known = record.spec, record.metrics, record.data
    assert metrics and known
    made = (
        f"Strain of {spec.dataset.name} ({', '.join(known.detectors)} at {known.sample_rate:g} Hz) was conditioned by "
        f"“{spec.conditioning.method}” between {spec.conditioning.low:g} and {spec.conditioning.high:g} Hz."
    )
    if spec.training and spec.encoder and spec.pairing and spec.objective:
        views = f"the pairing {spec.pairing.name}"
        if spec.augmentations:
            views += f" and the augmentations {', '.join(choice.name for choice in spec.augmentations)}"
        made += (
            f" The encoder {spec.encoder.name} ({_encoders(record)}) was pre-trained for "
            f"{_count(spec.training.epochs, 'epoch')} on {known.sizes.get('train', 0):,} training windows without "
            f"their labels: {views} made two views of every window, and the loss was that of {spec.objective.name}."
        )
        if "pretrained_by" in record.details:
            made += f" That pre-training is the one of run {record.details['pretrained_by']}, which was taken over."
    if spec.baseline:
        start = " from there" if spec.training else f" with the encoder {spec.encoder.name}" if spec.encoder else ""
        judged = (
            f"The baseline {spec.baseline.name} gave the scores{start}. {known.labelled:,} labelled training windows "
            "were open to it."
        )
    else:
        judged = (
            f"The encoder was then frozen. A linear probe on its embeddings learnt from {known.labelled:,} labelled "
            f"windows, and {known.sizes.get('val', 0):,} validation windows chose its strength."
        )
    judged += (
        f" The {metrics.n_test:,} test windows, {metrics.n_signal:,} with a signal and {metrics.n_noise:,} without, "
        "were scored once."
    )
    return f"<p>{prose(made)}</p>\n<p>{prose(judged)}</p>\n"


def _encoders(record: RunRecord) -> str:
    groups = record.spec.encoder_groups
    serves = {
        "shared": "one for all detectors",
        "each": "one for each detector",
        "network": "seeing all detectors at once",
    }
    size = f"{record.parameters:,} parameters, " if record.parameters else ""
    return size + serves.get(groups, f"one for each group of {groups}")


def _detection(found: RunFiles) -> str:
    metrics, scored = found.record.metrics, found.predictions
    assert metrics
    figures, small = [], []
    if scored:
        curve = data.roc(scored.label, scored.score)
        curves = data.efficiencies(scored.label, scored.score, scored.snr, data.RATES)
        noise = scored.score[scored.label == 0]
        thresholds = {rate: threshold_at_fpr(noise, rate) for rate in data.RATES if metrics.tpr_at_fpr.get(f"{rate:g}")}
        figures += [charts.roc_log(curve, metrics), charts.roc_linear(curve, metrics)]
        figures += [charts.efficiency(curves, metrics)] if curves else []
        figures += [charts.histogram(data.score_histogram(scored.label, scored.score), thresholds)]
    else:
        small.append(f"No curves: {found.missing['predictions']}, which has the test scores.")
    if len({point.labelled for point in found.labels}) > 1:
        figures.append(charts.label_efficiency(found.labels))
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
    columns = [Column("optimal network SNR", left=True), Column("signals"), Column("ROC-AUC")]
    columns += [Column(f"TPR at FPR {rate}") for rate in rates]
    rows = []
    for part in metrics.per_snr_bin:
        span = f"{part.low:g} to {part.high:g}" if part.high is not None else f"from {part.low:g}"
        cells = [Cell(span, part.low), Cell(f"{part.n:,}", part.n), Cell(_interval(part.auc, 4), part.auc.value)]
        for rate in rates:
            share = part.tpr_at_fpr.get(rate)
            cells.append(Cell(_interval(share, 3), share.value) if share else Cell("–"))
        rows.append(Row(cells))
    return fold("The record’s bins in SNR, as a table", table(columns, rows, name="snr-bins", noun="bins in SNR"))


def _pretraining(found: RunFiles) -> str:
    record = found.record
    training = record.training
    if not training:
        return ""
    figures = []
    if training.loss:
        figures.append(charts.per_epoch(training.loss, "Loss", "The mean loss of every epoch of pre-training.", "loss"))
    spread, rank = ([each[name] for each in training.collapse if name in each] for name in ("spread", "effective_rank"))
    if spread:
        figures.append(
            charts.per_epoch(
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
            charts.per_epoch(
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
        figures.append(charts.correlation(found.correlation, _redundancy(found)))
    else:
        small.append(f"No cross-correlation matrix: {found.missing['correlation']}.")
    if training.resumed_from:
        small.append(f"Training was interrupted, and went on after epoch {training.resumed_from}.")
    return section("Pre-training", _grid(figures), note=prose(" ".join(small)), anchor="pre-training")


def _redundancy(found: RunFiles) -> str:
    matrix = found.correlation
    assert matrix
    said = data.redundancy(matrix.matrix, matrix.windows)
    kept = len(matrix.matrix)
    which = f"{kept} of {matrix.width:,} dimensions" if kept < matrix.width else f"{kept} dimensions"
    rest = f"; off it {said.off_diagonal:.2f} rms, {said.chance:.2f} by chance" if said.off_diagonal is not None else ""
    return (
        f"Projections of two views after training, {which} over {matrix.windows:,} training windows (Zbontar et al. "
        f"2021, eq. 2). On the diagonal {said.diagonal:.2f} on average{rest}."
    )


def _embeddings(found: RunFiles) -> str:
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
        _grid(charts.embedding_maps(plane, shown)),
        note=escape(
            f"{small}. Principal components are linear: classes that overlap here may be apart in other directions."
        ),
        anchor="embeddings",
    )


# --- how it was done ----------------------------------------------------------------------------------------


def _details(record: RunRecord) -> str:
    """What the method reports of itself: single values, then tables, then the rest as it is."""
    single: list[tuple[str, object]] = []
    tables: list[str] = []
    for name, value in record.details.items():
        if isinstance(value, (str, int, float, bool)) or value is None:
            single.append((_words(name), _value(value)))
        elif rows := _as_rows(value):
            columns = [Column(_words(str(key)), left=not number) for number, key in enumerate(rows[0])]
            body = [Row([_cell(row[key]) for key in rows[0]]) for row in rows]
            tables.append(fold(_words(name), table(columns, body, name=f"details-{len(tables)}", noun=_words(name))))
        elif isinstance(value, list):
            single.append((_words(name), ", ".join(map(_value, value))))
        else:
            single.append((_words(name), json.dumps(value)))
    if not record.details:
        return ""
    return section("The method’s own account", facts(single) + "".join(tables), anchor="details")


def _as_rows(value: Any) -> list[dict[str, Any]] | None:
    """A list of mappings with the same keys."""
    if not isinstance(value, list) or not value or not all(isinstance(each, dict) and each for each in value):
        return None
    return value if all(each.keys() == value[0].keys() for each in value) else None


def _data(record: RunRecord) -> str:
    known = record.data
    assert known
    sizes = ", ".join(f"{name} {count:,}" for name, count in known.sizes.items())
    pairs: list[tuple[str, object]] = [
        ("dataset", record.spec.dataset.name),
        ("detectors", ", ".join(known.detectors)),
        ("sample rate", f"{known.sample_rate:g} Hz"),
        ("windows", sizes),
        ("labels used", f"{known.labelled:,}"),
        ("test windows without a label", f"{record.metrics.n_unlabelled:,}" if record.metrics else "–"),
        ("content hash", known.content_hash),
        *((f"fingerprint: {name}", digest) for name, digest in known.fingerprint.items()),
    ]
    return section("Data", facts(pairs) + listing(known.notes), anchor="data")


def _timing(record: RunRecord) -> str:
    if not record.phases:
        return ""
    total = sum(phase.seconds for phase in record.phases.values())
    rows = [
        Row(
            [
                Cell(name, name),
                Cell(_seconds(phase.seconds), phase.seconds),
                Cell(f"{100 * phase.seconds / total:.0f} %" if total else "–", phase.seconds),
                Cell(f"{rate:,.0f}", rate) if (rate := phase.samples_per_second) else Cell("–"),
            ]
        )
        for name, phase in record.phases.items()
    ]
    columns = [Column("phase", left=True), Column("time"), Column("share"), Column("windows/s")]
    memory = f"{record.peak_memory / 2**30:.2f} GiB" if record.peak_memory else "not recorded"
    note = (
        "The time of a pre-training that was taken over is the one that it took then. "
        if ("pretrained_by" in record.details)
        else ""
    )
    body = facts([("in all", _seconds(total)), ("peak memory", memory)])
    return section("Time and memory", body + table(columns, rows, name="phases", noun="phases"), note=escape(note))


def _provenance(record: RunRecord) -> str:
    environment = record.environment
    pairs: list[tuple[str, object]] = [
        ("gwbench", environment.gwbench),
        ("commit", environment.git_commit or "not run from a checkout"),
        ("device", environment.device),
        *([("devices", environment.devices)] if environment.devices > 1 else []),
        *([("machines", environment.nodes)] if environment.nodes > 1 else []),
        *((name.replace("_", " "), value) for name, value in environment.hardware.items()),
    ]
    plugins = table(
        [
            Column("plugin", left=True),
            Column("kind", left=True),
            Column("version"),
            Column("SHA-256 of its source", left=True),
        ],
        [
            Row([used.name, used.kind, Cell(str(used.version), used.version), used.source_hash or "unknown"])
            for used in record.plugins
        ],
        name="plugins",
        noun="plugins",
    )
    dataset = {f"dataset.{name}": value for name, value in record.spec.dataset.parameters.items()}
    parameters = {
        **dataset,
        **method_of(record).parameters,
        "evaluation.label_fraction": record.spec.evaluation.label_fraction,
    }
    settings = {name: as_text(value) for name, value in parameters.items() if " " not in name}  # not versions and code
    versions = {
        "record schema": record.schema_version,
        "evaluation protocol": record.protocol,
        **environment.packages,
    }
    folds = (
        fold("All settings", _pairs("setting", settings, "settings"))
        + fold("Versions", _pairs("package", versions, "versions"))
        + (fold("Seeds", _pairs("role", record.seeds, "seeds")) if record.seeds else "")
    )
    return section("Provenance", facts(pairs) + plugins + folds, anchor="provenance")


def _pairs(heading: str, values: Mapping[str, object], name: str) -> str:
    rows = [Row([key, str(value)]) for key, value in values.items()]
    return table([Column(heading, left=True), Column("value", left=True)], rows, name=name, noun=name)


# --- words and numbers --------------------------------------------------------------------------------------


def _grid(figures: Iterable[str]) -> str:
    shown = list(figures)
    if len(shown) == 1:
        shown.append("<div></div>")  # keeps a figure from growing across the page
    inside = "\n".join(shown)
    return f'<div class="charts">{inside}</div>' if inside else ""


def _interval(found: Interval, digits: int) -> str:
    return f"{found.value:.{digits}f} [{found.low:.{digits}f}, {found.high:.{digits}f}]"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _value(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "–"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _cell(value: object) -> Cell:
    text = _value(value)
    return Cell(text, value if isinstance(value, (int, float)) else text)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _seconds(seconds: float) -> str:
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _date(created: str) -> str:
    return created.replace("T", " ").replace("+00:00", " UTC")
