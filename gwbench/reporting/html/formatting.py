"""Numbers, times and names as a page has them."""

from __future__ import annotations

from gwbench.evaluation.statistics import Interval
from gwbench.reporting.html.tables import TableCell


def interval_text(interval: Interval, digits: int) -> str:
    """Such as 0.984 [0.981, 0.988]."""
    return f"{interval.value:.{digits}f} [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"


def spaced(name: str) -> str:
    """A field's name as words."""
    return name.replace("_", " ")


def value_text(value: object) -> str:
    """What a method reports of itself, as text."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "–"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def value_cell(value: object) -> TableCell:
    """The same as a cell that sorts as numbers do."""
    text = value_text(value)
    return TableCell(text, value if isinstance(value, (int, float)) else text)


def count(number: int, noun: str) -> str:
    """Such as 5 epochs."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def seconds_text(seconds: float) -> str:
    """A duration in the unit that suits it."""
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def date(created: str) -> str:
    """A record's time, without the letters of ISO 8601."""
    return created.replace("T", " ").replace("+00:00", " UTC")
