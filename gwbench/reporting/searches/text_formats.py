"""A ranking of searches as text, beside or without a leaderboard of runs. What came from records is escaped."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from typing import Any

from gwbench.reporting.escape import csv_text, latex, markdown, plain
from gwbench.reporting.leaderboard.schema import Leaderboard
from gwbench.reporting.leaderboard.text_formats import as_csv, as_json, as_latex, as_markdown, bars, rounded
from gwbench.reporting.searches.columns import (
    search_columns,
    search_facts,
    search_heading,
    search_legend,
    searches_passed_over,
    unranked_note,
)
from gwbench.reporting.searches.schema import SearchRanking, SearchRow, SearchTable


def joined_markdown(board: Leaderboard | None, ranking: SearchRanking) -> str:
    """The tables of runs, then those of searches."""
    lines = [as_markdown(board)] if board else []
    for table in ranking.tables:
        columns = search_columns(table, ranking)
        lines += [f"### {markdown(search_heading(table))}", "", markdown(search_facts(table)), ""]
        lines.append(bars(markdown(column.title) for column in columns))
        lines.append(bars("---" if column.left else "---:" for column in columns))
        lines += [bars(markdown(column.text(row)) for column in columns) for row in table.rows]
        lines += ["", *(f"- {markdown(line)}" for line in search_legend(table, ranking)), ""]
    lines += [f"- {markdown(line)}" for line in (*unranked_note(ranking), *searches_passed_over(ranking))]
    return "\n".join(lines).rstrip() + "\n"


def joined_latex(board: Leaderboard | None, ranking: SearchRanking) -> str:
    """A booktabs table for every set of data and of injections."""
    lines = [as_latex(board)] if board else [r"% needs \usepackage{booktabs}"]
    for table in ranking.tables:
        columns = search_columns(table, ranking)
        caption = f"{latex(search_heading(table))}: {latex(search_facts(table))}"
        lines += [r"\begin{table}", r"\centering", rf"\caption{{{caption}}}"]
        lines += [rf"\begin{{tabular}}{{{''.join('l' if column.left else 'r' for column in columns)}}}", r"\toprule"]
        lines += [" & ".join(latex(column.title) for column in columns) + r" \\", r"\midrule"]
        lines += [" & ".join(latex(column.text(row)) for column in columns) + r" \\" for row in table.rows]
        lines += [r"\bottomrule", r"\end{tabular}", "", r"\smallskip"]
        lines += [rf"\footnotesize {latex(line)}\par" for line in search_legend(table, ranking)]
        lines += [r"\end{table}", ""]
    lines += [f"% {plain(line)}" for line in (*unranked_note(ranking), *searches_passed_over(ranking))]
    return "\n".join(lines).rstrip() + "\n"


def joined_json(board: Leaderboard | None, ranking: SearchRanking) -> str:
    """The leaderboard of runs as ever, with the searches as its field `searches`; without runs, that field alone."""
    document: dict[str, Any] = json.loads(as_json(board)) if board else {"schema_version": 1}
    document["searches"] = rounded(ranking.model_dump(mode="json"))
    return json.dumps(document, indent=2, ensure_ascii=True) + "\n"


def joined_csv(board: Leaderboard | None, ranking: SearchRanking) -> str:
    """One line a method, then one a search, which has columns of its own; empty where a line has no such figure."""
    runs = list(csv.DictReader(io.StringIO(as_csv(board)))) if board else []
    searches = search_records(ranking)
    names = dict.fromkeys([*(runs[0] if runs else ()), *(searches[0] if searches else ())])
    stream = io.StringIO()
    writer = csv.DictWriter(stream, fieldnames=[*names], lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(runs)
    for row in searches:
        writer.writerow({name: csv_text(x) if isinstance(x, str) else rounded(x) for name, x in row.items()})
    return stream.getvalue()


def search_records(ranking: SearchRanking) -> list[dict[str, object]]:
    """A dictionary for every search, with the columns of the CSV."""
    return [_fields(table, row) for table in ranking.tables for row in table.rows]


def _fields(table: SearchTable, row: SearchRow) -> dict[str, object]:
    fields: dict[str, object] = {
        "rank": row.rank,
        "method": row.title,
        "settings": "; ".join(f"{name}={value}" for name, value in row.differing.items()),
        "injections": table.injections,
        "injections_sha256": table.sha256,
        "weighting": table.weighting,
        "far_per_month": table.at_far,
        "ceiling": row.ceiling,
        **_reach("", row.reach),
        "of_ceiling": row.of_ceiling,
        "test_auc": row.auc,
        "labels": row.labels,
        "cpu_seconds_per_hour": row.cpu_seconds_per_hour,
        "livetime": row.livetime,
        "background_livetime": row.background,
        "conditioning": row.conditioning,
        "run_id": row.run_id,
        "search_record": row.path,
    }
    for rate, reach in zip(table.rates, row.rates, strict=True):
        fields |= _reach(f"_at_{rate:g}", reach)
    return fields


def _reach(at: str, reach: Any) -> Mapping[str, object]:
    names = ("distance", "error", "low", "high", "found", "injections")
    keys = ("distance", "distance_error", "distance_low", "distance_high", "found", "injections_counted")
    return {f"{key}{at}": reach and getattr(reach, name) for key, name in zip(keys, names, strict=True)}
