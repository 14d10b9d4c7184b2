"""Several folders of .npy files as one, read on demand."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np

from gwbench.data.dataset import Array
from gwbench.data.store.npy_folder import NpyFolder


class JoinedFolders:
    """The windows of one folder after those of another; a `contracts.StrainReader`.

    Args:
        folders: of windows of one shape.
    """

    def __init__(self, folders: Sequence[NpyFolder]) -> None:
        self._folders = tuple(folders)
        self._ends = list(accumulate(folder.shape[0] for folder in folders))
        self.shape = (self._ends[-1], *folders[0].shape[1:])

    def __getitem__(self, index: slice | Array, /) -> Array:
        """[n, D, T] float32; raises as `NpyFolder` does."""
        chosen = np.arange(self.shape[0])[index]
        strain = np.empty((len(chosen), *self.shape[1:]), dtype=np.float32)
        start = 0
        for folder, end in zip(self._folders, self._ends, strict=True):
            rows = (chosen >= start) & (chosen < end)
            strain[rows] = folder[chosen[rows] - start]
            start = end
        return strain

    def read(self, position: int) -> Array:
        """The window [D, T] at a position; raises as `read_window`."""
        folder, place = self._at(position)
        return folder.read(place)

    def path(self, position: int) -> Path:
        """The file at a position."""
        folder, place = self._at(position)
        return folder.path(place)

    def name(self, position: int) -> str:
        """The id at a position."""
        folder, place = self._at(position)
        return folder.name(place)

    def _at(self, position: int) -> tuple[NpyFolder, int]:
        number = bisect_right(self._ends, position)
        return self._folders[number], position - (self._ends[number - 1] if number else 0)
