"""Processor time that a container may take, as docker writes it for both versions of control groups."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gwbench.utils import subprocesses
from gwbench.utils.control_groups import control_groups, cpu_quota, legacy_groups


@pytest.mark.parametrize(("written", "cores"), [("200000 100000", 2), ("150000 100000", 2), ("1000 100000", 1)])
def test_docker_cpus_with_version_2(written: str, cores: int, tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text(f"{written}\n")
    own = tmp_path / "cgroup"
    own.write_text("0::/\n")
    assert cpu_quota(control_groups(tmp_path, own), []) == cores


def test_the_least_of_nested_groups_counts(tmp_path: Path) -> None:
    inner = tmp_path / "kubepods" / "pod1" / "container"
    inner.mkdir(parents=True)
    (inner / "cpu.max").write_text("max 100000\n")
    (inner.parent / "cpu.max").write_text("300000 100000\n")
    (inner.parent.parent / "cpu.max").write_text("1600000 100000\n")
    own = tmp_path / "cgroup"
    own.write_text("0::/kubepods/pod1/container\n")
    assert cpu_quota(control_groups(tmp_path, own), []) == 3


def test_docker_cpus_with_version_1(tmp_path: Path) -> None:
    mount = tmp_path / "cpu,cpuacct"
    mount.mkdir()
    (mount / "cpu.cfs_quota_us").write_text("200000\n")
    (mount / "cpu.cfs_period_us").write_text("100000\n")
    own = tmp_path / "cgroup"
    own.write_text("4:cpu,cpuacct:/docker/0123\n")
    assert cpu_quota([], legacy_groups("cpu", tmp_path, own)) == 2
    (mount / "cpu.cfs_quota_us").write_text("-1\n")
    assert cpu_quota([], legacy_groups("cpu", tmp_path, own)) is None


@pytest.mark.parametrize("written", ["", "max", "a b", "100000 0", "\x00"])
def test_what_cannot_be_read_limits_nothing(written: str, tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text(written)
    assert cpu_quota([tmp_path, tmp_path / "absent"], [tmp_path]) is None


def test_cores_and_threads_follow_the_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocesses, "_bound_cores", lambda: 64)
    monkeypatch.setattr(subprocesses, "cpu_quota", lambda: 2)
    for name in subprocesses.THREADS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MKL_NUM_THREADS", "1")
    assert subprocesses.usable_cores() == 2
    subprocesses.respect_quota()
    assert os.environ["OMP_NUM_THREADS"] == "2"
    assert os.environ["MKL_NUM_THREADS"] == "1"  # what the user says holds


@pytest.mark.parametrize(("value", "threads"), [("3", 3), ("2,4", 2), ("all", 8), ("²", 8), ("", 8), ("9" * 5000, 8)])
def test_a_number_of_threads_that_is_none_is_left_aside(
    value: str, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert subprocesses.thread_variables(8)["OMP_NUM_THREADS"] == str(threads)
