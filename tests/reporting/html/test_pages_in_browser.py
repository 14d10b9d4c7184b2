"""Pages of all kinds under a reader's hands: columns, what stays in view, and values of figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from gwbench.reporting.html.leaderboard_page import render_leaderboard
from gwbench.reporting.html.search_report import render_search
from gwbench.reporting.leaderboard.build import build
from gwbench.reporting.leaderboard.rows import Options
from gwbench.utils import progress
from tests.reporting.html.browser import Browser
from tests.reporting.html.leaderboard_runs import write_runs

ESCAPE, LEFT, RIGHT, DOWN, TAB = "\ue00c", "\ue012", "\ue014", "\ue015", "\ue004"
ROOT = Path(__file__).parents[3]
SEEN = "[...document.querySelectorAll('.chart')].filter((e) => e.getClientRects().length)"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pages")
    path = root / "leaderboard.html"
    path.write_text(render_leaderboard(build([write_runs(root / "runs")], Options())), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def search_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pages") / "search.html"
    (found,) = (ROOT / "benchmarks" / "searches" / "search-gaussian" / "searches").glob("matched-filter-*")
    path.write_text(render_search(found, progress.default()), encoding="utf-8")
    return path


def heads(browser: Browser) -> list[str]:
    return browser.texts("thead th")


def test_columns_are_taken_away_by_keyboard_and_remembered(page: Path, browser: Browser) -> None:
    browser.open(page)
    browser.run("localStorage.clear();")
    browser.open(page)
    whole = heads(browser)
    browser.run("document.querySelector('.columns summary').focus();")
    browser.keys(" ")  # opens
    browser.keys(TAB)
    browser.keys(" ")  # the first column that may go
    assert whole[2] == "ROC-AUC" and heads(browser) == [*whole[:2], *whole[3:]]
    assert len(browser.texts("tbody tr:first-child:not(.more) > *")) == 6 * (len(whole) - 1)
    browser.open(page)
    assert heads(browser) == [*whole[:2], *whole[3:]]
    browser.run("document.querySelector('.columns').open = true;")
    browser.click(".columns button")
    assert heads(browser) == whole
    browser.run("document.querySelector('.columns input').focus();")
    browser.keys(ESCAPE)
    assert browser.run("return document.querySelector('.columns').open;") is False
    assert browser.errors() == []


@pytest.mark.parametrize(("width", "dark"), [(390, False), (390, True), (1400, False)])
def test_rank_and_method_stay_and_what_is_beyond_is_hinted_at(
    width: int, dark: bool, page: Path, browser: Browser
) -> None:
    browser.open(page, width=width, height=800, dark=dark)
    box = "const box = document.querySelector('.scroll'); "
    assert browser.overflow() <= 0
    assert browser.run(box + "return box.scrollWidth > box.clientWidth;")
    assert browser.texts(".hint")[0].startswith("More columns")
    left = "return ['.pinned', '.fixed'].map((e) => document.querySelector(`tbody ${e}`).getBoundingClientRect().left);"
    before = browser.run(left)
    browser.run(box + "box.scrollLeft = 120; box.dispatchEvent(new Event('scroll'));")
    assert browser.run(left) == pytest.approx(before, abs=1)
    edge = (
        "const s = getComputedStyle(document.querySelector('tbody .fixed')); return [s.boxShadow, s.borderRightWidth];"
    )
    shadow, border = browser.run(edge)
    assert shadow != "none" and border == "1px"
    browser.run(box + "box.scrollLeft = 9999; box.dispatchEvent(new Event('scroll'));")
    assert browser.run("return getComputedStyle(document.querySelector('.hint')).visibility;") == "hidden"
    assert browser.run("return document.querySelector('.frame').classList.contains('more');") is False


def test_a_figure_is_one_stop_of_the_keyboard_and_says_its_values(page: Path, browser: Browser) -> None:
    for width in (1400, 390):
        browser.open(page, width=width)
        browser.run(f"{SEEN}[0].focus({{ focusVisible: true }});")
        (first,) = browser.texts(".value:not(:empty)")
        browser.keys(RIGHT)
        (second,) = browser.texts(".value:not(:empty)")
        assert first != second and "ROC-AUC 0." in first and "interval 0." in second
        assert browser.contrast(".value:not(:empty)") >= 4.5
        browser.keys(LEFT)
        assert browser.texts(".value:not(:empty)") == [first]
        browser.keys(ESCAPE)
        assert browser.texts(".value:not(:empty)") == []
        browser.keys(TAB)  # leaves: no trap
        assert browser.run(f"return {SEEN}.indexOf(document.activeElement);") == 1
        browser.keys(DOWN)
        browser.keys(TAB)
        (value,) = browser.texts(".value:not(:empty)")  # of the ROC curves
        assert "FPR" in value and "TPR" in value
        assert browser.overflow() <= 0 and browser.errors() == []


def test_a_pointer_asks_for_the_nearest_value(page: Path, browser: Browser) -> None:
    browser.open(page, width=1400)
    place = browser.run(
        f"""const chart = {SEEN}[0];
        chart.scrollIntoView({{ block: "center" }});
        const at = chart.querySelector(".values circle").getBoundingClientRect();
        chart.querySelector("svg").dispatchEvent(new PointerEvent("pointermove",
          {{ clientX: at.left + at.width / 2 + 5, clientY: at.top + at.height / 2, bubbles: true }}));
        return chart.querySelectorAll("title").length;"""
    )
    assert place == 0 and len(browser.texts(".value:not(:empty)")) == 1
    browser.run("document.querySelector('h1').dispatchEvent(new PointerEvent('pointerdown', { bubbles: true }));")
    assert browser.texts(".value:not(:empty)") == []


def test_without_scripts_values_are_titles(page: Path, browser: Browser) -> None:
    browser.open(page, scripts=False)
    titles = browser.run("return [...document.querySelectorAll('.values title')].map((e) => e.textContent);")
    assert len(titles) > 100 and any("TPR" in title for title in titles)
    assert browser.texts(".columns, .hint") == []


def test_text_of_figures_is_readable_on_a_phone(page: Path, search_page: Path, browser: Browser) -> None:
    """At least 11 pixels: the size of the type, by the scale at which its drawing is shown."""
    for path in (page, search_page):
        browser.open(path, width=390, height=800)
        sizes = browser.run(
            """return [...document.querySelectorAll(".chart svg")].filter((e) => e.getClientRects().length)
              .flatMap((svg) => [...svg.querySelectorAll("text")].map((e) => parseFloat(getComputedStyle(e).fontSize)
                * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width));"""
        )
        assert len(sizes) > 40 and min(sizes) >= 11
        assert browser.overflow() <= 0 and browser.errors() == []


def test_no_interval_lies_across_a_name(page: Path, browser: Browser) -> None:
    """Names begin left of all marks of the ranking, or stand above their intervals."""
    for width in (1400, 390):
        browser.open(page, width=width)
        crossed = browser.run(
            f"""const svg = {SEEN}[0].querySelector("svg");
            const names = [...svg.querySelectorAll("text")].filter((e) => /[a-z]-/.test(e.textContent))
              .map((e) => e.getBoundingClientRect());
            const marks = [...svg.querySelectorAll(".values circle")].map((e) => e.getBoundingClientRect());
            return names.filter((n) => marks.some((m) => {{
              const [x, y] = [m.left + m.width / 2, m.top + m.height / 2];
              return x > n.left && x < n.right && y > n.top && y < n.bottom;
            }})).length;"""
        )
        assert crossed == 0
