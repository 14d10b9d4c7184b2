"""Conditioned strain by position: kept in memory where it fits, else conditioned as it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import psutil
import torch
from torch import Tensor

from gwbench.contracts import Array, Split

if TYPE_CHECKING:
    from gwbench.data.condition import Conditioner
    from gwbench.progress import Progress

CHUNK = 256
"""Windows conditioned at once."""

MEMORY_SHARE = 0.3
"""Largest share of the free memory that conditioned strain may fill."""


class ConditionedStrain:
    """A split as the encoder sees it.

    Args:
        split: the strain.
        conditioner: [B, D, T + 2 margin] strain -> [B, D, T] conditioned.
        name: of the split, for progress and errors.
    """

    def __init__(self, split: Split, conditioner: Conditioner, name: str) -> None:
        self._split = split
        self._conditioner = conditioner
        self._name = name
        self._kept: Tensor | None = None

    def __len__(self) -> int:
        return len(self._split)

    def __getitem__(self, index: slice | Array | Tensor) -> Tensor:
        """Conditioned strain [n, D, T] float32 at a slice or an array of positions."""
        if self._kept is not None:
            return self._kept[torch.as_tensor(index) if isinstance(index, np.ndarray) else index]
        found = np.arange(len(self))[index.numpy() if isinstance(index, Tensor) else index]
        strain = self._split.strain[index if isinstance(index, slice) else found]
        return self._conditioner(strain, split=self._name, positions=found)

    def keep(self, progress: Progress) -> None:
        """Condition the whole split once and keep it, if it takes at most `MEMORY_SHARE` of the free memory."""
        first = self[slice(0, 1)]
        size = len(self) * first.numel() * first.element_size()
        if size > MEMORY_SHARE * psutil.virtual_memory().available:
            progress.say(
                f"The {self._name} split takes {size / 2**30:.1f} GiB conditioned, more than {MEMORY_SHARE:.0%} of the "
                "free memory: it is conditioned batch by batch."
            )
            return
        kept = torch.empty(len(self), *first.shape[1:])
        with progress.task(f"Condition {self._name}", len(self), "windows") as task:
            for start in range(0, len(self), CHUNK):
                part = self[slice(start, min(start + CHUNK, len(self)))]
                kept[start : start + len(part)] = part
                task.advance(len(part))
        self._kept = kept
