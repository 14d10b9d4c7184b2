"""Figures of a ranking of searches: how far each reaches, and how that depends on the false-alarm rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gwbench.reporting.html.chart_values import LineValues, ValuePoint
from gwbench.reporting.html.charts import Chart, chart, key, series
from gwbench.reporting.html.interval_rows import IntervalAxis, IntervalRow, interval_chart
from gwbench.reporting.html.search_charts import rate_axis
from gwbench.reporting.html.svg import INK, QUIET
from gwbench.reporting.searches.columns import search_name
from gwbench.reporting.searches.schema import Reach, SearchRanking, SearchTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 40
"""Searches in a figure of all."""

LINES = 8
"""Searches in a figure of lines."""


def search_ranking_charts(table: SearchTable, ranking: SearchRanking) -> list[Chart]:
    """The figures of a table that it has something for."""
    return [each for each in (_distances(table, ranking), _by_rate(table), _auc(table)) if each]


def _distances(table: SearchTable, ranking: SearchRanking) -> Chart | None:
    """Every search's distance with its interval."""
    shown = [(row, row.reach) for row in table.rows if row.reach][:MOST]
    if not shown:
        return None
    rows = [
        IntervalRow(
            name=search_name(row),
            mean=reach.distance,
            low=reach.low,
            high=reach.high,
            text=f"{_reach_text(reach)}, interval {reach.low:,.0f} to {reach.high:,.0f} Mpc, "
            f"{reach.found:,} of {reach.injections:,} found",
            color=QUIET if row.ceiling else series(0).color if row.rank == 1 else INK,
            name_color=QUIET if row.ceiling else INK,
            marker="D" if row.ceiling else "o",
        )
        for row, reach in shown
    ]
    ceiling = max((reach.distance for row, reach in shown if row.ceiling), default=None)
    lines = [] if ceiling is None else [("ceiling", ceiling)]
    description = (
        f"Distance at {table.at_far:g} false alarms a month, and its {100 * ranking.level:g} % interval. Blue: the "
        "farthest."
    )
    description += " Dashed and grey: the ceiling." if ceiling is not None else ""
    ends = [end for _, reach in shown for end in (reach.low, reach.high)]
    pad = 0.04 * (max(ends) - min(ends)) or 1.0

    def prepare(axes: Axes) -> None:
        axes.set_xlim(min(ends) - pad, max(ends) + pad)

    axis = IntervalAxis("sensitive distance (Mpc)", prepare, lines)
    return interval_chart(rows, axis, title="Sensitive distance", description=description)


def _by_rate(table: SearchTable) -> Chart | None:
    """Distance against false-alarm rate."""
    drawn = [row for row in table.rows if any(row.rates)][:LINES]
    if len(table.rates) < 2 or not drawn:
        return None
    looks = [series(number) for number in range(len(drawn))]

    def draw(axes: Axes) -> None:
        for row, look in zip(drawn, looks, strict=True):
            points = [reach for reach in row.rates if reach]
            rates = [reach.far for reach in points]
            distances = [reach.distance for reach in points]
            axes.fill_between(
                rates,
                [reach.distance - reach.error for reach in points],
                [reach.distance + reach.error for reach in points],
                **look.band,
            )
            axes.plot(rates, distances, **look.points)
        axes.set(xlabel="false alarms a month", ylabel="sensitive distance (Mpc)")
        rate_axis(axes, table.rates)

    description = "Farther up is better, to the left is stricter. Bands: one standard deviation."
    if len(drawn) < sum(any(row.rates) for row in table.rows):
        description += f" The best {len(drawn)}."
    names = ((search_name(row), look) for row, look in zip(drawn, looks, strict=True))
    return chart(
        draw,
        title="Distance against false-alarm rate",
        description=description,
        key=key(names, markers=True),
        values=[
            LineValues(
                search_name(row),
                [ValuePoint(r.far, r.distance, f"{r.far:g} a month, {_reach_text(r)}") for r in row.rates if r],
            )
            for row in drawn
        ],
    )


def _auc(table: SearchTable) -> Chart | None:
    """Distance against the AUC on two-second windows."""
    drawn = [(row, row.auc, row.reach) for row in table.rows if row.auc is not None and row.reach][:LINES]
    if len(drawn) < 2:
        return None
    looks = [series(number) for number in range(len(drawn))]

    def draw(axes: Axes) -> None:
        for (_, auc, reach), look in zip(drawn, looks, strict=True):
            axes.errorbar(
                [auc], [reach.distance], yerr=[reach.error], color=look.color, marker=look.marker, linestyle="none",
                elinewidth=1.2,
            )  # fmt: skip
        axes.set(xlabel="ROC-AUC on the run's own test windows", ylabel="sensitive distance (Mpc)")

    names = ((search_name(row), look) for (row, _, _), look in zip(drawn, looks, strict=True))
    return chart(
        draw,
        title="Distance against AUC",
        description="A search works at false-alarm rates of which the AUC says little: the order may differ. Bars: one "
        "standard deviation.",
        key=key(names, markers=True),
        values=[
            LineValues(search_name(row), [ValuePoint(auc, reach.distance, f"AUC {auc:.4f}, {_reach_text(reach)}")])
            for row, auc, reach in drawn
        ],
    )


def _reach_text(reach: Reach) -> str:
    """A distance with its standard deviation."""
    return f"{reach.distance:,.0f} ± {reach.error:,.0f} Mpc"
