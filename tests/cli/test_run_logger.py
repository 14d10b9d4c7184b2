from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pytest

from gwbench.cli.main import main
from tests.conftest import TINY

SETTINGS = TINY | {"dataset.snr": "12,20"}
DATA = [word for key, value in SETTINGS.items() if key.startswith("dataset.") for word in ("--set", f"{key}={value}")]


def gwbench(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["gwbench", *words])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "tensorbord",
            "Error: There is no logger 'tensorbord'. Did you mean 'tensorboard'? Loggers: csv, tensorboard,",
        ),
        ("wandb", "Error: The logger 'wandb' needs wandb, which is not installed: pip install 'gwbench-ssl[wandb]'"),
    ],
)
def test_a_logger_that_is_not_there_is_one_line_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, message: str
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    out = tmp_path / "runs"
    assert gwbench(monkeypatch, "run", "--out", str(out), "--logger", "csv", "--logger", name) == 2
    said = capsys.readouterr().err
    assert said.startswith(message)
    assert len(said.splitlines()) == 1
    assert not out.exists()


def test_the_logger_says_where_it_logs_and_is_not_in_the_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", "--baseline", "band-power", "--device", "cpu", "--out", str(tmp_path), "--json", *DATA]
    assert gwbench(monkeypatch, *words, "--logger", "csv") == 0
    out, err = capsys.readouterr()
    record = json.loads(out)
    path = Path(record["folder"]) / "logs" / "csv" / "metrics.csv"
    assert f"Logging to csv: {path}" in err.splitlines()
    with path.open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert float(row["test/auc"]) == record["metrics"]["auc"]["value"]
    assert "csv" not in (Path(record["folder"]) / "record.json").read_text()
    assert gwbench(monkeypatch, *words, "--logger", "csv") == 0
    assert "This run is done already" in (said := capsys.readouterr().err)
    assert "Nothing is logged." in said
