"""The order of a table's rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from gwbench.reporting.leaderboard.schema import Row

SORTS: dict[str, Callable[[Row], float | str | None]] = {
    "rank": lambda row: -row.cell.estimate.mean if row.cell.estimate else None,
    "method": lambda row: row.title,
    "half-snr": lambda row: row.half_snr.mean if row.half_snr else None,
    "parameters": lambda row: row.parameters,
    "pretrain-seconds": lambda row: row.pretrain_seconds,
    "samples-per-second": lambda row: None if row.samples_per_second is None else -row.samples_per_second,
    "peak-memory": lambda row: row.peak_memory,
}
"""What rows can be sorted by, smallest first; None stands last."""


def sort(rows: Iterable[Row], by: str) -> list[Row]:
    """Rows in order, sections together: the section that holds the first row comes first."""

    def position(row: Row) -> tuple[bool, Any, str]:
        value = SORTS[by](row)
        return (value is None, 0 if value is None else value, row.title)

    ordered = sorted(rows, key=position)
    sections = list(dict.fromkeys(row.section for row in ordered))
    return sorted(ordered, key=lambda row: sections.index(row.section))
