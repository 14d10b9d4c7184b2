"""One search as a page: what was searched, how far it reaches, and what it found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from gwbench.reporting.html.formatting import count, date, seconds_text, spaced, value_text
from gwbench.reporting.html.page import render
from gwbench.reporting.html.report_section import Fact, ReportSection
from gwbench.reporting.html.search_charts import cumulative_chart, found_charts, reach_chart, score_histograms
from gwbench.reporting.html.tables import HtmlTable, TableCell, TableColumn, TableRow
from gwbench.reporting.html.trigger_pictures import trigger_pictures
from gwbench.reporting.leaderboard.columns import NONE
from gwbench.search.reach_record import ReachPoint
from gwbench.search.record import RankedTrigger, SearchRecord, read_search_record
from gwbench.utils.progress import Progress

TRIGGERS = 100
"""Triggers in the table; the record holds all."""

STEPS = 3
"""What the progress counts: reading, figures, and pictures of triggers."""

VARIANCES = (0.5, 2.0)
"""Of whitened strain, beyond which a page warns."""

YEAR = 365.25 * 86_400.0
"""Seconds."""


def render_search(path: str | Path, progress: Progress, strain: Sequence[str | Path] = ()) -> str:
    """A search's report as a self-contained HTML page; the same bytes for the same search.

    Args:
        path: its record, or the folder that holds it; in the folder of a scan lie the scores, too.
        progress: where to report.
        strain: files, folders or globs of the strain that was searched, for pictures of the loudest triggers.

    Raises:
        UserError: there is no such record, it cannot be read, or the strain cannot.
    """
    with progress.task("Draw the report", STEPS) as task:
        record = read_search_record(Path(path))
        task.advance()
        sections = list(filter(None, _sections(record)))
        task.advance()
        sections.insert(3 if record.reach else 2, _loudest(record, strain))
        task.advance()
        return render("report.html.j2", title=f"Search: {record.title}", lead=_lead(record), sections=sections)


def _lead(record: SearchRecord) -> list[Fact]:
    facts: list[Fact] = [("recorded", date(record.created))]
    if record.run:
        facts += [("run", record.run.run_id), ("seed", record.run.spec.seed)]
        facts += [("labels", f"{record.run.labels:,}")] if record.run.labels is not None else []
    return [*facts, ("searched", seconds_text(record.livetime)), ("triggers", f"{len(record.triggers):,}")]


def _sections(record: SearchRecord) -> Iterator[ReportSection | None]:
    """The sections from top to bottom, without that of the pictures."""
    yield _headline(record)
    yield _method(record)
    yield _reach(record)
    yield _triggers(record)
    yield _strain(record)
    yield _provenance(record)


def _headline(record: SearchRecord) -> ReportSection:
    """The farthest statement of the search: its distance, or its event, or its loudest trigger."""
    facts: list[Fact] = []
    note = ""
    if record.reach:
        best = record.reach[0]
        title = f"Sensitive distance {best.distance:,.0f} ± {best.distance_error:,.0f} Mpc"
        note = (
            f"At {best.far:g} false alarms a month of 30 days: {best.found:,} of {best.injections:,} injections found, "
            "as MLGWSC-1 counts them (arXiv:2209.11146)."
        )
        facts += [
            (f"at {point.far:g} a month", f"{point.distance:,.0f} ± {point.distance_error:,.0f} Mpc")
            for point in record.reach[1:]
        ]
    elif record.event:
        rank = f"trigger {record.event.rank}" if record.event.rank else "not among the triggers"
        title = f"{record.event.name}: {rank}"
        louder = record.event.louder_in_background
        if louder is not None:
            facts.append(("events of the background as loud", f"{louder:,}"))
    else:
        title = f"{count(len(record.triggers), 'trigger')} in {seconds_text(record.livetime)}"
    if record.triggers:
        facts.append(("loudest trigger", f"{record.triggers[0].score:.3f} at GPS {record.triggers[0].time:.3f}"))
        facts.append(("its false-alarm rate", _rate(record.triggers[0])))
    if record.background and record.background.loudest:
        facts.append(("loudest background", f"{record.background.loudest[0]:.3f}"))
    return ReportSection(title, "result", note=note, facts=facts, warning=_warning(record))


def _warning(record: SearchRecord) -> str:
    """What to say where the whitened strain is not white."""
    odd = {n: v for n, v in record.whitened_variance.items() if not VARIANCES[0] <= v <= VARIANCES[1]}
    if not odd:
        return ""
    named = ", ".join(f"{value:.3g} in {name}" for name, value in odd.items())
    return f"The whitened strain has a variance of {named}, where noise should have 1: its scores mean little."


def _rate(trigger: RankedTrigger) -> str:
    """A trigger's false-alarm rate with its interval."""
    if trigger.far is None or trigger.far_high is None:
        return NONE
    if trigger.far == 0:
        return f"below {trigger.far_high:.3g} a month"
    return f"{trigger.far:.3g} [{trigger.far_low:.3g}, {trigger.far_high:.3g}] a month"


def _method(record: SearchRecord) -> ReportSection:
    """What searched, and how."""
    settings = record.settings
    hours = sum(stop - start for start, stop in record.strain.segments) / 3600
    who = f"The run {record.run.folder or record.run.run_id} ({record.run.title})" if record.run else record.title
    text = (
        f"{who} searched {hours:,.3g} h of {', '.join(record.strain.detectors)} in "
        f"{count(len(record.strain.segments), 'segment')}."
    )
    if settings.window and settings.stride:
        text += f" Windows of {settings.window:g} s slid by {settings.stride:g} s."
    if settings.conditioning:
        fitted = "measured anew along the strain" if settings.conditioning == "refitted" else "that of the run's data"
        text += f" The noise that they were whitened by was {fitted}."
    if settings.cluster_window is not None:
        text += f" A trigger is the largest score within {settings.cluster_window:g} s either way."
    if record.background:
        source = f"{record.background.slides:,} time slides" if record.background.slides else "strain without signals"
        lag = {"removed": ", without the loud triggers themselves", "kept": ", with all triggers"}
        days = record.background.livetime / 86400
        text += (
            f" False alarms were counted in {source}{lag.get(record.background.zero_lag or '', '')}: "
            f"{f'{days:,.0f}' if days >= 100 else f'{days:.3g}'} days of background."
        )
    return ReportSection("What was searched", paragraphs=[text], command=record.command)


def _reach(record: SearchRecord) -> ReportSection | None:
    """How far the search reaches."""
    if not record.reach:
        return None
    injections = record.injections
    weights = "weighted by chirp mass" if injections and injections.weighting == "chirp-distance" else "counted alike"
    note = f"{injections.count:,} injections of {injections.name}, {weights}." if injections else ""
    columns = ("false alarms a month", "threshold", "distance (Mpc)", "volume (Gpc³)", "found", "injections")
    table = HtmlTable(
        [TableColumn(title, left=False) for title in columns],
        [_point(point) for point in record.reach],
        name="reach",
        noun="rates",
    )
    charts = [reach_chart(record.reach), *found_charts(record.found or ())]
    return ReportSection("Reach", "reach", note=note, charts=charts, table=table)


def _point(point: ReachPoint) -> TableRow:
    return TableRow(
        [
            TableCell(f"{point.far:g}", point.far),
            TableCell(NONE if point.threshold is None else f"{point.threshold:.4g}", point.threshold),
            TableCell(f"{point.distance:,.0f} ± {point.distance_error:,.0f}", point.distance),
            TableCell(f"{point.volume / 1e9:.3g} ± {point.volume_error / 1e9:.2g}", point.volume),
            TableCell(f"{point.found:,}", point.found),
            TableCell(f"{point.injections:,}", point.injections),
        ]
    )


def _loudest(record: SearchRecord, strain: Sequence[str | Path]) -> ReportSection:
    charts, missing = trigger_pictures(record, strain)
    return ReportSection("The loudest triggers", "loudest", charts=charts, missing=" ".join(missing))


def _triggers(record: SearchRecord) -> ReportSection:
    """All triggers as histograms, and the loudest as a table."""
    charts = [each for each in (score_histograms(record), cumulative_chart(record)) if each]
    detectors = [name for name in record.strain.detectors if any(name in t.detectors for t in record.triggers)]
    columns = ["rank", "GPS time", "score", "probability", *(f"score in {name}" for name in detectors)]
    columns += ["false alarms a month", "inverse (years)"]
    shown = record.triggers[:TRIGGERS]
    table = HtmlTable(
        [TableColumn(title) for title in columns],
        [_trigger(trigger, detectors) for trigger in shown],
        name="triggers",
        noun="triggers",
    )
    more = f"The loudest {len(shown)} of {len(record.triggers):,}; the record holds all." if shown else ""
    missing = "" if record.triggers else "There is no trigger above the threshold."
    return ReportSection(
        "Triggers", "triggers", note=more, charts=charts, table=table if shown else None, missing=missing
    )


def _trigger(trigger: RankedTrigger, detectors: Sequence[str]) -> TableRow:
    parts = [trigger.detectors.get(name) for name in detectors]
    years = trigger.ifar / YEAR if trigger.ifar else None
    return TableRow(
        [
            TableCell(str(trigger.rank), trigger.rank),
            TableCell(f"{trigger.time:.3f}", trigger.time),
            TableCell(f"{trigger.score:.3f}", trigger.score),
            TableCell(NONE if trigger.probability is None else f"{trigger.probability:.4g}", trigger.probability),
            *(TableCell(f"{part.score:.3f}", part.score) if part else TableCell(NONE) for part in parts),
            TableCell(_rate(trigger).removesuffix(" a month"), trigger.far),
            TableCell(NONE if years is None else f"{years:.3g}", years),
        ]
    )


def _strain(record: SearchRecord) -> ReportSection:
    """The strain, what was left out of it, and what must be known of it."""
    strain = record.strain
    segments = HtmlTable(
        [TableColumn("start (GPS)"), TableColumn("stop (GPS)"), TableColumn("seconds")],
        [
            TableRow([TableCell(f"{a:.3f}", a), TableCell(f"{b:.3f}", b), TableCell(f"{b - a:,.1f}", b - a)])
            for a, b in strain.segments
        ],
        name="segments",
        noun="segments",
    )
    files = HtmlTable(
        [TableColumn("file", left=True), TableColumn("SHA-256", left=True)],
        [TableRow([name, digest]) for name, digest in strain.files.items()],
        name="files",
        noun="files",
    )
    facts: list[Fact] = [
        ("detectors", ", ".join(strain.detectors)),
        *([("sample rate", f"{strain.sample_rate:g} Hz")] if strain.sample_rate else []),
        ("searched", seconds_text(record.livetime)),
        *((f"variance of whitened {name}", f"{value:.3f}") for name, value in record.whitened_variance.items()),
    ]
    folds = [("Segments", segments)] if strain.segments else []
    folds += [("Files", files)] if strain.files else []
    return ReportSection("Strain", "strain", facts=facts, folds=folds, notes=(*strain.left_out, *strain.notes))


def _provenance(record: SearchRecord) -> ReportSection:
    """Settings, machine and cost."""
    facts: list[Fact] = []
    if record.resources:
        facts += [
            ("time", seconds_text(record.resources.seconds)),
            ("processor time", seconds_text(record.resources.cpu_seconds)),
            ("processor seconds per hour of strain", f"{record.resources.cpu_seconds_per_hour:.3g}"),
        ]
    if record.environment:
        facts += [("gwbench", record.environment.gwbench), ("device", record.environment.device)]
        facts += [(spaced(name), value) for name, value in record.environment.hardware.items()]
    if record.injections:
        facts.append(("SHA-256 of the injections", record.injections.sha256))
    settings = {name: value for name, value in record.settings.model_dump(mode="json").items() if value is not None}
    table = HtmlTable(
        [TableColumn("setting", left=True), TableColumn("value", left=True)],
        [TableRow([spaced(name), value_text(value)]) for name, value in settings.items()],
        name="settings",
        noun="settings",
    )
    return ReportSection("Provenance", "provenance", facts=facts, folds=[("Settings of the search", table)])
