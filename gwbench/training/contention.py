"""Whether other processes keep the cores busy on which several threads train.

Threads of one step wait for each other. Where one of them has to share its core, all the others wait for it, and two
threads may be far slower than one. The number of threads changes how sums are rounded, so it is the user's to choose:
that is said, and nothing is changed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

if TYPE_CHECKING:
    from gwbench.utils.progress import Progress

SECONDS = 3.0
"""Of training, after which the load is judged."""

BUSY = ("user", "nice", "system", "irq", "softirq", "steal")
"""Kinds of time in which a core does something, or would if another virtual machine did not have it."""

SLACK = 0.5
"""Cores that others may take before it matters."""


class CoreTimes(NamedTuple):
    """Seconds since some moment: of the clock, of this process on all its threads, of all processes on its cores."""

    clock: float
    own: float
    busy: float


def core_times() -> CoreTimes:
    """The times as they are now."""
    import psutil

    cores, every = usable(), psutil.cpu_times(percpu=True)
    # in a container the cores may be numbered otherwise
    mine = [every[core] for core in cores] if cores[-1] < len(every) else every
    busy = sum(getattr(each, kind, 0.0) for each in mine for kind in BUSY)
    return CoreTimes(time.perf_counter(), time.process_time(), busy)


def usable() -> list[int]:
    """Numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def contention(before: CoreTimes, after: CoreTimes, *, threads: int, cores: int) -> str:
    """What to say of the load between two moments; empty where the threads have their cores for themselves.

    Args:
        before, after: as `core_times` gives them.
        threads: with which this process trains.
        cores: that it may use.
    """
    passed = after.clock - before.clock
    if threads < 2 or passed <= 0:
        return ""
    others = max((after.busy - before.busy) - (after.own - before.own), 0.0) / passed
    free = cores - others
    if threads <= free + SLACK:
        return ""
    fewer = max(1, int(free + SLACK))
    return (
        f"Other processes keep about {others:.1f} of {cores} processor cores busy, and {threads} threads that train "
        f"there wait for each other: interrupt this run, and set OMP_NUM_THREADS={fewer} to go on from the last "
        "finished epoch with fewer, or wait until the machine is free. Another number of threads rounds sums "
        "differently."
    )


class ContentionWatch(Callback):
    """Says once, after the first seconds of training, that other processes are in the way.

    Args:
        progress: where to say it.
        read: gives the times.
    """

    def __init__(self, progress: Progress, read: Callable[[], CoreTimes] = core_times) -> None:
        self._progress, self._read = progress, read
        self._before: CoreTimes | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note the times."""
        self._before = self._read()

    def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
        """Judge, once enough time has passed."""
        if self._before is None or time.perf_counter() - self._before.clock < SECONDS:
            return
        import torch

        said = contention(self._before, self._read(), threads=torch.get_num_threads(), cores=len(usable()))
        self._before = None
        if said:
            self._progress.say(said)
