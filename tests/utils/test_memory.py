from __future__ import annotations

import shutil
from pathlib import Path

import psutil
import pytest

from gwbench.errors import UserError
from gwbench.utils import memory as budget
from gwbench.utils.control_groups import control_groups, legacy_groups, memory_left


def test_the_variable_names_the_memory_in_gib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GWBENCH_MEMORY", "0.5")
    assert budget.memory_budget() == 2**29
    monkeypatch.setenv("GWBENCH_MEMORY", "0")
    assert budget.memory_budget() == 0


@pytest.mark.parametrize("value", ["", "8 GiB", "-1", "nan", "inf"])
def test_a_variable_that_is_no_amount_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("GWBENCH_MEMORY", value)
    with pytest.raises(UserError, match=r"GWBENCH_MEMORY=.* is no amount of memory: expected GiB, such as 8 or 0\.5"):
        budget.memory_budget()


def test_by_default_it_is_a_share_of_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GWBENCH_MEMORY", raising=False)
    assert 0 < budget.memory_budget() <= 0.3 * psutil.virtual_memory().total


def test_the_limit_of_a_job_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    job = tmp_path / "slurm" / "job_7"
    job.mkdir(parents=True)
    (job / "memory.max").write_text("max\n")
    (job / "memory.stat").write_text("anon 5\n")
    (job.parent / "memory.max").write_text("1000000\n")
    (job.parent / "memory.stat").write_text("anon 400000\nfile 500000\n")
    own = tmp_path / "cgroup"
    own.write_text("0::/slurm/job_7\n")
    groups = control_groups(tmp_path, own)
    assert groups == [job, job.parent, tmp_path]
    monkeypatch.setattr(budget, "control_groups", lambda: groups)
    monkeypatch.delenv("GWBENCH_MEMORY", raising=False)
    assert budget.memory_budget() == int(0.3 * 600000)


def test_the_disk_budget_does_not_shrink_as_it_is_used(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    assert budget.disk_budget(tmp_path, 10**12) - budget.disk_budget(tmp_path) == pytest.approx(3e11, rel=0.01)
    assert budget.disk_budget(tmp_path) == pytest.approx(0.3 * free, rel=0.05)


def test_a_limit_of_control_groups_version_1_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    job = tmp_path / "memory" / "slurm" / "job_7"
    job.mkdir(parents=True)
    (job / "memory.limit_in_bytes").write_text("9223372036854771712\n")  # none, as version 1 writes it
    (job / "memory.stat").write_text("cache 7\nrss 5\ntotal_rss 5\n")
    (job.parent / "memory.limit_in_bytes").write_text("1000000\n")
    (job.parent / "memory.stat").write_text("cache 500000\nrss 1\ntotal_cache 500000\ntotal_rss 400000\n")
    own = tmp_path / "cgroup"
    own.write_text("12:cpuset:/\n9:memory:/slurm/job_7\n4:cpu,cpuacct:/slurm\n0::/user.slice\n")
    groups = legacy_groups("memory", tmp_path, own)
    assert groups == [job, job.parent, tmp_path / "memory"]
    monkeypatch.setattr(budget, "control_groups", list)
    monkeypatch.setattr(budget, "legacy_groups", lambda _: groups)
    monkeypatch.delenv("GWBENCH_MEMORY", raising=False)
    assert budget.memory_budget() == int(0.3 * 600000)


def test_a_container_sees_its_own_group_as_the_outermost(tmp_path: Path) -> None:
    mount = tmp_path / "memory"
    mount.mkdir()
    (mount / "memory.limit_in_bytes").write_text("3000\n")
    (mount / "memory.stat").write_text("total_rss 1000\nhierarchical_memory_limit 2500\n")
    own = tmp_path / "cgroup"
    own.write_text("9:memory:/docker/0123\n")
    assert list(memory_left([], legacy_groups("memory", tmp_path, own))) == [1500]
