"""Windows of a dataset that gwbench made or imported."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gwbench.data.dataset import StrainSplits
from gwbench.data.store.reader import open_store
from gwbench.search.windows.source import WindowBatch, WindowSource, finite_batch, numbered


class StoredSplitWindows(WindowSource):
    """One split of a data file, with its ids `train/0`, `train/1` and so on.

    Args:
        path: of the file.
        split: "train", "val" or "test".
        stored: what the file holds.
    """

    def __init__(self, path: Path, split: str, stored: StrainSplits) -> None:
        self.title, self._split = f"{path} ({split})", split
        self._strain, self._hash = stored[split].strain, stored.content_hash
        self.shape = (int(self._strain.shape[1]), int(self._strain.shape[2]))
        self.detectors, self.sample_rate, self.margin = stored.detectors, stored.sample_rate, stored.margin

    def __len__(self) -> int:
        return int(self._strain.shape[0])

    def ids(self, start: int, stop: int) -> list[str]:
        """The split and the position in it."""
        return numbered(self._split, start, stop)

    def read(self, start: int, stop: int) -> WindowBatch:
        """The windows."""
        return finite_batch(self.ids(start, stop), self._strain[start:stop], self.title)

    def identity(self) -> str:
        """The content hash of the data, and the split."""
        return f"{self._hash} {self._split}"


def store_windows(path: Path, splits: Sequence[str]) -> list[WindowSource]:
    """The splits of a data file that hold any window.

    Raises:
        UserError: the file is damaged.
    """
    stored = open_store(path)
    return [StoredSplitWindows(path, split, stored) for split in splits if len(stored[split])]
