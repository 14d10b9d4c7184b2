from __future__ import annotations

import re
from itertools import combinations
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import numpy as np
import pytest
from numpy.typing import NDArray

from gwbench.reporting.html import charts, svg
from gwbench.reporting.html.page import environment, package_file
from tests.reporting.html.browser import luminance

if TYPE_CHECKING:
    from matplotlib.axes import Axes

EVIL = "_<b>$x$ \x1b\u202e"


def draw(axes: Axes) -> None:
    x = np.geomspace(1e-3, 1.0, 20)
    for number in range(2):
        axes.plot(x, x**number, **charts.series(number).points)
        axes.fill_between(x, 0 * x, x, **charts.series(number).band)
    axes.scatter(x, x, color=svg.SERIES[2], rasterized=True)
    axes.set_xscale("log")
    axes.set(xlabel=EVIL, title="two\nlines")


def html_of(chart: charts.Chart) -> str:
    """The figure as a page has it."""
    return str(environment().get_template("parts.html.j2").module.chart(chart))  # type: ignore[attr-defined]


def svgs(html: str) -> list[ElementTree.Element]:
    return [ElementTree.fromstring(found) for found in re.findall(r"<svg.*?</svg>", html, re.DOTALL)]


def test_the_same_drawing_gives_the_same_bytes_and_leaves_no_trace() -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    first = html_of(charts.chart(draw, title="T", description="D"))
    mpl.rcParams["font.size"] = 30.0
    try:
        assert html_of(charts.chart(draw, title="T", description="D")) == first
    finally:
        mpl.rcParams["font.size"] = before["font.size"]
    assert dict(mpl.rcParams) == before
    assert "matplotlib" not in first and "2026" not in first


def test_a_chart_follows_the_theme_and_the_policy_of_the_page() -> None:
    html = html_of(charts.chart(draw, title="T<i>", description="D" * 400))
    (drawing,) = svgs(html)
    assert "D" * 400 in html and "T&lt;i&gt;" in html
    elements = list(drawing.iter())
    assert {e.tag for e in elements} <= {
        "svg",
        "g",
        "path",
        "use",
        "text",
        "tspan",
        "defs",
        "clipPath",
        "rect",
        "image",
    }
    assert not any("style" in e.attrib for e in elements)
    classes = {name for e in elements for name in e.get("class", "").split()}
    assert classes >= {"l-s0", "l-s1", "f-s0", "f-ink", "l-grid", "f-quiet", "l-quiet"}
    style = package_file("style.css")
    assert all(f".{name} {{" in style for name in classes)
    # No colour is left that only one theme can show.
    assert {e.get(what) for e in elements for what in ("fill", "stroke")} <= {None, "none"}
    (image,) = [e for e in elements if e.tag == "image"]
    assert image.attrib["href"].startswith("data:image/png;base64,iVBOR")


@pytest.mark.parametrize(
    ("inside", "what"),
    [
        ("<script>alert(1)</script>", "element"),
        ("<foreignObject/>", "element"),
        ('<path onclick="alert(1)"/>', "attribute"),
        ('<image href="https://example.org/a.png"/>', "outside"),
        ('<use xmlns:xlink="http://www.w3.org/1999/xlink" xlink:href="javascript:alert(1)"/>', "outside"),
    ],
)
def test_a_drawing_that_could_load_or_run_something_is_refused(inside: str, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        svg.inline_svg(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1">{inside}</svg>', "c")


def test_text_is_text_as_it_was_given() -> None:
    (drawing,) = svgs(html_of(charts.chart(draw, title="T", description="D")))
    words = ["".join(e.itertext()) for e in drawing.iter() if e.tag == "text"]
    assert "_<b>$x$ \\x1b\\u202e" in words
    assert {"two", "lines"} <= set(words)
    assert {"10\u207b\u00b3", "0.01", "0.1", "1"} <= set(words)


def test_ids_of_a_page_are_unique_and_lead_somewhere() -> None:
    key = charts.key([("a", charts.series(0)), ("b", charts.series(1))], markers=True)
    html = "".join(html_of(charts.chart(draw, title=title, description="D", key=key)) for title in "AB")
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids)) > 10
    asked = re.findall(r'(?:href="#|url\(#|labelledby="|describedby=")([\w-]+)', html)
    assert asked and set(asked) <= set(ids)


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "1"), (0.01, "0.01"), (1e-4, "10\u207b\u2074"), (1e12, "10\u00b9\u00b2"), (2.0, ""), (0.0, "")],
)
def test_powers_of_ten(value: float, text: str) -> None:
    assert charts.power_of_ten(value) == text


def themes() -> list[dict[str, str]]:
    """The colours of the style sheet: light, dark by the system, dark by choice."""
    blocks = re.findall(r"\{[^{}]*--paper:[^{}]*\}", package_file("style.css"))
    return [dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block)) for block in blocks]


def rgb(color: str) -> list[int]:
    return [int(color[at : at + 2], 16) for at in (1, 3, 5)]


def test_what_is_drawn_in_is_what_the_light_theme_shows() -> None:
    light, dark, chosen = themes()
    assert dark == chosen
    assert {light[name]: name for name in light if name in set(svg.NAMES.values())} == svg.NAMES
    assert set(light) == set(dark)


def test_lines_stand_out_in_both_themes() -> None:
    """The WCAG 2.2 (section 1.4.11) asks for 3 to 1 of graphics, and 4.5 to 1 of text (1.4.3)."""
    for theme in themes():
        behind = luminance(rgb(theme["paper"]))
        for name, least in {"ink": 7.0, "quiet": 4.5, "accent": 4.5, **{f"s{i}": 3.0 for i in range(8)}}.items():
            one, other = sorted((luminance(rgb(theme[name])), behind), reverse=True)
            assert (one + 0.05) / (other + 0.05) >= least, name


MACHADO = {
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}
"""What linear RGB becomes for eyes without one kind of cone: Machado et al., IEEE TVCG 15 (2009) 1291."""


def lab(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """CIE L*a*b* of linear sRGB under D65."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    t = to_xyz @ np.clip(linear, 0, 1) / np.array([0.9505, 1.0, 1.089])
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("eyes", MACHADO)
def test_lines_are_told_apart_with_any_colour_vision(eyes: str) -> None:
    for theme in themes():
        seen = []
        for number in range(8):
            share = np.array(rgb(theme[f"s{number}"])) / 255
            linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
            seen.append(lab(np.array(MACHADO[eyes]) @ linear))
        apart = [float(np.linalg.norm(one - other)) for one, other in combinations(seen, 2)]
        assert min(apart) > 12, theme["paper"]  # a just noticeable difference is about 2.3


def test_lines_differ_in_more_than_colour() -> None:
    looks = [charts.series(number) for number in range(40)]
    assert len({(look.color, str(look.dash)) for look in looks}) == 40
    for one, other in combinations(looks[:5], 2):
        assert one.dash != other.dash and one.marker != other.marker
