"""Cells on a real Ray cluster of two nodes."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from gwbench.experiment.record import RunRecord
from gwbench.registry import Registry
from gwbench.suite.run import execute, plan
from tests.suite.gated import GATED
from tests.suite.ray_cluster import SMALL, Listening, on_ray
from tests.suite.test_executors import records, scores, threads
from tests.suite.tiny import write_suite

pytestmark = pytest.mark.timeout(400)

VOLATILE = {"created", "phases", "peak_memory", "folder"}
"""What a record says of the moment and not of the run."""


def lasting(record: RunRecord, *, resumed: bool) -> dict[str, Any]:
    """What two carryings-out of one run have in common; one that was disturbed tells from which epoch it went on."""
    said = record.model_dump(exclude=VOLATILE)
    if resumed:
        said["training"].pop("resumed_from")
    return said


@pytest.fixture
def gate(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What opens the gate of the objective "gated", whose file is gated.py; workers are told by the environment."""
    (tmp_path / "gated.py").write_text(GATED)
    registry.load_source(str(tmp_path / "gated.py"))
    monkeypatch.setenv("GWBENCH_TEST_GATE", str(tmp_path / "open"))
    return tmp_path / "open"


class Disturbance(threading.Thread):
    """Looks at the cluster's workers, disturbs one that is in its second epoch, and opens the gate.

    Attributes:
        folder: of the run that was disturbed.
        nodes: the process ids of the raylets whose workers carried cells out.
    """

    def __init__(self, out: Path, gate: Path, disturb: Callable[[psutil.Process], bool]) -> None:
        super().__init__(daemon=True)
        self.folder: Path | None = None
        self.nodes: set[int] = set()
        self._out, self._gate, self._disturb, self._over = out, gate, disturb, threading.Event()

    def run(self) -> None:
        while not self._over.wait(0.1):
            for process in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.Error):  # it has just ended
                    if " ".join(process.cmdline()).startswith("ray::CellWorker"):
                        self._look(process)

    def _look(self, process: psutil.Process) -> None:
        held = {file.path for file in process.open_files()}
        if any(path.startswith(str(self._out)) for path in held):
            self.nodes.add(process.ppid())
        for checkpoint in [] if self.folder else self._out.glob("*/checkpoints/last.ckpt"):
            if str(checkpoint.parents[1] / ".lock") in held and self._disturb(process):
                self.folder = checkpoint.parents[1]
                self._gate.touch()
                return

    def __enter__(self) -> Disturbance:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()


def test_two_nodes_leave_the_records_of_one_process_though_a_worker_is_killed(
    cluster: Any, gate: Path, tmp_path: Path, monkeypatch: Any, capfd: Any
) -> None:
    gate.touch()
    changes: dict[str, Any] = {"objectives": ["gated"], "seeds": [0, 1]}
    with threads(1):
        assert execute(plan(write_suite(tmp_path, **changes), out=tmp_path / "one", device="cpu")).failed == []
    gate.unlink()
    monkeypatch.chdir(tmp_path)  # paths are those of here, wherever workers are
    both = plan(write_suite(tmp_path, **changes), out="two", device="cpu", plugins=["gated.py"])
    display = Listening()

    def kill(process: psutil.Process) -> bool:
        process.kill()
        return True

    capfd.readouterr()
    with Disturbance(tmp_path / "two", gate, kill) as disturbance:
        result = on_ray(cluster, both, display)
    assert capfd.readouterr() == ("", "")  # Ray has a lot to say of the deaths
    assert (result.done, result.failed) == (8, [])
    assert len(disturbance.nodes) >= 2  # both nodes took part
    one, two = records(tmp_path / "one"), records(tmp_path / "two")
    assert {path.name for path in (tmp_path / "two").iterdir()} == two.keys()
    assert two.keys() == one.keys()
    assert disturbance.folder is not None
    training = two[disturbance.folder.name].training
    assert training is not None
    assert training.resumed_from == 1
    for name, record in two.items():
        resumed = record.training is not None and record.training.resumed_from > 0
        assert lasting(record, resumed=resumed) == lasting(one[name], resumed=resumed)
        np.testing.assert_array_equal(scores(record), scores(one[name]))
        assert {path.name for path in (tmp_path / "two" / name).iterdir()} == {
            path.name for path in (tmp_path / "one" / name).iterdir()
        }
    assert display.ends == Counter(cell_status.cell.label for cell_status in both.cell_statuses)
    ((line, count),) = Counter(display.begun - display.ends).items()
    assert count == 1
    assert any(said.startswith(f"{line}: its worker died, another one goes on") for said in display.lines)


@pytest.mark.usefixtures("known")
def test_the_cells_of_a_node_that_is_lost_are_carried_out_on_the_others(
    cluster: Any, gate: Path, tmp_path: Path
) -> None:
    changes: dict[str, Any] = {"objectives": ["gated"], "seeds": [0, 1, 2], "baselines": None}
    suite = plan(
        write_suite(tmp_path, **changes, label_fractions=[0.25]),
        out=tmp_path / "runs",
        device="cpu",
        plugins=[str(tmp_path / "gated.py")],
    )
    (lost,) = cluster.worker_nodes
    raylet = lost.all_processes["raylet"][0].process.pid

    def remove(process: psutil.Process) -> bool:
        if process.ppid() == raylet:
            cluster.remove_node(lost, allow_graceful=False)
        return lost not in cluster.worker_nodes

    display = Listening()
    try:
        with Disturbance(tmp_path / "runs", gate, remove) as disturbance:
            result = on_ray(cluster, suite, display)
    finally:
        if lost not in cluster.worker_nodes:
            cluster.add_node(num_cpus=1, **SMALL)
    assert disturbance.folder is not None
    assert raylet in disturbance.nodes
    assert (result.done, result.failed) == (3, [])
    assert display.ends == Counter(cell_status.cell.label for cell_status in suite.cell_statuses)
    found = records(tmp_path / "runs")
    assert [record.status for record in found.values()] == ["ok"] * 3
    assert {path.name for path in (tmp_path / "runs").iterdir()} == found.keys()
