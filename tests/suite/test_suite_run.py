from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from rich.console import Console

from gwbench.errors import UserError
from gwbench.evaluation.statistics import Interval
from gwbench.experiment.record import RunRecord, read_record
from gwbench.registry import Registry
from gwbench.suite import executors
from gwbench.suite.cell_run import Outcome
from gwbench.suite.display import TerminalDisplay
from gwbench.suite.run import Plan, execute, plan
from tests.suite.tiny import write_suite

ROOT = Path(__file__).parents[2]


def planned(folder: Path, out: str = "runs", only: tuple[str, ...] = (), **changes: Any) -> Plan:
    return plan(write_suite(folder, **changes), out=folder / out, device="cpu", only=only)


def records(out: Path) -> dict[str, RunRecord]:
    return {path.parent.name: read_record(path.parent) for path in out.glob("*/record.json")}


def arrays(record: RunRecord) -> dict[str, np.ndarray[Any, Any]]:
    with np.load(Path(str(record.folder)) / "predictions.npz", allow_pickle=False) as found:
        return dict(found)


# --- cells that are really carried out ---


def test_killed_ten_times_it_ends_in_the_same_records_no_cell_twice_none_lost(tmp_path: Path) -> None:
    suite = write_suite(tmp_path, training={"epochs": 4, "batch_size": 32}, seeds=[0, 1])
    words = [sys.executable, "-m", "tests.suite.kill_nine", str(suite), str(tmp_path)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    story = json.loads(done.stdout)
    assert len(story["seen"]) == 10
    assert len({len(seen) for seen in story["seen"]}) >= 3  # it was disturbed all along
    for earlier, later in zip(story["seen"], [*story["seen"][1:], story["end"]], strict=True):
        assert earlier.items() <= later.items()  # a record, once there, is never written again
    alone, disturbed = records(tmp_path / "alone"), records(tmp_path / "disturbed")
    assert any(record.training and record.training.resumed_from for record in disturbed.values())
    assert len(alone) == (2 * 2 + 2) * 2
    assert alone.keys() == disturbed.keys()
    assert {path.name for path in (tmp_path / "disturbed").iterdir()} == alone.keys()
    for name, record in alone.items():
        again = disturbed[name]
        assert again.status == "ok"
        assert again.metrics == record.metrics
        assert again.spec == record.spec
        assert (again.training and again.training.loss) == (record.training and record.training.loss)
        np.testing.assert_array_equal(arrays(again)["score"], arrays(record)["score"])
        assert {p.name for p in (tmp_path / "disturbed" / name).iterdir()} == {
            p.name for p in (tmp_path / "alone" / name).iterdir()
        }


FAILING = '''
import os
from gwbench.contracts import Objective
from gwbench.registry import register

@register("objective", "failing")
class Failing(Objective):
    """Fails until it is mended."""
    def loss(self, a, b):
        if "MENDED" not in os.environ:
            raise RuntimeError("not today")
        return (a - b).square().mean()
'''


def test_a_failing_cell_is_recorded_the_rest_goes_on_and_only_it_is_run_again(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "failing.py"
    source.write_text(FAILING)
    registry.load_source(str(source))
    changes: dict[str, Any] = {"objectives": ["failing", "simclr"], "label_fractions": [0.25, 0.5]}
    result = execute(planned(tmp_path, **changes))
    assert result.done == 2 + 2
    assert [reason for _, reason in result.failed] == ["RuntimeError: not today"] * 2
    before = {name: record.created for name, record in records(tmp_path / "runs").items() if record.status == "ok"}
    cell_status = planned(tmp_path, **changes)
    assert (cell_status.count("done"), cell_status.count("failed")) == (4, 2)
    monkeypatch.setenv("MENDED", "yes")
    result = execute(cell_status)
    assert (result.done, result.failed) == (2, [])
    after = records(tmp_path / "runs")
    assert all(record.status == "ok" for record in after.values())
    assert before.items() <= {name: record.created for name, record in after.items()}.items()
    assert planned(tmp_path, **changes).missing == []


# --- cells that are not ---


@pytest.fixture
def carried(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The methods of the cells that would have been carried out."""
    found: list[str] = []

    def record(spec: Any, *_: Any) -> Outcome:
        found.append(spec.title)
        return Outcome("ok", 2.0, Interval(value=0.9, low=0.8, high=0.95))

    monkeypatch.setattr(executors, "execute_cell", record)
    return found


def test_only_cells_that_fit_a_pattern_are_carried_out(tmp_path: Path, carried: list[str]) -> None:
    execute(planned(tmp_path, only=("simclr*100 %", "random")))
    assert sorted(carried) == ["cnn1d + cross-detector + simclr", "random-init (cnn1d)", "random-init (cnn1d)"]
    with pytest.raises(UserError, match=r"no cell fits 'nonsense'\. The first cells:\n  cnn1d"):
        planned(tmp_path, only=("nonsense",))


def test_cells_that_other_machines_carry_out_may_have_a_device_that_is_not_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    file = write_suite(tmp_path, precision="bf16")
    elsewhere = plan(file, out=tmp_path / "runs", device="cuda", elsewhere=True)
    assert elsewhere.options.device == "cuda"
    assert {cell.spec.precision for cell in elsewhere.missing if cell.spec.trains} == {"bf16"}
    with pytest.raises(UserError, match="'cuda' is not available on this machine"):
        plan(file, out=tmp_path / "runs", device="cuda")
    with pytest.raises(UserError, match="'cuda:7' is not available on this machine"):
        plan(file, out=tmp_path / "runs", device="cuda:7", elsewhere=True)
    file = write_suite(tmp_path, precision="auto")
    with pytest.raises(UserError, match=r"tiny\.yaml: precision: auto asks the GPU, and this machine has none"):
        plan(file, out=tmp_path / "runs", device="cuda", elsewhere=True)


def test_after_the_budget_no_new_cell_begins(tmp_path: Path, carried: list[str]) -> None:
    result = execute(planned(tmp_path, budget_seconds=1e-9))
    assert (result.done, result.left, carried) == (0, 6, [])
    assert execute(planned(tmp_path, budget_seconds=1e9)).left == 0


def test_a_cell_that_another_process_is_at_is_left_until_that_is_done(
    tmp_path: Path, carried: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stub: Callable[..., Outcome] = vars(executors)["execute_cell"]
    monkeypatch.undo()
    suite = planned(tmp_path, only=("random-init",))
    first = suite.cell_statuses[0]
    first.folder.mkdir(parents=True)
    real: Callable[..., Outcome] = vars(executors)["execute_cell"]
    tried: list[float] = []

    def once_busy(spec: Any, *rest: Any) -> Outcome:
        tried.append(spec.evaluation.label_fraction)
        if tried == [0.25]:
            with FileLock(first.folder / ".lock"):
                return real(spec, *rest)
        return stub(spec)

    monkeypatch.setattr(executors, "execute_cell", once_busy)
    assert execute(suite).done == 2
    assert tried == [0.25, 1.0, 0.25]


@pytest.mark.parametrize("terminal", [True, False])
def test_every_finished_cell_leaves_a_line_with_its_figure(tmp_path: Path, carried: list[str], terminal: bool) -> None:
    stream = io.StringIO()
    display = TerminalDisplay(Console(file=stream, force_terminal=terminal, width=140, color_system=None))
    execute(planned(tmp_path, only=("100 %",)), display=display)
    shown = stream.getvalue()
    assert len(carried) == 3
    for number in (1, 2, 3):
        assert f"[{number}/3] " in shown
    assert shown.count("AUC 0.9000 [0.8000, 0.9500], 2 s") == 3
    assert ("3/3 cells" in shown) is terminal
    assert "0:00:04 left" in shown if not terminal else "left" in shown
