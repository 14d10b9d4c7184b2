"""A section of a report, which `templates/report.html.j2` shows from top to bottom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gwbench.reporting.html.charts import Chart
from gwbench.reporting.html.tables import HtmlTable

Fact = tuple[str, object]
"""A name and its value."""


@dataclass(frozen=True)
class ReportSection:
    """What a section holds, in the order in which it is shown; what is empty is left out.

    Attributes:
        title: its heading.
        anchor: id to link to.
        note: small print below the heading.
        failure: why the run failed, where it did.
        paragraphs: of text.
        command: that makes the run.
        facts: names and their values.
        warning: what a reader must not miss.
        charts: figures.
        table: that is always open.
        folds: titles and tables that open on a click.
        notes: sentences, as a list.
        missing: what could not be shown, and why.
    """

    title: str
    anchor: str = ""
    note: str = ""
    failure: str | None = None
    paragraphs: Sequence[str] = ()
    command: str = ""
    facts: Sequence[Fact] = ()
    warning: str = ""
    charts: Sequence[Chart] = ()
    table: HtmlTable | None = None
    folds: Sequence[tuple[str, HtmlTable]] = ()
    notes: Sequence[str] = ()
    missing: str = ""
