"""The methods of runs and their searches, ranked beside each other and written in one file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from gwbench.reporting.formats import FORMATS
from gwbench.reporting.leaderboard.build import build
from gwbench.reporting.leaderboard.columns import passed_over
from gwbench.reporting.leaderboard.metrics import DEFAULT_METRIC
from gwbench.reporting.leaderboard.rows import Options
from gwbench.reporting.leaderboard.schema import Leaderboard
from gwbench.reporting.records.discover import find_records
from gwbench.reporting.searches.build import rank_searches
from gwbench.reporting.searches.columns import searches_passed_over
from gwbench.reporting.searches.schema import SearchRanking
from gwbench.reporting.searches.text_formats import joined_csv, joined_json, joined_latex, joined_markdown
from gwbench.search.record import SEARCH


@dataclass(frozen=True)
class Rankings:
    """What some folders hold.

    Attributes:
        runs: the leaderboard of runs; None where there are searches alone.
        searches: the ranking of searches; None where there are runs alone.
    """

    runs: Leaderboard | None
    searches: SearchRanking | None

    def passed_over(self) -> list[str]:
        """What could not be read: the count, and every file with its reason."""
        lines = passed_over(self.runs) if self.runs else []
        return [*lines, *(searches_passed_over(self.searches) if self.searches else [])]


def rank_all(roots: Iterable[str | Path], options: Options, at_far: float | None = None) -> Rankings:
    """The rankings of all records in or below some folders.

    Args:
        roots: the folders.
        options: of the leaderboard of runs.
        at_far: as of `rank_searches`.

    Raises:
        UserError: a folder is not there, there is no record that can be read, or an option names nothing.
    """
    roots = list(roots)
    if not any(True for path, _ in find_records(roots, SEARCH) if Path(path).name == SEARCH):
        return Rankings(build(roots, options), None)
    runs = build(roots, options) if any(True for _ in find_records(roots)) else None
    ranking = rank_searches(roots, at_far, _aucs(runs))
    if runs is not None:  # what is wrong with a folder, the leaderboard of runs says
        own = tuple(each for each in ranking.skipped if Path(each.path).name == SEARCH)
        ranking = ranking.model_copy(update={"skipped": own})
    return Rankings(runs, ranking)


def write_rankings(rankings: Rankings, form: str) -> str:
    """Both rankings in a format for files, by its name; that of runs alone is what it always was."""
    if rankings.searches is None:
        assert rankings.runs
        return FORMATS[form](rankings.runs)
    return JOINED[form](rankings.runs, rankings.searches)


def _aucs(board: Leaderboard | None) -> dict[str, float]:
    """ROC-AUC by run id, as far as the leaderboard of runs has read it."""
    if board is None or board.metric != DEFAULT_METRIC:
        return {}
    runs = [run for table in board.tables for row in table.rows for run in row.runs]
    return {run.run_id: run.value for run in runs if run.value is not None}


def _joined_html(board: Leaderboard | None, ranking: SearchRanking) -> str:
    from gwbench.reporting.html.leaderboard_page import render_leaderboard

    return render_leaderboard(board, ranking)


JOINED: dict[str, Callable[[Leaderboard | None, SearchRanking], str]] = {
    "md": joined_markdown,
    "csv": joined_csv,
    "json": joined_json,
    "latex": joined_latex,
    "html": _joined_html,
}
