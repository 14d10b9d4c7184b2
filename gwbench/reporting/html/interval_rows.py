"""A figure of named intervals, one below the other, whose names stand in a gutter of their own.

On a desktop the gutter is to the left of the axes. On a phone, which has no room for it, a name stands above its
interval. Nothing is drawn across a name in either.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from gwbench.reporting.escape import plain
from gwbench.reporting.html.chart_values import LineValues, ValuePoint
from gwbench.reporting.html.charts import SMALL, WIDE, WIDTH, Chart, Drawing, chart_of
from gwbench.reporting.html.svg import GRID, PAPER, QUIET

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CHARACTER = 0.56 * SMALL
"""Pixels of an average character of a name."""

MOST_LINES = 3
"""Lines that a name may fold to; what is beyond is in the table."""

LINE, GAP = 14.5, 8.0
"""Pixels of a line of a name, and between two rows."""

GUTTER = 0.46 * WIDE
"""Pixels of the gutter at most."""

MARGINS = 64.0
"""Pixels above and below the rows: names of vertical lines, ticks, and what the axis is."""


@dataclass(frozen=True)
class IntervalRow:
    """A named interval.

    Attributes:
        name: in the gutter.
        mean, low, high: the interval; low and high may be None.
        text: what it says to those who point at it.
        color: of the interval.
        name_color: of the name.
        marker: of the mean.
    """

    name: str
    mean: float
    low: float | None
    high: float | None
    text: str
    color: str
    name_color: str
    marker: str = "o"


@dataclass(frozen=True)
class IntervalAxis:
    """What the rows share.

    Attributes:
        label: below the axis.
        prepare: sets its scale and limits.
        lines: names and places of vertical lines.
    """

    label: str
    prepare: Callable[[Axes], None]
    lines: Sequence[tuple[str, float]] = ()


def fold_name(name: str, width: float, most: int = MOST_LINES) -> str:
    """A name folded into lines of so many pixels, cut after so many lines."""
    characters = max(int(width / CHARACTER), 8)
    return "\n".join(textwrap.wrap(plain(name), characters, max_lines=most, placeholder=" …", subsequent_indent="  "))


def interval_chart(rows: Sequence[IntervalRow], axis: IntervalAxis, *, title: str, description: str) -> Chart:
    """The figure, laid out for desktops and for phones."""
    return chart_of(_beside(rows, axis), _above(rows, axis), title=title, description=description)


def _beside(rows: Sequence[IntervalRow], axis: IntervalAxis) -> Drawing:
    """Names to the left of the axes."""
    names = [fold_name(row.name, GUTTER) for row in rows]
    gutter = CHARACTER * max(len(line) for name in names for line in name.split("\n"))
    heights = [LINE * (name.count("\n") + 1) + GAP for name in names]
    places = [sum(heights[:row]) + heights[row] / 2 for row in range(len(rows))]

    def draw(axes: Axes) -> None:
        axes.set_yticks(places, names, ha="left")
        axes.tick_params(axis="y", pad=gutter + 4, length=0)
        axes.grid(visible=False, axis="y")
        for label, row in zip(axes.get_yticklabels(), rows, strict=True):
            label.set_color(row.name_color)
        _draw_intervals(axes, rows, places, axis, sum(heights))

    return Drawing(draw, [_values(rows, places)], WIDE, sum(heights) + MARGINS)


def _above(rows: Sequence[IntervalRow], axis: IntervalAxis) -> Drawing:
    """Names above their intervals."""
    names = [fold_name(row.name, WIDTH - 12) for row in rows]
    texts = [LINE * (name.count("\n") + 1) for name in names]
    heights = [text + LINE + GAP for text in texts]
    tops = [sum(heights[:row]) for row in range(len(rows))]
    places = [top + text + LINE / 2 for top, text in zip(tops, texts, strict=True)]

    def draw(axes: Axes) -> None:
        axes.set_yticks([])
        for name, row, top, below in zip(names, rows, tops, texts, strict=True):
            axes.axhspan(top, top + below, color=PAPER, linewidth=0, zorder=2.5)
            axes.annotate(name, (0, top + below), (0, 0), ("axes fraction", "data"), "offset points", fontsize=SMALL,
                          color=row.name_color, va="bottom")  # fmt: skip
        _draw_intervals(axes, rows, places, axis, sum(heights))

    return Drawing(draw, [_values(rows, places)], WIDTH, sum(heights) + MARGINS)


def _draw_intervals(
    axes: Axes, rows: Sequence[IntervalRow], places: Sequence[float], axis: IntervalAxis, height: float
) -> None:
    axis.prepare(axes)
    for row, y in zip(rows, places, strict=True):
        axes.axhline(y, color=GRID, linewidth=0.8)
        if row.low is not None and row.high is not None:
            axes.plot([row.low, row.high], [y, y], color=row.color, linewidth=1.8, solid_capstyle="butt")
        axes.plot([row.mean], [y], color=row.color, marker=row.marker, markersize=5.5)
    axes.set(ylim=(height, 0), xlabel=axis.label)
    axes.spines["left"].set_visible(False)
    named_lines(axes, axis.lines)


def named_lines(axes: Axes, lines: Sequence[tuple[str, float]]) -> None:
    """Vertical lines, whose names stand above the axes and not on each other; those beyond the axis are left out."""
    across = partial(_share_of_axis, axes)
    first, last = axes.get_xlim()
    lines = [(name, place) for name, place in lines if first <= place <= last]
    for name, place in lines:
        axes.axvline(place, color=QUIET, linewidth=1, linestyle=(0, (4, 2)))
        close = [other for _, other in lines if other != place and abs(across(other) - across(place)) < 0.25]
        side = "center"
        if close:
            side = "right" if across(place) < across(close[0]) else "left"
        elif across(place) < 0.1 or across(place) > 0.9:
            side = "left" if across(place) < 0.1 else "right"
        axes.annotate(name, (place, 1), (0, 4), ("data", "axes fraction"), "offset points", ha=side, va="bottom",
                      fontsize=SMALL, color=QUIET)  # fmt: skip


def _share_of_axis(axes: Axes, x: float) -> float:
    """How far along the axis a place is."""
    return float(axes.transAxes.inverted().transform(axes.transData.transform((x, 0.0)))[0])


def _values(rows: Sequence[IntervalRow], places: Sequence[float]) -> LineValues:
    points = [ValuePoint(row.mean, y, f"{row.name}: {row.text}") for row, y in zip(rows, places, strict=True)]
    return LineValues("", points)
