"""A leaderboard in every format there is."""

from __future__ import annotations

from collections.abc import Callable

from gwbench.reporting.leaderboard.schema import Leaderboard
from gwbench.reporting.leaderboard.text_formats import as_csv, as_json, as_latex, as_markdown


def as_html(board: Leaderboard) -> str:
    """A self-contained page; what draws its figures is imported for it alone."""
    from gwbench.reporting.html.leaderboard_page import render_leaderboard

    return render_leaderboard(board)


FORMATS: dict[str, Callable[[Leaderboard], str]] = {
    "md": as_markdown,
    "csv": as_csv,
    "json": as_json,
    "latex": as_latex,
    "html": as_html,
}
"""Formats for files, by the name that the command line takes; the terminal has `gwbench.cli.leaderboard`."""
