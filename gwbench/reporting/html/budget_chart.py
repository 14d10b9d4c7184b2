"""The figure of a leaderboard that sets what methods reach against the windows that they saw in pre-training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gwbench.reporting.html.chart_values import LineValues, ValuePoint
from gwbench.reporting.html.charts import Chart, chart, key, series
from gwbench.reporting.html.leaderboard_methods import by_mean, estimate_text
from gwbench.reporting.leaderboard.columns import method_name
from gwbench.reporting.leaderboard.metrics import METRICS
from gwbench.reporting.leaderboard.schema import Estimate, Leaderboard, LeaderboardTable, Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINES = 8
"""Methods in the figure: one that was trained for several lengths is one line."""


def budget_chart(table: LeaderboardTable, board: Leaderboard) -> Chart | None:
    """The metric against windows seen; None where all that was pre-trained saw equally many."""
    methods: dict[str, list[tuple[float, Row, Estimate]]] = {}
    for row in by_mean(table):
        if row.windows and row.cell.estimate:
            methods.setdefault(row.title, []).append((row.windows, row, row.cell.estimate))
    lines = [(title, sorted(points, key=lambda point: point[0])) for title, points in methods.items()]
    if len({windows for _, points in lines for windows, _, _ in points}) < 2:
        return None
    shown, looks = lines[:LINES], [series(number) for number in range(LINES)]
    metric = METRICS[board.metric].title

    def draw(axes: Axes) -> None:
        for (_, points), look in zip(shown, looks, strict=False):
            means = np.array([estimate.mean for _, _, estimate in points])
            low = [e.mean if e.low is None else e.low for _, _, e in points]
            high = [e.mean if e.high is None else e.high for _, _, e in points]
            axes.errorbar([windows for windows, _, _ in points], means, np.array([means - low, high - means]),
                          **look.points, linewidth=1.5, elinewidth=1.2)  # fmt: skip
        axes.set(xscale="log", xlabel="windows seen in pre-training", ylabel=metric)

    more = f" The best {LINES} of {len(lines)}." if len(lines) > LINES else ""
    return chart(
        draw,
        title=f"{metric} against windows seen",
        description=f"Mean over seeds, with its {100 * board.level:g} % interval. A method that was trained for "
        f"several lengths is one line.{more}",
        key=key(((title, look) for (title, _), look in zip(shown, looks, strict=False)), markers=True),
        values=[
            LineValues(
                "",
                [
                    ValuePoint(
                        windows, estimate.mean, f"{method_name(row)}: {windows:,.0f} windows, {estimate_text(estimate)}"
                    )
                    for windows, row, estimate in points
                ],
            )
            for _, points in shown
        ],
    )
