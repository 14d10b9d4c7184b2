"""Small tries (`gwbench run --limit`) never rank beside runs on all windows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gwbench.reporting.leaderboard.build import build
from gwbench.reporting.leaderboard.rows import Options
from tests.reporting.synthetic_runs import write_run


def limited(limit: int) -> Any:
    def edit(document: dict[str, Any]) -> None:
        document["spec"]["limit"] = limit

    return edit


def test_they_stand_in_a_table_of_their_own_whatever_their_data(tmp_path: Path) -> None:
    write_run(tmp_path, folder="all")
    write_run(tmp_path, folder="few", data="few", edit=limited(100))
    write_run(tmp_path, folder="more-than-there-are", edit=limited(10_000))  # and so on the very same data
    write_run(tmp_path, folder="failed", failed="no", seed=1, edit=limited(100))
    board = build([tmp_path], Options())
    tables = {table.differing.get("limit"): table for table in board.tables}
    assert set(tables) == {None, "100", "10000"}
    for table in tables.values():
        (row,) = table.rows
        assert row.rank == 1
    assert [run.failed for run in tables["100"].rows[0].runs] == [None, "no"]
    assert len(tables[None].rows[0].runs) == 1


def test_without_small_tries_no_heading_speaks_of_them(tmp_path: Path) -> None:
    write_run(tmp_path, folder="a")
    write_run(tmp_path, folder="b", data="other", data_seed=1)
    assert [list(table.differing) for table in build([tmp_path], Options()).tables] == [["data_seed"], ["data_seed"]]
