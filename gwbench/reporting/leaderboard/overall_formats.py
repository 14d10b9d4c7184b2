"""The ranking over data sets as text: for the terminal, and in Markdown, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import textwrap
from collections.abc import Callable
from typing import Any

from gwbench.reporting.escape import csv_text, markdown, plain
from gwbench.reporting.leaderboard.columns import NONE, VALUE, Column
from gwbench.reporting.leaderboard.metrics import METRICS
from gwbench.reporting.leaderboard.overall_schema import OverallRanking, OverallRow
from gwbench.reporting.leaderboard.text_formats import bars, rounded

TITLE_WIDTH = 18
"""Columns of a terminal that a title takes at most; longer ones fold."""

METHOD_WIDTH = 24
"""Columns of a terminal that a method's name gets at least; longer ones fold."""


def overall_columns(ranking: OverallRanking) -> list[Column[OverallRow]]:
    """The columns: ranks, coverage, and the figure on every data set."""
    n = len(ranking.datasets)
    columns: list[Column[OverallRow]] = [
        Column("rank", lambda row: _rank(row), lambda row: row.rank),
        Column("method", overall_name, overall_name, left=True),
        Column("mean rank", lambda row: _number(row.mean_rank, 2), lambda row: row.mean_rank),
        Column(f"{100 * ranking.level:g} % interval", _interval, lambda row: row.low, keep=9),
        Column("beats", lambda row: NONE if row.beats is None else f"{100 * row.beats:.0f} %",
               lambda row: row.beats, keep=7, largest=True),
        Column("data sets", lambda row: f"{row.covered} of {n}", lambda row: row.covered, keep=8, largest=True),
    ]  # fmt: skip
    title = METRICS[ranking.metric].title
    columns += [
        Column(f"{title}, {data.title}", _cell(number), _figure(number), keep=6, largest=True)
        for number, data in enumerate(ranking.datasets)
    ]
    return columns


def overall_name(row: OverallRow) -> str:
    """A method's plugins, and the settings in which it differs from others."""
    settings = ", ".join(f"{name}={value[:VALUE]}" for name, value in row.differing.items())
    dagger = " †" if "simulated-signals" in row.tags else ""
    return row.title + (f" ({settings})" if settings else "") + dagger


def overall_fields(ranking: OverallRanking) -> list[dict[str, Any]]:
    """One dictionary a method, with the same names in each; None where there is no figure."""
    return [
        {
            "rank": row.rank,
            "method": row.title,
            "settings": "; ".join(f"{name}={value}" for name, value in row.differing.items()),
            "marks": " ".join(row.tags),
            "mean_rank": row.mean_rank,
            "mean_rank_low": row.low,
            "mean_rank_high": row.high,
            "beats": row.beats,
            "data_sets": row.covered,
            **{data.title: cell.mean if cell else None for data, cell in zip(ranking.datasets, row.cells, strict=True)},
        }
        for row in ranking.rows
    ]


def overall_markdown(ranking: OverallRanking) -> str:
    """A table in GitHub's Markdown."""
    columns = overall_columns(ranking)
    lines = [f"### {len(ranking.rows)} methods on {len(ranking.datasets)} data sets", ""]
    lines.append(bars(markdown(column.title) for column in columns))
    lines.append(bars("---" if column.left else "---:" for column in columns))
    lines += [bars(markdown(column.text(row)) for column in columns) for row in ranking.rows]
    return "\n".join([*lines, "", *(f"- {markdown(note)}" for note in ranking.notes)]) + "\n"


def overall_csv(ranking: OverallRanking) -> str:
    """One line a method, empty where there is no figure."""
    rows = overall_fields(ranking)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([csv_text(name) for name in rows[0]])
    for row in rows:
        writer.writerow([csv_text(each) if isinstance(each, str) else rounded(each) for each in row.values()])
    return stream.getvalue()


def overall_json(ranking: OverallRanking) -> str:
    """The whole structure; text outside ASCII is escaped."""
    return json.dumps(rounded(ranking.model_dump(mode="json")), indent=2, ensure_ascii=True) + "\n"


def overall_terminal(ranking: OverallRanking, width: int) -> str:
    """A table as wide as a terminal; names fold where there is no room."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    stream = io.StringIO()
    console = Console(file=stream, width=width, highlight=False, force_terminal=True, color_system="standard")
    columns = overall_columns(ranking)
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        if column.left:
            grid.add_column(Text(column.title), min_width=METHOD_WIDTH, overflow="fold")
            continue
        title = plain(column.title)
        widest = max([*map(len, title.split()), *(len(plain(column.text(row))) for row in ranking.rows)])
        grid.add_column(Text("\n".join(textwrap.wrap(title, min(widest, TITLE_WIDTH)))), justify="right", no_wrap=True)
    for row in ranking.rows:
        style = "green" if row.rank == 1 else "dim" if row.rank is None else ""
        grid.add_row(*(Text(plain(column.text(row))) for column in columns), style=style)
    console.print(grid)
    for note in ranking.notes:
        console.print(Text(plain(note, 1000), "dim"))
    return stream.getvalue()


OVERALL: dict[str, Callable[[OverallRanking], str]] = {
    "md": overall_markdown,
    "csv": overall_csv,
    "json": overall_json,
}
"""Formats for files, by the name that the command line takes."""


def _rank(row: OverallRow) -> str:
    if row.rank is not None:
        return str(row.rank)
    bounds = [tag for tag in ("outer-bound", "ceiling") if tag in row.tags]
    return bounds[0].replace("-", " ") if bounds else NONE


def _interval(row: OverallRow) -> str:
    return NONE if row.low is None or row.high is None else f"{row.low:.1f} to {row.high:.1f}"


def _number(value: float | None, digits: int) -> str:
    return NONE if value is None else f"{value:.{digits}f}"


def _cell(number: int) -> Callable[[OverallRow], str]:
    def text(row: OverallRow) -> str:
        cell = row.cells[number]
        if cell is None:
            return "missing"
        return f"{cell.mean:.4f}" + (f" ± {cell.sd:.4f}" if cell.sd is not None else "")

    return text


def _figure(number: int) -> Callable[[OverallRow], float | None]:
    def order(row: OverallRow) -> float | None:
        cell = row.cells[number]
        return cell.mean if cell else None

    return order
