"""The leaderboard in Python: to look at, to turn into a data frame, or to save."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gwbench.errors import UserError
from gwbench.registry import REGISTRY
from gwbench.reporting.formats import FORMATS
from gwbench.reporting.leaderboard.build import build
from gwbench.reporting.leaderboard.columns import columns_of, facts, heading, legend
from gwbench.reporting.leaderboard.metrics import DEFAULT_METRIC
from gwbench.reporting.leaderboard.overall import overall
from gwbench.reporting.leaderboard.overall_schema import OverallRanking
from gwbench.reporting.leaderboard.rows import Options
from gwbench.reporting.leaderboard.schema import Leaderboard, LeaderboardTable
from gwbench.reporting.leaderboard.text_formats import method_fields
from gwbench.reporting.suffixes import format_of
from gwbench.utils.files import atomic
from gwbench.utils.list_text import names_of

if TYPE_CHECKING:
    import pandas as pd


class Ranking:
    """Methods ranked over their seeds, as `gwbench leaderboard` shows them.

    Attributes:
        board: all of it: a table for every set of data, with its rows, statistics and notes.
    """

    def __init__(self, board: Leaderboard) -> None:
        self.board = board

    def to_pandas(self) -> pd.DataFrame:
        """One row a method, with the columns of `gwbench leaderboard --format csv`.

        Raises:
            UserError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise UserError("A data frame needs pandas: pip install pandas.") from None
        return pd.DataFrame.from_records(method_fields(self.board))

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
        text = FORMATS[form](self.board)
        with atomic(place) as temporary:
            temporary.write_text(text, encoding="utf-8")
        return place

    def __repr__(self) -> str:
        """How many methods there are, and the best of each table."""
        bests = [f"{heading(table)}: {next((row.title for row in table.rows if row.rank == 1), 'none')}"
                 for table in self.board.tables]  # fmt: skip
        methods = sum(len(table.rows) for table in self.board.tables)
        return f"<Ranking of {methods} methods in {self.board.records} runs; best on {'; on '.join(bests)}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: every table, and how to read it."""
        return "".join(_table(table, self.board) for table in self.board.tables)


def rank(
    *runs: str | Path,
    metric: str = DEFAULT_METRIC,
    sort: str = "rank",
    group_by: str | None = None,
    label_fraction: float | None = None,
    columns: Sequence[str] = (),
    plugins: Sequence[str] = (),
) -> Ranking:
    """Rank the methods of all runs in or below some folders.

        gwbench.leaderboard("runs").to_pandas()

    Args:
        runs: folders; by default "runs".
        metric: what methods are ranked by, such as "auc".
        sort: how the rows of a table are ordered: "rank", or a metric.
        group_by: kind of plugin by which rows are put into sections, such as "encoder".
        label_fraction: share of labels at which methods are ranked; by default the one that most of them have.
        columns: further columns: "windows", of pre-training.
        plugins: files or modules that register further plugins, whose tags the table shows.

    Raises:
        UserError: there are no records, or an option names nothing.
    """
    for source in names_of(plugins):
        REGISTRY.load_source(source)
    return Ranking(build(runs or ("runs",), Options(metric, sort, group_by, label_fraction, tuple(columns))))


def _table(table: LeaderboardTable, board: Leaderboard) -> str:
    columns = columns_of(table, board)
    aligned = ["left" if column.left else "right" for column in columns]
    titles = _cells("th", aligned, [column.title for column in columns])
    rows = "".join(f"<tr>{_cells('td', aligned, [c.text(row) for c in columns])}</tr>" for row in table.rows)
    notes = "".join(f"<li>{html.escape(line)}</li>" for line in legend(table, board))
    return (
        f"<h4>{html.escape(heading(table))}</h4><p>{html.escape(facts(table))}</p>"
        f"<table><thead><tr>{titles}</tr></thead><tbody>{rows}</tbody></table><ul>{notes}</ul>"
    )


def _cells(tag: str, aligned: Sequence[str], texts: Sequence[str]) -> str:
    return "".join(
        f'<{tag} style="text-align:{side}">{html.escape(text)}</{tag}>'
        for side, text in zip(aligned, texts, strict=True)
    )
