"""One run as a page: what was done, what came of it, and how to do it again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from gwbench.reporting.html.formatting import date
from gwbench.reporting.html.page import render
from gwbench.reporting.html.report_inputs import RunFiles, read_run
from gwbench.reporting.html.report_provenance import data_used, details, method, provenance, timing
from gwbench.reporting.html.report_results import detection, embeddings, headline, pretraining
from gwbench.reporting.html.report_section import Fact, ReportSection
from gwbench.reporting.html.report_task import task_result

if TYPE_CHECKING:
    from gwbench.experiment.record import RunRecord
    from gwbench.utils.progress import Progress, ProgressTask

REPORT = "report.html"

STEPS = 5
"""What the progress counts: reading, and four groups of figures."""


def render_report(run: str | Path, progress: Progress) -> str:
    """A run's report as a self-contained HTML page; the same bytes for the same run.

    Args:
        run: its folder, or its record file.
        progress: where to report.

    Raises:
        UserError: there is no run, or its folder is damaged.
    """
    with progress.task("Draw the report", STEPS) as task:
        files = read_run(run)
        task.advance()
        record = files.record
        title = f"{record.spec.title} on {record.spec.dataset.name}"
        return render("report.html.j2", title=title, lead=_lead(record), sections=list(_sections(files, task)))


def _lead(record: RunRecord) -> list[Fact]:
    spec = record.spec
    return [
        ("run", record.run_id),
        ("recorded", date(record.created)),
        ("seed", spec.seed),
        ("seed of the data", spec.data_seed),
        ("precision", spec.precision),
    ]


def _sections(files: RunFiles, task: ProgressTask) -> Iterator[ReportSection]:
    """The sections that the run has something for, from top to bottom."""
    record = files.record
    if record.status == "ok":
        yield from filter(None, _of_finished(files, task))
    else:
        reason = record.reason or "No reason is recorded."
        yield ReportSection("This run failed", failure=reason, command=record.command)
    yield from filter(None, (timing(record), provenance(record)))


def _of_finished(files: RunFiles, task: ProgressTask) -> Iterator[ReportSection | None]:
    record = files.record
    yield headline(record) if record.metrics else task_result(record)
    yield method(record)
    yield detection(files) if record.metrics else None
    task.advance()
    yield pretraining(files)
    task.advance()
    yield embeddings(files)
    task.advance()
    yield details(record)
    yield data_used(record)
    task.advance()
