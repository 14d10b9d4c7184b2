"""The methods of a leaderboard's table as its figures take them: in order, with their bounds and names."""

from __future__ import annotations

import math

from gwbench.reporting.html.charts import series
from gwbench.reporting.leaderboard.columns import method_name
from gwbench.reporting.leaderboard.schema import LeaderboardTable, Row

BOUND = series(7)
"""What floor and ceiling are drawn in."""

CHARACTER = 5.9
"""Pixels of an average character of a figure's text."""


def by_mean(table: LeaderboardTable) -> list[Row]:
    """The rows, best first, however the table is sorted."""
    return sorted(table.rows, key=lambda row: -row.cell.estimate.mean if row.cell.estimate else math.inf)


def bound_rows(table: LeaderboardTable) -> list[Row]:
    """The best ceiling that is no outer bound, and the best floor, where they are there."""
    rows = [row for row in by_mean(table) if row.cell.estimate]
    ceilings = [row for row in rows if "ceiling" in row.tags and "outer-bound" not in row.tags]
    floors = [row for row in rows if "floor" in row.tags]
    return ceilings[:1] + floors[:1]


def bounds_of(table: LeaderboardTable) -> list[tuple[str, float]]:
    """Name and mean of each bound."""
    rows = [("ceiling" if "ceiling" in row.tags else "floor", row.cell.estimate) for row in bound_rows(table)]
    return [(name, estimate.mean) for name, estimate in rows if estimate]


def method_label(row: Row, width: float = math.inf) -> str:
    """A row's rank and name, cut to so many pixels."""
    place = f"{row.rank}  " if row.rank else ""
    name = place + method_name(row)
    fits = int(min(width / CHARACTER, len(name)))
    return name if len(name) <= fits else name[: fits - 1] + "…"
