"""The ranking over data sets itself: one validated structure that every format renders."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Literal

from gwbench.errors import UserError
from gwbench.reporting.leaderboard.schema import Estimate, Tag
from gwbench.utils.models import FrozenModel

if TYPE_CHECKING:
    import pandas as pd


class OverallDataset(FrozenModel):
    """A column of the ranking.

    Attributes:
        title: the dataset, and the settings in which it differs from the others.
        content_hash: of the data.
        label_fraction: share of labels at which its methods are ranked.
        methods: how many are ranked on it.
    """

    title: str
    content_hash: str
    label_fraction: float
    methods: int


class OverallRow(FrozenModel):
    """A method.

    Attributes:
        rank: by mean rank; None where it was not tried on every data set, and for a ceiling.
        title, differing, tags: as of `Row`.
        mean_rank: over the data sets, among the methods that were tried on all of them.
        low, high: its interval; None where the metric has none.
        beats: mean over its data sets of the share of the other methods there that it beats, ties counted half.
        covered: data sets on which it has a figure.
        cells: of each data set; None where it was not tried there.
    """

    rank: int | None
    title: str
    differing: dict[str, str]
    tags: tuple[Tag, ...]
    mean_rank: float | None
    low: float | None
    high: float | None
    beats: float | None
    covered: int
    cells: tuple[Estimate | None, ...]


class OverallRanking(FrozenModel):
    """Methods over all data sets of a leaderboard.

    Attributes:
        metric: what they are ranked by.
        level: confidence of intervals.
        datasets: the columns.
        rows: ranked first, then those with missing cells, then ceilings.
        notes: how to read it, one sentence each.
    """

    schema_version: Literal[1] = 1
    metric: str
    level: float
    datasets: tuple[OverallDataset, ...]
    rows: tuple[OverallRow, ...]
    notes: tuple[str, ...]

    def to_pandas(self) -> pd.DataFrame:
        """One row a method, with the columns of `gwbench leaderboard --global --format csv`.

        Raises:
            UserError: pandas is not installed.
        """
        from gwbench.reporting.leaderboard.overall_formats import overall_fields

        try:
            import pandas as pd
        except ImportError:
            raise UserError("A data frame needs pandas: pip install pandas.") from None
        return pd.DataFrame.from_records(overall_fields(self))

    def __repr__(self) -> str:
        """How much there is, and the best."""
        best = next((row.title for row in self.rows if row.rank == 1), "none, as no method is on all of them")
        return f"<OverallRanking of {len(self.rows)} methods on {len(self.datasets)} data sets; best: {best}>"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from gwbench.reporting.leaderboard.overall_formats import overall_columns

        columns = overall_columns(self)
        head = "".join(f"<th>{html.escape(column.title)}</th>" for column in columns)
        rows = "".join(
            f"<tr>{''.join(f'<td>{html.escape(column.text(row))}</td>' for column in columns)}</tr>"
            for row in self.rows
        )
        notes = "".join(f"<li>{html.escape(note)}</li>" for note in self.notes)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table><ul>{notes}</ul>"
