"""How much memory and disk conditioned strain may fill."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import psutil

from gwbench.errors import UserError
from gwbench.utils.control_groups import control_groups, legacy_groups, memory_left

MEMORY_VARIABLE = "GWBENCH_MEMORY"
"""Environment variable: GiB of memory that conditioned strain may fill."""

SHARE = 0.3
"""Of the memory and of the disk space at hand, the part that conditioned strain may fill by default."""


def memory_budget() -> int:
    """Bytes of memory that conditioned strain may fill: $GWBENCH_MEMORY in GiB, or `SHARE` of what is free.

    Raises:
        UserError: the variable holds no number of GiB.
    """
    chosen = os.environ.get(MEMORY_VARIABLE)
    if chosen is None:
        return int(SHARE * free_memory())
    try:
        gib = float(chosen)
    except ValueError:
        gib = float("nan")
    if not 0 <= gib < float("inf"):
        raise UserError(f"{MEMORY_VARIABLE}={chosen!r} is no amount of memory: expected GiB, such as 8 or 0.5.")
    return int(gib * 2**30)


def memory_share(processes: int) -> dict[str, str]:
    """The environment in which each of so many processes may fill its share of `memory_budget`.

    Raises:
        UserError: as of `memory_budget`.
    """
    return {MEMORY_VARIABLE: f"{memory_budget() / 2**30 / processes:.3f}"}


def disk_budget(folder: Path, kept: int = 0) -> int:
    """Bytes that files of conditioned strain in a folder may fill: `SHARE` of what is free or filled by them now.

    Args:
        folder: an existing one.
        kept: bytes that such files fill already.
    """
    return int(SHARE * (shutil.disk_usage(folder).free + kept))


def free_memory() -> int:
    """Bytes free on the machine and, in a container or a cluster's job, below its limit."""
    free = int(psutil.virtual_memory().available)
    return max(min([free, *memory_left(control_groups(), legacy_groups("memory"))]), 0)
