"""Maps of embeddings, drawn from the plane of their principal components."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gwbench import seeds
from gwbench.reporting.html.charts import Chart, chart, key
from gwbench.reporting.html.report_charts import NOISE, SIGNAL, plain_colour_bar
from gwbench.utils.matplotlib_import import import_matplotlib

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gwbench.reporting.html.embedding_map import EmbeddingMap
    from gwbench.reporting.html.report_inputs import EmbeddingSample

NOISE_POINT, SIGNAL_POINT, UNCOLOURED = "#3f8fd0", "#dd6b2f", "#8b95a1"
"""Of what is rasterised, and so the same in both themes."""

SNR_COLOURS = ("plasma", 0.12, 0.86)
"""A map of colours, and the part of it that is seen on white and on black."""


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
    axis = [f"component {number} ({100 * share:.0f} % of variance)" for number, share in enumerate(plane.share, 1)]

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
        plain_colour_bar(bar)

    many = f"{len(shown.label):,} of the {shown.of:,}" if len(shown.label) < shown.of else f"The {shown.of:,}"
    charts = [
        chart(
            by_label,
            title="Embeddings by label",
            description=f"{many} test windows' embeddings, standardised, in the plane of their first two principal "
            "components; the labels only colour the points.",
            key=key([("noise", NOISE), ("signal", SIGNAL)], markers=True),
            height=310,
        )
    ]
    if (is_signal & np.isfinite(snr)).any():
        charts.append(
            chart(
                by_snr,
                title="Embeddings by SNR",
                description="The same plane; signals by their optimal network SNR, noise windows in grey.",
                height=310,
            )
        )
    return charts


def _part(name: str, low: float, high: float) -> Any:
    """A part of a map of colours."""
    mpl = import_matplotlib()
    from matplotlib.colors import ListedColormap

    return ListedColormap(mpl.colormaps[name](np.linspace(low, high, 64)))
