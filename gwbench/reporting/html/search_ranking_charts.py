"""Figures of a ranking of searches: how far each reaches, and how that depends on the false-alarm rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gwbench.reporting.html.charts import WIDTH, Chart, chart, key, series
from gwbench.reporting.html.leaderboard_methods import CHARACTER
from gwbench.reporting.html.search_charts import rate_axis
from gwbench.reporting.html.svg import INK, PAPER, QUIET
from gwbench.reporting.searches.columns import search_name
from gwbench.reporting.searches.schema import SearchRanking, SearchRow, SearchTable

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
    ceiling = max((reach.distance for row, reach in shown if row.ceiling), default=None)
    pitch = 23

    def draw(axes: Axes) -> None:
        if ceiling is not None:
            axes.axvline(ceiling, color=QUIET, linewidth=1, linestyle=(0, (4, 2)))
        for place, (row, reach) in enumerate(shown):
            y = (place + 0.72) * pitch
            color = QUIET if row.ceiling else series(0).color if row.rank == 1 else INK
            axes.annotate(
                _short(row, WIDTH - 40), (0, y), (2, 8), ("axes fraction", "data"), "offset points", fontsize=9.5,
                color=QUIET if row.ceiling else INK, va="center",
                bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.8},
            )  # fmt: skip
            axes.plot([reach.low, reach.high], [y, y], color=color, linewidth=1.6, solid_capstyle="butt")
            axes.plot([reach.distance], [y], color=color, marker="D" if row.ceiling else "o", markersize=5)
        axes.set(ylim=(len(shown) * pitch, 0), yticks=[], xlabel="sensitive distance (Mpc)")
        axes.spines["left"].set_visible(False)

    description = (
        f"Distance at {table.at_far:g} false alarms a month, and its {100 * ranking.level:g} % interval. Blue: the "
        "farthest."
    )
    description += " Dashed and grey: the ceiling." if ceiling is not None else ""
    return chart(draw, title="Sensitive distance", description=description, height=len(shown) * pitch + 71)


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
    )


def _short(row: SearchRow, room: float) -> str:
    """A search's name in so many pixels."""
    name, most = search_name(row), int(room / CHARACTER)
    return name if len(name) <= most else f"{name[: most - 1]}…"
