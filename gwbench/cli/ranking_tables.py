"""Rankings as tables for the terminal, as wide as that is; columns that do not fit are named below."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from gwbench.cli.terminal import width
from gwbench.reporting.escape import plain

if TYPE_CHECKING:
    from rich.table import Table as RichTable

    from gwbench.reporting.leaderboard.columns import Column
    from gwbench.reporting.leaderboard.schema import Leaderboard, Row
    from gwbench.reporting.searches.schema import SearchRanking, SearchRow

METHOD_WIDTH = 28
"""Columns of the terminal that a method's name gets at least; longer ones fold."""

TITLE_WIDTH = 6
"""Columns of the terminal that any column gets at least, so that its title folds less."""


class _Shown(NamedTuple):
    """A table: what stands above it, its columns and rows with sections, and what stands below it."""

    heading: str
    facts: str
    columns: Sequence[Column[Row]] | Sequence[Column[SearchRow]]
    rows: Sequence[tuple[str | None, Row | SearchRow]]
    legend: Iterable[str]


def leaderboard_tables(board: Leaderboard) -> str:
    """The tables of runs."""
    from gwbench.reporting.leaderboard.columns import columns_of, facts, heading, legend, sectioned

    return _drawn(
        _Shown(heading(table), facts(table), columns_of(table, board), [*sectioned(table)], legend(table, board))
        for table in board.tables
    )


def search_tables(ranking: SearchRanking) -> str:
    """The tables of searches."""
    from gwbench.reporting.searches.columns import (
        search_columns,
        search_facts,
        search_heading,
        search_legend,
        unranked_note,
    )

    text = _drawn(
        _Shown(
            search_heading(table),
            search_facts(table),
            search_columns(table, ranking),
            [(None, row) for row in table.rows],
            search_legend(table, ranking),
        )
        for table in ranking.tables
    )
    return text + "".join(f"{plain(line)}\n" for line in unranked_note(ranking))


def _drawn(tables: Iterable[_Shown]) -> str:
    from rich.console import Console
    from rich.text import Text

    stream = io.StringIO()
    console = Console(file=stream, width=width(), highlight=False, force_terminal=True, color_system="standard")
    for table in tables:
        columns, dropped = _that_fit(table, console.width)
        console.print(Text(plain(table.heading), "bold"))
        console.print(Text(plain(table.facts)))
        console.print()
        console.print(_table(table, columns))
        console.print()
        for line in table.legend:
            console.print(Text(plain(line), "dim"))
        if dropped:
            left_out = ", ".join(column.title for column in dropped)
            console.print(Text(f"No room for: {left_out}. A wider terminal or --format md shows them.", "dim"))
        console.print()
    return stream.getvalue()


def _that_fit(table: _Shown, room: int) -> tuple[list[Any], list[Any]]:
    """The columns that fit, and those that were left out, the least important first."""
    columns: list[Any] = list(table.columns)
    widths = {column: _width(table, column) + 2 for column in columns}
    kept, dropped = list(columns), []
    while sum(widths[column] for column in kept) > room and any(column.keep for column in kept):
        least = min((column for column in kept if column.keep), key=lambda column: column.keep)
        kept.remove(least)
        dropped.append(least)
    return kept, dropped


def _width(table: _Shown, column: Any) -> int:
    """What a column needs: its cells, and the longest word of its title."""
    if column.left:
        return METHOD_WIDTH
    return max(TITLE_WIDTH, *map(len, column.title.split()), *(len(plain(column.text(row))) for _, row in table.rows))


def _table(table: _Shown, columns: Sequence[Any]) -> RichTable:
    from rich.table import Table as RichTable
    from rich.text import Text

    grid = RichTable(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        if column.left:
            grid.add_column(Text(column.title), min_width=METHOD_WIDTH, overflow="fold")
        else:
            title = "\n".join(textwrap.wrap(column.title, _width(table, column)))
            grid.add_column(Text(title), justify="right", no_wrap=True)
    for section, row, style in _styled(table):
        if section is not None:
            grid.add_row("", Text(plain(section), "bold cyan"))
        grid.add_row(*(Text(plain(column.text(row))) for column in columns), style=style)
    return grid


def _styled(table: _Shown) -> Iterator[tuple[str | None, Any, str]]:
    """The rows with their styles: the best stands out, and what has no figure stands back."""
    for section, row in table.rows:
        figure = row.reach if hasattr(row, "reach") else row.cell.estimate
        yield section, row, "green" if row.rank == 1 else "dim" if figure is None else ""
