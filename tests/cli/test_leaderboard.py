from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from gwbench.experiment.record import RECORD
from tests.cli.test_run import gwbench
from tests.cli.test_startup import HEAVY, imported_by
from tests.reporting.synthetic_runs import write_run


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for objective, quality in (("barlow", 1.0), ("simclr", 2.5)):
        for seed in range(3):
            write_run(tmp_path / "runs", objective=objective, quality=quality, seed=seed)
    return tmp_path / "runs"


def test_the_terminal_shows_the_ranking(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gwbench(monkeypatch, ["leaderboard", str(runs)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "\x1b" not in out  # no terminal, no colours
    first, second = [line.split() for line in out.splitlines() if line.strip()[:2] in ("1 ", "2 ")]
    assert first[1:5] == ["cnn1d", "+", "cross-detector", "+"]
    assert (first[5], second[5]) == ("simclr", "barlow")
    assert float(first[6]) > float(second[6]) > 0.5
    assert "best" in first and "(p" in second
    assert "bbh (data " in out
    assert max(map(len, out.splitlines())) <= 160


def test_a_narrow_terminal_names_what_it_leaves_out(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("gwbench.cli.ranking_tables.width", lambda: 80)
    assert gwbench(monkeypatch, ["leaderboard", str(runs)]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert "ROC-AUC" in out and "method" in out
    joined = " ".join(out.split())
    assert "No room for: " in joined and "samples/s" in joined.partition("No room for: ")[2]


def test_the_form_follows_the_name_of_the_file(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    starts = {"md": "### bbh", "csv": "dataset,", "json": "{", "tex": "% needs", "txt": "bbh (data"}
    for ending, start in starts.items():
        path = tmp_path / f"board.{ending}"
        assert gwbench(monkeypatch, ["leaderboard", str(runs), "--output", str(path)]) == 0
        assert path.read_text().startswith(start)
        assert "\x1b" not in path.read_text()
    assert capsys.readouterr().out == ""
    assert gwbench(monkeypatch, ["leaderboard", str(runs), "--format", "json"]) == 0
    assert capsys.readouterr().out == (tmp_path / "board.json").read_text()
    forced = tmp_path / "forced.md"
    assert gwbench(monkeypatch, ["leaderboard", str(runs), "--format", "csv", "--output", str(forced)]) == 0
    assert len(list(csv.reader(forced.read_text().splitlines()))) == 3


def test_exit_codes_say_whether_all_was_read(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(30):
        (runs / f"bad{number:02}\x1b[2J").mkdir()
        (runs / f"bad{number:02}\x1b[2J" / RECORD).write_text("{")
    assert gwbench(monkeypatch, ["leaderboard", str(runs), "--format", "csv"]) == 1
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 3
    assert "30 of 36 records were passed over" in err
    assert r"bad00\x1b[2J" in err and "\x1b" not in err
    assert "and 10 more" in err
    (tmp_path / "none").mkdir()
    assert gwbench(monkeypatch, ["leaderboard", str(tmp_path / "none")]) == 2
    assert "There is no record.json" in capsys.readouterr().err
    assert gwbench(monkeypatch, ["leaderboard", str(tmp_path / "nowhere")]) == 2
    assert gwbench(monkeypatch, ["leaderboard", str(runs), "--metric", "f1"]) == 2
    assert "There is no metric 'f1'" in capsys.readouterr().err
    assert gwbench(monkeypatch, ["leaderboard", str(runs), "--format", "xml"]) == 2


def test_sections(runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert gwbench(monkeypatch, ["leaderboard", str(runs), "--group-by", "objective", "--sort", "method"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert next(line for line in lines if line in (["barlow"], ["simclr"])) == ["barlow"]
    assert ["simclr"] in lines


def test_compare_tests_two_runs_and_shows_what_differs(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    a = write_run(tmp_path / "a", settings={"encoder.width": 8}, quality=1.0, code="edited")
    b = write_run(tmp_path / "b", quality=2.0)
    assert gwbench(monkeypatch, ["compare", str(a), str(b)]) == 0
    out = capsys.readouterr().out
    assert "A - B: -0." in out and "DeLong, paired" in out
    assert any(line.split() == ["encoder.width", "8", "32"] for line in out.splitlines())
    assert "data: the same" in out and "environment: the same" in out
    assert any(line.startswith("encoder cnn1d") for line in out.splitlines())
    assert gwbench(monkeypatch, ["compare", str(a), str(b), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["spec"] == [{"name": "encoder.width", "a": "8", "b": "32"}]
    assert gwbench(monkeypatch, ["compare", str(a), str(tmp_path / "nothing")]) == 2
    assert "is no record of a run" in capsys.readouterr().err


def test_a_leaderboard_is_made_without_torch(runs: Path) -> None:
    for words in (("leaderboard", "--help"), ("compare", "--help")):
        assert not imported_by(*words) & (HEAVY | {"numpy", "pydantic"})
    assert not imported_by("leaderboard", str(runs)) & (HEAVY - {"scipy"})
