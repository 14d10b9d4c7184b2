"""Which processes there are, and which are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from gwbench.errors import UserError
from gwbench.training import distributed
from gwbench.training.distributed import process_group
from gwbench.training.distributed.process_group import NUMBERS
from gwbench.training.trainer import _processes
from tests.experiment.shared_runs import SETTINGS, run


def test_devices_that_are_not_there_are_refused_by_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_group, "usable_cores", lambda: 3)
    assert distributed.resolve(3, 1, "cpu").size == 3
    with pytest.raises(UserError, match="--devices 4: this machine has 3 processor cores"):
        distributed.resolve(4, 1, "cpu")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert distributed.resolve(2, 1, "cuda").devices == 2
    with pytest.raises(UserError, match=r"--devices 4: this machine has 2 GPUs\. Use --devices 2"):
        distributed.resolve(4, 1, "cuda")
    with pytest.raises(UserError, match="--devices 2: this machine has 1 mps device"):
        distributed.resolve(2, 1, "mps")
    with pytest.raises(UserError, match="--device cuda:1 is one device"):
        distributed.resolve(2, 1, "cuda:1")
    with pytest.raises(UserError, match="--devices 0: expected 1 or more"):
        distributed.resolve(0, 1, "cpu")


def test_nodes_need_a_launcher_and_as_many_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"needs 2 processes, and neither torchrun nor srun .* torchrun --nnodes 2"):
        distributed.resolve(1, 2, "cpu")
    for name, value in {"TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "3", "RANK": "2", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    assert distributed.resolve(1, 3, "cpu") == distributed.ProcessGroup(1, 3, 2, 0, "torchrun")
    assert distributed.is_follower(1, 3)
    assert not distributed.is_follower(1, 1)
    with pytest.raises(UserError, match="needs 2 processes, and torchrun started 3"):
        distributed.resolve(2, 1, "cpu")


def test_one_device_is_one_process_in_a_cluster_s_job_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")
    assert distributed.resolve(1, 1, "cpu") == distributed.ProcessGroup()
    monkeypatch.delenv("SLURM_STEP_NUM_TASKS")
    monkeypatch.setenv("SLURM_NTASKS", "2")  # the job's script, which srun has not started
    assert distributed.resolve(2, 1, "cpu").launcher is None


def test_a_batch_that_cannot_be_shared_out_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"A batch of 33 windows cannot be shared out equally to 2 .* --batch-size 32"):
        run(tmp_path, settings=SETTINGS | {"training.batch_size": 33})


@pytest.mark.parametrize("baseline", ["supervised", "random-init"])
def test_several_devices_where_nothing_is_pre_trained_are_refused(baseline: str, tmp_path: Path) -> None:
    settings = {key: value for key, value in SETTINGS.items() if not key.startswith("training.")}
    precision = "fp32" if baseline == "supervised" else "auto"
    with pytest.raises(UserError, match=f"share pre-training, and the baseline '{baseline}' has none: leave out"):
        run(tmp_path, baseline=baseline, objective=None, settings=settings, precision=precision)


def test_tasks_of_slurm_that_see_one_gpu_each_take_that_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """`srun --ntasks-per-node 4 --gpus-per-task 1`: every task's GPU is number 0 of those that it sees."""
    job = {"SLURM_JOB_ID": "77", "SLURM_NTASKS": "8", "SLURM_STEP_NUM_TASKS": "8", "SLURM_NTASKS_PER_NODE": "4",
           "SLURM_NNODES": "2", "SLURM_PROCID": "7", "SLURM_LOCALID": "3", "SLURM_NODEID": "1"}  # fmt: skip
    for name, value in job.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    group = distributed.resolve(4, 2, "cuda")
    assert (group.size, group.rank, group.local_rank, group.device("cuda")) == (8, 7, 3, "cuda:0")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert distributed.resolve(4, 2, "cuda").device("cuda") == "cuda:3"
    # Lightning's own arithmetic, on a CPU: the same ranks, and the first device that is seen.
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, **_processes("cpu", group))
    strategy: Any = trainer.strategy
    assert (strategy.global_rank, strategy.world_size, strategy.local_rank) == (7, 8, 0)
    assert (trainer.num_devices, trainer.num_nodes) == (1, 8)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", ["", "auto", "-1", "1.5", "9" * 5000])
def test_a_launcher_s_variable_that_is_no_number_is_named(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=f"The environment variable {name}=.* is no number.*unset {name}"):
        distributed.resolve(1, 1, "cpu")
