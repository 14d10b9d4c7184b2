"""Conditioned strain by position: kept in memory or on disk within a budget, else conditioned as it is read."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from gwbench.data.dataset import Array, Split
from gwbench.dataloading.cache_files import conditioned_path, make_room
from gwbench.dataloading.row_cache import RowFile, file_size
from gwbench.utils.memory import MEMORY_VARIABLE, memory_budget
from gwbench.utils.progress import Progress

if TYPE_CHECKING:
    from gwbench.preprocessing.conditioning import Conditioner

CHUNK = 256
"""Windows conditioned at once."""


class ConditionedStrain:
    """A split as the encoder sees it; the same numbers wherever they are kept.

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
        self._file: RowFile | None = None
        self._progress = Progress()

    def __len__(self) -> int:
        return len(self._split)

    def __getitem__(self, index: slice | Array | Tensor) -> Tensor:
        """Conditioned strain [n, D, T] float32 at a slice or an array of positions."""
        return self.read(index)()

    def read(self, index: slice | Array | Tensor) -> Callable[[], Tensor]:
        """The part of `[index]` that waits for a disk; the part that computes is left to the call of what it returns.

        So the one can run ahead in a thread, while the other takes its turn with the training on the same cores.
        """
        if self._kept is not None:
            return partial(self._kept.__getitem__, torch.as_tensor(index) if isinstance(index, np.ndarray) else index)
        positions = np.arange(len(self))[index.numpy() if isinstance(index, Tensor) else index]
        file, there = self._file, np.zeros(len(positions), dtype=bool)
        rows = np.empty(0, dtype=np.float32)
        if file:
            rows = np.empty((len(positions), *self._window), dtype=np.float32)
            try:
                there = file.read(positions, rows)
            except OSError as error:
                self._drop(file, error)
        if there.all() and len(there):
            return partial(torch.from_numpy, rows)
        strain = self._split.strain[positions[~there]]
        return partial(self._finish, positions, there, rows, strain)

    def keep(self, progress: Progress, folder: Path, content_hash: str) -> None:
        """Condition every window only once, where there is room for the result.

        Where the split fits the memory budget it is conditioned now. Else its windows go to a file as they are first
        read, which later runs on the same data use too. Where that is not possible either, it is said.

        Args:
            progress: where to report.
            folder: of the datasets, for the file.
            content_hash: of the dataset.
        """
        self._progress = progress
        row = 4 * self._window[0] * self._window[1]
        size = len(self) * row
        budget = memory_budget()
        if size <= budget:
            kept = torch.empty(len(self), *self._window)
            with progress.task(f"Condition {self._name}", len(self), "windows") as task:
                for start in range(0, len(self), CHUNK):
                    part = self[slice(start, min(start + CHUNK, len(self)))]
                    kept[start : start + len(part)] = part
                    task.advance(len(part))
            self._kept = kept
            return
        large = (
            f"The {self._name} split takes {size / 2**30:.2f} GiB conditioned, and {budget / 2**30:.2f} GiB of memory "
            f"may hold it (set {MEMORY_VARIABLE} for more)"
        )
        path = conditioned_path(folder, content_hash, self._name, self._conditioner)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not path.exists() and not make_room(path, file_size(len(self), row)):
                progress.say(f"{large}; nor is there enough free disk in {folder}. It is conditioned batch by batch.")
                return
            self._file = RowFile(path, len(self), row)
        except OSError as error:
            progress.say(f"{large}; {path} cannot ({error.strerror or error}). It is conditioned batch by batch.")
            return
        if not self._file.complete:
            progress.say(f"{large}: conditioned windows are kept in {path} when they are first read.")

    def leave_file(self) -> None:
        """Read and fill the file of conditioned windows no more: another process does."""
        self._file = None

    @property
    def in_memory(self) -> bool:
        """Whether `keep` has conditioned it all."""
        return self._kept is not None

    @property
    def _window(self) -> tuple[int, int]:
        """(D, T)."""
        return len(self._conditioner.detectors), self._conditioner.window

    def _finish(self, positions: Array, there: Array, rows: Array, strain: Array) -> Tensor:
        """[n, D, T] from the rows that are there, and the strain of those that are not; these join the file."""
        missing = positions[~there]
        fresh = self._conditioner(strain, split=self._name, positions=missing)
        if file := self._file:
            try:
                file.write(missing, fresh.numpy())
            except OSError as error:
                self._drop(file, error)
        if not there.any():
            return fresh
        rows[~there] = fresh.numpy()
        return torch.from_numpy(rows)

    def _drop(self, file: RowFile, error: OSError) -> None:
        """Go on without a file that the disk does not take, and give its space back."""
        if self._file is not file:
            return  # another batch has met the error before
        self._file = None
        file.remove()
        self._progress.say(
            f"Conditioned windows cannot be kept in {file.path}: {error.strerror or error}. "
            f"The {self._name} split is conditioned batch by batch."
        )
