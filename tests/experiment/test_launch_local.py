"""Runs of several processes that gwbench starts."""

from __future__ import annotations

import io
import pickle
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from gwbench.errors import UserError
from gwbench.experiment.launch_local import _Pickler
from gwbench.experiment.record import read_record
from gwbench.registry import Registry
from gwbench.utils.progress import Progress, ProgressTask
from tests.conftest import Heard
from tests.experiment.shared_runs import SETTINGS, command, run, same
from tests.forked import ForkedCommand

DYING = '''
import os, signal
from gwbench.contracts import Objective
from gwbench.registry import register

@register("objective", "dying")
class Dying(Objective):
    """Draws two views together; the process of rank 1 may be killed in the second epoch."""
    def loss(self, a, b):
        return (a - b).square().mean() - a.std(0).clamp(max=1).mean()
    def after_step(self, step, total_steps):
        if step == 9 and os.environ.get("RANK", "none") == os.environ.get("GWBENCH_TEST_DIES"):
            os.kill(os.getpid(), signal.SIGKILL)
'''


class Titles(Heard):
    """Keeps the tasks' titles as well."""

    def task(self, title: str, total: float, unit: str = "") -> Any:
        self.lines.append(title)
        return super().task(title, total, unit)


class Stopping(Progress):
    """Ctrl-C in the second epoch."""

    def task(self, title: str, total: float, unit: str = "") -> Any:
        stopping = self

        class Context:
            def __enter__(self) -> ProgressTask:
                return stopping

            def __exit__(self, *_: object) -> None:
                return None

        return Context()

    def advance(self, amount: float = 1, note: str = "") -> None:
        if note.startswith("epoch 2/"):
            raise KeyboardInterrupt


def test_a_run_of_one_device_goes_on_with_two_and_is_the_same(tmp_path: Path) -> None:
    alone = run(tmp_path / "alone", 1)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "both", 1, progress=Stopping())
    progress = Titles()
    found = run(tmp_path / "both", progress=progress)
    assert found.training is not None
    assert found.training.resumed_from == 1
    same(found, alone)
    assert (found.environment.devices, found.environment.nodes) == (2, 1)
    assert (alone.environment.devices, alone.environment.nodes) == (1, 1)
    assert found.folder
    assert read_record(Path(found.folder)) == found
    assert "Pre-train" in progress.lines
    assert "Resuming after epoch 1." in progress.lines
    assert not (Path(found.folder) / "checkpoints").exists()


def test_a_process_that_dies_ends_the_run_and_another_number_of_devices_resumes_it(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "dying.py"
    source.write_text(DYING)
    dying: dict[str, Any] = {"objective": "dying", "plugins": [str(source)]}
    monkeypatch.setenv("GWBENCH_TEST_DIES", "1")
    monkeypatch.setenv("GWBENCH_MEMORY", "0.001")  # what is conditioned goes to a file
    with pytest.raises(UserError, match="Process 2 of the 2 that pre-train together ended with SIGKILL"):
        run(tmp_path / "both", **dying)
    (path,) = tmp_path.glob("both/*/record.json")
    assert read_record(path.parent).status == "failed"
    assert (path.parent / "checkpoints" / "last.ckpt").exists()
    resumed = run(tmp_path / "both", 1, **dying)
    assert resumed.training is not None
    assert resumed.training.resumed_from == 1
    same(resumed, run(tmp_path / "alone", 1, **dying))


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_no_process_is_left_behind_one_that_is_stopped(stop: signal.Signals, tmp_path: Path) -> None:
    words = command(tmp_path, SETTINGS | {"training.epochs": 5000})
    process = ForkedCommand(words)
    try:
        while not list(tmp_path.glob("*/checkpoints/last.ckpt")):
            assert process.poll() is None, process.communicate()
            time.sleep(0.1)
        others = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(stop)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == {signal.SIGKILL: -9, signal.SIGINT: 130}[stop]
    assert "Traceback" not in said
    assert len(others) == 2
    _, left = psutil.wait_procs(others, timeout=30)
    assert left == []


def test_a_file_mapped_into_memory_is_mapped_again_and_not_copied(tmp_path: Path) -> None:
    np.save(tmp_path / "strain.npy", np.arange(3_000_000, dtype=np.float32).reshape(1000, 3, 1000))
    mapped = np.load(tmp_path / "strain.npy", mmap_mode="r")
    stream = io.BytesIO()
    _Pickler(stream).dump({"strain": mapped, "part": mapped[2:4]})
    assert len(stream.getvalue()) < 30_000
    found = pickle.loads(stream.getvalue())
    assert isinstance(found["strain"], np.memmap)
    np.testing.assert_array_equal(found["strain"], mapped)
    np.testing.assert_array_equal(found["part"], mapped[2:4])
