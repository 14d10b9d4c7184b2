from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from gwbench.cli.main import main
from gwbench.experiment.record import RunRecord
from tests.conftest import TINY, TINY_OBJECTIVE


def gwbench(monkeypatch: pytest.MonkeyPatch, words: list[str]) -> int:
    monkeypatch.setattr("sys.argv", ["gwbench", *words])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


def tiny(out: Path, *more: str, settings: dict[str, Any] | None = None) -> list[str]:
    chosen = TINY | TINY_OBJECTIVE | {"dataset.snr": "12,20"} if settings is None else settings
    sets = [word for key, value in chosen.items() for word in ("--set", f"{key}={value}")]
    return ["run", "--out", str(out), "--device", "cpu", *more, *sets]


def test_json_is_the_record_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gwbench(monkeypatch, tiny(tmp_path, "--json")) == 0
    out, err = capsys.readouterr()
    record = json.loads(out)
    auc = record["metrics"]["auc"]
    assert 0 <= auc["low"] <= auc["value"] <= auc["high"] <= 1
    assert Path(record["folder"]).parent == tmp_path
    assert RunRecord.model_validate(record).auc == auc["value"]
    assert "Pre-train: done" in err
    assert "windows/s" in err

    assert gwbench(monkeypatch, tiny(tmp_path, "--json")) == 0
    again, err = capsys.readouterr()
    assert json.loads(again) == record
    assert "done already" in err
    assert "Pre-train" not in err


def test_the_summary_gives_the_figures_and_a_next_command_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gwbench(monkeypatch, tiny(tmp_path, "--loss", "simclr", "--quiet")) == 0
    out, err = capsys.readouterr()
    assert err == ""
    (record,) = tmp_path.glob("*/record.json")
    figure = json.loads(record.read_text())["metrics"]["auc"]
    assert f"{figure['value']:.4f} [{figure['low']:.4f}, {figure['high']:.4f}]" in out
    assert "by optimal network SNR" in out
    (step,) = [line for line in out.splitlines() if line.startswith("next: ")]
    words = shlex.split(step.partition("gwbench ")[2])
    assert words[:3] == ["run", "--baseline", "random-init"]
    assert gwbench(monkeypatch, [*words, "--out", str(tmp_path), "--device", "cpu", "--quiet"]) == 0
    back = capsys.readouterr().out
    assert "random-init (cnn1d) on bbh" in back
    assert "next: pre-train the same encoder: gwbench run --dataset bbh --encoder cnn1d" in back


def test_the_same_setting_by_two_names_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = tiny(tmp_path, "--epochs", "3", settings={"training.epochs": 4})
    assert gwbench(monkeypatch, words) == 2
    assert "--epochs and --set training.epochs both set training.epochs" in capsys.readouterr().err
