"""The leaderboard in Python: to look at, to turn into a data frame, or to save."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gwbench.errors import UserError
from gwbench.registry import REGISTRY
from gwbench.reporting.formats import FORMATS
from gwbench.reporting.leaderboard.build import build
from gwbench.reporting.leaderboard.columns import Column, columns_of, facts, heading, legend
from gwbench.reporting.leaderboard.metrics import DEFAULT_METRIC
from gwbench.reporting.leaderboard.overall import overall
from gwbench.reporting.leaderboard.overall_schema import OverallRanking
from gwbench.reporting.leaderboard.rows import Options
from gwbench.reporting.leaderboard.schema import Leaderboard
from gwbench.reporting.leaderboard.text_formats import method_fields
from gwbench.reporting.searches.columns import search_columns, search_facts, search_heading, search_legend
from gwbench.reporting.searches.joined import Rankings, rank_all, write_rankings
from gwbench.reporting.searches.text_formats import search_records
from gwbench.reporting.suffixes import format_of
from gwbench.utils.files import atomic
from gwbench.utils.list_text import names_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

Kind = Literal["runs", "searches"]


class Ranking:
    """Methods ranked over their seeds, and searches by their reach, as `gwbench leaderboard` shows them.

    Args:
        rankings: what some folders hold.

    Attributes:
        searches: tables of searches, one for every set of injections; None where there are runs alone.
    """

    def __init__(self, rankings: Rankings) -> None:
        self._rankings = rankings
        self.searches = rankings.searches

    @property
    def board(self) -> Leaderboard:
        """The leaderboard of runs: a table for every set of data, with its rows, statistics and notes.

        Raises:
            UserError: there are searches alone.
        """
        if self._rankings.runs is None:
            raise UserError("These folders hold searches alone; their tables are in `.searches`.")
        return self._rankings.runs

    def to_pandas(self, kind: Kind | None = None) -> pd.DataFrame:
        """One row a method or a search, with the columns of `gwbench leaderboard --format csv`.

        Args:
            kind: "runs" or "searches"; by default runs where there are any.

        Raises:
            UserError: pandas is not installed, or there are none of this kind.
        """
        try:
            import pandas as pd
        except ImportError:
            raise UserError("A data frame needs pandas: pip install pandas.") from None
        _check_kind(kind)
        if kind == "runs" or (kind is None and self._rankings.runs is not None):
            return pd.DataFrame.from_records(method_fields(self.board))
        if self.searches is None:
            raise UserError("These folders hold no search.")
        return pd.DataFrame.from_records(search_records(self.searches))

    def plot(self) -> Figure:
        """Every method and every search with its interval, a panel for every table."""
        from gwbench.reporting.figures import plot_ranking

        return plot_ranking(self._rankings.runs, self.searches)

    def overall(self) -> OverallRanking:
        """The ranking over all data sets, as `gwbench leaderboard --global` shows it.

        Raises:
            UserError: no finished run on all windows of a data set is there.
        """
        return overall(self.board)

    def save(self, path: str | Path, form: str | None = None) -> Path:
        """Write it to a file, whose suffix says in which format: .html, .md, .csv, .json or .tex.

        Args:
            path: of the file.
            form: a name of `reporting.formats.FORMATS` that replaces the suffix.

        Raises:
            UserError: there is no such format.
        """
        place = Path(path)
        form = form or format_of(place)
        if form not in FORMATS:
            raise UserError(f"A leaderboard is saved as {', '.join(FORMATS)}, not as {form}.")
        text = write_rankings(self._rankings, form)
        with atomic(place) as temporary:
            temporary.write_text(text, encoding="utf-8")
        return place

    def __repr__(self) -> str:
        """How many methods there are, and the best of each table."""
        parts = []
        if board := self._rankings.runs:
            bests = [f"{heading(table)}: {next((row.title for row in table.rows if row.rank == 1), 'none')}"
                     for table in board.tables]  # fmt: skip
            methods = sum(len(table.rows) for table in board.tables)
            parts += [f"{methods} methods in {board.records} runs; best on {'; on '.join(bests)}"]
        if self.searches:
            parts += [f"{self.searches.records} searches in {len(self.searches.tables)} tables"]
        return f"<Ranking of {'; '.join(parts)}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: every table, and how to read it."""
        parts: list[str] = []
        if board := self._rankings.runs:
            for table in board.tables:
                columns, notes = columns_of(table, board), legend(table, board)
                parts += [_table(heading(table), facts(table), columns, table.rows, notes)]
        if found := self.searches:
            for each in found.tables:
                about, shown = search_facts(each), search_columns(each, found)
                parts += [_table(search_heading(each), about, shown, each.rows, search_legend(each, found))]
        return "".join(parts)


def rank(
    *runs: str | Path,
    metric: str = DEFAULT_METRIC,
    sort: str = "rank",
    group_by: str | None = None,
    label_fraction: float | None = None,
    columns: Sequence[str] = (),
    kind: Kind | None = None,
    at_far: float | None = None,
    plugins: str | Sequence[str] = (),
) -> Ranking:
    """Rank the methods of all runs, and all searches of continuous strain, in or below some folders.

        gwbench.leaderboard("runs").to_pandas()
        gwbench.leaderboard("searches").to_pandas()  # of `gwbench scan` and `gwbench search evaluate`

    Args:
        runs: folders; by default "runs".
        metric: what methods are ranked by, such as "auc".
        sort: how the rows of a table are ordered: "rank", or a metric.
        group_by: kind of plugin by which rows are put into sections, such as "encoder".
        label_fraction: share of labels at which methods are ranked; by default the one that most of them have.
        columns: further columns: "windows", of pre-training.
        kind: "runs" or "searches" for these alone; by default whatever there is.
        at_far: false alarms a month of 30 days at which searches are ranked; by default 1000, or where most were.
        plugins: files or modules that register further plugins, whose tags the table shows.

    Raises:
        UserError: there are no records, or an option names nothing.
    """
    for source in names_of(plugins):
        REGISTRY.load_source(source)
    _check_kind(kind)
    roots = runs or ("runs",)
    options = Options(metric, sort, group_by, label_fraction, tuple(columns))
    if kind == "runs":
        return Ranking(Rankings(build(roots, options), None))
    rankings = rank_all(roots, options, at_far)
    if kind == "searches":
        if rankings.searches is None:
            raise UserError(f"There is no search in {', '.join(map(str, roots))}: `gwbench scan` makes some.")
        rankings = Rankings(None, rankings.searches)
    return Ranking(rankings)


def _check_kind(kind: str | None) -> None:
    if kind not in (None, "runs", "searches"):
        raise UserError(f'kind={kind!r}: expected "runs" or "searches".')


def _table(title: str, about: str, columns: Sequence[Column[Any]], rows: Sequence[Any], notes: Iterable[str]) -> str:
    aligned = ["left" if column.left else "right" for column in columns]
    titles = _cells("th", aligned, [column.title for column in columns])
    body = "".join(f"<tr>{_cells('td', aligned, [c.text(row) for c in columns])}</tr>" for row in rows)
    listed = "".join(f"<li>{html.escape(line)}</li>" for line in notes)
    return (
        f"<h4>{html.escape(title)}</h4><p>{html.escape(about)}</p>"
        f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table><ul>{listed}</ul>"
    )


def _cells(tag: str, aligned: Sequence[str], texts: Sequence[str]) -> str:
    return "".join(
        f'<{tag} style="text-align:{side}">{html.escape(text)}</{tag}>'
        for side, text in zip(aligned, texts, strict=True)
    )
