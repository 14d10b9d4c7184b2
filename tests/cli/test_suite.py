from __future__ import annotations

import signal
import time
from pathlib import Path

import psutil
import pytest

from gwbench.cli.main import main
from gwbench.experiment.record import read_record
from gwbench.suite import executors
from gwbench.suite.cell_run import Outcome
from tests.forked import ForkedCommand
from tests.suite.tiny import write_suite


def gwbench(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["gwbench", "suite", *words])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


def test_a_dry_run_shows_the_cells_and_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = write_suite(tmp_path, exclude=[{"objective": "simclr", "label_fraction": 1.0}])
    out = tmp_path / "runs"
    assert gwbench(monkeypatch, "run", str(suite), "--dry-run", "--out", str(out), "--device", "cpu") == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "would run  cnn1d + cross-detector + barlow on bbh, 25 % labels, seed 0"
    assert len(shown) == 5 + 1
    assert shown[-1] == "tiny: 5 cells: 5 missing, 1 excluded"
    assert not out.exists()
    assert not list(tmp_path.rglob("*.h5"))


@pytest.mark.parametrize(
    ("outcome", "budget", "code"),
    [("ok", None, 0), ("failed", None, 1), ("ok", 1e-9, 3)],
)
def test_the_exit_code_says_how_it_went(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    outcome: str,
    budget: float | None,
    code: int,
) -> None:
    result = Outcome("ok") if outcome == "ok" else Outcome("failed", reason="on purpose")
    monkeypatch.setattr(executors, "execute_cell", lambda *_: result)
    suite = write_suite(tmp_path, budget_seconds=budget)
    words = ["run", str(suite), "--out", str(tmp_path / "runs"), "--device", "cpu", "--quiet", "--only", "simclr"]
    assert gwbench(monkeypatch, *words) == code
    out, err = capsys.readouterr()
    assert err == ""
    last = out.splitlines()[-1]
    assert last.startswith("tiny: 2 cells: ")
    if code == 1:
        assert "2 failed" in last
        assert out.count(": on purpose") == 2
    if code == 3:
        assert "2 left by the budget" in last


def test_a_mistake_in_the_file_is_one_message_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = tmp_path / "bad.yaml"
    suite.write_text("datasets: [bbh]\nbaselines: [!!python/object/apply:os.system ['false']]\n")
    assert gwbench(monkeypatch, "status", str(suite)) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"Error: {suite}, line 2: !!python/object/apply:os.system is refused")
    assert err.count("\n") == 1
    assert gwbench(monkeypatch, "run", str(tmp_path / "none.yaml")) == 2


def test_settings_from_outside_say_where_the_data_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = str(Path(__file__).parents[2] / "benchmarks" / "g2net.yaml")
    assert gwbench(monkeypatch, "status", suite, "--device", "cpu") == 2
    assert "dataset.path" in capsys.readouterr().err
    assert gwbench(monkeypatch, "status", suite, "--device", "cpu", "--set", f"dataset.path={tmp_path}/none") == 2
    assert f"{tmp_path}/none" in capsys.readouterr().err


def test_ctrl_c_ends_all_processes_and_the_same_command_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = write_suite(tmp_path, label_fractions=[0.25], training={"epochs": 12, "batch_size": 32})
    out = tmp_path / "runs"
    options = [str(suite), "--out", str(out), "--device", "cpu"]
    process = ForkedCommand(["suite", "run", *options, "--jobs", "2"])
    while not list(out.glob("*/checkpoints/last.ckpt")):  # in the middle of a pre-training
        assert process.poll() is None
        time.sleep(0.05)
    workers = psutil.Process(process.pid).children(recursive=True)
    assert len(workers) >= 2
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Interrupted. The same command goes on" in err
    assert "Traceback" not in err
    assert not any(worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE for worker in workers)
    assert gwbench(monkeypatch, "status", *options) == 0
    shown = capsys.readouterr().out
    assert "interrupted  cnn1d + cross-detector" in shown
    assert gwbench(monkeypatch, "run", *options, "--quiet") == 0
    found = [read_record(path.parent) for path in out.glob("*/record.json")]
    assert [record.status for record in found] == ["ok"] * 3
    assert any(record.training and record.training.resumed_from for record in found)
    capsys.readouterr()
    assert gwbench(monkeypatch, "status", *options) == 0
    shown = capsys.readouterr().out
    assert shown.count("done  ") == 3
    assert shown.splitlines()[-1] == "tiny: 3 cells: 3 done"
