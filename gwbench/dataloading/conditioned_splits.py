"""The three splits of a dataset as an encoder sees them, for one's own loop: whitened and band-passed as in a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from gwbench.data.store.cache_dir import CacheDir
from gwbench.dataloading.conditioned_split import ConditionedStrain
from gwbench.errors import UserError
from gwbench.preprocessing.conditioning import fit_conditioner
from gwbench.utils.progress import Progress

if TYPE_CHECKING:
    from gwbench.data.dataset import Array, Split, StrainSplits
    from gwbench.preprocessing.conditioning import Conditioner
    from gwbench.preprocessing.settings import Conditioning

SPLITS = ("train", "val", "test")


class ConditionedWindows(TorchDataset[Tensor]):
    """Conditioned strain [N, D, T] of one split, made as it is read; a torch `Dataset` of windows [D, T].

    A position gives one window [D, T]; a slice, a list or an array of positions gives [n, D, T]. The numbers are those
    of a run, whichever windows are read together. `torch.utils.data.StackDataset(windows, torch.from_numpy(label))`
    pairs it with labels.

    Attributes:
        name: "train", "val" or "test".
        shape: (N, D, T).
        label: [N] int8; 1 signal, 0 noise, -1 unlabelled.
        snr: [N] float32 optimal network SNR; NaN where unknown, and for noise.
    """

    def __init__(self, split: Split, conditioner: Conditioner, name: str) -> None:
        self.name = name
        self.shape = (len(split), len(conditioner.detectors), conditioner.window)
        self.label, self.snr = split.label, split.snr
        self.strain = ConditionedStrain(split, conditioner, name)

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        """Its name and shape."""
        return f"<ConditionedWindows {self.name} {list(self.shape)}>"

    def __getitem__(self, index: int | slice | Sequence[int] | Array | Tensor) -> Tensor:
        """Conditioned strain float32: [D, T] at a position, [n, D, T] at several; negative ones count from the end."""
        if isinstance(index, slice):
            return self.strain[np.arange(len(self))[index]]
        positions = np.asarray(index)
        if positions.dtype == bool:
            if positions.shape != (len(self),):
                raise IndexError(f"a mask of shape {positions.shape} is not one of {len(self)} windows")
            positions = np.flatnonzero(positions)
        if positions.size and not np.issubdtype(positions.dtype, np.integer):
            raise TypeError(f"windows are found by position, not by {positions.dtype}")
        rows = np.atleast_1d(positions).astype(np.int64)
        if len(rows) and not (-len(self) <= rows.min() and rows.max() < len(self)):
            raise IndexError(f"position {positions} is outside the {len(self)} windows of the {self.name} split")
        strain = self.strain[rows % max(len(self), 1)]
        return strain[0] if positions.ndim == 0 else strain

    def __getitems__(self, positions: list[int]) -> list[Tensor]:
        """Several windows [D, T] read at once; called by torch's DataLoader."""
        return list(self[np.asarray(positions)])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """All of it as a numpy array [N, D, T]."""
        strain = self[:].numpy()
        return strain if dtype is None else strain.astype(dtype)

    def keep(self, progress: Progress, folder: Path, content_hash: str) -> None:
        """As of `ConditionedStrain.keep`."""
        self.strain.keep(progress, folder, content_hash)


@dataclass(frozen=True, repr=False)
class ConditionedSplits:
    """The conditioned splits of a dataset, and what conditions them.

    Attributes:
        splits: as the dataset gives them.
        conditioner: fitted on the training split, without labels; strain [B, D, T + 2 margin] -> [B, D, T].
        train, val, test: conditioned strain, made as it is read.
        cache: folder of generated data; None for the user's cache folder.
    """

    splits: StrainSplits
    conditioner: Conditioner
    train: ConditionedWindows
    val: ConditionedWindows
    test: ConditionedWindows
    cache: Path | None = None

    @classmethod
    def of(cls, splits: StrainSplits, settings: Conditioning, cache: Path | None = None) -> ConditionedSplits:
        """Fit the conditioning on a dataset's training split.

        Raises:
            UserError: the strain is not fit for the conditioning asked for.
        """
        conditioner = fit_conditioner(
            splits.train,
            sample_rate=splits.sample_rate,
            margin=splits.margin,
            detectors=splits.detectors,
            settings=settings,
        )
        train, val, test = (ConditionedWindows(splits[name], conditioner, name) for name in SPLITS)
        return cls(splits, conditioner, train, val, test, cache)

    def __getitem__(self, name: str) -> ConditionedWindows:
        if name not in SPLITS:
            raise UserError(f"There is no split {name!r}: expected train, val or test.")
        windows: ConditionedWindows = getattr(self, name)
        return windows

    @property
    def detectors(self) -> tuple[str, ...]:
        """Names in channel order."""
        return self.splits.detectors

    @property
    def sample_rate(self) -> float:
        """Hz."""
        return self.splits.sample_rate

    @property
    def window(self) -> int:
        """T, the samples of a window."""
        return self.splits.window

    def keep(self, *names: str, progress: Progress | None = None) -> ConditionedSplits:
        """Condition the splits of these names once, by default the training split, as a run does; returns itself.

        They are held in memory within `GWBENCH_MEMORY`, or else in a file of the cache folder. Call it before a
        DataLoader starts workers, which then share the memory.
        """
        from gwbench.utils import progress as progress_bars

        for name in names or SPLITS[:1]:
            self[name].keep(progress or progress_bars.default(), CacheDir(self.cache).root, self.splits.content_hash)
        return self

    def __repr__(self) -> str:
        """The band and the shapes."""
        own = self.conditioner.settings
        sizes = ", ".join(f"{name} {list(self[name].shape)}" for name in SPLITS)
        return f"<ConditionedSplits {own.method}, {own.low:g} to {own.high:g} Hz: {sizes}>"


__all__ = ["SPLITS", "ConditionedSplits", "ConditionedWindows"]
