"""The figures of one table of a leaderboard."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gwbench.reporting.html.budget_chart import budget_chart
from gwbench.reporting.html.chart_values import LineValues, ValuePoint
from gwbench.reporting.html.charts import Chart, Series, chart, key, places_from_zero, series
from gwbench.reporting.html.curves import Curve, curve_values, efficiency, roc
from gwbench.reporting.html.leaderboard_methods import BOUND, bound_rows, by_mean, estimate_text, method_label
from gwbench.reporting.html.ranking_charts import critical_differences, ranking_chart
from gwbench.reporting.html.svg import QUIET
from gwbench.reporting.leaderboard.columns import method_name
from gwbench.reporting.leaderboard.metrics import FPRS, METRICS
from gwbench.reporting.leaderboard.schema import Estimate, LabelCell, Leaderboard, LeaderboardTable, Row
from gwbench.reporting.records.predictions import Predictions, read_predictions
from gwbench.utils.untrusted_files import UnusableError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BEST = 5
"""Ranked methods whose curves are drawn."""


def charts_of(table: LeaderboardTable, board: Leaderboard) -> tuple[list[Chart], list[str]]:
    """The figures of a table that it has the records for, and what could not be drawn, one sentence each."""
    if table.task:  # figures of another task have no axis in common
        return [], []
    scores, problems = _scores(table, _selected(table))
    which = _which(sum(row.rank is not None and "floor" not in row.tags for row in table.rows))
    charts = [
        ranking_chart(table, board),
        critical_differences(table, board),
        _rocs(scores, which),
        _efficiencies(scores, which),
        _fractions(table, board),
        budget_chart(table, board),
    ]
    return [each for each in charts if each], problems


# --- figures with curves ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Drawn:
    """A method whose curves are drawn: its name, its look and the scores of its runs, on the same windows."""

    name: str
    look: Series
    runs: Sequence[Predictions]


def _selected(table: LeaderboardTable) -> Iterator[tuple[Row, Series]]:
    """The methods whose curves are drawn: the best, and the bounds that the share of the way goes by."""
    ranked = [row for row in by_mean(table) if row.rank and "floor" not in row.tags]
    for number, row in enumerate(ranked[:BEST]):
        yield row, series(number)
    for number, row in enumerate(bound_rows(table)):
        yield row, replace(BOUND, dash=(0, (1.2, 1.4)) if number else (0, (5, 1.6)), marker="X" if number else "P")


def _fractions(table: LeaderboardTable, board: Leaderboard) -> Chart | None:
    """What labels are worth."""
    points = {id(row): list(_known(row.cells)) for row in table.rows}
    several = [row for row in by_mean(table) if len(points[id(row)]) > 1]
    usual = {id(row): look for row, look in _selected(table)}
    bounds = {id(row) for row in bound_rows(table)}
    methods = [row for row in several if id(row) not in bounds]
    free = (look for look in map(series, range(16)) if look not in usual.values() and look.number != BOUND.number)
    lines = [
        (row, usual.get(id(row)) or next(free), points[id(row)])
        for row in [*methods[:BEST], *(row for row in several if id(row) in bounds)]
    ]
    if not lines:
        return None
    shares = sorted({fraction for _, _, line in lines for fraction, _ in line})
    place = places_from_zero([100 * share for share in shares])

    def value(share: float, estimate: Estimate) -> ValuePoint:
        text = f"{100 * share:g} % of the labels, {estimate_text(estimate)}"
        return ValuePoint(place[100 * share], estimate.mean, text)

    def draw(axes: Axes) -> None:
        for _, look, line in lines:
            for part in filter(None, ([each for each in line if not each[0]], [each for each in line if each[0]])):
                x = [place[100 * fraction] for fraction, _ in part]
                low = [estimate.mean if estimate.low is None else estimate.low for _, estimate in part]
                high = [estimate.mean if estimate.high is None else estimate.high for _, estimate in part]
                axes.plot(x, [estimate.mean for _, estimate in part], **look.points)
                if not part[0][0]:  # where a band would have no width
                    axes.vlines(x, low, high, color=look.color)
                axes.fill_between(x, low, high, **look.band)
        axes.set_xscale("log")
        axes.set_xticks([place[100 * share] for share in shares], [f"{100 * share:g}" for share in shares])
        axes.set_xticks([], minor=True)
        axes.set(xlabel="labels, % of the training split", ylabel=METRICS[board.metric].title)

    return chart(
        draw,
        title="Label efficiency",
        values=[
            LineValues(
                method_name(row),
                [
                    ValuePoint(place[100 * f], e.mean, f"{100 * f:g} % of the labels, {estimate_text(e)}")
                    for f, e in line
                ],
            )
            for row, _, line in lines
        ],
        description=f"{_which(len(methods), ' with several shares of labels')}{METRICS[board.metric].title} against "
        f"the share of labels: mean over seeds, with its {100 * board.level:g} % interval."
        f"{' At 0, left of the axis: the score of the objective itself, without a probe.' if 0 in shares else ''}",
        key=key(((method_label(row), look) for row, look, _ in lines), markers=True),
    )


def _rocs(drawn: Sequence[_Drawn], which: str) -> Chart | None:
    """TPR against FPR."""
    curves = [(method, roc(method.runs)) for method in drawn]
    if not curves:
        return None

    def draw(axes: Axes) -> None:
        start = float(curves[0][1].x[0])
        chance = np.geomspace(start, 1.0, 100)
        axes.plot(chance, chance, color=QUIET, linewidth=0.8, linestyle=":")
        _draw(axes, curves)
        axes.set_xscale("log")
        axes.set(xlim=(start, 1.0), ylim=(0.0, 1.02), xlabel="false-positive rate", ylabel="true-positive rate")

    return chart(
        draw,
        title="ROC curves",
        description=f"{which}Mean TPR over seeds at each FPR (vertical averaging: Fawcett, Pattern Recognition "
        "Letters 27 (2006) 861). Bands: pointwise 95 % intervals for the mean, from the scatter of seeds and test "
        "signals, not of the threshold, which rests on few noise windows at the left. Dotted: chance. The axis begins "
        "at one false positive.",
        key=key((method.name, method.look) for method, _ in curves),
        values=[curve_values(method.name, curve, "FPR {:.3g}, TPR") for method, curve in curves],
    )


def _efficiencies(drawn: Sequence[_Drawn], which: str) -> Chart | None:
    """The share of signals found against their SNR."""
    curves = [(method, curve) for method in drawn if (curve := efficiency(method.runs, float(FPRS[0])))]
    if not curves:
        return None

    def draw(axes: Axes) -> None:
        axes.axhline(0.5, color=QUIET, linewidth=0.8, linestyle=":")
        _draw(axes, curves, markers=True)
        axes.set(ylim=(0.0, 1.02), xlabel="optimal network SNR", ylabel="signals found")

    return chart(
        draw,
        title=f"Efficiency against SNR at FPR {FPRS[0]}",
        description=f"{which}Share of signals found, in bins of equally many signals: mean over seeds, with a "
        "pointwise 95 % band as of the ROC curves.",
        key=key(((method.name, method.look) for method, _ in curves), markers=True),
        values=[curve_values(method.name, curve, "SNR {:.3g}, found") for method, curve in curves],
    )


def _draw(axes: Axes, curves: Sequence[tuple[_Drawn, Curve]], *, markers: bool = False) -> None:
    for method, curve in reversed(curves):  # the best on top
        axes.fill_between(curve.x, curve.low, curve.high, **method.look.band)
        axes.plot(curve.x, curve.mean, **(method.look.points if markers else method.look.line))


def _which(known: int, what: str = "") -> str:
    return f"The best {BEST} methods{what} and the bounds. " if known > BEST else ""


def _scores(table: LeaderboardTable, selected: Iterable[tuple[Row, Series]]) -> tuple[list[_Drawn], list[str]]:
    """The test scores of methods at the table's share of labels, and why some have none."""
    drawn: list[_Drawn] = []
    problems = []
    for row, look in selected:
        own = row.cell.label_fraction
        paths = [run.path for run in row.runs if run.label_fraction == own and run.failed is None]
        try:
            runs = [_usable(Path(path).parent, table.sizes["test"]) for path in paths]
            same = [each.label for method in drawn[:1] for each in method.runs] + [run.label for run in runs]
            if any(not np.array_equal(label, same[0]) for label in same):
                raise UnusableError("its labels are not those of the other runs")
        except UnusableError as error:
            problems.append(f"No curves of {method_name(row)}: {error}.")
        else:
            if runs:
                drawn.append(_Drawn(method_label(row), look, runs))
    return drawn, problems


def _usable(folder: Path, n: int) -> Predictions:
    predictions = read_predictions(folder, n)
    if np.isnan(predictions.score).any() or len(np.unique(predictions.label)) < 2:
        raise UnusableError("its scores are not those of a run that went well")
    return predictions


def _known(cells: Iterable[LabelCell]) -> Iterator[tuple[float, Estimate]]:
    for cell in cells:
        if cell.estimate:
            yield cell.label_fraction, cell.estimate
