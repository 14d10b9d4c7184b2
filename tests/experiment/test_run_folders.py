"""Run folders: found, told apart, and removed only where they are nobody else's."""

from __future__ import annotations

from pathlib import Path

import pytest

from gwbench.errors import UserError
from gwbench.experiment.run_folders import find_run_folders, named_run, remove_leftovers, remove_run, run_folder
from gwbench.utils.locks import acquire
from tests.reporting.synthetic_runs import write_run


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    root = tmp_path / "runs"
    write_run(root, folder="good")
    write_run(root, folder="deeper/bad", failed="UserError: no", seed=1)
    begun = root / "begun"
    (begun / "checkpoints").mkdir(parents=True)
    (begun / "checkpoints" / "last.ckpt").write_bytes(b"x" * 1000)
    (begun / ".lock").touch()
    (root / "torn").mkdir()
    (root / "torn" / "record.json").write_text("{")
    (root / "notes").mkdir()
    (root / "notes" / "todo.txt").write_text("mine")
    (root / "link").symlink_to(root / "good")
    return root


def test_every_folder_is_found_in_its_state(runs: Path) -> None:
    found = {run.name: run for run in find_run_folders(runs)}
    assert {name: run.state for name, run in found.items()} == {
        "good": "done",
        "bad": "failed",
        "begun": "interrupted",
        "torn": "damaged",
    }
    assert found["good"].size == sum(path.stat().st_size for path in (runs / "good").iterdir())
    assert found["begun"].size == 1000
    release = acquire(runs / "begun" / ".lock")
    assert run_folder(runs / "begun").state == "running"
    release()


def test_a_run_is_named_by_folder_name_or_identity(runs: Path) -> None:
    good = named_run("good", runs)
    assert good.record is not None
    assert named_run(str(runs / "good"), "elsewhere").path == runs / "good"
    assert named_run(str(runs / "good" / "record.json"), "elsewhere").path == runs / "good"
    assert named_run(good.record.run_id[:6], runs).path == runs / "good"
    with pytest.raises(UserError, match=r"There is no run 'goood' in .*Did you mean 'good'\?"):
        named_run("goood", runs)
    with pytest.raises(UserError, match="is no folder of a run"):
        named_run(str(runs / "notes"), runs)


def test_only_what_is_a_run_and_is_not_written_is_removed(runs: Path) -> None:
    with pytest.raises(UserError, match="is no folder of a run"):
        remove_run(run_folder(runs / "notes"))
    with pytest.raises(UserError, match="is no folder of a run"):
        remove_run(run_folder(runs / "link"))
    write_run(runs, folder="good/inner", seed=5)
    with pytest.raises(UserError, match="holds other runs"):
        remove_run(run_folder(runs / "good"))
    release = acquire(runs / "begun" / ".lock")
    with pytest.raises(UserError, match="A process is carrying out the run"):
        remove_run(run_folder(runs / "begun"))
    release()
    assert (runs / "begun" / "checkpoints" / "last.ckpt").exists()
    remove_run(run_folder(runs / "begun"))
    remove_run(run_folder(runs / "deeper" / "bad"))
    assert not (runs / "begun").exists()
    assert not (runs / "deeper" / "bad").exists()
    assert (runs / "notes" / "todo.txt").read_text() == "mine"


def test_leftovers_are_those_of_finished_runs(runs: Path) -> None:
    good = runs / "good"
    (good / "checkpoints").mkdir()
    (good / "record.superseded.json").write_text("{}")
    (runs / "torn" / "record.superseded.json").write_text("{}")
    assert run_folder(runs / "begun").leftovers == ()
    assert run_folder(runs / "torn").leftovers == ()  # which may be all that is left of it
    found = run_folder(good)
    assert set(found.leftovers) == {good / "checkpoints", good / "record.superseded.json"}
    remove_leftovers(found)
    assert {path.name for path in good.iterdir()} == {".lock", "record.json", "predictions.npz"}
