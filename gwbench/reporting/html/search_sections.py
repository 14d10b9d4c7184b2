"""The sections of a leaderboard's page that are about searches."""

from __future__ import annotations

from gwbench.reporting.html.leaderboard_section import LeaderboardSection
from gwbench.reporting.html.search_ranking_charts import search_ranking_charts
from gwbench.reporting.html.tables import HtmlTable, RowDetail, TableCell, TableColumn, TableRow
from gwbench.reporting.searches.columns import search_columns, search_facts, search_legend, unranked_note
from gwbench.reporting.searches.schema import SearchRanking, SearchRow, SearchTable


def search_introduction(ranking: SearchRanking) -> list[str]:
    """What the sections are, in sentences."""
    lines = [
        f"{ranking.records:,} searches of continuous strain, ranked by sensitive distance. Only searches for the same "
        "injections in the same strain stand in one table."
    ]
    return [*lines, *unranked_note(ranking)]


def search_section(table: SearchTable, ranking: SearchRanking, anchor: str) -> LeaderboardSection:
    """One table of searches with its figures."""
    columns = search_columns(table, ranking)
    shown = HtmlTable(
        [TableColumn(each.title, left=each.left, first=each.largest, fixed=each.left) for each in columns],
        [
            TableRow(
                [TableCell(column.text(row), column.order(row)) for column in columns],
                details=[_detail(row)],
                quiet=row.reach is None or row.ceiling,
                strong=row.rank == 1,
            )
            for row in table.rows
        ],
        name=f"{anchor}-ranking",
        noun="searches",
        filters=(),
    )
    return LeaderboardSection(
        title=f"Searches of {table.injections}",
        anchor=anchor,
        note=search_facts(table),
        about=(),
        ranking=shown,
        notes=search_legend(table, ranking),
        charts=search_ranking_charts(table, ranking),
        data_notes=(),
        provenance=[
            ("injections", table.injections),
            ("SHA-256 of the injections", table.sha256),
            ("weighting of the volume", table.weighting),
            ("strain", f"{table.livetime / 3600:,.4g} h in {table.segments:,} segments"),
        ],
    )


def _detail(row: SearchRow) -> RowDetail:
    """Where a search is recorded, and how to get it again."""
    parts = [f"{row.livetime / 3600:,.3g} h searched", row.created, row.path]
    parts += [f"run {row.run_id}"] if row.run_id else []
    return RowDetail(" · ".join(parts), row.command)
