"""A self-contained HTML page: one file, no network, dark and light, for screens, phones and paper.

Names of parameters tell what a function takes: a `body`, `note` or `details` is HTML; everything else is text, and
escaped here. No text ever stands inside a script or a style sheet, and the content security policy lets a browser run
and load nothing but what this module put in.
"""

from __future__ import annotations

import base64
import hashlib
import html
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from gwbench.reporting.escape import plain

LONGEST = 10_000
"""Characters of a sentence or a command that are shown: what is longer is none that a run wrote."""

MOST_CHIPS = 24
"""Buttons of a facet; rarer values are found by the search box."""


def escape(text: object) -> str:
    """Text as HTML, for content and for attributes in quotes: no markup, no control or direction characters."""
    return html.escape(plain(text))


def prose(text: str) -> str:
    """As `escape`, but whole: for sentences and commands."""
    return html.escape("".join(map(plain, text[:LONGEST])) + ("..." if len(text) > LONGEST else ""))


def document(title: str, body: str, *, script: str = "") -> str:
    """A whole page.

    Args:
        title: of the page, its first heading too.
        body: HTML.
        script: JavaScript that this page needs besides `table.js`; it runs when the page has been read.

    Raises:
        ValueError: the script holds what ends a script element.
    """
    style, scripts = _file("style.css"), [code for code in (_file("table.js"), script) if code]
    if any("</script" in code.lower() or "<!--" in code for code in scripts):
        raise ValueError("a script must hold neither '</script' nor '<!--'")
    policy = "; ".join(
        (
            "default-src 'none'",
            "img-src data:",
            f"style-src {_hash(style)}",
            f"script-src {' '.join(map(_hash, scripts))}",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    return "\n".join(
        (
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            '<meta name="referrer" content="no-referrer">',
            '<link rel="icon" href="data:,">',
            f"<title>{escape(title)}</title>",
            f"<style>{style}</style>",
            "</head>",
            "<body>",
            '<header class="top">',
            f"<h1>{escape(title)}</h1>",
            '<button type="button" id="theme" hidden>Theme: auto</button>',
            "</header>",
            f"<main>\n{body}\n</main>",
            *(f"<script>{code}</script>" for code in scripts),
            "</body>",
            "</html>",
            "",
        )
    )


def section(title: str, body: str, *, note: str = "", anchor: str = "") -> str:
    """A section with its heading.

    Args:
        title: of the section.
        body: HTML.
        note: HTML, a paragraph in small print below the heading.
        anchor: id to link to.
    """
    place = f' id="{escape(anchor)}"' if anchor else ""
    small = f'<p class="note">{note}</p>\n' if note else ""
    return f"<section{place}>\n<h2>{escape(title)}</h2>\n{small}{body}\n</section>"


def facts(pairs: Iterable[tuple[str, object]]) -> str:
    """Names and what they are, as a definition list."""
    return f'<dl class="facts">{"".join(f"<div><dt>{escape(n)}</dt><dd>{escape(v)}</dd></div>" for n, v in pairs)}</dl>'


def command(text: str) -> str:
    """A command for the shell, whole, with a button that copies it."""
    return (
        f'<div class="command"><code>{prose(text)}</code><button type="button" class="copy" hidden>Copy</button></div>'
    )


def listing(lines: Iterable[str]) -> str:
    """Sentences as a list; nothing where there are none."""
    items = "".join(f"<li>{prose(line)}</li>" for line in lines)
    return f'<ul class="notes">{items}</ul>' if items else ""


def fold(title: str, body: str) -> str:
    """What opens on a click, and stands open on paper.

    Args:
        title: of what is inside.
        body: HTML.
    """
    return f"<details><summary>{escape(title)}</summary>\n{body}\n</details>"


# --- tables -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TableColumn:
    """A column of a table.

    Attributes:
        title: its heading.
        left: whether it holds words; numbers stand to the right.
        first: whether its largest value comes first when it is sorted by for the first time.
        fixed: whether it stays in view when the table is moved sideways; the row's details open from it.
    """

    title: str
    left: bool = False
    first: bool = False
    fixed: bool = False


@dataclass(frozen=True)
class TableCell:
    """What stands in a cell, and by what it is sorted; None comes last, up or down."""

    text: str
    order: float | str | None = None


@dataclass(frozen=True)
class TableRow:
    """A row of a table.

    Attributes:
        cells: one for every column; a text is sorted as text.
        details: HTML that opens below the row.
        facets: by which the table is filtered, by name.
        section: heading above the row, where it is the first of a section.
        quiet: whether it is shown as less important.
        strong: whether it is shown as more important.
    """

    cells: Sequence[TableCell | str]
    details: str = ""
    facets: Mapping[str, str] = field(default_factory=dict)
    section: str | None = None
    quiet: bool = False
    strong: bool = False


def table(
    columns: Sequence[TableColumn],
    rows: Sequence[TableRow],
    *,
    name: str,
    noun: str = "rows",
    filters: Sequence[str] | None = None,
) -> str:
    """A table that sorts by click and key, and scrolls in a box of its own.

    Args:
        columns: from left to right.
        rows: from top to bottom.
        name: of the table, unique on its page: a short word for ids.
        noun: what the rows are, in the plural.
        filters: facets that there are buttons for, in order, beside a search box; None for neither.
    """
    prefix = escape(name)
    heads = "".join(map(_head, columns))
    bodies = "".join(_body(columns, row, f"{prefix}-{number}") for number, row in enumerate(rows))
    controls = "" if filters is None else _controls(rows, filters, prefix, noun)
    return (
        f'<div class="table" id="{prefix}">{controls}<div class="scroll" tabindex="0" role="region" '
        f'aria-label="{escape(noun)}"><table><thead><tr>{heads}</tr></thead>\n{bodies}</table></div></div>'
    )


def _head(column: TableColumn) -> str:
    down = ' data-first="descending"' if column.first else ""
    return (
        f'<th scope="col"{_classes(left=column.left, fixed=column.fixed)}{down}>'
        f'<button type="button">{escape(column.title)}</button></th>'
    )


def _body(columns: Sequence[TableColumn], row: TableRow, name: str) -> str:
    """A row and its details, one `tbody`: they are sorted and hidden together."""
    above = ""
    if row.section is not None:
        title = f'<th scope="colgroup" colspan="{len(columns)}"><span>{escape(row.section)}</span></th>'
        above = f'<tbody class="section"><tr>{title}</tr></tbody>\n'
    cells, opens = [], bool(row.details)
    for column, cell in zip(columns, row.cells, strict=True):
        shown = cell if isinstance(cell, TableCell) else TableCell(cell, cell)
        order = "" if shown.order is None else f' data-order="{escape(shown.order)}"'
        tag, scope = ("th", ' scope="row"') if column.fixed else ("td", "")
        inside = escape(shown.text)
        if opens and column.fixed:
            opens = False
            inside = (
                f'<button type="button" class="opens" aria-expanded="false" aria-controls="{name}">{inside}</button>'
            )
        cells.append(f"<{tag}{scope}{_classes(left=column.left, fixed=column.fixed)}{order}>{inside}</{tag}>")
    more = ""
    if row.details:
        more = f'<tr class="more" id="{name}"><td colspan="{len(columns)}"><div>{row.details}</div></td></tr>'
    facets = "&#10;".join(_facet(name, value) for name, value in row.facets.items())
    return (
        f'{above}<tbody{_classes(quiet=row.quiet, strong=row.strong)} data-facets="{facets}">'
        f"<tr>{''.join(cells)}</tr>{more}</tbody>\n"
    )


def _controls(rows: Sequence[TableRow], facets: Sequence[str], prefix: str, noun: str) -> str:
    """A search box, how many rows are shown, and a group of buttons for every facet that tells rows apart."""
    values = {facet: Counter(row.facets[facet] for row in rows if facet in row.facets) for facet in facets}
    groups = "".join(_chips(facet, found) for facet, found in values.items() if len(found) > 1)
    opener = '<button type="button" class="all">Open all</button>' if any(row.details for row in rows) else ""
    return (
        f'<form class="controls" hidden><label for="{prefix}-search">Filter</label>'
        f'<input type="search" id="{prefix}-search" autocomplete="off" spellcheck="false">'
        f'<button type="reset">Clear</button><output role="status" data-noun="{escape(noun)}"></output>{opener}'
        f"{groups}</form>"
    )


def _chips(facet: str, found: Counter[str]) -> str:
    chips = "".join(
        f'<button type="button" aria-pressed="false" data-facet="{_facet(facet, value)}">{escape(value)}</button>'
        for value in sorted(value for value, _ in found.most_common(MOST_CHIPS))
    )
    return f"<fieldset><legend>{escape(facet)}</legend>{chips}</fieldset>"


def _facet(name: str, value: str) -> str:
    return f"{escape(name)}={escape(value)}"


def _classes(**which: bool) -> str:
    names = " ".join(name for name, is_so in which.items() if is_so)
    return f' class="{names}"' if names else ""


# --- what is inlined ----------------------------------------------------------------------------------------


@cache
def _file(name: str) -> str:
    """A style sheet or a script of this package."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _hash(code: str) -> str:
    """What a content security policy knows an inlined style sheet or script by."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'"
