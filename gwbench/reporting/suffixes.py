"""The formats of a leaderboard by the suffix of its file, apart from what writes them, so that help stays instant."""

from __future__ import annotations

from pathlib import Path

from gwbench.errors import UserError

SUFFIXES = {"terminal": ".txt", "md": ".md", "csv": ".csv", "json": ".json", "latex": ".tex", "html": ".html"}
"""The suffix that selects each format, that of the terminal included."""


def format_of(path: Path) -> str:
    """The format that a file's suffix selects.

    Raises:
        UserError: none does.
    """
    suffix = path.suffix.lower()
    form = next((name for name, each in SUFFIXES.items() if each == suffix), None)
    if form is None:
        endings = ", ".join(SUFFIXES.values())
        raise UserError(
            f"{path.name} does not say in which format to write: {suffix or 'no suffix'} is none of {endings}. Name "
            "the file so, or choose with --format."
        )
    return form
