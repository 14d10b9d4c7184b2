"""matplotlib's SVG as part of a page: classes for colours, no style attributes, nothing that is loaded or run."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from markupsafe import Markup

INK, QUIET, GRID, PAPER = "#1d2228", "#57616c", "#e6e9ed", "#ffffff"
"""Text and axes, what is less important, lines behind, and the background: `style.css` has them for both themes."""

SERIES = ("#1673c4", "#a8330b", "#119468", "#6a2687", "#9c8100", "#4a97c9", "#8f1f57", "#737d88")
"""Colours of lines: three to one against the background and more, and told apart with any colour vision."""

NAMES = {INK: "ink", QUIET: "quiet", GRID: "grid", PAPER: "paper"} | {color: f"s{i}" for i, color in enumerate(SERIES)}

DROPPED = {"font-family", "stroke-linejoin"}
"""Properties that the page's style says for all."""

ELEMENTS = {"svg", "g", "path", "use", "text", "tspan", "defs", "clipPath", "rect", "image", "circle", "title"}
"""Elements that a drawing may have."""


def inline_svg(
    svg: str, name: str, *, hidden: bool = False, caption: str = "", values: ElementTree.Element | None = None
) -> Markup:
    """A drawing of matplotlib's for the body of a page.

    Args:
        svg: as matplotlib writes it.
        name: what its ids begin with.
        hidden: whether it says nothing to those who cannot see it; else its caption names and describes it.
        caption: what the ids of its caption begin with; by default the name.
        values: what lies on top of it (`chart_values.value_layer`).

    Raises:
        ValueError: the drawing holds an element, an attribute or a reference that could load or run something.
    """
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
        caption = caption or name
        label = {"role": "img", "aria-labelledby": f"{caption}-t", "aria-describedby": f"{caption}-d"}
    root.attrib.clear()
    root.attrib.update({"viewBox": _view_box(svg), **label})
    if values is not None:
        root.append(values)
    for element in root.iter():
        _check(element)
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _check(element: ElementTree.Element) -> None:
    """Refuse what could load or run something in a page."""
    if element.tag not in ELEMENTS:
        raise ValueError(f"a drawing holds an element that no page may have: {element.tag}")
    for name, value in element.attrib.items():
        if name == "style" or name.lower().startswith("on"):
            raise ValueError(f"a drawing holds an attribute that no page may have: {name}")
        if name == "href" and not value.startswith(("#", "data:image/png;base64,")):
            raise ValueError(f"a drawing refers to something outside the page: {value[:80]}")


def _attributes(attributes: dict[str, str], ids: dict[str, str]) -> dict[str, str]:
    """An element's attributes, with the declarations of its style among them."""
    identity, style = attributes.pop("id", None), attributes.pop("style", "")
    kept = {"id": ids[identity]} if identity in ids else {}
    classes = []
    for declaration in filter(None, map(str.strip, style.split(";"))):
        prop, _, value = declaration.partition(":")
        attributes.setdefault(prop.strip(), value.strip())
    for prop, value in attributes.items():
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
    match = re.search(r'viewBox="([^"]*)"', svg)
    assert match
    return match[1]
