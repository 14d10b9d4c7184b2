from __future__ import annotations

from collections.abc import Callable

import pytest

from gwbench.suite import ray_capacity
from gwbench.suite.ray_capacity import Needs

Nodes = Callable[..., None]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Nodes:
    """Nodes as they are given: (CPUs, GPUs)."""

    def have(*given: tuple[float, float]) -> None:
        found = [{"CPU": cpus, "GPU": gpus} if gpus else {"CPU": cpus} if cpus else {} for cpus, gpus in given]
        monkeypatch.setattr(ray_capacity, "nodes", lambda _only=None: found)

    return have


def test_a_cell_fits_on_one_node_and_not_on_parts_of_two(cluster: Nodes) -> None:
    cluster((0, 0), (7, 0), (16, 2), (2, 4))
    assert [Needs(cpus, gpu=False).capacity() for cpus in (1, 2, 4, 8, 17)] == [25, 12, 5, 2, 0]
    assert [Needs(cpus, gpu=True).capacity() for cpus in (1, 2, 8, 16)] == [4, 3, 2, 1]


@pytest.mark.parametrize(
    ("gpu", "jobs", "cpus"),
    [
        (False, None, 1),  # every core has its cell
        (False, 1, 16),
        (False, 2, 8),  # 16 // 8, not 7 and 16
        (False, 3, 7),
        (False, 4, 5),
        (False, 1000, 1),
        (True, None, 8),  # two GPUs on 16 CPUs
        (True, 1, 16),
        (True, 9, 8),
    ],
)
def test_the_cpus_are_shared_out_among_the_cells(cluster: Nodes, gpu: bool, jobs: int | None, cpus: int) -> None:
    cluster((0, 0), (7, 0), (16, 2))
    assert Needs.fitting(gpu, jobs) == Needs(cpus, gpu)


def test_where_there_is_no_gpu_one_cpu_is_asked_for_with_it(cluster: Nodes) -> None:
    cluster((16, 0))
    assert Needs.fitting(gpu=True, jobs=None) == Needs(1, gpu=True)


def test_what_no_node_has_is_said_with_what_there_is(cluster: Nodes) -> None:
    cluster((0, 0), (8, 0), (8, 0))
    error = str(Needs(4, gpu=True).unmet())
    assert "has the 4 CPUs and 1 GPU that a cell needs" in error
    assert "1 with 0 CPUs and 0 GPUs; 2 with 8 CPUs and 0 GPUs" in error
