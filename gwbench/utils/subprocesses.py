"""How many cores this process may use, and with how many threads the processes that it starts compute."""

from __future__ import annotations

import os
import sys

from gwbench.utils.control_groups import cpu_quota

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
           "NUMEXPR_NUM_THREADS")  # fmt: skip
"""Environment variables: how many threads a process computes with. They are read when numpy and torch are imported."""


def usable_cores() -> int:
    """Processor cores that this process may use: those it is bound to, or fewer where its processor time is limited."""
    return min(_bound_cores(), cpu_quota() or sys.maxsize)


def _bound_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def respect_quota() -> None:
    """Have libraries that are imported later compute with no more threads than this process has processor time for.

    They count the cores that they see, which in a container are all of the machine's.
    """
    quota = cpu_quota()
    if quota is not None and quota < _bound_cores():
        for name in THREADS:
            os.environ.setdefault(name, str(quota))


def thread_variables(cores: int) -> dict[str, str]:
    """The environment of a process that computes on so many cores, or on $OMP_NUM_THREADS if that is less."""
    allowed = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()  # further numbers are of nested loops
    threads = min(cores, int(allowed)) if allowed.isdecimal() and len(allowed) < 10 else cores
    return dict.fromkeys(THREADS, str(max(threads, 1)))


def take_threads() -> int:
    """Have torch compute with as many threads as `thread_variables` gave this process; returns how many."""
    import torch

    threads = int(os.environ[THREADS[0]])
    torch.set_num_threads(threads)
    return threads
