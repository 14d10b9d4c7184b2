"""`gwbench runs list|show|rm|prune`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gwbench.cli.main import main
from gwbench.cli.runs.list import STATES
from gwbench.experiment import run_folders
from gwbench.utils.locks import acquire
from tests.reporting.synthetic_runs import write_run

CommandLine = Callable[..., tuple[int, str, str]]


@pytest.fixture
def gwbench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> CommandLine:
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["gwbench", "runs", *words])
        with pytest.raises(SystemExit) as stop:
            main()
        assert isinstance(stop.value.code, int)
        return stop.value.code, *capsys.readouterr()

    return run


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    root = tmp_path / "runs"
    write_run(root, folder="weak", quality=0.5, created="2026-03-01T00:00:00+00:00")
    write_run(root, folder="strong", quality=3.0, seed=1, objective="simclr", created="2026-02-01T00:00:00+00:00")
    write_run(root, folder="broken", failed="UserError: no", seed=2)
    (root / "weak" / "checkpoints").mkdir()
    (root / "weak" / "record.superseded.json").write_text("{}")
    begun = root / "begun"
    (begun / "checkpoints").mkdir(parents=True)
    (begun / ".lock").touch()
    return root


def names(gwbench: CommandLine, *words: str) -> list[str]:
    code, out, _ = gwbench("list", "--json", *words)
    assert code == 0
    return [Path(each["folder"]).name for each in json.loads(out)]


def test_the_states_are_those_that_there_are() -> None:
    assert STATES == run_folders.STATES


def test_runs_are_listed_sorted_and_filtered(gwbench: CommandLine, runs: Path) -> None:
    code, out, err = gwbench("list")
    assert (code, err) == (0, "")
    assert out.splitlines()[0].split() == ["state", "method", "dataset", "seed", "AUC", "created", "size", "folder"]
    assert [line.split()[0] for line in out.splitlines()[1:5]] == ["interrupted", "failed", "done", "done"]
    assert "4 runs, " in out.splitlines()[-1]
    assert names(gwbench) == ["begun", "broken", "strong", "weak"]
    assert names(gwbench, "--sort", "auc")[:2] == ["strong", "weak"]
    assert names(gwbench, "--sort", "created", "--status", "done") == ["strong", "weak"]
    assert names(gwbench, "--status", "failed", "--status", "interrupted") == ["begun", "broken"]
    assert names(gwbench, "--method", "simclr") == ["strong"]
    assert names(gwbench, "--method", "*barlow") == ["broken", "weak"]
    assert names(gwbench, "--seed", "1") == ["strong"]
    assert names(gwbench, "--dataset", "g2net") == []
    assert gwbench("list", "--seed", "77") == (0, "None of the 4 runs in runs is one of these.\n", "")
    code, out, err = gwbench("list", "--out", "nowhere")
    assert (code, out) == (2, "")
    assert "There is no folder 'nowhere'" in err


def test_a_run_is_shown(gwbench: CommandLine, runs: Path) -> None:
    code, out, _ = gwbench("show", "strong", "--json")
    record = json.loads(out)
    assert (code, record["run_id"]) == (0, json.loads((runs / "strong" / "record.json").read_text())["run_id"])
    code, out, _ = gwbench("show", record["run_id"][:8])
    assert code == 0
    assert f"{record['metrics']['auc']['value']:.4f}" in out
    code, out, _ = gwbench("show", str(runs / "broken"))
    assert code == 0
    assert "failed: UserError: no" in out
    assert "again: gwbench run" in out
    code, out, err = gwbench("show", "begun")
    assert (code, out) == (2, "")
    assert "begun is interrupted: there is no record" in err


def test_runs_are_removed_after_a_question(gwbench: CommandLine, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    code, out, _ = gwbench("rm", "strong")
    assert (code, out) == (0, "Nothing was removed.\n")
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    code, _, err = gwbench("rm", "strong")
    assert code == 2
    assert "Add --yes to remove without a question" in err
    assert (runs / "strong").is_dir()
    (runs / "notes").mkdir()
    code, _, err = gwbench("rm", "strong", str(runs / "notes"), "--yes")
    assert code == 2
    assert "is no folder of a run" in err
    release = acquire(runs / "begun" / ".lock")
    code, _, err = gwbench("rm", "strong", "begun", "--yes")
    assert code == 2
    assert "A process is carrying out the run" in err
    release()
    assert (runs / "strong").is_dir()  # all or nothing
    code, out, _ = gwbench("rm", "strong", "strong", "begun", "--yes")
    assert code == 0
    assert out.startswith("Removed 2 runs, ")
    assert sorted(path.name for path in runs.iterdir()) == ["broken", "notes", "weak"]


def test_pruning_leaves_what_is_of_use(gwbench: CommandLine, runs: Path) -> None:
    code, out, _ = gwbench("prune", "--dry-run")
    assert code == 0
    told = [Path(line.split()[2]).relative_to("runs") for line in out.splitlines() if line.startswith("would remove")]
    assert sorted(map(str, told)) == ["broken", "weak/checkpoints", "weak/record.superseded.json"]
    assert (runs / "broken").is_dir()
    assert gwbench("prune", "--yes")[0] == 0
    assert sorted(path.name for path in runs.iterdir()) == ["begun", "strong", "weak"]
    assert {path.name for path in (runs / "weak").iterdir()} == {".lock", "record.json", "predictions.npz"}
    assert gwbench("prune")[1] == "Nothing to remove in runs: no failed runs and no leftovers.\n"
    assert gwbench("prune", "--interrupted", "--yes")[0] == 0
    assert sorted(path.name for path in runs.iterdir()) == ["strong", "weak"]
