"""A leaderboard as one HTML page: every table with its figures, its commands and where its numbers are from."""

from __future__ import annotations

from collections.abc import Iterable

from gwbench.registry import METHOD_KINDS
from gwbench.reporting.html.leaderboard_charts import charts_of
from gwbench.reporting.html.leaderboard_section import LeaderboardSection
from gwbench.reporting.html.leaderboard_titles import TableTitle, table_titles
from gwbench.reporting.html.page import render
from gwbench.reporting.html.search_sections import search_introduction, search_section
from gwbench.reporting.html.tables import HtmlTable, RowDetail, TableCell, TableColumn, TableRow
from gwbench.reporting.leaderboard.columns import (
    Column,
    columns_of,
    legend,
    metric_title,
    passed_over,
    sectioned,
)
from gwbench.reporting.leaderboard.metrics import METRICS
from gwbench.reporting.leaderboard.schema import Leaderboard, LeaderboardTable, Row, Run
from gwbench.reporting.searches.columns import searches_passed_over
from gwbench.reporting.searches.schema import SearchRanking

NAMED = 200
"""Records passed over that a page names; more are counted."""


def render_leaderboard(board: Leaderboard | None, ranking: SearchRanking | None = None, *, home: str = "") -> str:
    """The page: it needs no other file and no network, and reads without scripts.

    Args:
        board: of runs.
        ranking: of searches, whose sections follow.
        home: file of a page that leads here, to go back to; empty for a page by itself.
    """
    title, introduction = [], []
    sections: list[LeaderboardSection] = []
    if board is not None:
        title.append(f"Leaderboard: {', '.join(dict.fromkeys(table.dataset for table in board.tables))}")
        introduction.append(
            f"{board.records:,} runs, ranked by {METRICS[board.metric].title}, with {100 * board.level:g} % "
            "intervals. Only methods on the same data, by the same protocol, stand in one table."
        )
        titles = table_titles(board.tables)
        sections += [
            _section(table, board, said, f"t{number}")
            for number, (table, said) in enumerate(zip(board.tables, titles, strict=True), 1)
        ]
    if ranking is not None:
        title += [] if title else ["Leaderboard of searches"]
        introduction += search_introduction(ranking)
        sections += [search_section(table, ranking, f"s{number}") for number, table in enumerate(ranking.tables, 1)]
    lines = passed_over(board) if board is not None else []
    lines += searches_passed_over(ranking) if ranking is not None else []
    return render(
        "leaderboard.html.j2",
        title="".join(title),
        introduction=" ".join(introduction),
        sections=sections,
        passed_over=_named(lines),
        home=home,
    )


def _section(table: LeaderboardTable, board: Leaderboard, said: TableTitle, anchor: str) -> LeaderboardSection:
    charts, problems = charts_of(table, board)
    reading = legend(table, board)
    return LeaderboardSection(
        title=said.heading,
        anchor=anchor,
        note=said.facts,
        about=said.about,
        ranking=_ranking(table, board, anchor),
        notes=[*reading[: len(reading) - len(table.data_notes)], *problems],
        charts=charts,
        data_notes=table.data_notes,
        provenance=_provenance(table),
    )


def _ranking(table: LeaderboardTable, board: Leaderboard, anchor: str) -> HtmlTable:
    columns = columns_of(table, board)
    return HtmlTable(
        [TableColumn(each.title, left=each.left, first=each.largest, fixed=each.left) for each in columns],
        [_row(columns, section, row, metric_title(table, board)) for section, row in sectioned(table)],
        name=f"{anchor}-ranking",
        noun="methods",
        filters=METHOD_KINDS,
    )


def _row(columns: Iterable[Column[Row]], section: str | None, row: Row, metric: str) -> TableRow:
    return TableRow(
        [TableCell(column.text(row), column.order(row)) for column in columns],
        details=[_detail(run, metric) for run in row.runs],
        facets=row.plugins,
        section=section,
        quiet=row.cell.estimate is None or "ceiling" in row.tags,
        strong=row.rank == 1,
    )


def _detail(run: Run, metric: str) -> RowDetail:
    """A run behind a row, and how to get it again."""
    parts = [f"seed {run.seed}", f"{100 * run.label_fraction:g} % of the labels"]
    if run.failed is not None:
        parts.append(f"failed: {run.failed}")
    elif run.value is not None:
        parts.append(f"{metric} {run.value:.4f}")
    parts += [run.created, f"run {run.run_id}", run.path]
    return RowDetail(" · ".join(parts), run.command)


def _provenance(table: LeaderboardTable) -> list[tuple[str, str]]:
    return [
        ("data", table.content_hash or "not known"),
        *(("setting of the data", f"{name}={value}") for name, value in table.differing.items()),
        ("protocol", str(table.protocol)),
        ("record schema", str(table.schema_version)),
        *((name, _counted(values)) for name, values in table.made_with.items()),
    ]


def _counted(values: dict[str, int]) -> str:
    """Values, with how many runs have each where there are several."""
    if len(values) == 1:
        return next(iter(values))
    return "; ".join(f"{value} ({count} runs)" for value, count in values.items())


def _named(lines: list[str]) -> list[str]:
    """How many records could not be read, and the first of them with their reasons."""
    if len(lines) <= NAMED + 1:
        return lines
    return [*lines[: NAMED + 1], f"and {len(lines) - 1 - NAMED} more; --format json names them all"]
