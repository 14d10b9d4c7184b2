"""`gwbench leaderboard`."""

from __future__ import annotations

import io
import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gwbench.cli.options import UserPath, plugin_option
from gwbench.cli.terminal import echo, width
from gwbench.cli.verb import verb
from gwbench.registry import METHOD_KINDS
from gwbench.reporting.escape import plain
from gwbench.reporting.leaderboard.metrics import DEFAULT_METRIC, RANKING
from gwbench.reporting.leaderboard.sorting import SORTS
from gwbench.reporting.suffixes import SUFFIXES, format_of
from gwbench.utils.files import atomic

if TYPE_CHECKING:
    from rich.table import Table as RichTable

    from gwbench.reporting.leaderboard.columns import Column
    from gwbench.reporting.leaderboard.schema import Leaderboard, LeaderboardTable

SOME_SKIPPED = 1
"""Exit code where some records could not be read."""

SHOWN = 20
"""How many of the records that were skipped are named on standard error."""


def _one_of(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}"


@verb(spellings={"--out": "--output"})
@click.argument("runs", nargs=-1, required=True, type=UserPath())
@click.option("--format", "form", type=click.Choice(list(SUFFIXES)),
              help="Format of the output.  [default: by the suffix of --output, else terminal]")  # fmt: skip
@click.option("--metric", default=DEFAULT_METRIC, show_default=True, help=f"Rank by {_one_of(RANKING)}.")
@click.option("--sort", "by", default="rank", show_default=True, help=f"Order rows by {_one_of(SORTS)}.")
@click.option("--group-by", type=click.Choice(METHOD_KINDS), help="Put rows together that share a plugin of this kind.")
@click.option("--label-fraction", type=float,
              help="Rank methods at this share of labels.  [default: the share that most runs have]")  # fmt: skip
@click.option("--output", type=UserPath(), help="Write to this file.")
@plugin_option
def leaderboard(
    runs: tuple[str, ...],
    form: str | None,
    metric: str,
    by: str,
    group_by: str | None,
    label_fraction: float | None,
    output: Path | None,
    plugins: tuple[str, ...],
) -> None:
    """Rank the methods of the runs in or below the folders RUNS.

    There is one table per dataset and one row per method: mean and scatter over seeds, an interval that includes the
    scatter of seeds and of test windows, a paired test against the best method, and the cost.

    Exit codes: 0 every record was read; 1 some could not be read and are named on standard error; 2 none could be read,
    or the command has a mistake.

    \b
    gwbench leaderboard runs
    gwbench leaderboard runs --output leaderboard.md
    gwbench leaderboard runs --output leaderboard.html
    """  # noqa: D301 - click reads the control character
    from gwbench.reporting.formats import FORMATS
    from gwbench.reporting.leaderboard.build import build
    from gwbench.reporting.leaderboard.columns import passed_over
    from gwbench.reporting.leaderboard.rows import Options

    form = form or (format_of(output) if output else "terminal")
    board = build(runs, Options(metric, by, group_by, label_fraction))
    text = _terminal(board) if form == "terminal" else FORMATS[form](board)
    if output:
        with atomic(output) as path:
            path.write_text(click.unstyle(text) if form == "terminal" else text, encoding="utf-8")
    else:
        echo(text, nl=False, styled=True)
    named = passed_over(board)
    for line in named[: SHOWN + 1]:
        click.echo(plain(line), err=True)
    if len(named) > SHOWN + 1:
        click.echo(f"and {len(named) - SHOWN - 1} more; --format json names them all", err=True)
    if named:
        sys.exit(SOME_SKIPPED)


def _terminal(board: Leaderboard) -> str:
    """Tables as wide as the terminal; columns that do not fit are named below."""
    from rich.console import Console
    from rich.text import Text

    from gwbench.reporting.leaderboard.columns import columns_of, facts, heading, legend

    stream = io.StringIO()
    console = Console(file=stream, width=width(), highlight=False, force_terminal=True, color_system="standard")
    for table in board.tables:
        columns, dropped = _that_fit(table, columns_of(table, board), console.width)
        console.print(Text(plain(heading(table)), "bold"))
        console.print(Text(plain(facts(table))))
        console.print()
        console.print(_table(table, columns))
        console.print()
        for line in legend(table, board):
            console.print(Text(plain(line), "dim"))
        if dropped:
            left_out = ", ".join(column.title for column in dropped)
            console.print(Text(f"No room for: {left_out}. A wider terminal or --format md shows them.", "dim"))
        console.print()
    return stream.getvalue()


METHOD_WIDTH = 28
"""Columns of the terminal that a method's name gets at least; longer ones fold."""

TITLE_WIDTH = 6
"""Columns of the terminal that any column gets at least, so that its title folds less."""


def _that_fit(table: LeaderboardTable, columns: list[Column], room: int) -> tuple[list[Column], list[Column]]:
    """The columns that fit, and those that were left out, the least important first."""
    widths = {column: _width(table, column) + 2 for column in columns}
    kept, dropped = list(columns), []
    while sum(widths[column] for column in kept) > room and any(column.keep for column in kept):
        least = min((column for column in kept if column.keep), key=lambda column: column.keep)
        kept.remove(least)
        dropped.append(least)
    return kept, dropped


def _width(table: LeaderboardTable, column: Column) -> int:
    """What a column needs: its cells, and the longest word of its title."""
    if column.left:
        return METHOD_WIDTH
    return max(TITLE_WIDTH, *map(len, column.title.split()), *(len(plain(column.text(row))) for row in table.rows))


def _table(table: LeaderboardTable, columns: list[Column]) -> RichTable:
    from rich.table import Table as RichTable
    from rich.text import Text

    from gwbench.reporting.leaderboard.columns import sectioned

    grid = RichTable(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        if column.left:
            grid.add_column(Text(column.title), min_width=METHOD_WIDTH, overflow="fold")
        else:
            title = "\n".join(textwrap.wrap(column.title, _width(table, column)))
            grid.add_column(Text(title), justify="right", no_wrap=True)
    for section, row in sectioned(table):
        if section is not None:
            grid.add_row("", Text(plain(section), "bold cyan"))
        style = "green" if row.rank == 1 else "dim" if row.cell.estimate is None else ""
        grid.add_row(*(Text(plain(column.text(row))) for column in columns), style=style)
    return grid
