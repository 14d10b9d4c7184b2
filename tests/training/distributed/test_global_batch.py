from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from gwbench.contracts import View
from gwbench.registry import REGISTRY
from gwbench.training.distributed.global_batch import GlobalBatchView
from tests.forked import ForkedCommand
from tests.training.distributed.global_batch_job import STEPS

SHIPPED = sorted(
    plugin.name for plugin in REGISTRY.list("objective") if Path(plugin.origin.file).parent.name == "objectives"
)
GROUPED = ["byol by groups", "vicreg by groups"]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What both processes found."""
    store = tmp_path_factory.mktemp("store") / "store"
    code = "import runpy; runpy.run_module('tests.training.distributed.global_batch_job', run_name='__main__')"
    processes = [ForkedCommand([str(rank), store], code=code) for rank in range(2)]
    try:
        lines = [process.communicate(timeout=200)[0].splitlines() for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert [process.returncode for process in processes] == [0, 0]
    return [json.loads(each[-1]) for each in lines]


@pytest.mark.parametrize("name", [*SHIPPED, *GROUPED])
def test_two_processes_take_the_steps_of_one_with_the_joined_batch(name: str, found: list[dict[str, Any]]) -> None:
    """Loss, every gradient after averaging, and every buffer (queues, centres, running statistics), in float64."""
    assert len(SHIPPED) >= 11
    for rank in found:
        assert len(rank[name]["loss"]) == STEPS
        assert max(rank[name]["loss"]) < 1e-12
        assert max(rank[name]["gradients"]) < 1e-8
        assert max(rank[name]["buffers"]) < 1e-8


def test_processes_drop_out_independently_and_leave_the_objective_the_same_draws(found: list[dict[str, Any]]) -> None:
    first, second = (rank["draws"] for rank in found)
    assert (first["rank"], second["rank"]) == (0, 1)
    assert first["masks"] == second["masks"]  # both see the masks of the global batch
    masks = torch.tensor(first["masks"])
    assert masks.shape == (2, 64)
    assert set(masks.unique().tolist()) == {0.0, 2.0}
    assert 10 < int((masks[0] != masks[1]).sum()) < 54  # equal draws would differ nowhere, independent ones in half
    assert first["behind"] == second["behind"]


def test_a_joined_view_that_is_given_other_samples_is_an_ordinary_one() -> None:
    samples, detectors = torch.zeros(2, 1, 4), torch.zeros(2, 1, dtype=torch.long)
    view = GlobalBatchView(samples, detectors)
    assert view.own is None
    assert view.samples is samples
    assert view.detectors is detectors
    assert GlobalBatchView(own=View(samples, detectors)).own is not None
