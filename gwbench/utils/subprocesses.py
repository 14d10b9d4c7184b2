"""How many cores this process may use, and with how many threads the processes that it starts compute."""

from __future__ import annotations

import os

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
           "NUMEXPR_NUM_THREADS")  # fmt: skip
"""Environment variables: how many threads a process computes with. They are read when numpy and torch are imported."""


def usable_cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def thread_variables(cores: int) -> dict[str, str]:
    """The environment of a process that computes on so many cores, or on $OMP_NUM_THREADS if that is less."""
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    threads = min(cores, int(allowed)) if allowed.isdigit() else cores
    return dict.fromkeys(THREADS, str(max(threads, 1)))


def take_threads() -> int:
    """Have torch compute with as many threads as `thread_variables` gave this process; returns how many."""
    import torch

    threads = int(os.environ[THREADS[0]])
    torch.set_num_threads(threads)
    return threads
