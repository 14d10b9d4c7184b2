"""The order of a table's rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from gwbench.reporting.leaderboard.metrics import COLUMNS, MetricSpec, number_of

if TYPE_CHECKING:
    from gwbench.reporting.leaderboard.schema import Row

    SortKey = Callable[[Row], float | str | None]


def _best_first(metric: MetricSpec) -> SortKey:
    def key(row: Row) -> float | None:
        number = number_of(row.figures[metric.name])
        return -number if number is not None and metric.larger_is_better else number

    return key


SORTS: dict[str, SortKey] = {
    "rank": lambda row: -row.cell.estimate.mean if row.cell.estimate else None,
    "method": lambda row: row.title,
    **{metric.name: _best_first(metric) for metric in COLUMNS},
}
"""What rows can be sorted by, smallest first; None stands last."""


def sort(rows: Iterable[Row], by: str, *, larger_is_better: bool = True) -> list[Row]:
    """Rows in order, sections together: the section that holds the first row comes first.

    Args:
        rows: of a table.
        by: a name of `SORTS`.
        larger_is_better: of what the table ranks by.
    """

    def position(row: Row) -> tuple[bool, Any, str]:
        value = SORTS[by](row)
        if by == "rank" and not larger_is_better and isinstance(value, int | float):
            value = -value
        return (value is None, 0 if value is None else value, row.title)

    ordered = sorted(rows, key=position)
    sections = list(dict.fromkeys(row.section for row in ordered))
    return sorted(ordered, key=lambda row: sections.index(row.section))
