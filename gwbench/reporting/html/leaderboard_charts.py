"""The figures of one table of a leaderboard."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gwbench.reporting.html.charts import INK, PAPER, QUIET, WIDTH, Series, chart, key, series
from gwbench.reporting.html.curves import Curve, efficiency, roc
from gwbench.reporting.html.logit import logit_axis, squeezed, ticks_between
from gwbench.reporting.leaderboard.columns import method_name
from gwbench.reporting.leaderboard.metrics import FPRS, METRICS
from gwbench.reporting.leaderboard.schema import Estimate, LabelCell, Leaderboard, LeaderboardTable, Row
from gwbench.reporting.records.predictions import Predictions, read_predictions
from gwbench.utils.untrusted_files import UnusableError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BEST = 5
"""Ranked methods whose curves are drawn."""

MOST = 40
"""Methods in a figure with one line for each."""

CHARACTER = 5.9
"""Pixels of an average character of a figure's text."""

ALIKE, BOUND = series(0), series(7)
"""What the best method and its equals are drawn in, and what floor and ceiling are."""


def charts_of(table: LeaderboardTable, board: Leaderboard) -> tuple[list[str], list[str]]:
    """The figures of a table that it has the records for, as HTML, and what could not be drawn, one sentence each."""
    scores, problems = _scores(table, _selected(table))
    which = _which(sum(row.rank is not None and "floor" not in row.tags for row in table.rows))
    figures = [
        _dots(table, board),
        _critical_differences(table, board),
        _rocs(scores, which),
        _efficiencies(scores, which),
        _fractions(table, board),
    ]
    return [figure for figure in figures if figure], problems


# --- figures with a line for every method -------------------------------------------------------------------


def _dots(table: LeaderboardTable, board: Leaderboard) -> str:
    """The ranking: every method's mean with its interval; an outer bound would only segment the axis."""
    there = [(row, row.cell.estimate) for row in _by_mean(table) if "outer-bound" not in row.tags]
    shown = [(row, found) for row, found in there if found][:MOST]
    if not shown:
        return ""
    bounds = _bounds(table)
    pitch, top = 23, 26
    best = {group for row in table.rows if row.rank == 1 for group in row.groups}

    def draw(axes: Axes) -> None:
        ends = [end for _, found in shown for end in (found.low, found.high, found.mean) if end is not None]
        logit_axis(axes, ends)
        for name, mean in bounds:
            axes.axvline(mean, color=BOUND.color, linewidth=1, linestyle=(0, (4, 2)))
            axes.annotate(name, (mean, 0), (0, 3), "data", "offset points", ha="center", fontsize=9, color=QUIET)
        for position, (row, found) in enumerate(shown):
            y = (position + 0.72) * pitch
            color = ALIKE.color if best & set(row.groups) and row.rank else INK if row.rank else QUIET
            axes.annotate(
                _label(row, WIDTH - 40), (0, y), (2, 8), ("axes fraction", "data"), "offset points", fontsize=9.5,
                color=INK if row.rank else QUIET, va="center",
                bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.8},
            )  # fmt: skip
            if found.low is not None and found.high is not None:
                axes.plot([found.low, found.high], [y, y], color=color, linewidth=1.6, solid_capstyle="butt")
            axes.plot([found.mean], [y], color=color, marker="o" if row.rank else "D", markersize=5)
        axes.set(ylim=(len(shown) * pitch, 0), yticks=[], xlabel=METRICS[board.metric].title)
        axes.spines["left"].set_visible(False)

    words = [f"Mean over seeds and {100 * board.level:g} % interval for the method's mean"]
    words.append("on an axis that is stretched towards one, as the intervals are (logit)")
    description = ", ".join(words) + "."
    if best:
        description += " Blue: the best method, and those that share a letter with it."
    if bounds:
        description += f" Dashed: {' and '.join(name for name, _ in bounds)}."
    description += _rest(len(shown), sum(found is not None for _, found in there))
    height = len(shown) * pitch + top + 45
    return chart(draw, title=f"{METRICS[board.metric].title} of every method", description=description, height=height)


def _critical_differences(table: LeaderboardTable, board: Leaderboard) -> str:
    """Which methods can be told apart: their means on an axis, and a bar for every group that cannot."""
    tested = [(row, row.cell.estimate) for row in _by_mean(table) if row.groups and "outer-bound" not in row.tags]
    shown = [(row, found) for row, found in tested if found][:MOST]
    members: dict[int, list[int]] = {}
    for position, (row, _) in enumerate(shown):
        for group in row.groups:
            members.setdefault(group, []).append(position)
    bars = [places for _, places in sorted(members.items()) if len(places) > 1]
    if len(shown) < 2:
        return ""
    pitch, top, axis_x = 17.0, 14.0, 44.0
    height = top + pitch * len(shown) + 6
    step = min(10.0, 130.0 / max(len(bars), 1))
    names = [_label(row) for row, _ in shown]
    names_x = max(WIDTH - CHARACTER * max(map(len, names)), axis_x + 62 + step * len(bars) + 6)
    bars_x = names_x - step * len(bars) - 6
    means = [found.mean for _, found in shown]

    def draw(axes: Axes) -> None:
        axes.set_axis_off()
        axes.set_position((0.0, 0.0, 1.0, 1.0))
        axes.set(xlim=(0, WIDTH), ylim=(height, 0))
        rows = [top + pitch * (position + 0.5) for position in range(len(shown))]
        high, low = squeezed(max(means)), squeezed(min(means))
        room = rows[-1] - rows[0]
        at = [rows[0] + room * (high - squeezed(mean)) / ((high - low) or 1.0) for mean in means]
        axes.plot([axis_x, axis_x], [rows[0], rows[-1]], color=QUIET, linewidth=1)
        spread = ticks_between(min(means), max(means), room / 22)
        for tick in spread:
            y = rows[0] + room * (high - squeezed(tick)) / ((high - low) or 1.0)
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
            axes.text(names_x, end, _label(row, WIDTH - names_x), va="center", fontsize=9.5, color=color)
        for number, places in enumerate(bars):
            x = bars_x + step * (number + 0.5)
            axes.plot([x, x], [rows[places[0]], rows[places[-1]]], color=ALIKE.color, linewidth=1.2)
            axes.plot([x] * len(places), [rows[place] for place in places], color=ALIKE.color, marker="o",
                      markersize=4.6, linestyle="none")  # fmt: skip

    description = (
        f"Mean {METRICS[board.metric].title} on the axis, best at the top. Methods with a dot on one bar cannot be "
        "told apart at 5 % (paired tests over all seeds, Holm's adjustment for all pairs). After Demšar, JMLR 7 (2006) "
        "1, with these tests in the place of ranks over data sets."
    )
    description += _rest(len(shown), len(tested))
    return chart(draw, title="Critical differences", description=description, height=height)


# --- figures with curves ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Drawn:
    """A method whose curves are drawn: its name, its look and the scores of its runs, on the same windows."""

    name: str
    look: Series
    runs: Sequence[Predictions]


def _selected(table: LeaderboardTable) -> Iterator[tuple[Row, Series]]:
    """The methods whose curves are drawn: the best, and the bounds that the share of the way goes by."""
    ranked = [row for row in _by_mean(table) if row.rank and "floor" not in row.tags]
    for number, row in enumerate(ranked[:BEST]):
        yield row, series(number)
    for number, row in enumerate(_bound_rows(table)):
        yield row, replace(BOUND, dash=(0, (1.2, 1.4)) if number else (0, (5, 1.6)), marker="X" if number else "P")


def _fractions(table: LeaderboardTable, board: Leaderboard) -> str:
    """What labels are worth."""
    points = {id(row): list(_known(row.cells)) for row in table.rows}
    several = [row for row in _by_mean(table) if len(points[id(row)]) > 1]
    usual = {id(row): look for row, look in _selected(table)}
    bounds = {id(row) for row in _bound_rows(table)}
    methods = [row for row in several if id(row) not in bounds]
    free = (look for look in map(series, range(16)) if look not in usual.values() and look.number != BOUND.number)
    lines = [
        (row, usual.get(id(row)) or next(free), points[id(row)])
        for row in [*methods[:BEST], *(row for row in several if id(row) in bounds)]
    ]
    if not lines:
        return ""
    shares = sorted({fraction for _, _, line in lines for fraction, _ in line})

    def draw(axes: Axes) -> None:
        for _, look, line in lines:
            x = [100 * fraction for fraction, _ in line]
            axes.plot(x, [found.mean for _, found in line], **look.points)
            low = [found.mean if found.low is None else found.low for _, found in line]
            high = [found.mean if found.high is None else found.high for _, found in line]
            axes.fill_between(x, low, high, **look.band)
        axes.set_xscale("log")
        axes.set_xticks([100 * share for share in shares], [f"{100 * share:g}" for share in shares])
        axes.set_xticks([], minor=True)
        axes.set(xlabel="labels, % of the training split", ylabel=METRICS[board.metric].title)

    return chart(
        draw,
        title="Label efficiency",
        description=f"{_which(len(methods), ' with several shares of labels')}{METRICS[board.metric].title} against "
        f"the share of labels: mean over seeds, with its {100 * board.level:g} % interval.",
        key=key(((_label(row), look) for row, look, _ in lines), markers=True),
    )


def _rocs(drawn: Sequence[_Drawn], which: str) -> str:
    """TPR against FPR."""
    curves = [(method, roc(method.runs)) for method in drawn]
    if not curves:
        return ""

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
    )


def _efficiencies(drawn: Sequence[_Drawn], which: str) -> str:
    """The share of signals found against their SNR."""
    curves = [(method, curve) for method in drawn if (curve := efficiency(method.runs, float(FPRS[0])))]
    if not curves:
        return ""

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
        paths = [run.path for run in row.runs if run.label_fraction == table.label_fraction and run.failed is None]
        try:
            runs = [_usable(Path(path).parent, table.sizes["test"]) for path in paths]
            same = [each.label for method in drawn[:1] for each in method.runs] + [run.label for run in runs]
            if any(not np.array_equal(label, same[0]) for label in same):
                raise UnusableError("its labels are not those of the other runs")
        except UnusableError as error:
            problems.append(f"No curves of {method_name(row)}: {error}.")
        else:
            if runs:
                drawn.append(_Drawn(_label(row), look, runs))
    return drawn, problems


def _usable(folder: Path, n: int) -> Predictions:
    found = read_predictions(folder, n)
    if np.isnan(found.score).any() or len(np.unique(found.label)) < 2:
        raise UnusableError("its scores are not those of a run that went well")
    return found


# --- rows ---------------------------------------------------------------------------------------------------


def _by_mean(table: LeaderboardTable) -> list[Row]:
    """The rows, best first, however the table is sorted."""
    return sorted(table.rows, key=lambda row: -row.cell.estimate.mean if row.cell.estimate else math.inf)


def _bound_rows(table: LeaderboardTable) -> list[Row]:
    """The best ceiling that is no outer bound, and the best floor, where they are there."""
    there = [row for row in _by_mean(table) if row.cell.estimate]
    ceilings = [row for row in there if "ceiling" in row.tags and "outer-bound" not in row.tags]
    floors = [row for row in there if "floor" in row.tags]
    return ceilings[:1] + floors[:1]


def _bounds(table: LeaderboardTable) -> list[tuple[str, float]]:
    """Name and mean of each bound."""
    rows = [("ceiling" if "ceiling" in row.tags else "floor", row.cell.estimate) for row in _bound_rows(table)]
    return [(name, found.mean) for name, found in rows if found]


def _known(cells: Iterable[LabelCell]) -> Iterator[tuple[float, Estimate]]:
    for cell in cells:
        if cell.estimate:
            yield cell.label_fraction, cell.estimate


def _label(row: Row, room: float = math.inf) -> str:
    """A row's rank and name, as long as there is room in pixels."""
    place = f"{row.rank}  " if row.rank else ""
    name = place + method_name(row)
    fits = int(min(room / CHARACTER, len(name)))
    return name if len(name) <= fits else name[: fits - 1] + "…"


def _rest(shown: int, known: int) -> str:
    return f" The best {shown} of {known} methods." if shown < known else ""
