"""All tables as a folder of pages: the ranking over data sets first, then a page for every table, linked both ways.

The folder needs no network and no server: every page is one file, and links lead to files beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gwbench.errors import UserError
from gwbench.reporting.html.leaderboard_page import NAMED, render_leaderboard
from gwbench.reporting.html.page import render
from gwbench.reporting.html.tables import HtmlTable, TableCell, TableColumn, TableRow
from gwbench.reporting.leaderboard.columns import facts
from gwbench.reporting.leaderboard.metrics import METRICS
from gwbench.reporting.leaderboard.overall import overall
from gwbench.reporting.leaderboard.overall_formats import overall_columns, overall_json
from gwbench.reporting.leaderboard.overall_schema import OverallRanking
from gwbench.reporting.leaderboard.schema import Leaderboard
from gwbench.reporting.searches.joined import Rankings
from gwbench.utils.files import atomic

INDEX, SEARCHES, FIGURES = "index.html", "searches.html", "overall.json"


@dataclass(frozen=True)
class SitePage:
    """A page that the first one leads to: its file, its title, and a line about it."""

    file: str
    title: str
    note: str


def write_site(rankings: Rankings, folder: Path) -> list[Path]:
    """Write the pages of some rankings into a folder, which is made; returns their files.

    Raises:
        UserError: the folder cannot be written.
    """
    written = []
    for name, text in site_files(rankings).items():
        with atomic(folder / name) as path:
            path.write_text(text, encoding="utf-8")
        written.append(folder / name)
    return written


def site_files(rankings: Rankings) -> dict[str, str]:
    """The pages by name, and the figures of the ranking over data sets for programs."""
    files: dict[str, str] = {}
    pages: list[SitePage] = []
    ranking = None
    if (board := rankings.runs) is not None:
        try:
            ranking = overall(board)
        except UserError:  # small tries alone, or failures
            ranking = None
        for page, one in _tables(board, ranking):
            pages.append(page)
            files[page.file] = render_leaderboard(one, home=INDEX)
    if rankings.searches is not None:
        note = f"{len(rankings.searches.tables)} sets of injections, ranked by sensitive distance"
        pages.append(SitePage(SEARCHES, "Searches of continuous strain", note))
        files[SEARCHES] = render_leaderboard(None, rankings.searches, home=INDEX)
    index = {INDEX: render_index(board, ranking, pages, rankings.passed_over())}
    return {**index, **files, **({FIGURES: overall_json(ranking)} if ranking is not None else {})}


def render_index(
    board: Leaderboard | None, ranking: OverallRanking | None, pages: list[SitePage], passed_over: list[str]
) -> str:
    """The first page."""
    introduction = "Every page is one file that opens without a network."
    if board is not None:
        introduction = (
            f"{board.records:,} runs in {len(board.tables)} tables, ranked by {METRICS[board.metric].title}. A table "
            f"holds methods on the same data; what they say together stands below. {introduction}"
        )
    return render(
        "overall.html.j2",
        title="Leaderboards",
        introduction=introduction,
        pages=pages,
        ranking=_html_table(ranking) if ranking is not None else None,
        reading=ranking.notes if ranking is not None else (),
        passed_over=passed_over[: NAMED + 1],
    )


def _tables(board: Leaderboard, ranking: OverallRanking | None) -> Iterator[tuple[SitePage, Leaderboard]]:
    """A page for every table, with a leaderboard of that table alone."""
    titles = {data.content_hash: data.title for data in ranking.datasets} if ranking is not None else {}
    for number, table in enumerate(board.tables, 1):
        plain = "limit" in table.differing or table.task is not None
        title = table.dataset if plain else titles.get(str(table.content_hash), table.dataset)
        slug = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60]
        page = SitePage(f"table-{number}-{slug or 'data'}.html", title, f"{len(table.rows)} methods; {facts(table)}")
        runs = sum(len(row.runs) for row in table.rows)
        yield page, board.model_copy(update={"tables": (table,), "records": runs, "skipped": ()})


def _html_table(ranking: OverallRanking) -> HtmlTable:
    columns = overall_columns(ranking)
    rows = [
        TableRow(
            [TableCell(column.text(row), column.order(row)) for column in columns],
            quiet=row.rank is None,
            strong=row.rank == 1,
        )
        for row in ranking.rows
    ]
    shown = [TableColumn(each.title, left=each.left, first=each.largest, fixed=each.left) for each in columns]
    return HtmlTable(shown, rows, name="overall-ranking", noun="methods", filters=())
