"""The values of a figure: what its points, intervals and bars say when a reader points at them or walks through them.

Every point is a circle that cannot be seen, with its text as a title, which browsers show where a pointer rests.
`values.js` shows the text of the nearest point at once, to pointer, finger and keyboard.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import numpy as np

from gwbench.evaluation.metrics import Array
from gwbench.reporting.escape import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LONGEST_NAME = 64
"""Characters of a line's name beside its values."""

MOST_POINTS = 30
"""Points of a line that have a text of their own; of more, some that are spread evenly."""


@dataclass(frozen=True)
class ValuePoint:
    """A point in the coordinates of the axes, and what it says."""

    x: float
    y: float
    text: str


@dataclass(frozen=True)
class LineValues:
    """The points of one line, in the order in which arrow keys walk through them.

    Attributes:
        name: of the line, which every text begins with; "" where there is only one.
        points: those that have a text.
    """

    name: str
    points: Sequence[ValuePoint]

    def texts(self) -> list[str]:
        """What each point says, with the name of the line."""
        name = self.name if len(self.name) <= LONGEST_NAME else f"{self.name[: LONGEST_NAME - 1]}…"
        return [plain(f"{name}: {point.text}" if name else point.text, 4 * LONGEST_NAME) for point in self.points]


def spread_evenly(count: int, most: int = MOST_POINTS) -> list[int]:
    """Positions of at most so many of `count` points, the first and the last among them."""
    if count <= most:
        return list(range(count))
    return sorted({int(place) for place in np.linspace(0, count - 1, most).round()})


def bin_points(counts: Array, edges: Array, noun: str) -> list[ValuePoint]:
    """What the bars of a histogram of scores say, those that are empty apart.

    Args:
        counts: [K], of each bar.
        edges: [K + 1], between bars.
        noun: what is counted.
    """
    return [
        ValuePoint(float(low + high) / 2, float(count), f"score {low:.3g} to {high:.3g}, {count:,.4g} {noun}")
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
        if count > 0
    ]


def value_layer(axes: Axes, lines: Iterable[LineValues], width: float, height: float) -> ElementTree.Element | None:
    """The points of a drawing as SVG, in its own coordinates; None where there are none.

    Args:
        axes: in whose coordinates the points are, in a figure that has been drawn.
        lines: with the points.
        width, height: of the drawing.
    """
    figure = axes.figure
    to_page = axes.transData + figure.transFigure.inverted()
    layer = ElementTree.Element("g", {"class": "values"})
    for line in lines:
        group = ElementTree.SubElement(layer, "g")
        for point, text in zip(line.points, line.texts(), strict=True):
            across, up = to_page.transform((point.x, point.y))
            x, y = float(across) * width, (1.0 - float(up)) * height
            if not (np.isfinite(x) and -1 <= x <= width + 1 and -1 <= y <= height + 1):
                continue  # outside of what the axes show
            circle = ElementTree.SubElement(group, "circle", {"cx": f"{x:.1f}", "cy": f"{y:.1f}"})
            ElementTree.SubElement(circle, "title").text = text
        if not len(group):
            layer.remove(group)
    return layer if len(layer) else None
