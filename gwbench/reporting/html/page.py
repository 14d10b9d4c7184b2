"""Self-contained HTML pages from the templates of this package: no network, dark and light, for screens and paper.

Every value that a template shows is text: its control and direction characters are written as escapes, and its markup
is escaped. Only `Markup` is taken for HTML, and there are three kinds of it: what templates make, drawings of
`gwbench.reporting.html.svg`, and the style sheet and scripts of this package. The content security policy lets a
browser run and load nothing but those.
"""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from gwbench.reporting.escape import plain

LONGEST = 10_000
"""Characters of a sentence or a command that are shown; no run writes a longer one."""

STYLES = ("style.css", "tables.css", "figures.css")
"""Of every page, in order: one style element."""

SCRIPTS = ("page.js", "table.js", "columns.js", "values.js")
"""Of every page, in order: one script element."""


def render(template: str | Template, *, title: str, script: str = "", **values: Any) -> str:
    """A whole page.

    Args:
        template: its name; it extends `page.html.j2`.
        title: of the page, its first heading too.
        script: JavaScript that this page needs besides `SCRIPTS`; it runs when the page has been read.
        values: what the template shows.

    Raises:
        ValueError: the script holds what ends a script element.
    """
    style = "".join(map(package_file, STYLES))
    scripts = [code for code in ("\n".join(map(package_file, SCRIPTS)), script) if code]
    if any("</script" in code.lower() or "<!--" in code for code in scripts):
        raise ValueError("a script must hold neither '</script' nor '<!--'")
    if "</style" in style.lower():
        raise ValueError("a style sheet must not hold '</style'")
    return (
        environment()
        .get_template(template)
        .render(
            title=title,
            policy=_policy(style, scripts),
            style=Markup(style),
            scripts=[Markup(code) for code in scripts],
            **values,
        )
    )


@cache
def environment() -> Environment:
    """The templates: what is shown is escaped, and a name that has no value is an error."""
    made = Environment(
        loader=PackageLoader("gwbench.reporting.html"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters["prose"] = _prose
    made.filters["foldable"] = _foldable
    return made


def _visible(value: object) -> object:
    """What a template shows of a value: text without control characters, which is escaped next."""
    return value if isinstance(value, Markup) else plain(value)


def _prose(text: str) -> Markup:
    """A sentence or a command, shown whole."""
    return Markup.escape(plain(text, LONGEST))


def _foldable(text: str) -> Markup:
    """A name with its parameters, which may go on in a new line after a dot, an equals sign or an underscore."""
    return Markup(re.sub(r"(?<=[^\W\d][.=_])(?=\w)", "<wbr/>", str(Markup.escape(plain(text)))))


# --- what is inlined ----------------------------------------------------------------------------------------


@cache
def package_file(name: str) -> str:
    """A style sheet or a script of this package."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _policy(style: str, scripts: list[str]) -> str:
    """The content security policy of a page."""
    return "; ".join(
        (
            "default-src 'none'",
            "img-src data:",
            f"style-src {_hash(style)}",
            f"script-src {' '.join(map(_hash, scripts))}",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _hash(code: str) -> str:
    """What a content security policy knows an inlined style sheet or script by."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'"
