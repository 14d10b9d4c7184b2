"""Intervals that lie apart beside letters that are shared: where that happens, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from gwbench.reporting.leaderboard.schema import Row

LEVEL = 0.05
"""Of the tests behind the letters."""


def apart_with_a_letter(rows: Sequence[Row]) -> Iterator[tuple[Row, Row]]:
    """Pairs of methods that share a letter although their intervals do not overlap, the better one first."""
    for pair in combinations(rows, 2):
        if not set(pair[0].groups) & set(pair[1].groups):
            continue
        better, worse = sorted(pair, key=lambda row: -row.cell.estimate.mean if row.cell.estimate else 0.0)
        low = better.cell.estimate and better.cell.estimate.low
        high = worse.cell.estimate and worse.cell.estimate.high
        if low is not None and high is not None and low > high:
            yield better, worse


def overlap_note(rows: Sequence[Row]) -> Iterator[str]:
    """Why that is so, where it happens: one line, short enough for every format."""
    pairs = sum(1 for _ in apart_with_a_letter(rows))
    if not pairs:
        return
    tested = sum(1 for row in rows if row.groups)
    tests = tested * (tested - 1) // 2
    share = (
        "pair of methods shares a letter although its"
        if pairs == 1
        else "pairs of methods share a letter although their"
    )
    yield (
        f"{pairs} {share} intervals do not overlap. An interval is of one method by itself; letters are of all {tests} "
        f"pairs at once, of which the clearest must reach p < {LEVEL} / {tests} = {LEVEL / tests:.2g}. The scatter of "
        "few seeds is taken partly from the other methods in these tests."
    )
