"""Which processes pre-train one encoder together, and how they find each other.

On one machine gwbench starts them itself (`gwbench.experiment.launch_local`). On several, torchrun or SLURM starts
the same command on every one: then the process of rank 0 carries the run out, and the others are told when to
pre-train with it. They read the same data and write nothing. A run of one device is one process, inside a cluster's
job too.

Nothing here changes what a run is: its batches, its steps and its learning rate are those of one process.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from gwbench.errors import UserError
from gwbench.utils.gpus import sees_slice, visible_entries, what_is_visible
from gwbench.utils.memory import MEMORY_VARIABLE, memory_share
from gwbench.utils.subprocesses import usable_cores

PATIENCE = timedelta(days=7)
"""How long the others wait for rank 0 to make the data, and to judge the encoder."""

NUMBERS = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "NODE_RANK", "MASTER_PORT",
           "SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID", "SLURM_NTASKS", "SLURM_NNODES", "SLURM_NTASKS_PER_NODE",
           "SLURM_STEP_NUM_TASKS", "JSM_NAMESPACE_RANK")  # fmt: skip
"""Environment variables of launchers that hold numbers, which gwbench or Lightning reads."""


@dataclass(frozen=True)
class ProcessGroup:
    """The processes that pre-train together, and this one's place among them.

    Attributes:
        devices: processes on every node.
        nodes: how many machines.
        rank: of this process among all of them.
        local_rank: among those of its node.
        launcher: who started the processes; None where gwbench does, or where there is but one.
        own_gpu: whether each process sees one GPU alone, its own, as SLURM may have it (--gpus-per-task=1).
        channel: how rank 0 tells the others what comes next, once they are connected.
    """

    devices: int = 1
    nodes: int = 1
    rank: int = 0
    local_rank: int = 0
    launcher: Literal["torchrun", "SLURM"] | None = None
    own_gpu: bool = False
    channel: ControlChannel | None = None

    @property
    def size(self) -> int:
        """How many processes."""
        return self.devices * self.nodes

    @property
    def is_main(self) -> bool:
        """Whether this process is the one that reports and writes."""
        return self.rank == 0

    @property
    def gpu(self) -> int:
        """The number of this process's GPU among those that it sees."""
        return 0 if self.own_gpu else self.local_rank

    def device(self, asked: str) -> str:
        """The device of this process."""
        return f"cuda:{self.gpu}" if asked == "cuda" and self.size > 1 else asked


class ControlChannel:
    """What rank 0 says, and the others hear, between their common steps.

    Attributes:
        training: whether they are in the middle of these, where nothing can be said.
    """

    def __init__(self, group: Any) -> None:
        self._group = group
        self.training = False

    def agree(self, value: Any) -> Any:
        """What rank 0 gave here; the others' values do not matter. All processes call it."""
        import torch.distributed as dist

        said = [value]
        dist.broadcast_object_list(said, src=0, group=self._group)
        return said[0]


def resolve(devices: int, nodes: int, device: str) -> ProcessGroup:
    """The process group of a run that was asked to have so many devices and nodes.

    Args:
        devices: on every node.
        nodes: machines.
        device: "cpu", "cuda", "cuda:N" or "mps".

    Raises:
        UserError: there are not so many devices, or the processes that were started are not so many.
    """
    check_launch_variables()
    for option, value in (("--devices", devices), ("--num-nodes", nodes)):
        if value < 1:
            raise UserError(f"{option} {value}: expected 1 or more.")
    if devices * nodes == 1:
        return ProcessGroup()
    launcher, size, rank, local_rank = _launched()
    _refuse_slices(device)
    own_gpu = launcher is not None and device == "cuda" and devices > 1 and _visible_gpus() == 1
    _check_devices(1 if own_gpu else devices, device)
    if launcher is None and nodes == 1:
        return ProcessGroup(devices)
    if size != devices * nodes:
        started = f"{launcher} started {size}" if launcher else "neither torchrun nor srun started this one"
        raise UserError(
            f"--devices {devices} --num-nodes {nodes} needs {devices * nodes} processes, and {started}. On every node: "
            f"torchrun --nnodes {nodes} --nproc-per-node {devices} --no-python gwbench run ..., or within a SLURM job: "
            f"srun --nodes {nodes} --ntasks-per-node {devices} gwbench run ..."
        )
    return ProcessGroup(devices, nodes, rank, local_rank, launcher, own_gpu)


def is_follower(devices: int, nodes: int) -> bool:
    """Whether this process is one of several that were started together, and not the one that leads."""
    return devices * nodes > 1 and _launched()[2] > 0


def _refuse_slices(device: str) -> None:
    if device == "cuda" and sees_slice():
        raise UserError(
            "This process sees a slice of a GPU (MIG), and slices cannot train together: NCCL does not connect "
            "them. Leave out --devices and --num-nodes; other runs may have the other slices, each with its own "
            "CUDA_VISIBLE_DEVICES=MIG-..."
        )


def _check_devices(devices: int, device: str) -> None:
    kind, _, number = device.partition(":")
    if number:
        raise UserError(f"--device {device} is one device: leave out --devices and --num-nodes, or use --device cuda.")
    there = {"cuda": _visible_gpus, "cpu": usable_cores}.get(kind, lambda: 1)()
    if devices > there:
        what = {"cuda": "GPUs", "cpu": "processor cores"}.get(kind, f"{kind} device")
        seen = f" {what_is_visible()}" if kind == "cuda" and visible_entries() is not None else ""
        raise UserError(f"--devices {devices}: this machine has {there} {what}.{seen} Use --devices {there} at most.")


def check_launch_variables() -> None:
    """Refuse a variable of a launcher that is no number: Lightning takes them for granted when it is imported.

    Raises:
        UserError: one is none.
    """
    for name in NUMBERS:
        value = os.environ.get(name)
        if value is not None and not (value.strip().isdecimal() and len(value) < 20):
            raise UserError(
                f"The environment variable {name}={value[:50]!r} is no number. torchrun, srun and the like set it for "
                f"the processes that they start; outside of them, `unset {name}`."
            )


def _visible_gpus() -> int:
    import torch

    return torch.cuda.device_count()


def _launched() -> tuple[Literal["torchrun", "SLURM"] | None, int, int, int]:
    """Who started this process with others: the launcher, their number, and this one's rank and local rank.

    A SLURM job's own script sees how many tasks it may start, but only what srun starts is one of them.
    """

    def number(name: str) -> int:
        return int(os.environ.get(name, "0"))

    check_launch_variables()
    if "TORCHELASTIC_RUN_ID" in os.environ and number("WORLD_SIZE") > 1:
        return "torchrun", number("WORLD_SIZE"), number("RANK"), number("LOCAL_RANK")
    if number("SLURM_STEP_NUM_TASKS") > 1:
        return "SLURM", number("SLURM_STEP_NUM_TASKS"), number("SLURM_PROCID"), number("SLURM_LOCALID")
    return None, 1, 0, 0


@contextmanager
def connected(process_group: ProcessGroup, device: str, store: Path | None = None) -> Iterator[ProcessGroup]:
    """The process group with its processes connected; every one of them enters.

    Within the block conditioned strain may fill this process's share of its machine's memory.

    Args:
        process_group: as this process knows it.
        device: "cpu" or "cuda".
        store: a file through which the processes of one machine find each other; without one, they do by the
            launcher's environment variables.

    Raises:
        UserError: the launcher's variables do not say how.
    """
    import torch
    import torch.distributed as dist

    before = os.environ.get(MEMORY_VARIABLE)
    if process_group.launcher:
        os.environ.update(memory_share(process_group.devices))
    if process_group.nodes == 1:
        _stay_on_this_machine()
    if device == "cuda":
        torch.cuda.set_device(process_group.gpu)
    method = f"file://{store}" if store else _by_environment(process_group)
    backend = "nccl" if device == "cuda" else "gloo"
    dist.init_process_group(backend, init_method=method, rank=process_group.rank, world_size=process_group.size)
    try:
        yield replace(process_group, channel=ControlChannel(dist.new_group(backend="gloo", timeout=PATIENCE)))
    finally:
        dist.destroy_process_group()
        os.environ.pop(MEMORY_VARIABLE, None)
        if before is not None:
            os.environ[MEMORY_VARIABLE] = before


def cluster(process_group: ProcessGroup) -> Any:
    """Lightning's view of a process group."""
    from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
    from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment

    slurm = process_group.launcher == "SLURM"
    environment = SLURMEnvironment(auto_requeue=False) if slurm else TorchElasticEnvironment()
    if process_group.own_gpu:
        # Lightning takes the GPU of the local rank's number. As a node of its own, a process has the one that it sees.
        seen_as: Any = environment
        seen_as.node_rank, seen_as.local_rank = environment.global_rank, lambda: 0
        seen_as.validate_settings = lambda **_: None
    return environment


def _by_environment(process_group: ProcessGroup) -> str:
    try:
        launcher = cluster(process_group)
        os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = launcher.main_address, str(launcher.main_port)
    except (RuntimeError, ValueError, KeyError) as error:
        raise UserError(f"The variables of {process_group.launcher} do not fit: {error}") from None
    return "env://"


def _stay_on_this_machine() -> None:
    """Let processes of one machine talk through its loopback interface, whatever its name resolves to."""
    loopback = next((name for _, name in socket.if_nameindex() if name in ("lo", "lo0")), None)
    if loopback:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback)
