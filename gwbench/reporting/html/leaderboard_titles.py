"""What a table of a leaderboard's page is headed with: its suite, where there is one, and its data in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gwbench.reporting.html.formatting import spaced
from gwbench.reporting.leaderboard.columns import VALUE, facts
from gwbench.reporting.leaderboard.grouping import LIMIT
from gwbench.reporting.leaderboard.schema import LeaderboardTable
from gwbench.reporting.records.suite_titles import SuiteTitle, suites_of


@dataclass(frozen=True)
class TableTitle:
    """How a table is introduced.

    Attributes:
        heading: above it.
        about: what its suites ask, a sentence or two each.
        facts: what its data are, and at which labels methods are ranked.
    """

    heading: str
    about: Sequence[str]
    facts: str


def table_titles(tables: Sequence[LeaderboardTable]) -> list[TableTitle]:
    """The titles of a page's tables: those of one suite that has several sets of data are told apart by them."""
    suites = [_suites(table) for table in tables]
    headings = [found[0].suite.heading if found and found[0].whole else "" for found in suites]
    titles = []
    for table, found, heading in zip(tables, suites, headings, strict=True):
        data = data_title(table)
        if heading:
            about = [found[0].suite.about]
        else:
            about = [f"{each.runs:,} of its runs are of “{each.suite.heading}”: {each.suite.about}" for each in found]
        if heading and headings.count(heading) == 1:
            titles.append(TableTitle(heading, about, f"{data}: {facts(table)}"))
        else:
            titles.append(TableTitle(f"{heading}: {data}" if heading else data, about, facts(table)))
    return titles


def data_title(table: LeaderboardTable) -> str:
    """The dataset, in plain words the settings in which it differs from those of other tables, and the task."""
    words = [_setting(name, value[:VALUE]) for name, value in table.differing.items()]
    task = f"task {table.task[:VALUE]}" if table.task else ""
    return ", ".join(filter(None, [table.dataset, *words, task]))


def _setting(name: str, value: str) -> str:
    """A setting and its value as words; "" for one that is not set."""
    if name == LIMIT:
        return "" if value == "none" else f"at most {value} windows of a split"
    said = spaced(name.removeprefix("dataset."))
    if value in ("none", ""):
        return ""
    return {"true": f"with {said}", "false": f"without {said}"}.get(value, f"{said} {value}")


@dataclass(frozen=True)
class _Suite:
    """A suite, how many runs of a table are its own, and whether these are all."""

    suite: SuiteTitle
    runs: int
    whole: bool


def _suites(table: LeaderboardTable) -> list[_Suite]:
    paths = [run.path for row in table.rows for run in row.runs]
    return [_Suite(suite, own, own == len(paths)) for suite, own in suites_of(paths)]
