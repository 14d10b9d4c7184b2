"""What a table of a page holds: `templates/table.html.j2` shows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

MOST_CHOICES = 24
"""Buttons of a facet; rarer values are found by the search box."""


@dataclass(frozen=True)
class TableColumn:
    """A column of a table.

    Attributes:
        title: its heading.
        left: whether it holds words; numbers stand to the right.
        first: whether its largest value comes first when it is sorted by for the first time.
        fixed: whether it stays in view when the table is moved sideways; the row's details open from it.
    """

    title: str
    left: bool = False
    first: bool = False
    fixed: bool = False


@dataclass(frozen=True)
class TableCell:
    """What a cell shows, and by what it is sorted; None comes last, up or down."""

    text: str
    order: float | str | None = None


@dataclass(frozen=True)
class RowDetail:
    """What opens below a row: a line of small print, and a command."""

    note: str
    command: str


@dataclass(frozen=True)
class TableRow:
    """A row of a table.

    Attributes:
        cells: one for every column; a text is sorted as text.
        details: what opens below the row.
        facets: by which the table is filtered, by name.
        section: heading above the row, where it is the first of a section.
        quiet: whether it is shown as less important.
        strong: whether it is shown as more important.
    """

    cells: Sequence[TableCell | str]
    details: Sequence[RowDetail] = ()
    facets: Mapping[str, str] = field(default_factory=dict)
    section: str | None = None
    quiet: bool = False
    strong: bool = False


@dataclass(frozen=True)
class HtmlTable:
    """A table that sorts by click and key.

    Attributes:
        columns: from left to right.
        rows: from top to bottom.
        name: of the table, unique on its page: a short word for ids.
        noun: what the rows are, in the plural.
        filters: facets that there are buttons for, in order, beside a search box; None for neither.
    """

    columns: Sequence[TableColumn]
    rows: Sequence[TableRow]
    name: str
    noun: str = "rows"
    filters: Sequence[str] | None = None

    @property
    def opener(self) -> int | None:
        """The column from which a row's details open."""
        return next((number for number, column in enumerate(self.columns) if column.fixed), None)

    def pins(self, position: int) -> bool:
        """Whether a column stays in view beside the fixed one: the first, where that one is the second."""
        return position == 0 and self.opener == 1

    @property
    def opens(self) -> bool:
        """Whether any row has details."""
        return any(row.details for row in self.rows)

    def cells(self, row: TableRow) -> Iterator[tuple[TableColumn, TableCell]]:
        """The cells of a row with their columns.

        Raises:
            ValueError: there are not as many cells as columns.
        """
        for column, cell in zip(self.columns, row.cells, strict=True):
            yield column, cell if isinstance(cell, TableCell) else TableCell(cell, cell)

    def choices(self) -> Iterator[tuple[str, list[str]]]:
        """The facets that tell rows apart, with their most common values in alphabetical order."""
        for facet in self.filters or ():
            counts = Counter(row.facets[facet] for row in self.rows if facet in row.facets)
            if len(counts) > 1:
                yield facet, sorted(value for value, _ in counts.most_common(MOST_CHOICES))
