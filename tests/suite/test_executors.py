from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from gwbench.experiment.record import RunRecord, read_record
from gwbench.registry import Registry
from gwbench.suite import executors
from gwbench.suite.run import execute, plan
from gwbench.utils import subprocesses
from tests.suite.tiny import TINY_SUITE, write_suite


def records(out: Path) -> dict[str, RunRecord]:
    return {path.parent.name: read_record(path.parent) for path in out.glob("*/record.json")}


def scores(record: RunRecord) -> np.ndarray[Any, Any]:
    with np.load(Path(str(record.folder)) / "predictions.npz", allow_pickle=False) as found:
        return np.asarray(found["score"])


DEADLY = '''
import os
from gwbench.contracts import Objective
from gwbench.registry import register

@register("objective", "deadly")
class Deadly(Objective):
    """Kills its process."""
    def loss(self, a, b):
        os.kill(os.getpid(), 9)
'''


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Compute with as many as a worker does: another number rounds otherwise."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        with threadpool_limits(count):
            yield
    finally:
        torch.set_num_threads(before)


def test_two_processes_leave_the_records_of_one_and_outlive_a_worker(registry: Registry, tmp_path: Path) -> None:
    source = tmp_path / "deadly.py"
    source.write_text(DEADLY)
    registry.load_source(str(source))
    suite = write_suite(tmp_path, label_fractions=[0.25])
    with threads(int(executors._share(2)[subprocesses.THREADS[0]])):
        assert execute(plan(suite, out=tmp_path / "one", device="cpu")).failed == []
    objectives = [TINY_SUITE["objectives"][0], "deadly", "simclr"]
    suite = write_suite(tmp_path, label_fractions=[0.25], objectives=objectives)
    both = plan(suite, out=tmp_path / "two", device="cpu", plugins=[str(source)])
    result = execute(both, jobs=2)
    ((cell, reason),) = result.failed
    assert cell.spec.objective is not None
    assert cell.spec.objective.name == "deadly"
    assert "SIGKILL" in reason
    assert result.done == 3
    one, two = records(tmp_path / "one"), records(tmp_path / "two")
    failed = [record for record in two.values() if record.status == "failed"]
    assert [record.reason for record in failed] == [reason]
    good = {name: record for name, record in two.items() if record.status == "ok"}
    assert len(good) == 3
    for name, record in good.items():
        assert record.metrics == one[name].metrics
        np.testing.assert_array_equal(scores(record), scores(one[name]))


def test_the_cores_and_the_memory_are_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "usable_cores", lambda: 16)
    monkeypatch.setenv("GWBENCH_MEMORY", "12")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    for jobs, threads in ((1, "16"), (3, "5"), (16, "1"), (40, "1")):
        given = executors._share(jobs)
        assert {given[name] for name in subprocesses.THREADS} == {threads}
        assert float(given["GWBENCH_MEMORY"]) == pytest.approx(12 / jobs, abs=1e-3)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert executors._share(3)["MKL_NUM_THREADS"] == "2"
