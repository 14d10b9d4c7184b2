"""A section of a leaderboard's page, which `templates/leaderboard.html.j2` shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gwbench.reporting.html.charts import Chart
from gwbench.reporting.html.tables import HtmlTable


@dataclass(frozen=True)
class LeaderboardSection:
    """One table of a leaderboard, as `templates/leaderboard.html.j2` shows it.

    Attributes:
        title: of the suite, or the dataset, with its settings where tables differ in them.
        anchor: id to link to.
        note: what the data are, and at which labels methods are ranked.
        about: what its suites ask, a sentence or two each.
        ranking: the table.
        notes: how to read the table, and what could not be drawn.
        charts: figures.
        data_notes: what the dataset says of itself.
        provenance: of which data, code and machines the numbers are.
    """

    title: str
    anchor: str
    note: str
    about: Sequence[str]
    ranking: HtmlTable
    notes: Sequence[str]
    charts: Sequence[Chart]
    data_notes: Sequence[str]
    provenance: Sequence[tuple[str, str]]
