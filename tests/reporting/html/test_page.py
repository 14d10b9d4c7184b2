from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from jinja2 import UndefinedError

from gwbench.reporting.escape import LONGEST
from gwbench.reporting.html import page, tables

EVIL = '<img src=x onerror="alert(1)"></script><!-- & \' \x1b[2J \u202e'


def document(title: str, body: str = "", **values: Any) -> str:
    """A page whose main part is this template."""
    template = page.environment().from_string(f'{{% extends "page.html.j2" %}}{{% block main %}}{body}{{% endblock %}}')
    return page.render(template, title=title, **values)


def part(name: str, *values: Any) -> str:
    """What a macro of the templates makes."""
    source = "table.html.j2" if name == "table" else "parts.html.j2"
    return str(getattr(page.environment().get_template(source).module, name)(*values))


class Reader(HTMLParser):
    """A page as a parser that is not ours sees it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.inline: dict[str, list[str]] = {"style": [], "script": []}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "input", "br", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        where = self.open[-1] if self.open else ""
        self.inline.get(where, self.words).append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())


def test_every_script_and_style_is_allowed_by_its_hash_and_nothing_else_is() -> None:
    found = Reader(document("T", "<p>b</p>", script="const a = '<p>';"))
    (policy,) = [a["content"] for tag, a in found.tags if tag == "meta" and "http-equiv" in a]
    assert policy
    allowed = {name: sources.split() for name, _, sources in (part.partition(" ") for part in policy.split("; "))}
    assert allowed["default-src"] == ["'none'"]
    assert allowed["img-src"] == ["data:"]
    for kind in ("style", "script"):
        digests = [hashlib.sha256(code.encode()).digest() for code in found.inline[kind]]
        assert allowed[f"{kind}-src"] == [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]
    assert len(found.inline["script"]) == 2 and found.inline["script"][1] == "const a = '<p>';"
    assert found.open == [] and found.text.count("T") == 3  # title, heading, button of the theme


def test_a_page_names_no_other_place() -> None:
    text = document("T")
    assert "http:" not in text and "https:" not in text and "@import" not in text
    assert set(re.findall(r"url\(", text)) == set()
    assert all(a.get("href", "data:,") == "data:," and "src" not in a for _, a in Reader(text).tags)


@pytest.mark.parametrize("script", ["a </SCRIPT> b", "a <!-- b"])
def test_a_script_that_would_end_early_is_refused(script: str) -> None:
    with pytest.raises(ValueError, match="must hold neither"):
        document("T", script=script)


def test_whatever_is_said_is_text() -> None:
    rows = [
        tables.TableRow([EVIL, tables.TableCell(EVIL, EVIL)], facets={EVIL: f"{EVIL}{n}"}, section=EVIL)
        for n in range(2)
    ]
    columns = [tables.TableColumn(EVIL, left=True, fixed=True), tables.TableColumn(EVIL)]
    body = """
        {% from "parts.html.j2" import command, facts, fold, notes, section %}
        {% from "table.html.j2" import table %}
        {% call section(evil, anchor="a") %}{{ facts([(evil, evil)]) }}{% endcall %}
        {{ command(evil) }}
        {{ notes([evil]) }}
        {% call fold(evil) %}{% endcall %}
        {{ table(shown) }}"""
    table = tables.HtmlTable(columns, rows, name="t", noun=EVIL, filters=[EVIL])
    found, clean = Reader(document(EVIL, body, evil=EVIL, shown=table)), Reader(document("T"))
    assert found.open == []
    assert "img" not in {tag for tag, _ in found.tags}
    assert len(found.inline["script"]) == len(clean.inline["script"]) == 1
    assert not any(name.startswith("on") for _, attributes in found.tags for name in attributes)
    shown = '<img src=x onerror="alert(1)"></script><!-- & \' \\x1b[2J \\u202e'
    assert found.text.count(shown) >= 14
    assert not {"\x1b", "\u202e"} & set("".join(found.words))


def test_a_template_that_asks_for_what_is_not_there_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="nothing"):
        document("T", "{{ nothing }}")


def test_what_no_filter_is_asked_for_is_escaped_in_text_and_attributes() -> None:
    found = Reader(document("T", '<p title="{{ evil }}">{{ evil }}</p>', evil=EVIL))
    (title,) = [a["title"] for tag, a in found.tags if tag == "p"]
    shown = '<img src=x onerror="alert(1)"></script><!-- & \' \\x1b[2J \\u202e'
    assert title == shown
    assert found.text.count(shown) == 1


def test_a_command_is_shown_whole() -> None:
    long = "gwbench run " + " ".join(f"--set encoder.width={n}" for n in range(100))
    assert len(long) > 2 * LONGEST
    found = Reader(part("command", long))
    assert found.text == f"{long}Copy"
    assert Reader(part("command", "x" * 20_000)).text == "x" * page.LONGEST + "...Copy"


def test_cells_carry_what_they_are_sorted_by() -> None:
    rows = [
        tables.TableRow([tables.TableCell("1.2 M", 1.2e6), tables.TableCell("–"), "word"]),
        tables.TableRow(["", "", "z"], quiet=True),
    ]
    columns = [
        tables.TableColumn("n", first=True),
        tables.TableColumn("x"),
        tables.TableColumn("w", left=True, fixed=True),
    ]
    found = Reader(part("table", tables.HtmlTable(columns, rows, name="t")))
    cells = [a for tag, a in found.tags if tag in ("td", "th") and "data-order" in a]
    assert [a["data-order"] for a in cells] == ["1200000.0", "word", "", "", "z"]
    assert [a.get("data-first") for tag, a in found.tags if a.get("scope") == "col"] == ["descending", None, None]
    with pytest.raises(ValueError, match="zip"):
        part("table", tables.HtmlTable(columns, [tables.TableRow(["one"])], name="t"))


def test_facets_without_a_choice_have_no_buttons() -> None:
    rows = [tables.TableRow(["a"], facets={"same": "s", "kind": f"k{n}"}) for n in range(tables.MOST_CHOICES + 5)]
    found = Reader(part("table", tables.HtmlTable([tables.TableColumn("x")], rows, name="t", filters=["kind", "same"])))
    chips = [a["data-facet"] for tag, a in found.tags if tag == "button" and "data-facet" in a]
    assert len(chips) == tables.MOST_CHOICES
    assert all(chip and chip.startswith("kind=k") for chip in chips)
