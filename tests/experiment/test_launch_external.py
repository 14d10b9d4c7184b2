"""Runs of several processes that torchrun or SLURM starts."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest
from filelock import FileLock

from gwbench.experiment.record import RunRecord, read_record
from tests.experiment.shared_runs import command, run, same
from tests.forked import ForkedCommand


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    """The run in one process."""
    return run(tmp_path_factory.mktemp("alone"), 1)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def launch(words: list[str], launcher: str) -> list[subprocess.CompletedProcess[str]]:
    """Both processes of a command, in the environment of the launcher."""
    port, processes = free_port(), []
    for rank in range(2):
        numbers = {
            "torchrun": {"TORCHELASTIC_RUN_ID": 1, "RANK": rank, "WORLD_SIZE": 2, "LOCAL_RANK": rank, "GROUP_RANK": 0},
            "SLURM": {"SLURM_STEP_NUM_TASKS": 2, "SLURM_NTASKS": 2, "SLURM_NTASKS_PER_NODE": 2, "SLURM_NNODES": 1,
                      "SLURM_JOB_ID": 1, "SLURM_PROCID": rank, "SLURM_LOCALID": rank, "SLURM_NODEID": 0},
        }[launcher]  # fmt: skip
        numbers |= {"MASTER_PORT": port}
        environment = {**os.environ, "MASTER_ADDR": "127.0.0.1", **{name: str(each) for name, each in numbers.items()}}
        processes.append(ForkedCommand(words, environment=environment))
    try:
        ends = [process.communicate(timeout=200) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    return [
        subprocess.CompletedProcess(words, process.wait() or 0, *end)
        for process, end in zip(processes, ends, strict=True)
    ]


def test_the_processes_of_a_launcher_carry_out_one_run(alone: RunRecord, tmp_path: Path) -> None:
    first, second = launch(command(tmp_path), "torchrun")
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert "ROC-AUC" in first.stdout
    assert "Pre-train: done" in first.stderr
    assert second.stdout == ""
    assert "Pre-train" not in second.stderr
    (path,) = tmp_path.glob("*/record.json")
    same(read_record(path.parent), alone)


def test_what_rank_0_is_refused_ends_all_with_its_exit_code(alone: RunRecord, tmp_path: Path) -> None:
    assert alone.folder
    folder = tmp_path / Path(alone.folder).name
    folder.mkdir()
    with FileLock(folder / ".lock"):
        ends = launch(command(tmp_path), "SLURM")
    assert [end.returncode for end in ends] == [2, 2]
    assert all("Another process is carrying out this run" in end.stderr for end in ends)
    assert all("Traceback" not in end.stderr for end in ends)
