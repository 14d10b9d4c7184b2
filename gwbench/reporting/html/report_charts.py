"""The figures of a report, drawn from its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gwbench import seeds
from gwbench.evaluation.metrics import Metrics
from gwbench.reporting.html.charts import Chart, chart, key, series
from gwbench.reporting.html.curves import Curve
from gwbench.reporting.html.report_data import FPRS, Histogram
from gwbench.reporting.html.svg import QUIET
from gwbench.utils.matplotlib_import import import_matplotlib

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gwbench.reporting.html.embedding_map import EmbeddingMap
    from gwbench.reporting.html.report_inputs import Correlation, EmbeddingSample, LabelPoint

NOISE, SIGNAL = series(0), series(1)

NOISE_POINT, SIGNAL_POINT, UNCOLOURED = "#3f8fd0", "#dd6b2f", "#8b95a1"
"""Of what is rasterised, and so the same in both themes."""

SNR_COLOURS = ("plasma", 0.12, 0.86)
"""A map of colours, and the part of it that is seen on white and on black."""

NEGATIVE, POSITIVE = "#2f83c6", "#d9622a"
"""Of correlations of -1 and 1; they fade to nothing at 0, whatever the background."""

DRAWN = 96
"""Dimensions of a matrix that a figure has room for."""

LOW, SQUARE = 230.0, 360.0
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
    )


def score_chart(histogram: Histogram, thresholds: Mapping[float, float]) -> Chart:
    """Scores by label."""

    def draw(axes: Axes) -> None:
        top = max(int(histogram.noise.max()), int(histogram.signal.max()), 1)
        axes.set(yscale="log", ylim=(0.6, 1.8 * top), xlabel="score", ylabel="windows")
        for counts, look in ((histogram.noise, NOISE), (histogram.signal, SIGNAL)):
            axes.stairs(counts, histogram.edges, baseline=0.6, fill=True, color=look.color, alpha=0.22, linewidth=0)
            axes.stairs(counts, histogram.edges, baseline=0.6, **look.line, linewidth=1.4)
        for number, (rate, threshold) in enumerate(thresholds.items()):
            if histogram.edges[0] <= threshold <= histogram.edges[-1]:
                axes.axvline(threshold, color=QUIET, linestyle=(0, (2, 2)), linewidth=1)
                axes.annotate(f"FPR {rate:g}", (threshold, 1), (4, -10 - 12 * number), textcoords="offset points",
                              xycoords=("data", "axes fraction"), fontsize=9, color=QUIET)  # fmt: skip

    more = f" {histogram.infinite} infinite scores are left out." if histogram.infinite else ""
    return chart(
        draw,
        title="Scores",
        description="Test windows by score; counts are logarithmic. Dashed: the thresholds that let the named share "
        f"of noise windows pass.{more}",
        key=key([("noise", NOISE), ("signal", SIGNAL)]),
    )


# --- labels and training ------------------------------------------------------------------------------------


def label_efficiency(points: Sequence[LabelPoint]) -> Chart:
    """AUC against labels."""

    def draw(axes: Axes) -> None:
        from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

        labelled = [point.labelled for point in points]
        values = np.array([[point.auc.value, point.auc.low, point.auc.high] for point in points]).T
        axes.set(xscale="log", xlabel="labelled windows", ylabel="ROC-AUC")
        axes.fill_between(labelled, values[1], values[2], **NOISE.band)
        axes.plot(labelled, values[0], **NOISE.points)
        itself = next(point for point in points if point.itself)
        axes.plot([itself.labelled], [itself.auc.value], "o", color=SIGNAL.color, markersize=9, markerfacecolor="none",
                  markeredgewidth=1.8)  # fmt: skip
        axes.xaxis.set_major_locator(FixedLocator(sorted(set(labelled))))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.xaxis.set_minor_locator(NullLocator())

    return chart(
        draw,
        title="What labels are worth",
        description="ROC-AUC of this run (circle) and of those beside it that share its method, data and seed and "
        "differ in the share of labels alone, with DeLong's 95 % intervals.",
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
            axes.set_ylim(bottom=0)
            axes.axhline(warn, color=SIGNAL.color, linestyle=(0, (2, 2)), linewidth=1.2)

    return chart(draw, title=title, description=description, height=LOW)


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
        _plain_colour_bar(axes.figure.colorbar(picture, ax=axes, ticks=[-1, -0.5, 0, 0.5, 1]))

    drawn = f" The picture shows {len(chosen)} dimensions." if len(chosen) < size else ""
    return chart(draw, title="Cross-correlation of two views", description=description + drawn, height=SQUARE)


# --- embeddings ---------------------------------------------------------------------------------------------


def embedding_charts(plane: EmbeddingMap, shown: EmbeddingSample) -> list[Chart]:
    """Embeddings in two dimensions by label and, where SNRs are known, by SNR."""
    # Neither class is drawn on top of the other.
    order = seeds.numpy_generator(0, "diagnostics", 1).permutation(len(shown.label))
    points, is_signal = plane.points[order], shown.label[order] == 1
    snr = shown.snr[order].astype(np.float64)
    reach = np.percentile(plane.points, [0.2, 99.8], axis=0)  # a few far away do not press the rest together
    margin = 0.04 * (reach[1] - reach[0])
    limits = {"xlim": (reach[0, 0] - margin[0], reach[1, 0] + margin[0]),
              "ylim": (reach[0, 1] - margin[1], reach[1, 1] + margin[1])}  # fmt: skip
    dots: dict[str, Any] = {"s": 9, "linewidths": 0, "rasterized": True}
    axis = [f"component {number} ({100 * share:.0f} % of the variance)" for number, share in enumerate(plane.share, 1)]

    def frame(axes: Axes) -> None:
        axes.set(**limits, xlabel=axis[0], ylabel=axis[1])
        axes.tick_params(labelleft=False, labelbottom=False, length=0)

    def by_label(axes: Axes) -> None:
        frame(axes)
        axes.scatter(points[:, 0], points[:, 1], c=np.where(is_signal, SIGNAL_POINT, NOISE_POINT), alpha=0.55, **dots)

    def by_snr(axes: Axes) -> None:
        frame(axes)
        known = is_signal & np.isfinite(snr)
        axes.scatter(points[~is_signal, 0], points[~is_signal, 1], c=UNCOLOURED, alpha=0.22, **dots)
        low, high = np.percentile(snr[known], [0, 98])
        picture = axes.scatter(points[known, 0], points[known, 1], c=snr[known], cmap=_part(*SNR_COLOURS), vmin=low,
                               vmax=max(high, low + 1e-6), alpha=0.8, **dots)  # fmt: skip
        bar = axes.figure.colorbar(picture, ax=axes, label="optimal network SNR")
        _plain_colour_bar(bar)

    many = f"{len(shown.label):,} of the {shown.of:,}" if len(shown.label) < shown.of else f"The {shown.of:,}"
    charts = [
        chart(
            by_label,
            title="Embeddings by label",
            description=f"{many} test windows' embeddings, standardised, in the plane of their first two principal "
            "components; the labels only colour the points.",
            key=key([("noise", NOISE), ("signal", SIGNAL)], markers=True),
            height=330,
        )
    ]
    if (is_signal & np.isfinite(snr)).any():
        charts.append(
            chart(
                by_snr,
                title="Embeddings by SNR",
                description="The same plane; signals by their optimal network SNR, noise windows in grey.",
                height=330,
            )
        )
    return charts


def _part(name: str, low: float, high: float) -> Any:
    """A part of a map of colours."""
    mpl = import_matplotlib()
    from matplotlib.colors import ListedColormap

    return ListedColormap(mpl.colormaps[name](np.linspace(low, high, 64)))


def _plain_colour_bar(bar: Any) -> None:
    """A scale of colours without a frame, as a picture instead of a path for every colour."""
    bar.outline.set_visible(False)
    bar.solids.set_rasterized(True)
    bar.ax.grid(visible=False)
    bar.ax.tick_params(length=0)
