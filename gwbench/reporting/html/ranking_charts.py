"""Figures of a leaderboard's ranking: every method's mean with its interval, and which cannot be told apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gwbench.reporting.html.chart_values import LineValues, ValuePoint
from gwbench.reporting.html.charts import SMALL, WIDE, WIDTH, Chart, Drawing, chart_of, series
from gwbench.reporting.html.interval_rows import (
    LINE,
    IntervalAxis,
    IntervalRow,
    fold_name,
    interval_chart,
)
from gwbench.reporting.html.leaderboard_methods import bounds_of, by_mean, estimate_text, method_label
from gwbench.reporting.html.logit import logit_axis, squeezed, ticks_between
from gwbench.reporting.html.svg import INK, QUIET
from gwbench.reporting.leaderboard.columns import letters
from gwbench.reporting.leaderboard.metrics import METRICS
from gwbench.reporting.leaderboard.schema import Estimate, Leaderboard, LeaderboardTable, Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 40
"""Methods in a figure."""

BEST = series(0)
"""What the best method is drawn in, and those that cannot be told from it."""

Shown = Sequence[tuple[Row, Estimate]]


def ranking_chart(table: LeaderboardTable, board: Leaderboard) -> Chart | None:
    """The ranking: every method's mean with its interval; an outer bound would only stretch the axis."""
    methods = [(row, row.cell.estimate) for row in by_mean(table) if "outer-bound" not in row.tags]
    shown = [(row, estimate) for row, estimate in methods if estimate][:MOST]
    if not shown:
        return None
    bounds = bounds_of(table)
    best = {group for row in table.rows if row.rank == 1 for group in row.groups}
    title = METRICS[board.metric].title
    rows = [
        IntervalRow(
            name=method_label(row),
            mean=estimate.mean,
            low=estimate.low,
            high=estimate.high,
            text=f"{title} {estimate_text(estimate)}",
            color=BEST.color if best & set(row.groups) and row.rank else INK if row.rank else QUIET,
            name_color=INK if row.rank else QUIET,
            marker="o" if row.rank else "D",
        )
        for row, estimate in shown
    ]
    ends = [end for row in rows for end in (row.low, row.high, row.mean) if end is not None]
    axis = IntervalAxis(title, lambda axes: logit_axis(axes, ends), bounds)
    description = (
        f"Mean over seeds and {100 * board.level:g} % interval for the method's mean, on an axis that is stretched "
        "towards one, as the intervals are (logit)."
    )
    if best:
        description += " Blue: the best method, and those that share a letter with it."
    if bounds:
        description += f" Dashed: {' and '.join(name for name, _ in bounds)}."
    description += _rest(len(shown), sum(estimate is not None for _, estimate in methods))
    return interval_chart(rows, axis, title=f"{title} of every method", description=description)


def critical_differences(table: LeaderboardTable, board: Leaderboard) -> Chart | None:
    """Which methods can be told apart: their means on an axis, and a bar for every group that cannot."""
    tested = [(row, row.cell.estimate) for row in by_mean(table) if row.groups and "outer-bound" not in row.tags]
    shown = [(row, estimate) for row, estimate in tested if estimate][:MOST]
    if len(shown) < 2:
        return None
    description = (
        f"Mean {METRICS[board.metric].title} on the axis, best at the top. Methods with a dot on one bar cannot be "
        "told apart at 5 % (paired tests over all seeds, Holm's adjustment for all pairs). After Demšar, JMLR 7 (2006) "
        "1, with these tests in the place of ranks over data sets."
    )
    description += _rest(len(shown), len(tested))
    wide, narrow = (_differences(shown, METRICS[board.metric].title, width) for width in (WIDE, WIDTH))
    return chart_of(wide, narrow, title="Critical differences", description=description)


def _differences(shown: Shown, metric: str, width: float) -> Drawing:
    """The diagram from left to right: axis of the means, lines to the rows, bars, and names in a gutter of their own.

    Args:
        shown: the methods, best first.
        metric: its title.
        width: pixels of the drawing.
    """
    members: dict[int, list[int]] = {}
    for position, (row, _) in enumerate(shown):
        for group in row.groups:
            members.setdefault(group, []).append(position)
    bars = {group: places for group, places in sorted(members.items()) if len(places) > 1}
    axis_x, top = 40.0, 10.0
    step = min(12.0 if width > WIDTH else 9.0, 0.3 * width / max(len(bars), 1))
    lead = 62.0 if width > WIDTH else 34.0
    names_x = axis_x + lead + step * len(bars) + 8
    bars_x = names_x - step * len(bars) - 6
    names = [fold_name(method_label(row), width - names_x) for row, _ in shown]
    heights = [LINE * (name.count("\n") + 1) + 5 for name in names]
    rows = [top + sum(heights[:place]) + heights[place] / 2 for place in range(len(shown))]
    height = top + sum(heights) + 8
    means = [estimate.mean for _, estimate in shown]
    high, low, length = squeezed(max(means)), squeezed(min(means)), rows[-1] - rows[0]

    def place_of(mean: float) -> float:
        return rows[0] + length * (high - squeezed(mean)) / ((high - low) or 1.0)

    def draw(axes: Axes) -> None:
        axes.set_axis_off()
        axes.set_position((0.0, 0.0, 1.0, 1.0))
        axes.set(xlim=(0, width), ylim=(height, 0))
        axes.plot([axis_x, axis_x], [rows[0], rows[-1]], color=QUIET, linewidth=1)
        for tick in ticks_between(min(means), max(means), length / 26):
            y = place_of(tick)
            axes.plot([axis_x - 4, axis_x], [y, y], color=QUIET, linewidth=1)
            axes.text(axis_x - 6, y, f"{tick:g}", ha="right", va="center", fontsize=SMALL, color=QUIET)
        for (row, _), name, mean, end in zip(shown, names, means, rows, strict=True):
            color, start = INK if row.rank else QUIET, place_of(mean)
            axes.plot([axis_x, axis_x + 8, bars_x - 6, names_x - 4], [start, start, end, end], color=QUIET,
                      alpha=0.45, linewidth=0.8)  # fmt: skip
            axes.plot([axis_x], [start], color=color, marker="o", markersize=3.5)
            axes.text(names_x, end, name, va="center", fontsize=SMALL, color=color)
        for number, places in enumerate(bars.values()):
            x = bars_x + step * (number + 0.5)
            axes.plot([x, x], [rows[places[0]], rows[places[-1]]], color=BEST.color, linewidth=1.2)
            axes.plot([x] * len(places), [rows[place] for place in places], color=BEST.color, marker="o",
                      markersize=4.6, linestyle="none")  # fmt: skip

    points = [
        ValuePoint(names_x, y, f"{method_label(row)}: {metric} {estimate_text(estimate)}, "
                   f"{'group' if len(row.groups) == 1 else 'groups'} {' '.join(map(letters, row.groups))}")
        for (row, estimate), y in zip(shown, rows, strict=True)
    ]  # fmt: skip
    values = [LineValues("", points)]
    for number, (group, places) in enumerate(bars.items()):
        said = f"group {letters(group)}: {len(places)} methods that cannot be told apart"
        x = bars_x + step * (number + 0.5)
        values.append(LineValues("", [ValuePoint(x, rows[place], said) for place in places]))
    return Drawing(draw, values, width, height)


def _rest(shown: int, known: int) -> str:
    return f" The best {shown} of {known} methods." if shown < known else ""
