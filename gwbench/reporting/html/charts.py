"""Figures of a page: matplotlib's drawing as inline SVG that follows the page's colours.

What is drawn in the colours of `svg` changes with the theme; text stays text, in the font of the page; there are no
style attributes, which the page's policy forbids. The same drawing gives the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from xml.etree import ElementTree

from markupsafe import Markup

from gwbench.reporting.escape import plain
from gwbench.reporting.html.chart_values import LineValues, value_layer
from gwbench.reporting.html.svg import GRID, INK, QUIET, SERIES, inline_svg
from gwbench.utils.matplotlib_import import import_matplotlib

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DASHES: tuple[Any, ...] = ("-", (0, (5, 1.6)), (0, (1.2, 1.4)), (0, (6, 1.6, 1.2, 1.6)), (0, (3, 1.4)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

COLOUR_MAP = "cividis"
"""For numbers as colours: even in lightness, and the same for people with any colour vision."""

MARKER = 4.5
"""Size of a line's points, in pixels."""

TEXT, SMALL = 12.0, 11.5
"""Sizes of text, in CSS pixels where a drawing is shown at its own size, as a phone of 390 pixels does."""

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "gwbench",
    "text.parse_math": False,
    "text.color": INK,
    "font.family": ["DejaVu Sans"],
    "font.size": TEXT,
    "axes.labelsize": TEXT,
    "axes.labelcolor": INK,
    "axes.titlesize": TEXT,
    "axes.edgecolor": QUIET,
    "axes.facecolor": "none",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "figure.facecolor": "none",
    "image.cmap": COLOUR_MAP,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "lines.linewidth": 1.8,
    "lines.markersize": MARKER,
    "legend.frameon": False,
    "legend.fontsize": SMALL,
}

DPI = 160
"""Of what is rasterised."""

WIDTH, HEIGHT = 360.0, 270.0
"""CSS pixels of a drawing: a phone of 390 pixels shows it at its own size, a desktop three beside each other."""

WIDE = 584.0
"""CSS pixels of a drawing with names beside it, of which a desktop shows two beside each other; a phone has another."""

POWERS = str.maketrans("-0123456789", "\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079")
"""Figures and minus sign as exponents."""


@dataclass(frozen=True)
class Series:
    """How one line of several looks.

    Attributes:
        number: of its colour.
        color, dash, marker: as matplotlib takes them.
    """

    number: int
    color: str
    dash: Any
    marker: str

    @property
    def line(self) -> dict[str, Any]:
        """For `Axes.plot`: colour and dash."""
        return {"color": self.color, "linestyle": self.dash}

    @property
    def points(self) -> dict[str, Any]:
        """For `Axes.plot`: colour, dash and marker."""
        return {**self.line, "marker": self.marker}

    @property
    def band(self) -> dict[str, Any]:
        """For `Axes.fill_between`, behind the line."""
        return {"color": self.color, "alpha": 0.13, "linewidth": 0}


def places_from_zero(values: Iterable[float]) -> dict[float, float]:
    """Where numbers from 0 on stand on a logarithmic axis: 0 a third of a decade left of the smallest of the others."""
    known = set(values)
    positive = known - {0}
    return {value: value or min(positive, default=1.0) / 10 ** (1 / 3) for value in sorted(known)}


def series(number: int) -> Series:
    """The look of a line: neighbours differ in colour, dash and marker, and the first 280 in one of them."""
    color = number % len(SERIES)
    return Series(color, SERIES[color], DASHES[number % len(DASHES)], MARKERS[number % len(MARKERS)])


@dataclass(frozen=True)
class KeyEntry:
    """What one line of a figure is: a sample of it, and its name."""

    sample: Markup
    label: str


@dataclass(frozen=True)
class Chart:
    """A figure with its caption.

    Attributes:
        name: what its ids begin with, unique on a page.
        title: of the figure.
        description: what is seen, and how to read it: one or two sentences, also for those who cannot see it.
        svg: the drawing.
        key: what its lines are, below the figure.
        narrow: the same laid out for a phone, where `svg` is too wide for one.
    """

    name: str
    title: str
    description: str
    svg: Markup
    key: Sequence[KeyEntry] = ()
    narrow: Markup | None = None


@dataclass(frozen=True)
class Drawing:
    """How a figure is drawn in one size.

    Attributes:
        draw: draws into axes. Its text is shown as it is, without mathematics and without control characters. What has
            many points is drawn with `rasterized=True`, in a colour that serves both themes. It returns the axes that
            `values` are of, where it makes others than those given.
        values: what its points say to those who ask.
        width, height: CSS pixels.
    """

    draw: Callable[[Axes], Axes | None]
    values: Sequence[LineValues] = ()
    width: float = WIDTH
    height: float = HEIGHT


def chart(
    draw: Callable[[Axes], Axes | None],
    *,
    title: str,
    description: str,
    height: float = HEIGHT,
    key: Sequence[KeyEntry] = (),
    values: Sequence[LineValues] = (),
) -> Chart:
    """A figure with its caption, in one size for phones and desktops.

    Args:
        draw, values, height: as of `Drawing`.
        title, description, key: as of `Chart`.
    """
    return chart_of(Drawing(draw, values, height=height), title=title, description=description, key=key)


def chart_of(
    drawing: Drawing, narrow: Drawing | None = None, *, title: str, description: str, key: Sequence[KeyEntry] = ()
) -> Chart:
    """A figure with its caption.

    Args:
        drawing: how it is drawn.
        narrow: how it is drawn for a phone, where `drawing` is wider than that.
        title, description, key: as of `Chart`.
    """
    svg, values = _draw(drawing)
    name = "c" + hashlib.sha256(f"{title}\0{description}\0{svg}".encode()).hexdigest()[:10]
    second = None
    if narrow is not None:
        text, layer = _draw(narrow)
        second = inline_svg(text, f"{name}n", caption=name, values=layer)
    return Chart(name, title, description, inline_svg(svg, name, values=values), key, second)


def key(entries: Iterable[tuple[str, Series]], *, markers: bool = False) -> list[KeyEntry]:
    """What the lines of a figure are: long names fold, and need no room in the figure.

    Args:
        entries: name and look of each line.
        markers: whether the points of the lines are marked.
    """
    return [KeyEntry(_sample(look, markers), label) for label, look in entries]


def _sample(look: Series, markers: bool) -> Markup:
    """A short piece of a line."""

    def draw(axes: Axes) -> None:
        from matplotlib.markers import MarkerStyle
        from matplotlib.patches import PathPatch
        from matplotlib.transforms import Affine2D

        axes.set_axis_off()
        axes.set(xlim=(0, 30), ylim=(0, 12), position=(0, 0, 1, 1))
        axes.plot([0, 30], [6, 6], clip_on=False, **look.line)
        if markers:  # as a patch, which needs no id: the same line may be in the key of several figures
            style = MarkerStyle(look.marker)
            place = style.get_transform() + Affine2D().scale(MARKER).translate(15, 6)
            axes.add_patch(PathPatch(style.get_path().transformed(place), color=look.color, clip_on=False))

    return inline_svg(_draw(Drawing(draw, width=30, height=12), layout=None)[0], "", hidden=True)


def _draw(
    drawing: Drawing, layout: Literal["constrained"] | None = "constrained"
) -> tuple[str, ElementTree.Element | None]:
    """The drawing as matplotlib writes it, whatever the user's settings of matplotlib are, and its values."""
    mpl = import_matplotlib()
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    stream = io.StringIO()
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        # The browser has other fonts: what DejaVu lacks is drawn all the same.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure = Figure(figsize=(drawing.width / 72, drawing.height / 72), layout=layout)
        FigureCanvasSVG(figure)
        given = figure.add_subplot()
        axes = drawing.draw(given) or given
        _plain_text(figure)
        figure.savefig(stream, format="svg", dpi=DPI, metadata={"Date": None})
        values = value_layer(axes, drawing.values, drawing.width, drawing.height) if drawing.values else None
    return stream.getvalue(), values


def _plain_text(figure: Figure) -> None:
    """Text without control characters, and powers of ten without mathematics."""
    from matplotlib.text import Text
    from matplotlib.ticker import FuncFormatter, LogFormatter, LogLocator

    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_text("\n".join(map(plain, text.get_text().split("\n"))))
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            if isinstance(axis.get_major_formatter(), LogFormatter):
                low, high = axis.get_view_interval()
                if low > 0 and high < 10 * low:  # too short for two powers of ten
                    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
                    axis.set_major_formatter(
                        FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 10 else f"{value:.2g}")
                    )
                else:
                    axis.set_major_formatter(FuncFormatter(lambda value, _: power_of_ten(value)))
                axis.set_minor_formatter(FuncFormatter(lambda value, _: ""))


def power_of_ten(value: float) -> str:
    """A number on a logarithmic axis: 0.01 to 100 in figures, other powers of ten as powers, "" for what is none."""
    if value <= 0:
        return ""
    mantissa, _, exponent = f"{value:.6e}".partition("e")
    if float(mantissa) != 1:
        return ""
    power = int(exponent)
    return f"{value:g}" if -2 <= power <= 2 else f"10{str(power).translate(POWERS)}"
