"""What a leaderboard's columns are called, and how a row reads in each: the same words in every format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from gwbench.reporting.leaderboard.metrics import METRICS, MetricSpec, columns_among, number_of
from gwbench.reporting.leaderboard.overlap import overlap_note
from gwbench.reporting.leaderboard.schema import BoundedMean, LabelCell, Leaderboard, LeaderboardTable, Row

NONE = "–"
"""Where a row has no such figure."""

VALUE = 60
"""Characters of a parameter's value that a row shows."""


R = TypeVar("R")


@dataclass(frozen=True)
class Column(Generic[R]):
    """A column of a ranking, whose rows are of type R.

    Attributes:
        title: its heading.
        text: what a row has there.
        order: what rows are sorted by there; None for a row that comes last.
        keep: columns with a low number are left out first where there is no room; 0 for never.
        left: whether it is aligned to the left.
        largest: whether the largest is the best.
    """

    title: str
    text: Callable[[R], str]
    order: Callable[[R], float | str | None]
    keep: int = 0
    left: bool = False
    largest: bool = False


def columns_of(table: LeaderboardTable, board: Leaderboard) -> list[Column[Row]]:
    """The columns of a table that say something in any row."""
    paired = table.figure is None and METRICS[board.metric].paired
    title = metric_title(table, board)
    columns = [
        Column("rank", _rank, lambda row: row.rank),
        Column("method", method_name, method_name, left=True),
        Column(title, lambda row: _spread(row.cell, 4), lambda row: _mean(row.cell),
               largest=True),
        Column(f"{100 * board.level:g} % interval", _interval, _low, keep=9, largest=True),
        Column("seeds", _seeds, lambda row: _there(row.cell), keep=8, largest=True),
        *([Column("group", _groups, lambda row: min(row.groups, default=None), keep=7),
           Column("against the best", _versus, _difference, keep=6, largest=True)] if paired else []),
        Column("floor to ceiling", _share, lambda row: row.share, keep=5, largest=True),
        *_fraction_columns(table),
        *map(_metric_column, columns_among(table.rows[0].figures if table.rows else ())),
    ]  # fmt: skip
    return [column for column in columns if any(column.text(row) != NONE for row in table.rows)]


def metric_title(table: LeaderboardTable, board: Leaderboard) -> str:
    """What a table ranks by: the board's metric, or the main figure of its task."""
    return table.figure.replace("_", " ") if table.figure else METRICS[board.metric].title


def heading(table: LeaderboardTable) -> str:
    """What the records of a table share and no other table's do."""
    data = f"data {table.content_hash[:12]}" if table.content_hash else "data unknown"
    settings = "".join(f", {name}={value[:VALUE]}" for name, value in table.differing.items())
    settings += f", task {table.task[:VALUE]}" if table.task else ""
    return f"{table.dataset}{settings} ({data}, protocol {table.protocol}, record schema {table.schema_version})"


def facts(table: LeaderboardTable) -> str:
    """What a table's data are and at which labels it is ranked."""
    words = []
    if table.sizes:
        words.append(" / ".join(f"{size:,}" for size in table.sizes.values()) + f" windows ({' / '.join(table.sizes)})")
    if table.sample_rate:
        words.append(f"{', '.join(table.detectors)} at {table.sample_rate:g} Hz")
    seeds = ", ".join(map(str, table.seeds))
    words += [f"{100 * table.label_fraction:g} % of the labels", f"seeds {seeds}" if seeds else "no seeds"]
    return "; ".join(words) + "."


def legend(table: LeaderboardTable, board: Leaderboard) -> list[str]:
    """How to read a table, and its notes."""
    title = metric_title(table, board)
    lines = [
        f"{title}: mean ± standard deviation over seeds; the interval is for the method's mean and holds the scatter "
        "of seeds and of test windows."
    ]
    if table.best:
        lines.append(
            f"Against the best ({table.best}): difference in AUC on the same test windows, and the p-value of no "
            "difference, adjusted by Holm's method for these comparisons: below 0.05 a method is not the best."
        )
        lines.append(
            "Methods that share a letter cannot be told apart at 5 %, adjusted for all pairs of the table, which are "
            "more than those with the best."
        )
    if any(row.cell.label_fraction == 0 for row in table.rows):
        lines.append("0 labels: windows are scored by the head of the objective itself; no probe is fitted.")
    if any(row.share is not None for row in table.rows):
        lines.append("Floor to ceiling: share of the way from the floor of the same encoder to the ceiling.")
    lines += overlap_note(table.rows)
    for metric in columns_among(table.rows[0].figures if table.rows else ()):
        if metric.legend and any(row.figures[metric.name] is not None for row in table.rows):
            lines.append(metric.legend)
    if any("simulated-signals" in row.tags for row in table.rows):
        lines.append("† The method saw simulated signals besides the data.")
    if any(_rank(row).endswith("*") for row in table.rows):
        lines.append("* Seeds are missing: the mean is over those that are there.")
    return [*lines, *table.notes, *table.data_notes]


def passed_over(board: Leaderboard) -> list[str]:
    """What could not be read: the count, and every file with its reason."""
    if not board.skipped:
        return []
    head = f"{len(board.skipped)} of {len(board.skipped) + board.records} records were passed over:"
    return [head, *(f"{each.path}: {each.reason}" for each in board.skipped)]


def sectioned(table: LeaderboardTable) -> Iterator[tuple[str | None, Row]]:
    """The rows of a table, and the name of a section beside its first; None elsewhere and where there are none."""
    before = ""
    for row in table.rows:
        yield (row.section if row.section != before else None), row
        before = row.section


def letters(number: int) -> str:
    """The name of a significance group: a to z, then aa, ab and so on."""
    name = ""
    number += 1
    while number:
        number, digit = divmod(number - 1, 26)
        name = chr(ord("a") + digit) + name
    return name


# --- cells --------------------------------------------------------------------------------------------------


def _rank(row: Row) -> str:
    if row.rank is not None:
        complete = row.cell.estimate and row.cell.estimate.seeds == row.cell.expected
        return f"{row.rank}{'' if complete else '*'}"
    bounds = [tag for tag in ("outer-bound", "ceiling") if tag in row.tags]
    return bounds[0].replace("-", " ") if bounds and row.cell.estimate else NONE


def method_name(row: Row) -> str:
    """A method's plugins, and the settings in which it differs from others."""
    settings = ", ".join(f"{name}={value[:VALUE]}" for name, value in row.differing.items())
    dagger = " †" if "simulated-signals" in row.tags else ""
    return row.title + (f" ({settings})" if settings else "") + dagger


def _spread(cell: LabelCell, digits: int) -> str:
    estimate = cell.estimate
    if estimate is None:
        return _missing(cell)
    return f"{estimate.mean:.{digits}f}" + (f" ± {estimate.sd:.{digits}f}" if estimate.sd is not None else "")


def _mean(cell: LabelCell) -> float | None:
    return cell.estimate.mean if cell.estimate else None


def _missing(cell: LabelCell) -> str:
    if cell.expected and cell.failed + cell.absent == cell.expected:
        return f"missing ({cell.failed} failed)" if cell.failed else "missing"
    return NONE


def _interval(row: Row) -> str:
    estimate = row.cell.estimate
    if estimate is None or estimate.low is None or estimate.high is None:
        return NONE
    return f"{estimate.low:.4f} to {estimate.high:.4f}"


def _low(row: Row) -> float | None:
    return row.cell.estimate.low if row.cell.estimate else None


def _seeds(row: Row) -> str:
    return _count_of_seeds(row.cell)


def _there(cell: LabelCell) -> int:
    return cell.expected - cell.failed - cell.absent


def _count_of_seeds(cell: LabelCell) -> str:
    there = _there(cell)
    if there == cell.expected:
        return str(there)
    return f"{there} of {cell.expected}" + (f" ({cell.failed} failed)" if cell.failed else "")


def _groups(row: Row) -> str:
    return " ".join(map(letters, row.groups)) or NONE


def _share(row: Row) -> str:
    return NONE if row.share is None else f"{100 * row.share:.0f} %".replace("-", "−")


def _versus(row: Row) -> str:
    if row.versus is None:
        return "best" if row.groups else NONE
    p = "p < 0.001" if row.versus.p < 0.001 else f"p = {row.versus.p:.2g}"
    return f"{row.versus.difference:+.4f} ({p})".replace("-", "−", 1)


def _difference(row: Row) -> float | None:
    return row.versus.difference if row.versus else 0.0 if row.groups else None


def _fraction_columns(table: LeaderboardTable) -> Sequence[Column[Row]]:
    fractions = [cell.label_fraction for cell in table.rows[0].cells] if table.rows else []
    if len(fractions) < 2:
        return []
    return [
        Column(f"at {100 * f:g} % labels", _at(position), _mean_at(position), keep=4, largest=True)
        for position, f in enumerate(fractions)
    ]


def _at(position: int) -> Callable[[Row], str]:
    def text(row: Row) -> str:
        cell = row.cells[position]
        complete = cell.estimate is None or cell.estimate.seeds == cell.expected
        return _spread(cell, 3) + ("" if complete else f" ({_count_of_seeds(cell)})")

    return text


def _mean_at(position: int) -> Callable[[Row], float | None]:
    return lambda row: _mean(row.cells[position])


def _metric_column(metric: MetricSpec) -> Column[Row]:
    def text(row: Row) -> str:
        figure = row.figures[metric.name]
        number = number_of(figure)
        if number is None:
            return NONE
        bound = figure.bound if isinstance(figure, BoundedMean) else None
        return {"above": "≥ ", "below": "≤ ", None: ""}[bound] + metric.text(number)

    def order(row: Row) -> float | None:
        return number_of(row.figures[metric.name])

    return Column(metric.title, text, order, keep=metric.keep, largest=metric.larger_is_better)
