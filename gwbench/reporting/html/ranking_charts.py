"""Figures of a leaderboard's ranking: every method's mean with its interval, and which cannot be told apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gwbench.reporting.html.charts import WIDTH, Chart, chart, series
from gwbench.reporting.html.leaderboard_methods import BOUND, CHARACTER, bounds_of, by_mean, method_label
from gwbench.reporting.html.logit import logit_axis, squeezed, ticks_between
from gwbench.reporting.html.svg import INK, PAPER, QUIET
from gwbench.reporting.leaderboard.metrics import METRICS
from gwbench.reporting.leaderboard.schema import Leaderboard, LeaderboardTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 40
"""Methods in a figure."""

BEST = series(0)
"""What the best method is drawn in, and those that cannot be told from it."""


def ranking_chart(table: LeaderboardTable, board: Leaderboard) -> Chart | None:
    """The ranking: every method's mean with its interval; an outer bound would only stretch the axis."""
    methods = [(row, row.cell.estimate) for row in by_mean(table) if "outer-bound" not in row.tags]
    shown = [(row, estimate) for row, estimate in methods if estimate][:MOST]
    if not shown:
        return None
    bounds = bounds_of(table)
    pitch, top = 23, 26
    best = {group for row in table.rows if row.rank == 1 for group in row.groups}

    def draw(axes: Axes) -> None:
        ends = [end for _, estimate in shown for end in (estimate.low, estimate.high, estimate.mean) if end is not None]
        logit_axis(axes, ends)
        for name, mean in bounds:
            axes.axvline(mean, color=BOUND.color, linewidth=1, linestyle=(0, (4, 2)))
            axes.annotate(name, (mean, 0), (0, 3), "data", "offset points", ha="center", fontsize=9, color=QUIET)
        for position, (row, estimate) in enumerate(shown):
            y = (position + 0.72) * pitch
            color = BEST.color if best & set(row.groups) and row.rank else INK if row.rank else QUIET
            axes.annotate(
                method_label(row, WIDTH - 40), (0, y), (2, 8), ("axes fraction", "data"), "offset points", fontsize=9.5,
                color=INK if row.rank else QUIET, va="center",
                bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.8},
            )  # fmt: skip
            if estimate.low is not None and estimate.high is not None:
                axes.plot([estimate.low, estimate.high], [y, y], color=color, linewidth=1.6, solid_capstyle="butt")
            axes.plot([estimate.mean], [y], color=color, marker="o" if row.rank else "D", markersize=5)
        axes.set(ylim=(len(shown) * pitch, 0), yticks=[], xlabel=METRICS[board.metric].title)
        axes.spines["left"].set_visible(False)

    sentence = [f"Mean over seeds and {100 * board.level:g} % interval for the method's mean"]
    sentence.append("on an axis that is stretched towards one, as the intervals are (logit)")
    description = ", ".join(sentence) + "."
    if best:
        description += " Blue: the best method, and those that share a letter with it."
    if bounds:
        description += f" Dashed: {' and '.join(name for name, _ in bounds)}."
    description += _rest(len(shown), sum(estimate is not None for _, estimate in methods))
    height = len(shown) * pitch + top + 45
    return chart(draw, title=f"{METRICS[board.metric].title} of every method", description=description, height=height)


def critical_differences(table: LeaderboardTable, board: Leaderboard) -> Chart | None:
    """Which methods can be told apart: their means on an axis, and a bar for every group that cannot."""
    tested = [(row, row.cell.estimate) for row in by_mean(table) if row.groups and "outer-bound" not in row.tags]
    shown = [(row, estimate) for row, estimate in tested if estimate][:MOST]
    members: dict[int, list[int]] = {}
    for position, (row, _) in enumerate(shown):
        for group in row.groups:
            members.setdefault(group, []).append(position)
    bars = [places for _, places in sorted(members.items()) if len(places) > 1]
    if len(shown) < 2:
        return None
    pitch, top, axis_x = 17.0, 14.0, 44.0
    height = top + pitch * len(shown) + 6
    step = min(10.0, 130.0 / max(len(bars), 1))
    names = [method_label(row) for row, _ in shown]
    names_x = max(WIDTH - CHARACTER * max(map(len, names)), axis_x + 62 + step * len(bars) + 6)
    bars_x = names_x - step * len(bars) - 6
    means = [estimate.mean for _, estimate in shown]

    def draw(axes: Axes) -> None:
        axes.set_axis_off()
        axes.set_position((0.0, 0.0, 1.0, 1.0))
        axes.set(xlim=(0, WIDTH), ylim=(height, 0))
        rows = [top + pitch * (position + 0.5) for position in range(len(shown))]
        high, low = squeezed(max(means)), squeezed(min(means))
        length = rows[-1] - rows[0]
        at = [rows[0] + length * (high - squeezed(mean)) / ((high - low) or 1.0) for mean in means]
        axes.plot([axis_x, axis_x], [rows[0], rows[-1]], color=QUIET, linewidth=1)
        for tick in ticks_between(min(means), max(means), length / 22):
            y = rows[0] + length * (high - squeezed(tick)) / ((high - low) or 1.0)
            axes.plot([axis_x - 4, axis_x], [y, y], color=QUIET, linewidth=1)
            axes.text(axis_x - 7, y, f"{tick:g}", ha="right", va="center", fontsize=9, color=QUIET)
        for (row, _), start, end in zip(shown, at, rows, strict=True):
            color = INK if row.rank else QUIET
            axes.plot(
                [axis_x, axis_x + 8, bars_x - 14, names_x - 4],
                [start, start, end, end],
                color=QUIET,
                alpha=0.45,
                linewidth=0.8,
            )
            axes.plot([axis_x], [start], color=color, marker="o", markersize=3.5)
            axes.text(names_x, end, method_label(row, WIDTH - names_x), va="center", fontsize=9.5, color=color)
        for number, places in enumerate(bars):
            x = bars_x + step * (number + 0.5)
            axes.plot([x, x], [rows[places[0]], rows[places[-1]]], color=BEST.color, linewidth=1.2)
            axes.plot([x] * len(places), [rows[place] for place in places], color=BEST.color, marker="o",
                      markersize=4.6, linestyle="none")  # fmt: skip

    description = (
        f"Mean {METRICS[board.metric].title} on the axis, best at the top. Methods with a dot on one bar cannot be "
        "told apart at 5 % (paired tests over all seeds, Holm's adjustment for all pairs). After Demšar, JMLR 7 (2006) "
        "1, with these tests in the place of ranks over data sets."
    )
    description += _rest(len(shown), len(tested))
    return chart(draw, title="Critical differences", description=description, height=height)


def _rest(shown: int, known: int) -> str:
    return f" The best {shown} of {known} methods." if shown < known else ""
