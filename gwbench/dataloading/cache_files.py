"""The files of conditioned strain in the folder of datasets: what they are called, and how much they may fill.

They hold nothing that could not be made again, so any of them may be removed at any time: a process that has one
open reads on.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gwbench.data import zero_phase
from gwbench.dataloading.row_cache import in_use
from gwbench.preprocessing import base, conditioning
from gwbench.registry.code_identity import code_hash
from gwbench.utils.memory import disk_budget

if TYPE_CHECKING:
    from gwbench.preprocessing.conditioning import Conditioner

PATTERN = ".conditioned-*.f32"
"""Hidden: they are no datasets."""


def conditioned_files(folder: Path) -> list[Path]:
    """All of them in a folder, the longest unused first; none where there is no folder."""
    return [path for path, _ in sorted(_stats(folder).items(), key=lambda item: item[1].st_mtime)]


def conditioned_path(folder: Path, content_hash: str, split: str, conditioner: Conditioner) -> Path:
    """Where the conditioned strain of a split belongs.

    Args:
        folder: of the datasets.
        content_hash: of the dataset.
        split: its name.
        conditioner: all that it computes with decides the name: what was fitted, what its code does, and torch.
    """
    import torch

    digest = hashlib.sha256(json.dumps([content_hash, split, _code(), str(torch.__version__)]).encode())
    for name, values in sorted(conditioner.state().items()):
        digest.update(json.dumps([name, str(values.dtype), list(values.shape)]).encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    return folder / PATTERN.replace("*", digest.hexdigest()[:16])


def make_room(path: Path, size: int) -> bool:
    """Make room for a file of `size` bytes by removing those longest unused, if it can come to fit the budget.

    Raises:
        OSError: the folder cannot be read.
    """
    others = _stats(path.parent)
    budget = disk_budget(path.parent, sum(stat.st_blocks * 512 for stat in others.values()))
    others.pop(path, None)
    left = sum(stat.st_size for stat in others.values())
    if size > budget:
        return False
    for other in conditioned_files(path.parent):
        if left + size <= budget:
            break
        if other in others and not in_use(other):
            other.unlink(missing_ok=True)
            left -= others[other].st_size
    return left + size <= budget


@cache
def _code() -> list[str]:
    """Hashes of what the modules do that condition strain; comments and layout change none of them."""
    modules = (conditioning, base, zero_phase)
    return [code_hash(Path(module.__file__).read_bytes()) for module in modules if module.__file__]


def _stats(folder: Path) -> dict[Path, os.stat_result]:
    stats = {}
    for path in folder.glob(PATTERN):
        with suppress(FileNotFoundError):
            status = path.lstat()
            if stat.S_ISREG(status.st_mode):
                stats[path] = status
    return stats
