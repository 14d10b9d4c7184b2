from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from gwbench.cli.main import main
from gwbench.suite.sweep.results import SeedScore, TrialResult

FILE = {
    "title": "How wide",
    "base": {
        "encoder": {"name": "cnn1d", "width": 4},
        "pairing": "any-pair",
        "objective": "simclr",
        "training": {"windows": 12000},
        "precision": "fp32",
    },
    "search": {"objective.temperature": [0.1, 0.5]},
}


def gwbench(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["gwbench", "sweep", *words])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "sweep.yaml"
    path.write_text(yaml.safe_dump(FILE))
    return path


def write_results(file: Path, *, failed: bool = False) -> None:
    """Results as another gwbench may have left them."""
    found = [
        TrialResult(
            status="ok",
            settings={"objective.temperature": temperature},
            scores=[SeedScore(seed=0, run_id="", value=value, low=value - 0.01, high=value + 0.01, seconds=30)],
            command=f"gwbench run --set objective.temperature={temperature}",
        )
        for temperature, value in ((0.5, 0.91), (0.1, 0.93))
    ]
    if failed:
        found[0] = TrialResult(status="failed", settings=found[0].settings, reason="it diverged")
    lines = [each.model_dump_json(exclude_defaults=True) for each in found]
    file.with_suffix(".jsonl").write_text("\n".join(lines) + "\n")


def test_a_dry_run_says_what_would_be_tried_and_makes_nothing(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gwbench(monkeypatch, str(file), "--dry-run", "--device", "cpu") == 0
    assert capsys.readouterr().out.splitlines() == [
        "would run    objective.temperature=0.5",
        "would run    objective.temperature=0.1",
        "sweep: grid: 0 trials done, 2 left",
    ]
    assert gwbench(monkeypatch, str(file), "--dry-run", "--trials", "1", "--device", "cpu") == 0
    assert capsys.readouterr().out.splitlines()[-1] == ("sweep: grid: 0 trials done, 1 left, of 2 that the file lists")
    assert gwbench(monkeypatch, str(file), "--dry-run", "--json", "--device", "cpu") == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["left"] == [{"objective.temperature": 0.5}, {"objective.temperature": 0.1}]
    assert (plan["done"], plan["unknown"]) == ([], 0)
    assert [path.name for path in file.parent.iterdir()] == ["sweep.yaml"]


def test_the_table_orders_what_is_recorded_and_names_the_command_of_the_best(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_results(file)
    assert gwbench(monkeypatch, str(file), "--table", "--device", "cpu") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "How wide"
    assert "12,000 windows seen" in lines[1] and "The test split is not read." in lines[1]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("|")]
    assert rows[0] == ["`objective.temperature`", "validation AUC [95 %]", "s"]
    assert [row[0] for row in rows[2:]] == ["0.1", "0.5"]
    assert rows[2][1] == "0.9300 [0.9200, 0.9400]"
    assert lines[-1] == "gwbench run --set objective.temperature=0.1"
    assert any(line.startswith("2 of these 2 trials were made with another base") for line in lines)


def test_json_is_a_document_and_a_failed_trial_is_an_exit_code(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_results(file, failed=True)
    assert gwbench(monkeypatch, str(file), "--table", "--json", "--device", "cpu") == 1
    document = json.loads(capsys.readouterr().out)
    assert document["scored_on"] == "validation"
    assert document["default"] == {"objective.temperature": 0.5}
    assert [trial["value"] for trial in document["trials"]] == [0.93]
    assert document["unfinished"][0]["reason"] == "it diverged"
    assert document["best"]["command"] == "gwbench run --set objective.temperature=0.1"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--table"], "holds no trial of"),
        (["--table", "--dry-run"], "--table and --dry-run each show something else"),
        (["--set", "objective.temperature=1"], "the sweep searches it"),
        (["--set", "objective.temprature=1"], "Did you mean 'temperature'"),
        (["--device", "tpu"], "There is no device 'tpu'"),
    ],
)
def test_mistakes_are_one_message(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert gwbench(monkeypatch, str(file), *words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert len(err.strip().splitlines()) == 1


def test_results_are_not_written_over_the_sweep_itself(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = file.read_bytes()
    assert gwbench(monkeypatch, str(file), "--out", str(file), "--device", "cpu") == 2
    assert "The results cannot be written over the sweep itself" in capsys.readouterr().err
    assert file.read_bytes() == before


def test_a_file_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gwbench(monkeypatch, str(tmp_path / "nowhere.yaml")) == 2
    assert "nowhere.yaml cannot be read: No such file" in capsys.readouterr().err
