"""Figures of a page: matplotlib's drawing as inline SVG that follows the page's colours.

What is drawn in the colours named here changes with the theme; text stays text, in the font of the page; there are no
style attributes, which the page's policy forbids. The same drawing gives the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import re
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from xml.etree import ElementTree

from gwbench.reporting.escape import plain
from gwbench.reporting.html.page import escape, prose

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, QUIET, GRID, PAPER = "#1d2228", "#57616c", "#e6e9ed", "#ffffff"
"""Text and axes, what is less important, lines behind, and the background: `style.css` has them for both themes."""

SERIES = ("#1673c4", "#a8330b", "#119468", "#6a2687", "#9c8100", "#4a97c9", "#8f1f57", "#737d88")
"""Colours of lines: three to one against the background and more, and told apart with any colour vision."""

DASHES: tuple[Any, ...] = ("-", (0, (5, 1.6)), (0, (1.2, 1.4)), (0, (6, 1.6, 1.2, 1.6)), (0, (3, 1.4)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

COLOUR_MAP = "cividis"
"""For numbers as colours: even in lightness, and the same for people with any colour vision."""

MARKER = 4.5
"""Size of a line's points, in pixels."""

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "gwbench",
    "text.parse_math": False,
    "text.color": INK,
    "font.family": ["DejaVu Sans"],
    "font.size": 10.5,
    "axes.labelsize": 10.5,
    "axes.labelcolor": INK,
    "axes.titlesize": 10.5,
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
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "lines.linewidth": 1.8,
    "lines.markersize": MARKER,
    "legend.frameon": False,
    "legend.fontsize": 10,
}

DPI = 160
"""Of what is rasterised."""

WIDTH, HEIGHT = 440.0, 300.0
"""CSS pixels: a phone shows all of it, and text at nine pixels or more."""

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


def series(number: int) -> Series:
    """The look of a line: neighbours differ in colour, dash and marker, and the first 280 in one of them."""
    color = number % len(SERIES)
    return Series(color, SERIES[color], DASHES[number % len(DASHES)], MARKERS[number % len(MARKERS)])


def chart(
    draw: Callable[[Axes], None],
    *,
    title: str,
    description: str,
    width: float = WIDTH,
    height: float = HEIGHT,
    key: str = "",
) -> str:
    """A figure with its caption.

    Args:
        draw: draws into axes. Its text is shown as it is, without mathematics and without control characters. What has
            many points is drawn with `rasterized=True`, in a colour that serves both themes.
        title: of the figure.
        description: what is seen, and how to read it: one or two sentences, also for those who cannot see it.
        width, height: CSS pixels.
        key: HTML below the figure, of `key`.
    """
    svg = _as_svg(draw, width, height)
    name = "c" + hashlib.sha256(f"{title}\0{description}\0{svg}".encode()).hexdigest()[:10]
    return (
        f'<figure><figcaption><b id="{name}-t">{escape(title)}</b><span id="{name}-d">{prose(description)}</span>'
        f'</figcaption><div class="chart">{_inline(svg, name)}</div>{key}</figure>'
    )


def key(entries: Iterable[tuple[str, Series]], *, markers: bool = False) -> str:
    """What the lines of a figure are, as HTML: long names fold, and need no room in the figure.

    Args:
        entries: name and look of each line.
        markers: whether the points of the lines are marked.
    """
    items = []
    for label, look in entries:

        def draw(axes: Axes, look: Series = look) -> None:
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

        sample = _inline(_as_svg(draw, 30, 12, layout=None), "", hidden=True)
        items.append(f"<li>{sample}<span>{escape(label)}</span></li>")
    return f'<ul class="key">{"".join(items)}</ul>'


def _as_svg(
    draw: Callable[[Axes], None], width: float, height: float, layout: Literal["constrained"] | None = "constrained"
) -> str:
    """The drawing as matplotlib writes it, whatever the user's settings of matplotlib are."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    stream = io.StringIO()
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        # The browser has other fonts: what DejaVu lacks is drawn all the same.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure = Figure(figsize=(width / 72, height / 72), layout=layout)
        FigureCanvasSVG(figure)
        draw(figure.add_subplot())
        _tame(figure)
        figure.savefig(stream, format="svg", dpi=DPI, metadata={"Date": None})
    return stream.getvalue()


def _tame(figure: Figure) -> None:
    """Text without control characters, and powers of ten without mathematics."""
    from matplotlib.text import Text
    from matplotlib.ticker import FuncFormatter, LogFormatter

    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_text("\n".join(map(plain, text.get_text().split("\n"))))
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            if isinstance(axis.get_major_formatter(), LogFormatter):
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


# --- matplotlib's SVG -> ours -------------------------------------------------------------------------------

NAMES = {INK: "ink", QUIET: "quiet", GRID: "grid", PAPER: "paper"} | {color: f"s{i}" for i, color in enumerate(SERIES)}

DROPPED = {"font-family", "stroke-linejoin"}
"""Properties that the page's style says for all."""


def _inline(svg: str, name: str, *, hidden: bool = False) -> str:
    """SVG for the body of a page: no style attributes, colours as classes, ids that begin with `name`."""
    root = ElementTree.fromstring(svg)
    for parent in list(root.iter()):
        for child in list(parent):
            if _local(child.tag) in ("metadata", "style"):
                parent.remove(child)
    used = set(re.findall(r'(?:href="#|url\(#)([\w-]+)', svg))
    ids = {old: f"{name}-{number}" for number, old in enumerate(sorted(used))}
    for element in root.iter():
        element.tag = _local(element.tag)
        element.text = element.text if element.text and element.text.strip() else None
        element.tail = None
        attributes = {_local(key): value for key, value in element.attrib.items()}
        element.attrib.clear()
        element.attrib.update(_attributes(attributes, ids))
    if hidden:
        label = {"aria-hidden": "true"}
    else:
        label = {"role": "img", "aria-labelledby": f"{name}-t", "aria-describedby": f"{name}-d"}
    root.attrib.clear()
    root.attrib.update({"viewBox": _view_box(svg), **label})
    return ElementTree.tostring(root, encoding="unicode")


def _attributes(found: dict[str, str], ids: dict[str, str]) -> dict[str, str]:
    """An element's attributes, its style among them."""
    identity, style = found.pop("id", None), found.pop("style", "")
    kept = {"id": ids[identity]} if identity in ids else {}
    classes = []
    for declaration in filter(None, map(str.strip, style.split(";"))):
        prop, _, value = declaration.partition(":")
        found.setdefault(prop.strip(), value.strip())
    for prop, value in found.items():
        named = NAMES.get(value.lower()) if prop in ("fill", "stroke") else None
        if named:
            classes.append(f"{'f' if prop == 'fill' else 'l'}-{named}")
        elif prop == "href":
            kept[prop] = f"#{ids[value[1:]]}" if value.startswith("#") else re.sub(r"\s", "", value)
        elif prop == "clip-path":
            kept[prop] = re.sub(r"#([\w-]+)", lambda match: f"#{ids[match[1]]}", value)
        elif prop == "transform" and re.fullmatch(r"rotate\(-?0 [^)]*\)", value):
            continue
        elif prop not in DROPPED:
            kept[prop] = _rounded(value) if prop in ("d", "x", "y", "transform", "points") else value
    return kept | ({"class": " ".join(classes)} if classes else {})


def _rounded(value: str) -> str:
    """Numbers to a hundredth of a pixel."""
    short = re.sub(r"-?\d+\.\d{3,}", lambda match: f"{float(match[0]):.2f}", value)
    return re.sub(r"\s+", " ", short).strip()


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _view_box(svg: str) -> str:
    found = re.search(r'viewBox="([^"]*)"', svg)
    assert found
    return found[1]
