"""A file of windows that cannot be read: one window that is damaged, so that a folder with it still serves."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gwbench.search.windows.file_sources import file_state
from gwbench.search.windows.source import WindowBatch, WindowSource


class DamagedFile(WindowSource):
    """A file that cannot be read.

    Attributes:
        reason: why, as a sentence.

    Args:
        path: the file.
        name: of its window.
        reason: as of the attribute.
    """

    def __init__(self, path: Path, name: str, reason: str) -> None:
        self.title, self.shape = str(path), (0, 0)
        self._path, self._name, self.reason = path, name, reason

    def __len__(self) -> int:
        return 1

    def ids(self, start: int, stop: int) -> list[str]:
        """The file's name."""
        return [self._name][start:stop]

    def read(self, start: int, stop: int) -> WindowBatch:
        """No window."""
        ids = self.ids(start, stop)
        return WindowBatch(ids, np.empty((0, *self.shape), np.float32), dict.fromkeys(range(len(ids)), self.reason))

    def identity(self) -> str:
        """Name, size and time."""
        return f"{self._name} {file_state(self._path)}"
