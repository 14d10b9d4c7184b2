"""What came of a run whose task is another than the default: every figure that the task reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gwbench.reporting.html.formatting import spaced
from gwbench.reporting.html.report_section import ReportSection
from gwbench.reporting.html.tables import HtmlTable, TableCell, TableColumn, TableRow
from gwbench.reporting.records.task_figure import figure_text, ranked_task
from gwbench.utils.untrusted_files import UnusableError

if TYPE_CHECKING:
    from gwbench.experiment.record import RunRecord


def task_result(record: RunRecord) -> ReportSection:
    """The main figure as the heading, and the table of all."""
    figures: Mapping[str, Any] = record.task_metrics or {}
    name = record.spec.task.name if record.spec.task else "unknown"
    try:
        task = ranked_task(record)
    except UnusableError:
        task = None
    main = task.figure if task and task.figure in figures else ""
    rows = [
        TableRow([TableCell(spaced(each)), TableCell(figure_text(value))], strong=each == main)
        for each, value in figures.items()
    ]
    return ReportSection(
        f"{spaced(main)} {figure_text(figures[main])}" if main else f"Task {name}",
        "result",
        note=f"What the task {task.name if task else name} reports of the test split, with 95 % intervals in brackets.",
        table=HtmlTable([TableColumn("figure", left=True), TableColumn("value")], rows, name="figures", noun="figures"),
        warning=(record.training.warning or "") if record.training else "",
    )


__all__ = ["task_result"]
