"""The shape of a run's data, which is known before they are made; and `--limit`, which has fewer windows made."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gwbench.data.dataset import Layout, Split, StrainSplits
from gwbench.data.store.cache import CacheContext

if TYPE_CHECKING:
    from gwbench.data.dataset import Array, StrainReader, Windows


@dataclass(frozen=True)
class DataShape:
    """What is known of data before a window is there.

    Attributes:
        detectors: names in channel order.
        sample_rate: Hz.
        window, margin: samples of a window, and of what is stored on either side of it.
        sizes: windows per split.
    """

    detectors: tuple[str, ...]
    sample_rate: float
    window: int
    margin: int
    sizes: Mapping[str, int]

    @classmethod
    def of(cls, data: Layout | StrainSplits) -> DataShape:
        """The shape of data that are there, or are to be made."""
        return cls(tuple(data.detectors), data.sample_rate, data.window, data.margin, dict(data.sizes))


CheckShape = Callable[[DataShape], object]
"""Raises `UserError` where a run does not fit data of a shape."""


class RunDataContext(CacheContext):
    """What a run hands its dataset.

    Attributes:
        limit: at most so many windows of each split are made; None for all.
        check: told the shape of data before they are made.
    """

    limit: int | None = None
    check: CheckShape | None = None

    def stored(self, layout: Layout, windows: Windows) -> StrainSplits:
        """As of `CacheContext`; the shape is checked first."""
        layout = self.limited(layout)
        if self.check:
            self.check(DataShape.of(layout))
        return super().stored(layout, windows)

    def find(self, layout: Layout) -> StrainSplits | None:
        """As of `CacheContext`."""
        return super().find(self.limited(layout))

    def limited(self, layout: Layout) -> Layout:
        """The layout with as many windows as the run wants."""
        if self.limit is None:
            return layout
        sizes = {name: min(size, self.limit) for name, size in layout.sizes.items()}
        return replace(layout, sizes=sizes, notes=(*layout.notes, limit_note(self.limit)))


def limit_note(limit: int) -> str:
    """What a record says of data that are few on purpose."""
    return f"A small try: at most {limit} windows of each split (--limit)."


def first_windows(splits: StrainSplits, limit: int | None) -> StrainSplits:
    """The first windows of each split, under a content hash of their own where some are left out."""
    if limit is None:
        return splits
    if all(size <= limit for size in splits.sizes.values()):
        return splits.with_notes([limit_note(limit)])
    digest = hashlib.sha256(f"{splits.content_hash} limit {limit}".encode()).hexdigest()
    train, val, test = (_first(splits[name], limit) for name in ("train", "val", "test"))
    few = replace(splits, train=train, val=val, test=test, content_hash=digest)
    return few.with_notes([limit_note(limit)])


def _first(split: Split, limit: int) -> Split:
    count = min(len(split), limit)
    parameters = {name: values[:count] for name, values in split.parameters.items()}
    return Split(FirstWindows(split.strain, count), split.label[:count], split.snr[:count], parameters)


class FirstWindows:
    """The first windows of a split's strain.

    Attributes:
        shape: (n, D, T + 2 margin).
    """

    def __init__(self, strain: StrainReader, count: int) -> None:
        self._strain = strain
        self.shape = (count, strain.shape[1], strain.shape[2])

    def __getitem__(self, index: slice | Array, /) -> Array:
        """Strain [n, D, T + 2 margin] at a slice or an array of positions."""
        if isinstance(index, slice) and (index.step or 1) > 0:  # which a file reads at once
            return self._strain[slice(*index.indices(self.shape[0]))]
        return self._strain[np.arange(self.shape[0])[index]]
