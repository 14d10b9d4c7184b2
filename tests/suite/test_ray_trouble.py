"""What can go wrong on a cluster. Workers carry nothing out where that is not needed."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from gwbench.errors import UserError
from gwbench.experiment import run_directory
from gwbench.experiment.record import RunRecord
from gwbench.registry import Registry
from gwbench.suite import ray_executor
from gwbench.suite.cell_run import Outcome
from gwbench.suite.display import Display
from gwbench.suite.matrix import Cell
from gwbench.suite.ray_executor import RayCluster, ray_cluster
from gwbench.suite.run import plan
from tests.suite import light_worker
from tests.suite.ray_cluster import SMALL, Listening, on_ray
from tests.suite.test_executors import DEADLY, records
from tests.suite.tiny import write_suite

pytestmark = [pytest.mark.timeout(400), pytest.mark.usefixtures("known")]


@pytest.fixture
def light(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers import little, and their cells go well at once or end them."""
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(light_worker)
    monkeypatch.setattr(ray_executor, "CellWorker", light_worker.LightWorker)
    monkeypatch.setattr(RayCluster, "_checked", lambda _self, _cell, outcome: outcome)


@pytest.mark.usefixtures("light")
def test_a_cell_that_ends_three_workers_has_failed_and_the_others_go_on(
    cluster: Any, registry: Registry, tmp_path: Path
) -> None:
    (tmp_path / "deadly.py").write_text(DEADLY)
    registry.load_source(str(tmp_path / "deadly.py"))
    exclude = [{"objective": "deadly", "label_fraction": 1.0}]
    suite = plan(
        write_suite(tmp_path, objectives=["deadly", "simclr"], exclude=exclude), out=tmp_path / "runs", device="cpu"
    )
    display = Listening()
    result = on_ray(cluster, suite, display)
    ((cell, reason),) = result.failed
    assert "deadly" in cell.label
    assert result.done == 4
    assert display.ends == Counter(cell_status.cell.label for cell_status in suite.cell_statuses)
    assert display.begun == display.ends + Counter({cell.label: 2})
    assert reason.startswith("WorkerDiedError: 3 workers died of it, most likely for want of memory")
    assert {(record.status, record.reason) for record in records(tmp_path / "runs").values()} == {("failed", reason)}


@pytest.mark.usefixtures("light")
def test_workers_that_never_start_end_the_suite(cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GWBENCH_TEST_STILLBORN", "yes")  # such variables count on the nodes too
    suite = plan(write_suite(tmp_path), out=tmp_path / "runs", device="cpu")
    with pytest.raises(UserError, match=r"No worker starts on the Ray cluster .*Install this version of gwbench"):
        on_ray(cluster, suite, jobs=1)
    assert list((tmp_path / "runs").iterdir()) == []


@pytest.mark.usefixtures("light")
def test_where_others_use_the_cluster_that_is_said_and_waited_for(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    class Idle:
        def there(self) -> bool:
            return True

    monkeypatch.setattr(ray_executor, "WAITING", 2.0)
    suite = plan(write_suite(tmp_path), out=tmp_path / "runs", device="cpu")

    class Patient(Listening):
        def say(self, message: str) -> None:
            super().say(message)
            for other in others:
                ray.kill(other)

    with ray_cluster(suite.options, address=cluster.address):
        others: list[Any] = [ray.remote(num_cpus=1)(Idle).remote() for _ in range(2)]
        ray.get([other.there.remote() for other in others])
        display = Patient()
        assert on_ray(cluster, suite, display).done == 6
    assert display.lines == ["Waiting for the cluster to have 1 CPU free; `ray status` shows what is taken."]


def test_what_no_node_has_is_not_waited_for(cluster: Any, tmp_path: Path) -> None:
    suite = plan(write_suite(tmp_path), out=tmp_path / "runs", device="cpu")
    there = "Its nodes: 2 with 1 CPUs and 0 GPUs"
    with pytest.raises(UserError, match=f"has the 2 CPUs that a cell needs. {there}"):
        on_ray(cluster, suite, cpus=2)
    with_gpu = plan(write_suite(tmp_path), out=tmp_path / "runs", device="cuda", elsewhere=True)
    with pytest.raises(UserError, match=f"has the 1 CPU and 1 GPU that a cell needs. {there}"):
        on_ray(cluster, with_gpu)
    assert not (tmp_path / "runs").exists()


@pytest.mark.usefixtures("light")
def test_a_cell_claims_its_cpus_and_its_gpu(cluster: Any, tmp_path: Path) -> None:
    """The GPU is one that Ray merely believes in."""
    import ray

    suite = plan(write_suite(tmp_path), out=tmp_path / "runs", device="cuda", elsewhere=True, only=["random-init*25 %"])
    left: list[tuple[float, float]] = []

    class Watching(Display):
        def began(self, worker: int, cell: Cell) -> None:
            until = time.monotonic() + 10
            while not left or (left[-1] != (2.0, 0.0) and time.monotonic() < until):
                free = ray.available_resources()
                left.append((free.get("CPU", 0.0), free.get("GPU", 0.0)))
                time.sleep(0.1)

    node = cluster.add_node(num_cpus=3, num_gpus=1, **SMALL)
    try:
        assert on_ray(cluster, suite, Watching(), cpus=3).done == 1
    finally:
        cluster.remove_node(node)
    assert left[-1] == (2.0, 0.0)  # of 1 + 1 + 3 CPUs and one GPU


def test_a_node_that_does_not_see_the_folder_of_runs_is_told_of(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = plan(write_suite(tmp_path), out=tmp_path / "runs", device="cpu")
    cell = suite.cell_statuses[0].cell
    monkeypatch.setattr(ray_executor, "APPEARING", 0.0)
    with ray_cluster(suite.options, address=cluster.address) as executor:
        outcome = executor._checked(cell, Outcome("ok", 3.0))
        assert (outcome.status, outcome.seconds) == ("failed", 3.0)
        assert f"its record is not in {suite.cell_statuses[0].folder}: --out must be" in outcome.reason
        suite.cell_statuses[0].folder.mkdir(parents=True)
        monkeypatch.setattr(run_directory, "find_record", lambda *_: RunRecord.model_construct(status="ok"))
        assert executor._checked(cell, Outcome("ok")).status == "ok"
    monkeypatch.setattr(Path, "touch", lambda _path: None)  # as if it were written elsewhere
    with pytest.raises(UserError, match=rf"The Ray node 127\.0\.0\.1 does not see the folder {tmp_path}/runs"):
        on_ray(cluster, suite)
