from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest

from gwbench.reporting.leaderboard.build import build
from gwbench.reporting.leaderboard.columns import legend
from gwbench.reporting.leaderboard.overlap import apart_with_a_letter, overlap_note
from gwbench.reporting.leaderboard.rows import Options
from gwbench.reporting.leaderboard.schema import Estimate, LabelCell, Row
from tests.reporting.synthetic_runs import write_run

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def row(tmp_path_factory: pytest.TempPathFactory) -> Row:
    root = tmp_path_factory.mktemp("runs")
    write_run(root)
    return build([root], Options()).tables[0].rows[0]


def with_interval(row: Row, low: float, high: float, *groups: int) -> Row:
    estimate = Estimate(mean=(low + high) / 2, sd=0.0, low=low, high=high, seeds=3)
    cell = LabelCell(label_fraction=0.25, estimate=estimate, expected=3, failed=0, absent=0)
    return row.model_copy(update={"cell": cell, "groups": groups})


def test_only_intervals_that_lie_apart_beside_a_shared_letter_count(row: Row) -> None:
    rows = [with_interval(row, 0.6, 0.7, 0), with_interval(row, 0.8, 0.9, 0, 1), with_interval(row, 0.85, 0.95, 1)]
    assert list(apart_with_a_letter(rows)) == [(rows[1], rows[0])]
    (line,) = overlap_note(rows)
    assert line.startswith("1 pair of methods shares a letter") and "p < 0.05 / 3 = 0.017" in line
    assert list(overlap_note(rows[1:])) == []  # they overlap
    assert list(overlap_note([rows[0], with_interval(row, 0.8, 0.9, 1)])) == []  # no letter


def test_it_is_short_enough_for_every_format(row: Row) -> None:
    rows = [with_interval(row, number / 200, number / 200 + 0.001, 0) for number in range(150)]
    (line,) = overlap_note(rows)
    assert line.startswith("11175 pairs") and len(line) <= 300


def test_the_published_quickstart_says_it() -> None:
    board = build([ROOT / "benchmarks" / "results" / "quickstart" / "runs"], Options())
    rows = board.tables[0].rows
    apart = 0
    for one, other in combinations(rows, 2):
        a, b = one.cell.estimate, other.cell.estimate
        assert a and b and a.low and a.high and b.low and b.high
        apart += bool(set(one.groups) & set(other.groups)) and (a.low > b.high or b.low > a.high)
    assert apart > 0
    assert (
        sum(line.startswith(f"{apart} pairs of methods share a letter") for line in legend(board.tables[0], board)) == 1
    )
