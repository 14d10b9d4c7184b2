"""Data that are the same but for how a processor rounds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gwbench.reporting.leaderboard.build import build
from gwbench.reporting.leaderboard.rows import Options
from tests.reporting.synthetic_runs import digest, write_run


def from_files(document: dict[str, Any]) -> None:
    document["plugins"][0]["tags"] = ["simulated", "files"]


def other_files(document: dict[str, Any]) -> None:
    document["data"]["fingerprint"] = {"population": "other"}


def test_data_of_one_recipe_that_a_processor_rounds_otherwise_stand_in_one_table(tmp_path: Path) -> None:
    for seed in (0, 1):
        write_run(tmp_path, data="a", seed=seed)
    write_run(tmp_path, data="b", seed=2)
    write_run(tmp_path, data="b", seed=3, failed="ValueError: no")
    (table,) = build([tmp_path], Options()).tables
    assert (table.content_hash, table.seeds) == (digest("a"), (0, 1, 2, 3))
    (note,) = (note for note in table.notes if "another hash" in note)
    assert note.startswith(f"1 run is on data of another hash ({digest('b')[:12]}): made by the same recipe")


@pytest.mark.parametrize("what", ["fingerprint", "files", "labels", "data_seed", "code"])
def test_data_of_another_recipe_do_not(what: str, tmp_path: Path) -> None:
    changes: dict[str, dict[str, Any]] = {
        "fingerprint": {"edit": other_files},
        "files": {"edit": from_files},
        "labels": {"predictions": False},
        "data_seed": {"data_seed": 1},
        "code": {"code": "other"},
    }
    write_run(tmp_path, data="a", edit=from_files if what == "files" else None)
    write_run(tmp_path, data="b", seed=1, **changes[what])
    tables = build([tmp_path], Options()).tables
    assert {table.content_hash for table in tables} == {digest("a"), digest("b")}
    assert not any("another hash" in note for table in tables for note in table.notes)
