"""A leaderboard as text. Every format renders the same `Leaderboard`, and escapes what came from records."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable
from typing import Any

from gwbench.registry import METHOD_KINDS
from gwbench.reporting.escape import csv_text, latex, markdown, plain
from gwbench.reporting.leaderboard.columns import (
    Column,
    columns_of,
    facts,
    heading,
    legend,
    letters,
    passed_over,
    sectioned,
)
from gwbench.reporting.leaderboard.metrics import MetricSpec, columns_among
from gwbench.reporting.leaderboard.schema import LabelCell, Leaderboard, LeaderboardTable, Row

DIGITS = 10
"""Significant digits of numbers in files for programs: those beyond differ from one processor to another."""


def as_json(board: Leaderboard) -> str:
    """The whole structure; text outside ASCII is escaped, so that it moves no cursor."""
    return json.dumps(rounded(board.model_dump(mode="json")), indent=2, ensure_ascii=True) + "\n"


def rounded(value: Any) -> Any:
    """A value of JSON with its numbers to `DIGITS`."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    return [rounded(each) for each in value] if isinstance(value, list) else value


def as_markdown(board: Leaderboard) -> str:
    """A table in GitHub's Markdown for every set of data."""
    lines = []
    for table in board.tables:
        columns = columns_of(table, board)
        lines += [f"### {markdown(heading(table))}", "", markdown(facts(table)), ""]
        lines.append(bars(markdown(column.title) for column in columns))
        lines.append(bars("---" if column.left else "---:" for column in columns))
        for section, row in sectioned(table):
            if section is not None:
                lines.append(bars(["", f"**{markdown(section)}**", *[""] * (len(columns) - 2)]))
            lines.append(bars(markdown(column.text(row)) for column in columns))
        lines += ["", *(f"- {markdown(line)}" for line in legend(table, board)), ""]
    lines += [f"- {markdown(line)}" for line in passed_over(board)]
    return "\n".join(lines).rstrip() + "\n"


def bars(cells: Iterable[str]) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def as_latex(board: Leaderboard) -> str:
    r"""A booktabs table for every set of data; the document needs \usepackage{booktabs}."""
    lines = [r"% needs \usepackage{booktabs}"]
    for table in board.tables:
        columns = columns_of(table, board)
        lines += [r"\begin{table}", r"\centering", rf"\caption{{{latex(heading(table))}: {latex(facts(table))}}}"]
        lines += [rf"\begin{{tabular}}{{{''.join('l' if column.left else 'r' for column in columns)}}}", r"\toprule"]
        lines += [_ampersands(columns, lambda column: column.title), r"\midrule"]
        for section, row in sectioned(table):
            if section is not None:
                lines.append(rf"\multicolumn{{{len(columns)}}}{{l}}{{\textit{{{latex(section)}}}}} \\")
            lines.append(_ampersands(columns, lambda column, row=row: column.text(row)))  # type: ignore[misc]
        lines += [r"\bottomrule", r"\end{tabular}", "", r"\smallskip"]
        lines += [rf"\footnotesize {latex(line)}\par" for line in legend(table, board)]
        lines += [r"\end{table}", ""]
    lines += [f"% {plain(line)}" for line in passed_over(board)]
    return "\n".join(lines).rstrip() + "\n"


def _ampersands(columns: list[Column[Row]], text: Callable[[Column[Row]], str]) -> str:
    return " & ".join(latex(text(column)) for column in columns) + r" \\"


def method_fields(board: Leaderboard) -> list[dict[str, Any]]:
    """One dictionary a method, with the same names in each: full numbers, None or 0 where there is none."""
    fractions = sorted({cell.label_fraction for table in board.tables for row in table.rows for cell in row.cells})
    return [_fields(board, table, row, fractions) for table in board.tables for row in table.rows]


def as_csv(board: Leaderboard) -> str:
    """One line a method, for programs: full numbers, empty where there is none."""
    rows = method_fields(board)
    stream = io.StringIO()
    writer = csv.DictWriter(stream, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: csv_text(x) if isinstance(x, str) else rounded(x) for name, x in row.items()})
    return stream.getvalue()


def _fields(board: Leaderboard, table: LeaderboardTable, row: Row, fractions: list[float]) -> dict[str, object]:
    """A row by the names of its fields, the same in every table."""
    cells = {cell.label_fraction: cell for cell in row.cells}
    fields: dict[str, object] = {
        "dataset": table.dataset,
        "dataset_settings": _pairs(table.differing),
        "content_hash": table.content_hash,
        "protocol": table.protocol,
        "schema_version": table.schema_version,
        "label_fraction": table.label_fraction,
        "section": row.section,
        "rank": row.rank,
        "method": row.title,
        **{kind: row.plugins.get(kind) for kind in METHOD_KINDS},
        "settings": _pairs(row.differing),
        "marks": " ".join(row.tags),
        "metric": table.figure or board.metric,
        **_of_cell("", row.cell),
        "groups": " ".join(map(letters, row.groups)),
        "difference": row.versus and row.versus.difference,
        "difference_low": row.versus and row.versus.low,
        "difference_high": row.versus and row.versus.high,
        "p_adjusted": row.versus and row.versus.p,
        "floor_to_ceiling": row.share,
    }
    for fraction in fractions:
        fields |= _of_cell(f"_at_{fraction:g}", cells.get(fraction))
    for metric in columns_among(row.figures):
        fields |= _of_figure(metric, row.figures[metric.name])
    return fields


def _of_figure(metric: MetricSpec, figure: Any) -> dict[str, object]:
    """The fields of a metric: one for its number, or two where more than that is known of it."""
    if metric.over_seeds == "estimate":
        return {f"{metric.field}_mean": figure and figure.mean, f"{metric.field}_sd": figure and figure.sd}
    if metric.over_seeds == "bound":
        return {metric.field: figure and figure.mean, f"{metric.field}_bound": figure and figure.bound}
    return {metric.field: figure}


def _of_cell(at: str, cell: LabelCell | None) -> dict[str, object]:
    estimate = cell and cell.estimate
    return {
        f"mean{at}": estimate and estimate.mean,
        f"sd{at}": estimate and estimate.sd,
        f"low{at}": estimate and estimate.low,
        f"high{at}": estimate and estimate.high,
        f"seeds{at}": estimate.seeds if estimate else 0,
        f"seeds_expected{at}": cell.expected if cell else 0,
        f"seeds_failed{at}": cell.failed if cell else 0,
    }


def _pairs(settings: dict[str, str]) -> str:
    return "; ".join(f"{name}={value}" for name, value in settings.items())
