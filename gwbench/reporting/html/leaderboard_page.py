"""A leaderboard as one HTML page: every table with its figures, its commands and where its numbers are from."""

from __future__ import annotations

from collections.abc import Iterable

from gwbench.reporting.html import page
from gwbench.reporting.html.leaderboard_charts import charts_of
from gwbench.reporting.html.page import escape, prose
from gwbench.reporting.leaderboard.columns import VALUE, Column, columns_of, facts, legend, passed_over, sectioned
from gwbench.reporting.leaderboard.metrics import METRICS
from gwbench.reporting.leaderboard.schema import Leaderboard, LeaderboardTable, Row, Run

FACETS = ("encoder", "pairing", "augmentation", "objective", "baseline")
"""Kinds of plugins that rows are filtered by."""

NAMED = 200
"""Records passed over that a page names; more are counted."""


def as_html(board: Leaderboard) -> str:
    """The page: it needs no other file and no network, and reads without scripts."""
    title = f"Leaderboard: {', '.join(dict.fromkeys(table.dataset for table in board.tables))}"
    sections = [_section(table, board, f"t{number}") for number, table in enumerate(board.tables, 1)]
    return page.document(title, "\n".join([_intro(board), *sections, _passed_over(board)]))


def _intro(board: Leaderboard) -> str:
    metric = METRICS[board.metric].title
    words = (
        f"{board.records:,} runs, ranked by {metric}, with {100 * board.level:g} % intervals. Only methods on the same "
        "data, by the same protocol, stand in one table."
    )
    if len(board.tables) < 2:
        return f"<p>{prose(words)}</p>"
    links = "".join(
        f'<li><a href="#t{number}">{escape(_title(table))}</a>: {prose(facts(table))}</li>'
        for number, table in enumerate(board.tables, 1)
    )
    return f"<p>{prose(words)}</p>\n<ul>{links}</ul>"


def _title(table: LeaderboardTable) -> str:
    settings = ", ".join(f"{name}={value[:VALUE]}" for name, value in table.differing.items())
    return table.dataset + (f" ({settings})" if settings else "")


def _section(table: LeaderboardTable, board: Leaderboard, name: str) -> str:
    figures, problems = charts_of(table, board)
    reading = legend(table, board)
    parts = [
        _ranking(table, board, name),
        page.listing([*reading[: len(reading) - len(table.data_notes)], *problems]),
        f'<div class="charts">{"".join(figures)}</div>',
        page.fold("About the data", page.listing(table.data_notes)) if table.data_notes else "",
        page.fold("Provenance", _provenance(table)),
    ]
    return page.section(_title(table), "\n".join(filter(None, parts)), note=prose(facts(table)), anchor=name)


def _ranking(table: LeaderboardTable, board: Leaderboard, name: str) -> str:
    columns = columns_of(table, board)
    return page.table(
        [page.TableColumn(each.title, left=each.left, first=each.largest, fixed=each.left) for each in columns],
        [_row(columns, section, row, board) for section, row in sectioned(table)],
        name=f"{name}-ranking",
        noun="methods",
        filters=FACETS,
    )


def _row(columns: Iterable[Column], section: str | None, row: Row, board: Leaderboard) -> page.TableRow:
    return page.TableRow(
        [page.TableCell(column.text(row), column.order(row)) for column in columns],
        details="".join(_run(run, METRICS[board.metric].title) for run in row.runs),
        facets=row.plugins,
        section=section,
        quiet=row.cell.estimate is None or "ceiling" in row.tags,
        strong=row.rank == 1,
    )


def _run(run: Run, metric: str) -> str:
    """A run behind a row, and how to get it again."""
    words = [f"seed {run.seed}", f"{100 * run.label_fraction:g} % of the labels"]
    if run.failed is not None:
        words.append(f"failed: {run.failed}")
    elif run.value is not None:
        words.append(f"{metric} {run.value:.4f}")
    words += [run.created, f"run {run.run_id}", run.path]
    return f'<p class="note">{prose(" · ".join(words))}</p>{page.command(run.command)}'


def _provenance(table: LeaderboardTable) -> str:
    """Of what data and by what code and machines the numbers are."""
    rows = [
        ("data", table.content_hash or "not known"),
        ("protocol", str(table.protocol)),
        ("record schema", str(table.schema_version)),
        *((name, _counted(values)) for name, values in table.made_with.items()),
    ]
    return page.facts(rows)


def _counted(values: dict[str, int]) -> str:
    """Values, with how many runs have each where there are several."""
    if len(values) == 1:
        return next(iter(values))
    return "; ".join(f"{value} ({count} runs)" for value, count in values.items())


def _passed_over(board: Leaderboard) -> str:
    named = passed_over(board)
    if not named:
        return ""
    rest = [f"and {len(named) - 1 - NAMED} more; --format json names them all"] if len(named) > NAMED + 1 else []
    return page.section("Passed over", page.listing([*named[1 : NAMED + 1], *rest]), note=prose(named[0]))
