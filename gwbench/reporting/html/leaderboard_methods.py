"""The methods of a leaderboard's table as its figures take them: in order, with their bounds and names."""

from __future__ import annotations

import math

from gwbench.reporting.html.charts import series
from gwbench.reporting.html.formatting import count
from gwbench.reporting.leaderboard.columns import method_name
from gwbench.reporting.leaderboard.schema import Estimate, LeaderboardTable, Row

BOUND = series(7)
"""What floor and ceiling are drawn in."""


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


def method_label(row: Row) -> str:
    """A row's rank and name."""
    return (f"{row.rank}  " if row.rank else "") + method_name(row)


def estimate_text(estimate: Estimate) -> str:
    """Such as 0.9846, interval 0.9811 to 0.9875, 3 seeds."""
    interval = (
        f", interval {estimate.low:.4f} to {estimate.high:.4f}" if None not in (estimate.low, estimate.high) else ""
    )
    return f"{estimate.mean:.4f}{interval}, {count(estimate.seeds, 'seed')}"
