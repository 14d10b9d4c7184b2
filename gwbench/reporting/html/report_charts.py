"""The figures of a report, drawn from its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gwbench.evaluation.metrics import Metrics
from gwbench.reporting.html.chart_values import LineValues, ValuePoint, bin_points, spread_evenly
from gwbench.reporting.html.charts import Chart, chart, key, places_from_zero, series
from gwbench.reporting.html.curves import Curve, curve_values
from gwbench.reporting.html.formatting import interval_text
from gwbench.reporting.html.interval_rows import named_lines
from gwbench.reporting.html.report_data import FPRS, Histogram
from gwbench.reporting.html.svg import QUIET

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gwbench.experiment.training_outcome import CurvePoint
    from gwbench.reporting.html.report_inputs import Correlation, LabelPoint

NOISE, SIGNAL = series(0), series(1)

NEGATIVE, POSITIVE = "#2f83c6", "#d9622a"
"""Of correlations of -1 and 1; they fade to nothing at 0, whatever the background."""

DRAWN = 96
"""Dimensions of a matrix that a figure has room for."""

LOW, SQUARE = 210.0, 310.0
"""Heights in CSS pixels, of what has little to show and of what is square."""


# --- test scores --------------------------------------------------------------------------------------------


def roc_log(curve: Curve, metrics: Metrics) -> Chart:
    """The ROC curve against the logarithm of the false-positive rate."""

    def draw(axes: Axes) -> None:
        first = float(curve.x[0])
        axes.set(xscale="log", xlim=(min(first, 0.5), 1), ylim=(0, 1.02))
        axes.set(xlabel="false-positive rate", ylabel="true-positive rate")
        chance = np.geomspace(first, 1, 50)
        axes.plot(chance, chance, color=QUIET, linestyle=(0, (2, 2)), linewidth=1)
        axes.fill_between(curve.x, curve.low, curve.high, step="post", **NOISE.band)
        axes.plot(curve.x, curve.mean, drawstyle="steps-post", **NOISE.line)
        for rate in FPRS:
            if tpr := metrics.tpr_at_fpr.get(f"{rate:g}"):
                axes.plot([rate], [tpr.value], "o", color=NOISE.color, markersize=5.5, clip_on=False)
                place = (7, 9 if tpr.value < 0.12 else -14)
                axes.annotate(f"{tpr.value:.3f}", (rate, tpr.value), place, textcoords="offset points")

    return chart(
        draw,
        title="ROC curve, logarithmic",
        description=f"Signals found at few false alarms, from one in {metrics.n_noise:,} noise windows on. Band: "
        "pointwise 95 % Clopper-Pearson intervals, from the scatter of test signals, not of the threshold, which rests "
        "on few noise windows at the left. Dashed: chance.",
        values=[curve_values("", curve, "FPR {:.3g}: TPR")],
    )


def roc_linear(curve: Curve, metrics: Metrics) -> Chart:
    """The ROC curve in its usual axes."""

    def draw(axes: Axes) -> None:
        axes.set(xlim=(-0.01, 1), ylim=(0, 1.02), xlabel="false-positive rate", ylabel="true-positive rate")
        x, low, tpr, high = (np.append(0.0, each) for each in (curve.x, curve.low, curve.mean, curve.high))
        axes.fill_between(x, 0, tpr, step="post", color=NOISE.color, alpha=0.06, linewidth=0)
        axes.fill_between(x, low, high, step="post", **NOISE.band)
        axes.plot([0, 1], [0, 1], color=QUIET, linestyle=(0, (2, 2)), linewidth=1)
        axes.plot(x, tpr, drawstyle="steps-post", **NOISE.line)
        auc = metrics.auc
        axes.text(0.96, 0.08, f"area {auc.value:.4f}\n[{auc.low:.4f}, {auc.high:.4f}]", ha="right", va="bottom")

    return chart(
        draw,
        title="ROC curve, linear",
        description="The same curve in the axes in which its area is the AUC, the probability that a signal outscores "
        "a noise window. Interval of the area: DeLong, 95 %.",
        values=[curve_values("", curve, "FPR {:.3g}: TPR")],
    )


def efficiency_chart(curves: Mapping[float, Curve], metrics: Metrics) -> Chart:
    """Efficiency against SNR, by false-positive rate."""
    looks = [series(number) for number in range(len(curves))]

    def draw(axes: Axes) -> None:
        axes.set(ylim=(-0.02, 1.03), xlabel="optimal network SNR", ylabel="signals found")
        axes.axhline(0.5, color=QUIET, linestyle=(0, (2, 2)), linewidth=1)
        for look, (rate, curve) in zip(looks, curves.items(), strict=True):
            reach = np.array([curve.mean - curve.low, curve.high - curve.mean])
            axes.errorbar(curve.x, curve.mean, np.maximum(reach, 0), **look.points, linewidth=1.5, elinewidth=1.2)
            half = metrics.snr_at_half.get(f"{rate:g}")
            if half and half.low < half.value < half.high:
                axes.plot([half.value], [0.5], "x", color=look.color, markersize=9, markeredgewidth=2.2)

    crosses = ""
    if any(metrics.snr_at_half.get(f"{rate:g}") for rate in curves):
        crosses = " Crosses: where half are found, by a logistic fit."
    bins = next(iter(curves.values())).signals
    return chart(
        draw,
        title="Efficiency against SNR",
        description=f"The share of signals found at a fixed false-positive rate: {int(bins.sum()):,} signals in "
        f"{len(bins)} bins of about equal count, each at its median SNR, with 95 % Clopper-Pearson intervals.{crosses}",
        key=key([(f"FPR {rate:g}", look) for look, rate in zip(looks, curves, strict=True)], markers=True),
        values=[curve_values(f"FPR {rate:g}", curve, "SNR {:.3g}, found") for rate, curve in curves.items()],
    )


def score_chart(histogram: Histogram, thresholds: Mapping[float, float]) -> Chart:
    """Scores by label."""

    def draw(axes: Axes) -> None:
        top = max(int(histogram.noise.max()), int(histogram.signal.max()), 1)
        axes.set(yscale="log", ylim=(0.6, 1.8 * top), xlabel="score", ylabel="windows")
        for counts, look in ((histogram.noise, NOISE), (histogram.signal, SIGNAL)):
            axes.stairs(counts, histogram.edges, baseline=0.6, fill=True, color=look.color, alpha=0.22, linewidth=0)
            axes.stairs(counts, histogram.edges, baseline=0.6, **look.line, linewidth=1.4)
        named_lines(axes, [(f"FPR {rate:g}", threshold) for rate, threshold in thresholds.items()])

    more = f" {histogram.infinite} infinite scores are left out." if histogram.infinite else ""
    return chart(
        draw,
        title="Scores",
        description="Test windows by score; counts are logarithmic. Dashed: the thresholds that let the named share "
        f"of noise windows pass.{more}",
        key=key([("noise", NOISE), ("signal", SIGNAL)]),
        values=[
            LineValues(name, bin_points(counts, histogram.edges, "windows"))
            for name, counts in (("noise", histogram.noise), ("signal", histogram.signal))
        ],
    )


# --- labels and training ------------------------------------------------------------------------------------


def label_efficiency(points: Sequence[LabelPoint]) -> Chart:
    """AUC against labels."""
    place = places_from_zero([point.labelled for point in points])

    def draw(axes: Axes) -> None:
        from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

        axes.set(xscale="log", xlabel="labelled windows", ylabel="ROC-AUC")
        free, probed = ([point for point in points if bool(point.labelled) is known] for known in (False, True))
        for part in filter(None, (free, probed)):
            x = [place[point.labelled] for point in part]
            low, high = [point.auc.low for point in part], [point.auc.high for point in part]
            axes.fill_between(x, low, high, **NOISE.band)
            if part is free:  # where a band would have no width
                axes.vlines(x, low, high, color=NOISE.color)
            axes.plot(x, [point.auc.value for point in part], **NOISE.points)
        itself = next(point for point in points if point.itself)
        axes.plot([place[itself.labelled]], [itself.auc.value], "o", color=SIGNAL.color, markersize=9,
                  markerfacecolor="none", markeredgewidth=1.8)  # fmt: skip
        axes.xaxis.set_major_locator(FixedLocator(sorted(place.values())))
        named = {value: f"{labelled:,}" for labelled, value in place.items()}
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: named.get(value, f"{value:,.0f}")))
        axes.xaxis.set_minor_locator(NullLocator())

    return chart(
        draw,
        title="What labels are worth",
        description="ROC-AUC of this run (circle) and of those beside it that share its method, data and seed and "
        "differ in the share of labels alone, with DeLong's 95 % intervals."
        f"{' At 0, left of the axis: the score of the objective itself.' if 0 in place else ''}",
        values=[
            LineValues(
                "",
                [
                    ValuePoint(
                        place[point.labelled],
                        point.auc.value,
                        f"{point.labelled:,} labelled windows: ROC-AUC {interval_text(point.auc, 4)}",
                    )
                    for point in points
                ],
            )
        ],
    )


def learning_curve(points: Sequence[CurvePoint]) -> Chart:
    """The probe's AUC on validation after some of the epochs."""
    windows = [point.windows for point in points]

    def draw(axes: Axes) -> None:
        axes.fill_between(windows, [p.low for p in points], [p.high for p in points], **NOISE.band)
        axes.plot(windows, [p.val_auc for p in points], **NOISE.points)
        axes.set(xlabel="windows seen", ylabel="validation AUC")
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))

    from matplotlib.ticker import FuncFormatter, MaxNLocator

    said = [
        ValuePoint(
            p.windows,
            p.val_auc,
            f"epoch {p.epoch}, step {p.step:,}, {p.windows:,} windows: validation AUC {p.val_auc:.4f} "
            f"[{p.low:.4f}, {p.high:.4f}]",
        )
        for p in points
    ]
    return chart(
        draw,
        title="Learning curve",
        description="ROC-AUC of the run's own probe on the validation split while the encoder was trained, with 95 % "
        "intervals (DeLong).",
        height=LOW,
        values=[LineValues("", said)],
    )


def per_epoch(values: Sequence[float], title: str, description: str, label: str, warn: float | None = None) -> Chart:
    """A number after every epoch; `warn` is the line below which it is too low."""

    def draw(axes: Axes) -> None:
        from matplotlib.ticker import MaxNLocator

        epochs = np.arange(1, len(values) + 1)
        axes.plot(epochs, values, color=NOISE.color, marker="o" if len(values) <= 30 else "")
        axes.set(xlabel="epoch", ylabel=label)
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
        positive = min(values) > 0
        if positive and max(values) > 100 * min(values):
            axes.set_yscale("log")
        elif warn is not None:
            axes.set_ylim(0, 1.06 * max(*values, warn))
            axes.axhline(warn, color=SIGNAL.color, linestyle=(0, (2, 2)), linewidth=1.2)

    points = [
        ValuePoint(place + 1, values[place], f"epoch {place + 1}: {label} {values[place]:.5g}")
        for place in spread_evenly(len(values), 60)
    ]
    return chart(draw, title=title, description=description, height=LOW, values=[LineValues("", points)])


def correlation_chart(correlation: Correlation, description: str) -> Chart:
    """The cross-correlation matrix of two views' projections, at most `DRAWN` evenly spaced dimensions of it."""
    size = len(correlation.matrix)
    chosen = np.linspace(0, size - 1, min(size, DRAWN)).round().astype(int)
    shown = correlation.matrix[np.ix_(chosen, chosen)]

    def draw(axes: Axes) -> None:
        from matplotlib.colors import LinearSegmentedColormap, to_rgba

        ends = [to_rgba(NEGATIVE), (*to_rgba(NEGATIVE)[:3], 0), (*to_rgba(POSITIVE)[:3], 0), to_rgba(POSITIVE)]
        colours = LinearSegmentedColormap.from_list("", list(zip((0, 0.5, 0.5, 1), ends, strict=True)))
        picture = axes.imshow(shown, cmap=colours, vmin=-1, vmax=1, interpolation="none")
        axes.grid(visible=False)
        axes.set(xlabel="dimensions of the second view", ylabel="dimensions of the first view", xticks=[], yticks=[])
        plain_colour_bar(axes.figure.colorbar(picture, ax=axes, ticks=[-1, -0.5, 0, 0.5, 1]))

    drawn = f" The picture shows {len(chosen)} dimensions." if len(chosen) < size else ""
    return chart(draw, title="Cross-correlation of two views", description=description + drawn, height=SQUARE)


def plain_colour_bar(bar: Any) -> None:
    """A scale of colours without a frame, as a picture instead of a path for every colour."""
    bar.outline.set_visible(False)
    bar.solids.set_rasterized(True)
    bar.ax.grid(visible=False)
    bar.ax.tick_params(length=0)
