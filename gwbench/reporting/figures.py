"""Pictures of windows, runs and rankings as matplotlib figures, for notebooks and papers.

The functions return a figure. They show nothing, keep nothing open and leave the backend and matplotlib's settings as
they are: `figure.savefig("roc.pdf")` writes it, and a notebook shows it where it is the value of a cell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gwbench.data.dataset import Dataset, StrainSplits
from gwbench.errors import UserError
from gwbench.experiment.record import RunRecord, read_record
from gwbench.preprocessing.settings import Conditioning
from gwbench.utils.matplotlib_import import import_matplotlib
from gwbench.utils.untrusted_files import UnusableError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from gwbench.experiment.open_dataset import OpenDataset
    from gwbench.reporting.leaderboard.schema import Leaderboard
    from gwbench.reporting.searches.schema import SearchRanking

STYLE: dict[Any, Any] = {
    "font.size": 10.0,
    "text.parse_math": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "grid.color": "0.88",
    "legend.frameon": False,
    "lines.linewidth": 1.6,
}

COLOURS = ("#0072b2", "#d55e00", "#117733", "#7b3294", "#b8860b", "#555555")
"""That people with any colour vision tell apart."""


def plot_window(
    data: str | type[Dataset] | Dataset | OpenDataset | StrainSplits | None = None,
    split: str = "val",
    index: int | str | None = None,
    *,
    low: float = 20.0,
    high: float = 600.0,
    q: float = 8.0,
    **opening: Any,
) -> Figure:
    """A window of a dataset: strain, whitened strain, Q-transform and spectrum of every detector.

        gwbench.plot_window("NAME", "val", "loudest")

    Args:
        data: what `gwbench.open_dataset` gives or takes.
        split: "train", "val" or "test".
        index: position in the split; "loudest", the signal of the highest SNR; "signal", that of the median SNR;
            "noise", the first window without a signal. By default the first of these that the split has.
        low, high: the band, Hz.
        q: of the Q-transform; larger for longer signals.
        opening: further arguments of `gwbench.open_dataset`, where `data` is opened here.

    Raises:
        UserError: there is no such data, split or window, or the strain cannot be whitened in this band.
    """
    import_matplotlib()
    from gwbench.experiment.open_dataset import OpenDataset, open_dataset
    from gwbench.reporting.notebook_figure import drawn
    from gwbench.reporting.strain_plots.plots import STYLE as STRAIN_STYLE
    from gwbench.reporting.strain_plots.plots import draw
    from gwbench.reporting.strain_plots.window_view import choose_window, window_plot

    if split not in ("train", "val", "test"):
        raise UserError(f"split={split!r}: expected train, val or test.")
    if isinstance(data, OpenDataset | StrainSplits):
        if opening:
            raise UserError(f"The dataset is open already: leave out {', '.join(opening)}.")
        given = data
    else:
        given = open_dataset(data, **opening)
    splits, name = (given, "window") if isinstance(given, StrainSplits) else (given.splits, given.spec.dataset.name)
    which = None if index is None else str(index)
    if isinstance(index, int | np.integer) and int(index) < 0:
        which = str(int(index) + len(splits[split]))
    position = choose_window(splits[split], which, split)
    plot = window_plot(splits, split, position, settings=Conditioning(low=low, high=high), name=name)
    return drawn(STRAIN_STYLE, lambda: draw(plot, q=q))


def plot_roc(*runs: RunRecord | str | Path, logarithmic: bool = True) -> Figure:
    """ROC curves of runs on their test splits, with pointwise 95 % intervals of the scatter of test signals.

        gwbench.plot_roc(record, baseline)

    Args:
        runs: records, or folders of runs.
        logarithmic: the axis of false-positive rates.

    Raises:
        UserError: there is no run, or one of them has no scores of signal and noise.
    """
    import_matplotlib()
    from gwbench.reporting.html.curves import roc
    from gwbench.reporting.notebook_figure import NotebookFigure, drawn
    from gwbench.reporting.records.predictions import read_predictions

    records = _records(runs)
    curves = []
    for record in records:
        if record.metrics is None or record.folder is None:
            raise UserError(f"The run {record.run_id} has no scores of signal and noise: {record!r}.")
        try:
            scores = read_predictions(record.folder, record.metrics.n_test + record.metrics.n_unlabelled)
        except (UnusableError, ValueError) as error:
            raise UserError(f"The predictions in {record.folder} cannot be read: {error}.") from None
        curves.append(roc([scores]))

    def draw() -> NotebookFigure:
        figure = NotebookFigure(figsize=(5.6, 4.6), layout="constrained")
        axes = figure.subplots()
        for number, (record, curve, name) in enumerate(zip(records, curves, _names(records), strict=True)):
            assert record.metrics
            colour = COLOURS[number % len(COLOURS)]
            axes.fill_between(curve.x, curve.low, curve.high, step="post", color=colour, alpha=0.15, linewidth=0)
            label = f"{name}: AUC {record.metrics.auc.value:.4f}"
            axes.plot(curve.x, curve.mean, drawstyle="steps-post", color=colour, label=label)
        chance = np.geomspace(min(curve.x[0] for curve in curves), 1.0, 100)
        axes.plot(chance, chance, color="0.5", linestyle=":", linewidth=1, label="chance")
        axes.set(xscale="log" if logarithmic else "linear", xlim=(chance[0], 1.0), ylim=(0.0, 1.02))
        axes.set(xlabel="false-positive rate", ylabel="true-positive rate")
        axes.legend(loc="best")
        return figure

    return drawn(STYLE, draw)


def plot_learning(run: RunRecord | str | Path) -> Figure:
    """How pre-training went: the loss, the effective rank of the embeddings, and the probe's AUC where it was watched.

    Args:
        run: a record, or the folder of a run.

    Raises:
        UserError: the run pre-trained nothing.
    """
    import_matplotlib()
    from gwbench.reporting.notebook_figure import NotebookFigure, drawn

    (record,) = _records([run])
    training = record.training
    if training is None:
        raise UserError(f"The run {record.run_id} pre-trained nothing: {record!r}.")
    panels: list[tuple[str, list[float], list[float], tuple[list[float], list[float]] | None]] = []
    epochs = [float(epoch) for epoch in range(1, len(training.loss) + 1)]
    panels.append(("loss", epochs, training.loss, None))
    ranks = [each.get("effective_rank", np.nan) for each in training.collapse]
    panels.append(("effective rank", epochs[: len(ranks)], ranks, None))
    if watched := record.learning_curve:
        band = [point.low for point in watched], [point.high for point in watched]
        panels.append((
            "validation AUC", [float(point.epoch) for point in watched], [point.val_auc for point in watched], band
        ))  # fmt: skip

    def draw() -> NotebookFigure:
        figure = NotebookFigure(figsize=(3.6 * len(panels), 3.2), layout="constrained")
        for axes, (title, x, values, band) in zip(figure.subplots(1, len(panels)), panels, strict=True):
            if band:
                axes.fill_between(x, *band, color=COLOURS[0], alpha=0.15, linewidth=0)
            axes.plot(x, values, marker="o", markersize=3.5, color=COLOURS[0])
            axes.set(xlabel="epoch", title=title)
            axes.xaxis.get_major_locator().set_params(integer=True)
        figure.suptitle(_names([record])[0], fontsize=10)
        return figure

    return drawn(STYLE, draw)


def plot_ranking(board: Leaderboard | None, searches: SearchRanking | None = None) -> Figure:
    """Every method of a leaderboard, and every search, with its interval; a panel for every table.

    Raises:
        UserError: no method and no search has a figure.
    """
    import_matplotlib()
    from gwbench.reporting.notebook_figure import NotebookFigure, drawn

    tables = [table for table in (*_method_tables(board), *_search_tables(searches)) if table.rows]
    if not tables:
        raise UserError("Nothing here has a figure: all runs failed, and no search was judged.")
    heights = [0.32 * len(table.rows) + 0.9 for table in tables]

    def draw() -> NotebookFigure:
        figure = NotebookFigure(figsize=(8.0, sum(heights)), layout="constrained")
        panels = figure.subplots(len(tables), 1, squeeze=False, gridspec_kw={"height_ratios": heights})
        for axes, table in zip(panels[:, 0], tables, strict=True):
            _intervals(axes, table)
        return figure

    return drawn(STYLE, draw)


class _Intervals(NamedTuple):
    """A panel: its title and axis, and for every row a name, a value and its interval, if it has one."""

    title: str
    axis: str
    rows: Sequence[tuple[str, float, float | None, float | None]]


def _method_tables(board: Leaderboard | None) -> Iterator[_Intervals]:
    from gwbench.reporting.leaderboard.columns import heading, method_name
    from gwbench.reporting.leaderboard.metrics import METRICS

    for table in board.tables if board else ():
        known = [(method_name(row), row.cell.estimate) for row in table.rows]
        rows = [(name, each.mean, each.low, each.high) for name, each in known if each]
        yield _Intervals(heading(table), METRICS[board.metric].title if board else "", rows)


def _search_tables(searches: SearchRanking | None) -> Iterator[_Intervals]:
    from gwbench.reporting.searches.columns import search_heading, search_name

    for table in searches.tables if searches else ():
        known = [(search_name(row), row.reach) for row in table.rows]
        rows = [(name, reach.distance, reach.low, reach.high) for name, reach in known if reach]
        axis = f"sensitive distance at {table.at_far:g} false alarms a month (Mpc)"
        yield _Intervals(search_heading(table), axis, rows)


def _intervals(axes: Axes, table: _Intervals) -> None:
    """The first row at the top."""
    places = np.arange(len(table.rows))[::-1]
    for place, (_, value, low, high) in zip(places, table.rows, strict=True):
        if low is not None and high is not None:
            axes.plot([low, high], [place, place], color=COLOURS[0], linewidth=1.2)
        axes.plot([value], [place], "o", color=COLOURS[0], markersize=5)
    axes.set_yticks(places, [name for name, *_ in table.rows])
    axes.set_ylim(-0.6, len(table.rows) - 0.4)
    axes.set_title(table.title, loc="left", fontsize=10)
    axes.set_xlabel(table.axis)


def _records(runs: Sequence[RunRecord | str | Path]) -> list[RunRecord]:
    """Records, read where folders are given."""
    if not runs:
        raise UserError("There is no run to plot: give records, or folders of runs.")
    records = []
    for run in runs:
        if not isinstance(run, RunRecord | str | Path):
            raise UserError(f"{run!r} is no run: give a record, such as gwbench.run() returns, or the folder of a run.")
        records.append(run if isinstance(run, RunRecord) else read_record(Path(run)))
    return records


def _names(records: Sequence[RunRecord]) -> list[str]:
    """Titles; with the seed, or else the identity, where several are the same."""
    names = [record.spec.title for record in records]
    for more in (lambda record: f"seed {record.spec.seed}", lambda record: record.run_id[:8]):
        if len(set(names)) == len(names):
            break
        names = [f"{name}, {more(record)}" for name, record in zip(names, records, strict=True)]
    return names


__all__ = ["plot_learning", "plot_ranking", "plot_roc", "plot_window"]
