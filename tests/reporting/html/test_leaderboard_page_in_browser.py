from __future__ import annotations

import re
from pathlib import Path

import pytest

from gwbench.reporting.html.leaderboard_page import render_leaderboard
from gwbench.reporting.leaderboard.build import build
from gwbench.reporting.leaderboard.rows import Options
from gwbench.reporting.leaderboard.schema import Leaderboard, Row
from tests.reporting.html.browser import Browser
from tests.reporting.html.leaderboard_runs import EVIL, write_evil_runs, write_runs
from tests.reporting.synthetic_runs import write_run

ENTER, SPACE, TAB = "\ue007", " ", "\ue004"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("page")
    path = root / "leaderboard.html"
    path.write_text(render_leaderboard(build([write_runs(root / "runs")], Options())), encoding="utf-8")
    return path


def column(browser: Browser, title: str) -> list[str]:
    """The cells under a heading, from top to bottom."""
    place = browser.texts("thead th").index(title) + 1
    return browser.texts(f"tbody tr:first-child > :nth-child({place})")


def head(browser: Browser, title: str) -> str:
    """The selector of a heading's button."""
    return f"thead th:nth-child({browser.texts('thead th').index(title) + 1}) button"


def numbers(cells: list[str]) -> list[float]:
    """The first number of each cell, of those that have one."""
    found = [re.match(r"[\u2212-]?[\d.,]+", cell) for cell in cells]
    return [float(each[0].replace("\u2212", "-").replace(",", "")) for each in found if each]


def test_it_loads_without_errors_and_asks_nobody(page: Path, browser: Browser) -> None:
    for scripts in (True, False):
        browser.open(page, scripts=scripts)
        assert browser.errors() == []
        addresses = [url for url in browser.requests() if not url.startswith("data:")]
        assert addresses == [page.resolve().as_uri()]


def test_it_sorts_by_click_numbers_as_numbers_and_missing_last(page: Path, browser: Browser) -> None:
    browser.open(page)
    before = column(browser, "ROC-AUC")
    assert sum(cell.startswith("missing") for cell in before) == 1
    browser.click(head(browser, "ROC-AUC"))
    down = column(browser, "ROC-AUC")
    assert numbers(down) == sorted(numbers(before), reverse=True) and down[-1].startswith("missing")
    browser.click(head(browser, "ROC-AUC"))
    up = column(browser, "ROC-AUC")
    assert numbers(up) == sorted(numbers(before)) and up[-1].startswith("missing")
    states = browser.run("return [...document.querySelectorAll('thead th')].map((e) => e.getAttribute('aria-sort'));")
    assert [state for state in states if state] == ["ascending"]
    browser.click(head(browser, "method"))
    names = column(browser, "method")
    assert names == sorted(names) and len(set(names)) == 6
    assert browser.errors() == []


def test_large_numbers_sort_by_value_not_by_letters(page: Path, browser: Browser) -> None:
    """300 k is less than 1 M, and 9 less than 10: by what they mean, not as they read."""
    browser.open(page)
    browser.run(
        """
        const cells = [...document.querySelectorAll("tbody tr:first-child > :nth-child(3)")];
        ["9", "10", "1e3", "-2", "0.5"].forEach((value, i) => {
          cells[i].dataset.order = value; cells[i].textContent = value;
        });
        delete cells[5].dataset.order;
        """
    )
    browser.click("thead th:nth-child(3) button")
    browser.click("thead th:nth-child(3) button")
    assert browser.texts("tbody tr:first-child > :nth-child(3)")[:5] == ["-2", "0.5", "9", "10", "1e3"]


@pytest.mark.parametrize("key", [ENTER, SPACE])
def test_it_sorts_by_keyboard(key: str, page: Path, browser: Browser) -> None:
    browser.open(page)
    before = column(browser, "ROC-AUC")
    browser.run("document.querySelector('thead th:nth-child(2) button').focus();")
    browser.keys(TAB)  # to the next heading
    browser.keys(key)
    assert numbers(column(browser, "ROC-AUC")) == sorted(numbers(before), reverse=True)
    browser.keys(key)  # the focus has stayed
    assert numbers(column(browser, "ROC-AUC")) == sorted(numbers(before))


def test_it_filters_by_words_and_by_buttons_and_says_how_many_are_left(page: Path, browser: Browser) -> None:
    browser.open(page)
    assert browser.texts("output") == ["6 of 6 methods"]
    browser.run("document.querySelector('input[type=search]').focus();")
    browser.keys("CROSS cnn1d")
    assert browser.texts("output") == ["3 of 6 methods"]
    assert len(browser.texts("tbody th[scope=row]")) == 3
    browser.click("[data-facet='objective=barlow']")
    assert browser.texts("output") == ["1 of 6 methods"]
    browser.click("[data-facet='objective=simclr']")  # widens
    assert browser.texts("output") == ["2 of 6 methods"]
    browser.keys(" ")  # the button has the focus
    assert browser.texts("output") == ["1 of 6 methods"]
    browser.click("[type=reset]")
    assert browser.texts("output") == ["6 of 6 methods"]
    assert browser.texts("[aria-pressed=true]") == []
    assert browser.run("return document.querySelector('output').getAttribute('role');") == "status"


def test_a_row_opens_to_the_commands_of_its_runs(page: Path, browser: Browser) -> None:
    browser.open(page)
    assert browser.texts("code") == []
    browser.run("document.querySelector('.opens').focus();")
    browser.keys(ENTER)
    shown = browser.texts("code")
    assert len(shown) == 2 and all(line.startswith("gwbench run --dataset bbh") for line in shown)
    browser.click(head(browser, "ROC-AUC"))  # details go where their row goes
    assert sorted(browser.texts("code")) == sorted(shown)
    assert browser.run("return document.querySelectorAll('tbody > tr.more:first-child').length;") == 0
    browser.click(".all")
    assert len(browser.texts("code")) == 15
    browser.click(".all")
    assert browser.texts("code") == []


def test_a_command_is_copied(page: Path, browser: Browser) -> None:
    browser.open(page)
    browser.run(
        "navigator.clipboard.writeText = async (text) => { window.copied = text; };"
        "document.querySelector('.opens').click();"
    )
    browser.click(".copy")
    assert browser.run("return window.copied;") == browser.texts("code")[0]


def test_without_scripts_everything_is_there_to_read(page: Path, browser: Browser) -> None:
    browser.open(page, scripts=False)
    assert len(browser.texts("code")) == 15
    assert len(browser.texts("tbody th[scope=row]")) == 6
    assert len(browser.texts("figure svg text")) > 50
    assert browser.texts("form, .copy, #theme") == []  # no controls that do nothing


def test_hostile_names_are_inert(tmp_path: Path, browser: Browser) -> None:
    path = tmp_path / "evil.html"
    path.write_text(render_leaderboard(build([write_evil_runs(tmp_path / "runs")], Options())), encoding="utf-8")
    browser.open(path)
    assert browser.errors() == []
    assert browser.run("return document.title;").startswith("Leaderboard: <img src=x")
    assert browser.run("return document.querySelectorAll('img, main script').length;") == 0
    assert any(EVIL in name for name in browser.texts("tbody th[scope=row]"))
    facet = next(chip for chip in browser.texts("[data-facet]") if chip in ("barlow", "simclr"))
    browser.click(f"[data-facet='objective={facet}']")
    assert browser.texts("output") == ["1 of 2 methods"]
    assert browser.overflow() <= 0
    browser.open(path, width=390)
    assert browser.overflow() <= 0


def test_a_phone_shows_the_page_without_moving_it_sideways(page: Path, browser: Browser) -> None:
    browser.open(page, width=390, height=800)
    browser.run("document.querySelectorAll('details').forEach((e) => { e.open = true; });")
    browser.click(".all")
    assert browser.overflow() <= 0
    box = "const box = document.querySelector('.scroll'); "
    assert browser.run(box + "return box.scrollWidth - box.clientWidth;") > 200  # the table moves in its own box
    left = "return document.querySelector('tbody .fixed').getBoundingClientRect().left;"
    before = browser.run(left)
    browser.run(box + "box.scrollLeft = 300;")
    assert 0 <= browser.run(left) <= before  # the names stay
    widths = browser.run("return [...document.querySelectorAll('code')].map((e) => e.getBoundingClientRect().right);")
    assert max(widths) <= 390
    sizes = browser.run(
        "return [...document.querySelectorAll('.chart text')].map((e) => e.getBoundingClientRect().height);"
    )
    assert min(size for size in sizes if size) >= 8


def test_text_is_legible_in_both_themes(page: Path, browser: Browser) -> None:
    """At least the 4.5 to 1 that the WCAG asks for."""
    for dark in (False, True):
        browser.open(page, dark=dark)
        browser.click(".opens")
        for selector in ("main p", "td", "tbody th", "thead button", ".note", ".notes li", "figcaption span", "code",
                         ".controls label", ".controls fieldset button", "summary", ".quiet td", "#theme"):  # fmt: skip
            assert browser.contrast(selector) >= 4.5, (dark, selector)
        browser.click(".controls fieldset button")
        assert browser.contrast("[aria-pressed=true]") >= 4.5, dark
    ink = "return getComputedStyle(document.querySelector('.chart .f-ink')).fill;"
    assert browser.run(ink) == browser.run("return getComputedStyle(document.body).color;")


def test_the_theme_can_be_chosen(page: Path, browser: Browser) -> None:
    browser.open(page)
    paper = "return getComputedStyle(document.body).backgroundColor;"
    light = browser.run(paper)
    browser.click("#theme")
    assert browser.run(paper) == light and browser.texts("#theme") == ["Theme: light"]
    browser.click("#theme")
    assert browser.run(paper) != light and browser.texts("#theme") == ["Theme: dark"]


def test_it_prints_light_and_whole(page: Path, browser: Browser) -> None:
    browser.open(page, dark=True)
    pdf = browser.pdf()
    assert pdf.startswith(b"%PDF")
    pages = len(re.findall(rb"/Type\s*/Page\b", pdf))
    assert 2 <= pages <= 8
    browser.as_printed()
    assert browser.run("return getComputedStyle(document.body).backgroundColor;") == "rgb(255, 255, 255)"
    assert browser.texts("form, .copy, #theme") == []
    assert browser.run("return getComputedStyle(document.querySelector('thead th')).position;") == "static"
    assert browser.run("return getComputedStyle(document.querySelector('.scroll')).overflow;") == "visible"


def test_five_hundred_methods_load_and_sort(tmp_path: Path, browser: Browser) -> None:
    write_run(tmp_path / "runs", predictions=False)
    board = build([tmp_path / "runs"], Options())
    first = board.tables[0].rows[0]
    assert first.cell.estimate
    mean = first.cell.estimate.mean

    def row(number: int) -> Row:
        estimate = first.cell.estimate and first.cell.estimate.model_copy(update={"mean": mean - number * 1e-4})
        cell = first.cell.model_copy(update={"estimate": estimate})
        changed = {"rank": number + 1, "title": f"method {number}", "cell": cell, "cells": (cell,)}
        return first.model_copy(update=changed)

    rows = tuple(row(number) for number in range(500))
    large: Leaderboard = board.model_copy(update={"tables": (board.tables[0].model_copy(update={"rows": rows}),)})
    path = tmp_path / "large.html"
    path.write_text(render_leaderboard(large), encoding="utf-8")
    assert path.stat().st_size < 1_500_000
    browser.open(path)
    assert browser.errors() == []
    assert browser.texts("output") == ["500 of 500 methods"]
    browser.click(head(browser, "rank"))
    browser.click(head(browser, "rank"))
    assert column(browser, "rank")[:3] == ["500", "499", "498"]
    assert "The best 40 of 500 methods." in " ".join(browser.texts("figcaption"))
