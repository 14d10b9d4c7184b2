"""Searches ranked by distance: never across injection sets, with the ceiling apart, and beside the runs."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from gwbench.cli.main import gwbench as command
from gwbench.errors import UserError
from gwbench.reporting.leaderboard.build import build
from gwbench.reporting.leaderboard.rows import Options
from gwbench.reporting.searches.build import DEFAULT_FAR, distance_interval, rank_searches
from gwbench.reporting.searches.joined import JOINED, rank_all, write_rankings
from tests.reporting.leaderboard.test_text_formats import EVIL
from tests.reporting.synthetic_runs import write_run
from tests.reporting.synthetic_searches import point, search, sphere, write_search


def test_searches_are_ranked_by_distance_and_the_ceiling_stands_apart(tmp_path: Path) -> None:
    write_search(tmp_path, "a", distance=2400.0)
    write_search(tmp_path, "b", distance=2700.0, title="cnn1d", seed=1)
    write_search(tmp_path, "c", distance=2700.0, title="somebody's", foreign=True)
    write_search(tmp_path, "d", distance=2977.0, title="a bank", baseline="matched-filter")
    (table,) = rank_searches([tmp_path]).tables
    found = [(row.title, row.rank, row.ceiling) for row in table.rows]
    assert found == [
        ("a bank", None, True),
        ("cnn1d", 1, False),
        ("somebody's", 1, False),
        ("cnn1d + any-pair + simclr", 3, False),
    ]
    assert [row.of_ceiling for row in table.rows] == pytest.approx([1, 2700 / 2977, 2700 / 2977, 2400 / 2977])
    assert (table.at_far, table.rates, table.count) == (900.0, (900.0, 180.0), 529)


def test_the_interval_is_that_of_the_volume() -> None:
    low, high = distance_interval(point(900.0, 2500.0, 90.0, 100))
    spread = 1.959964 * 4 * np.pi * 2500.0**2 * 90.0
    assert sphere(low) == pytest.approx(sphere(2500.0) - spread, rel=1e-6)
    assert sphere(high) == pytest.approx(sphere(2500.0) + spread, rel=1e-6)
    assert distance_interval(point(900.0, 100.0, 90.0, 1))[0] == 0.0


def test_injection_sets_and_strain_never_mix(tmp_path: Path) -> None:
    write_search(tmp_path, "a")
    write_search(tmp_path, "b", injections="ds2", distance=9000.0)
    strain = search().strain
    half = strain.model_copy(update={"segments": strain.segments[:1]})
    write_search(tmp_path, "c", strain=half, distance=8000.0)
    tables = rank_searches([tmp_path]).tables
    assert len(tables) == 3
    assert [row.rank for table in tables for row in table.rows] == [1, 1, 1]


def test_the_rate_that_is_asked_for(tmp_path: Path) -> None:
    write_search(tmp_path, "a", distance=2400.0, rates=(1000.0, 100.0))
    write_search(tmp_path, "b", distance=2700.0, rates=(100.0,), seed=1)
    (table,) = rank_searches([tmp_path]).tables
    assert table.at_far == DEFAULT_FAR
    assert [row.rank for row in table.rows] == [1, None]
    (table,) = rank_searches([tmp_path], at_far=100.0).tables
    assert [(row.reach.distance, row.rank) for row in table.rows if row.reach] == [(2700.0, 1), (2340.0, 2)]
    with pytest.raises(UserError, match="No search was judged at 5 false alarms a month"):
        rank_searches([tmp_path], at_far=5.0)


def test_searches_of_one_title_are_told_apart_and_older_ones_left_out(tmp_path: Path) -> None:
    write_search(tmp_path, "a", seed=0)
    write_search(tmp_path, "b", seed=1)
    write_search(tmp_path, "c", seed=0, created="2025-01-01T00:00:00+00:00", distance=9999.0)
    (table,) = rank_searches([tmp_path]).tables
    assert [row.differing for row in table.rows] == [{"seed": "0"}, {"seed": "1"}]
    assert any("1 older searches" in note for note in table.notes)


def test_what_cannot_be_ranked_is_named(tmp_path: Path) -> None:
    write_search(tmp_path, "a")
    write_search(tmp_path, "event", injections="none", reach=None, found=None)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "search.json").write_text("{")
    rankings = rank_all([tmp_path], Options())
    assert rankings.searches
    assert len(rankings.searches.unranked) == 1
    assert rankings.passed_over()[0] == "1 of 3 search records were passed over:"
    done = CliRunner().invoke(command, ["leaderboard", str(tmp_path)])
    assert done.exit_code == 1
    assert "Not ranked, as they have no injections" in done.stdout
    assert "bad/search.json" in done.stderr


def test_runs_alone_give_the_bytes_that_they_always_gave(tmp_path: Path) -> None:
    from gwbench.reporting.formats import FORMATS

    write_run(tmp_path)
    write_run(tmp_path, objective="simclr")
    board = build([tmp_path], Options())
    rankings = rank_all([tmp_path], Options())
    assert rankings.searches is None
    for form, render in FORMATS.items():
        assert write_rankings(rankings, form) == render(board)


def test_runs_and_searches_stand_beside_each_other(tmp_path: Path) -> None:
    record = write_search(tmp_path, "s")
    write_search(tmp_path, "t", title="somebody's", foreign=True, distance=2000.0)
    assert record.run
    folder = write_run(tmp_path, pairing="any-pair", objective="simclr")
    document = json.loads((folder / "record.json").read_text())
    document["run_id"] = record.run.run_id
    (folder / "record.json").write_text(json.dumps(document))
    board = build([tmp_path], Options())
    rankings = rank_all([tmp_path], Options())
    assert rankings.runs == board
    assert rankings.searches
    auc = document["metrics"]["auc"]["value"]
    assert [row.auc for row in rankings.searches.tables[0].rows] == [auc, None]

    document = json.loads(write_rankings(rankings, "json"))
    assert document["searches"]["tables"][0]["rows"][0]["reach"]["distance"] == 2500.0
    assert len(document["tables"]) == 1
    rows = list(csv.DictReader(io.StringIO(write_rankings(rankings, "csv"))))
    assert [row["method"] for row in rows] == ["cnn1d + any-pair + simclr", "cnn1d + any-pair + simclr", "somebody's"]
    assert [row["distance"] for row in rows] == ["", "2500.0", "2000.0"]
    markdown = write_rankings(rankings, "md")
    assert markdown.index("ROC-AUC") < markdown.index("distance at 900 a month")
    assert "2,500 ± 90" in markdown
    page = write_rankings(rankings, "html")
    assert page.index("Leaderboard: ") < page.index("Searches of ds1.hdf5")
    for words in ("Sensitive distance", "Distance against false-alarm rate"):
        assert words in page


def test_searches_alone_in_every_format(tmp_path: Path) -> None:
    write_search(tmp_path, "a", title=EVIL)
    write_search(tmp_path, "b", title="+2=b", seed=1)
    rankings = rank_all([tmp_path], Options())
    assert rankings.runs is None
    for form in JOINED:
        text = write_rankings(rankings, form)
        assert "\x1b" not in text
        assert "2,500" in text or "2500" in text
    assert "<b onload" not in write_rankings(rankings, "html")
    assert "'+2=b" in write_rankings(rankings, "csv")
    done = CliRunner().invoke(command, ["leaderboard", str(tmp_path), "--at-far", "180"])
    assert done.exit_code == 0, done.stderr
    assert "ranked at 180 false alarms a month" in done.stdout
    assert "2,440 ± 90" in done.stdout
    refused = CliRunner().invoke(command, ["leaderboard", str(tmp_path), "--at-far", "7"])
    assert isinstance(refused.exception, UserError)
