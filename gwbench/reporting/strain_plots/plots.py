"""A window of strain as a picture: strain, whitened strain, Q-transform and spectrum of every detector."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gwbench.data.dataset import Array
from gwbench.data.strain_files.resample import PASSBAND
from gwbench.reporting.strain_plots.q_transform import q_energy
from gwbench.reporting.strain_plots.window_view import Channel, StrainPlot
from gwbench.utils.matplotlib_import import import_matplotlib

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

    from gwbench.reporting.notebook_figure import NotebookFigure

INK = {"H1": "#d55e00", "L1": "#0072b2", "V1": "#7b3294", "K1": "#b8860b"}
"""Colours that people with any colour vision tell apart, near those the collaborations use."""

OTHER_INK = "#117733"

STYLE: dict[Any, Any] = {
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.labelsize": 9.0,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
}

DPI = 130
COLUMN, HEIGHTS, LEAST_WIDTH = 4.2, (1.5, 1.5, 2.0, 2.2), 8.4
"""Inches: width of a detector, heights of the panels, least width of a picture."""

ROWS, COLUMNS = 120, 800
"""Pixels of a Q-transform in frequency, and the most in time."""

ROWS_AT_ONCE = 8
"""Rows of it in memory at the rate of the strain."""

ENERGY = (30.0, 60.0)
"""Between these the top of the energy's colours follows the loudest pixel: noise stays dark, a glitch does not hide
the rest."""

TITLE_SIZE, CHARACTERS = 12.0, 9.0
"""Points, and how many characters of that size fit into an inch."""

TICK_STEPS = [1, 2, 2.5, 5, 10]

MARKS: dict[str, tuple[Literal["--", ":"], str]] = {"arrival": ("--", "signal arrives"), "glitch": (":", "glitch")}
"""Line and name of what `Channel.marks` may hold."""


def render(strain_plot: StrainPlot, *, q: float = 8.0) -> bytes:
    """A plot as a PNG picture, the same wherever it is drawn: no setting of the user's matplotlib matters.

    Args:
        plot: what to draw.
        q: of the Q-transform; see `gwbench.reporting.strain_plots.q_transform.q_energy`.

    Raises:
        UserError: this q does not fit the plot.
    """
    mpl = import_matplotlib()
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        # A name in a script that the font lacks is drawn as boxes.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure = draw(strain_plot, q=q)
        picture = io.BytesIO()
        figure.savefig(picture, format="png", dpi=DPI)
    return picture.getvalue()


def draw(strain_plot: StrainPlot, *, q: float = 8.0) -> NotebookFigure:
    """The figure: a column for every detector; strain, whitened strain and Q-transform share the time axis."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import PowerNorm
    from matplotlib.layout_engine import ConstrainedLayoutEngine
    from matplotlib.ticker import MaxNLocator

    from gwbench.reporting.notebook_figure import NotebookFigure

    channels = strain_plot.channels
    width = max(COLUMN * len(channels) + 0.8, LEAST_WIDTH)
    figure = NotebookFigure(figsize=(width, sum(HEIGHTS) + 1.6), layout=ConstrainedLayoutEngine(h_pad=0.05, w_pad=0.05))
    axes = figure.subplots(4, len(channels), squeeze=False, gridspec_kw={"height_ratios": HEIGHTS})
    for column in axes.T:
        for upper in column[:2]:
            upper.sharex(column[2])
            upper.tick_params(labelbottom=False)
    for row in axes[1:]:
        for other in row[1:]:
            other.sharey(row[0])
            other.tick_params(labelleft=False)

    pictures = [q_picture(channel, strain_plot, q) for channel in channels]
    top = float(np.clip(max(energy.max() for *_, energy in pictures), *ENERGY))
    # Colours follow the root of the energy, which a burst's SNR goes by: the faint are seen beside the loud.
    colours = ScalarMappable(PowerNorm(0.5, vmin=0, vmax=top), "viridis")
    for column, channel, picture in zip(axes.T, channels, pictures, strict=True):
        times = strain_plot.start + np.arange(len(channel.strain)) / channel.sample_rate
        _strain(column[0], times, channel)
        column[1].plot(times, channel.whitened, color=_ink(channel), linewidth=0.7)
        column[1].yaxis.set_major_locator(MaxNLocator(5, integer=True, steps=TICK_STEPS))
        column[2].pcolormesh(*picture, norm=colours.norm, cmap=colours.cmap, shading="nearest")
        column[2].set(yscale="log", ylim=strain_plot.band, xlabel=f"time from {strain_plot.zero} (s)")
        column[2].set_xlim(times[0], times[-1] + 1 / channel.sample_rate)
        column[0].yaxis.set_major_locator(MaxNLocator(5, steps=TICK_STEPS))
        column[2].xaxis.set_major_locator(MaxNLocator(4, steps=TICK_STEPS))
        _plain_ticks(column[2].yaxis, strain_plot.band)
        _marks(column, channel)
        _spectrum(column[3], channel, strain_plot.band)
    reached = max(float(np.abs(channel.whitened).max()) for channel in channels)
    axes[1, 0].set_ylim(-1.1 * max(reached, 4.0), 1.1 * max(reached, 4.0))
    axes[3, 0].set_ylim(_spectrum_limits(channels, strain_plot.band))
    _label(figure, axes, strain_plot, q)
    bar = figure.colorbar(
        colours, ax=axes[2].tolist(), pad=0.01, aspect=15, extend="max" if top == ENERGY[1] else "neither"
    )
    bar.set_label("normalised energy\n(noise: 1 on average)")
    return figure


def q_picture(channel: Channel, strain_plot: StrainPlot, q: float) -> tuple[Array, Array, Array]:
    """Times, frequencies and energy [F, t]; a pixel shows the loudest sample it holds."""
    frequencies = np.geomspace(*strain_plot.band, ROWS)
    count = len(channel.whitened)
    stride = -(-count // COLUMNS)
    edges = np.arange(0, count, stride)
    energy = np.concatenate([
        np.maximum.reduceat(
            q_energy(channel.whitened, channel.sample_rate, some, q=q, band=strain_plot.band), edges, axis=1
        )
        for some in np.array_split(frequencies, ROWS // ROWS_AT_ONCE)
    ])  # fmt: skip
    middle = (edges + np.minimum(edges + stride, count) - 1) / 2
    return strain_plot.start + middle / channel.sample_rate, frequencies, energy


def _strain(axes: Axes, times: Array, channel: Channel) -> None:
    largest = float(np.abs(channel.strain).max())
    power = int(np.floor(np.log10(largest))) if largest > 0 else 0
    axes.plot(times, channel.strain / 10.0**power, color=_ink(channel), linewidth=0.7)
    snrs = ", ".join(f"{what} {snr:.1f}" for what, snr in channel.snrs.items())
    axes.set_title(
        f"{channel.name}   SNR: {snrs}" if snrs else channel.name, color=_ink(channel), loc="left", parse_math=False
    )
    axes.text(1, 1.02, rf"$\times\,10^{{{power}}}$", transform=axes.transAxes, ha="right", va="bottom")


def _spectrum(axes: Axes, channel: Channel, band: tuple[float, float]) -> None:
    edges = _spectrum_edges(channel, band)
    shown = _between(channel.frequencies, edges)
    frequencies = channel.frequencies[shown]
    axes.loglog(frequencies, channel.asd[shown], color=_ink(channel), linewidth=0.8)
    axes.loglog(frequencies, channel.measured[shown], color="black", linewidth=1.2)
    axes.axvspan(edges[0], band[0], color="0.93", zorder=0, linewidth=0)
    axes.axvspan(band[1], edges[1], color="0.93", zorder=0, linewidth=0)
    axes.grid(color="0.85", linewidth=0.4)
    axes.set(xlim=edges, xlabel="frequency (Hz)")
    _plain_ticks(axes.xaxis, edges)


def _spectrum_edges(channel: Channel, band: tuple[float, float]) -> tuple[float, float]:
    """Hz; up to where an anti-alias filter may have begun to fall."""
    return band[0] / 2, max(PASSBAND * channel.sample_rate / 2, band[1])


def _spectrum_limits(channels: Sequence[Channel], band: tuple[float, float]) -> tuple[float, float]:
    """Of the densities: the floor within the band to the highest line or wall, with room around both."""
    inside = [c.measured[_between(c.frequencies, band)] for c in channels]
    every = [
        density[_between(c.frequencies, _spectrum_edges(c, band))] for c in channels for density in (c.measured, c.asd)
    ]
    lowest = min(values[values > 0].min() for values in inside)
    return float(lowest) / 5, 2 * float(max(values.max() for values in every))


def _marks(column: Sequence[Axes], channel: Channel) -> None:
    for what, time in channel.marks.items():
        line, _ = MARKS[what]
        for axes in column[:2]:
            axes.axvline(time, color="black", linestyle=line, linewidth=0.9, alpha=0.7, zorder=0)
        # At the edges of the Q-transform alone, for a line would hide what it marks.
        for edge, length in ((0.0, 0.09), (1.0, -0.09)):
            column[2].plot(
                [time, time], [edge, edge + length], color="white", linestyle=line, linewidth=1.2,
                transform=column[2].get_xaxis_transform(),
            )  # fmt: skip


def _label(figure: Figure, axes: Array, strain_plot: StrainPlot, q: float) -> None:
    from matplotlib.legend_handler import HandlerTuple
    from matplotlib.lines import Line2D

    low, high = strain_plot.band
    axes[0, 0].set_ylabel("strain")
    axes[1, 0].set_ylabel(f"whitened,\n{low:g}\N{EN DASH}{high:g} Hz\n(noise: \u03c3 = 1)")
    axes[2, 0].set_ylabel(f"frequency (Hz)\nQ = {q:g}")
    axes[3, 0].set_ylabel("amplitude spectral\ndensity (Hz$^{-1/2}$)")
    name = strain_plot.name.replace("$", r"\$")  # which would begin a formula
    lines = [name, ",  ".join(strain_plot.facts)]
    room = figure.get_figwidth() * CHARACTERS / max(len(line) for line in lines)
    figure.suptitle("\n".join(lines), fontsize=TITLE_SIZE * min(1.0, room))
    marked = {what for channel in strain_plot.channels for what in channel.marks}
    inks = tuple(Line2D([], [], color=_ink(channel), linewidth=0.9) for channel in strain_plot.channels)
    legend: dict[str, Any] = {
        "density of what is shown": inks,
        "density of the noise, which it is whitened by": Line2D([], [], color="black", linewidth=1.2),
    }
    for what, (line, meaning) in MARKS.items():
        if what in marked:
            legend[meaning] = Line2D([], [], color="black", linestyle=line, linewidth=1.0)
    figure.legend(
        list(legend.values()), list(legend), loc="outside lower center", ncols=len(legend), handlelength=3.0,
        handler_map={tuple: HandlerTuple(ndivide=None, pad=0.2)},
    )  # fmt: skip


def _plain_ticks(axis: Axis, limits: tuple[float, float]) -> None:
    """Ticks such as 20, 50, 100 Hz on a logarithmic axis."""
    from matplotlib.ticker import FixedLocator, NullFormatter, ScalarFormatter

    steps = [digit * 10.0**power for power in range(-2, 6) for digit in (1, 2, 5)]
    axis.set_major_locator(FixedLocator([step for step in steps if limits[0] <= step <= limits[1]]))
    axis.set_major_formatter(ScalarFormatter())
    axis.set_minor_formatter(NullFormatter())


def _between(values: Array, limits: tuple[float, float]) -> Array:
    return np.asarray((values >= limits[0]) & (values < limits[1]))


def _ink(channel: Channel) -> str:
    return INK.get(channel.name, OTHER_INK)


__all__ = ["draw", "render"]
