"""What windows of strain are read from, whatever holds them: a batch at a time, and never all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from gwbench.data.dataset import Array

NOT_FINITE = "holds NaN or infinite strain"


@dataclass(frozen=True)
class WindowBatch:
    """Some consecutive windows.

    Attributes:
        ids: [n] of all of them.
        strain: [k, D, K] float32 of those that can be read, in order.
        damaged: why, by position among the n, where a window cannot be read.
    """

    ids: list[str]
    strain: Array
    damaged: Mapping[int, str] = field(default_factory=dict)

    @property
    def whole(self) -> Array:
        """Positions [k] among the n of the windows that can be read."""
        return np.array([place for place in range(len(self.ids)) if place not in self.damaged], dtype=np.int64)


class WindowSource(ABC):
    """Windows of strain in order.

    Attributes:
        title: where they are, for messages.
        shape: (D, K) of a window.
        detectors: names in channel order; empty where the files do not say.
        sample_rate: Hz; None where the files do not say.
        margin: samples of K on either side that whitening may consume; None where the files do not say.
        notes: what a user must know, one sentence each, such as what was left out.
    """

    title: str
    shape: tuple[int, int]
    detectors: tuple[str, ...] = ()
    sample_rate: float | None = None
    margin: int | None = None
    notes: tuple[str, ...] = ()

    @abstractmethod
    def __len__(self) -> int:
        """How many windows there are."""

    @abstractmethod
    def ids(self, start: int, stop: int) -> list[str]:
        """Names of the windows from `start` to `stop`, unique within the source."""

    @abstractmethod
    def read(self, start: int, stop: int) -> WindowBatch:
        """The windows from `start` to `stop`.

        Raises:
            UserError: the disk fails, or the file has gone.
        """

    @abstractmethod
    def identity(self) -> str:
        """What tells it from other windows, and changes where files change: names, sizes and times."""


def numbered(stem: str, start: int, stop: int) -> list[str]:
    """Names of the windows of one file that holds several: `stem/0`, `stem/1` and so on."""
    return [f"{stem}/{number}" for number in range(start, stop)]


def finite_batch(ids: list[str], strain: Array, place: str) -> WindowBatch:
    """A batch of which windows with NaN or infinite values are left out.

    Args:
        ids: [n].
        strain: [n, D, K] floats.
        place: of the file, for the reasons.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite then is left out
        rows = strain.astype(np.float32, order="C", copy=False)
    good = np.isfinite(rows).all(axis=(1, 2))
    damaged = {int(at): f"{place}, window {ids[at].rpartition('/')[2]}, {NOT_FINITE}" for at in np.flatnonzero(~good)}
    return WindowBatch(ids, rows if not damaged else rows[good], damaged)
