"""The contract of a dataset: strain in three splits, and the blocks it is made of.

Apart from `gwbench.contracts`, which offers these names too, so that processes that make strain need not import torch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from gwbench.utils.progress import Progress

Array = NDArray[Any]


class StrainReader(Protocol):
    """Strain of one split, read on demand: a numpy array, an HDF5 file or a folder of files."""

    shape: tuple[int, int, int]
    """(N, D, T + 2 margin)."""

    def __getitem__(self, index: slice | Array, /) -> Array:
        """The strain at a slice or an array of positions: float32 [n, D, T + 2 margin]."""
        ...


@dataclass(frozen=True)
class Split:
    """One of train, val, test.

    Attributes:
        strain: [N, D, T + 2 margin] float32, in strain units.
        label: [N] int8; 1 signal, 0 noise, -1 unlabelled.
        snr: [N] float32 optimal network SNR; NaN where unknown, and for noise.
        parameters: what is known of every window and signal, each [N] (NaN for noise where it is the signal's); may
            be empty.
    """

    strain: StrainReader
    label: Array
    snr: Array
    parameters: Mapping[str, Array] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.label)


@dataclass(frozen=True)
class StrainSplits:
    """A dataset, ready to read.

    Attributes:
        train, val, test: the splits; no two share a signal or a segment of noise.
        detectors: detector names in channel order, such as ("H1", "L1", "V1").
        sample_rate: Hz.
        margin: extra samples stored on either side of the window, which whitening consumes.
        content_hash: of every number in the three splits.
        notes: what a reader of the record must know about these data, one sentence each.
    """

    train: Split
    val: Split
    test: Split
    detectors: tuple[str, ...]
    sample_rate: float
    margin: int
    content_hash: str
    notes: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Split:
        return {"train": self.train, "val": self.val, "test": self.test}[name]

    @property
    def sizes(self) -> dict[str, int]:
        """Windows per split."""
        return {"train": len(self.train), "val": len(self.val), "test": len(self.test)}

    @property
    def window(self) -> int:
        """T, the samples of a window without its margins."""
        return self.train.strain.shape[-1] - 2 * self.margin

    def with_notes(self, notes: Iterable[str]) -> StrainSplits:
        """The same, with those of some notes that it does not have yet."""
        new = [note for note in notes if note not in self.notes]
        return replace(self, notes=(*self.notes, *new)) if new else self


@dataclass(frozen=True)
class Layout:
    """The shape of a dataset that is generated block by block into the store."""

    detectors: tuple[str, ...]
    sample_rate: float
    window: int
    margin: int
    sizes: Mapping[str, int]
    """Windows per split: {"train": N, "val": N, "test": N}."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Block:
    """Some consecutive windows of one split, as a generator yields them, splits in any order.

    Attributes:
        split: "train", "val" or "test".
        start: position of the first window within the split.
        strain: [n, D, T + 2 margin] float32.
        label, snr, parameters: as in `Split`, for these n windows.
        left_out: why, by position within the split, where a window that was asked for cannot be given, such as
            a file that is damaged; the arrays hold the others, in order.
    """

    split: str
    start: int
    strain: Array
    label: Array
    snr: Array
    parameters: Mapping[str, Array] = field(default_factory=dict)
    left_out: Mapping[int, str] = field(default_factory=dict)


class Windows(Protocol):
    """What makes the windows of a dataset, block by block, in any process."""

    def block(self, rng: np.random.Generator, split: str, start: int, n: int) -> Block:
        """Positions `start` to `start + n` of a split; depends on its arguments alone.

        Can be pickled, so that other processes make blocks too.
        """
        ...


class DataContext(Protocol):
    """What the core hands a dataset: a seed, somewhere to keep data, and a way to report progress."""

    seed: int
    workers: int
    progress: Progress
    materialise: bool
    """True where a dataset that could stream its strain is asked to store it (`gwbench data import`)."""

    def stored(self, layout: Layout, windows: Windows) -> StrainSplits:
        """The dataset of this name, parameters, seed and fingerprint from the cache; made if missing.

        It is made block by block, by several processes where that pays, and goes on where an interrupted one
        stopped. The result depends neither on that nor on the number of workers.
        """
        ...

    def find(self, layout: Layout) -> StrainSplits | None:
        """The same if it is in the cache already, else None; makes nothing."""
        ...


class NoiseStream(Protocol):
    """One segment of strain without gaps, made piece by piece."""

    @property
    def samples(self) -> int:
        """How many there are of each detector."""
        ...

    @property
    def piece(self) -> int:
        """Samples of a piece; the last may be shorter."""
        ...

    def strain(self, number: int) -> Array:
        """[D, piece] piece `number` of the strain."""
        ...


class Dataset(ABC):
    """Strain in three splits. Takes no positional argument."""

    places: ClassVar[tuple[str, ...]] = ()
    """Parameters that say where files lie; what they are, `fingerprint` says, and they may be moved."""

    fingerprinted: ClassVar[bool] = False
    """True where `fingerprint` covers every number that an object of the class holds."""

    def fingerprint(self) -> Mapping[str, str]:
        """What identifies the data besides the parameters, such as the digests of the files read.

        Cheap enough to be computed before every run. Raises `UserError` where a file is missing.
        """
        return {}

    @abstractmethod
    def load(self, context: DataContext) -> StrainSplits:
        """Make or open the data."""

    def continuous_noise(self, hours: float, seed: int) -> Sequence[NoiseStream] | None:
        """Segments of noise like that of the windows, of which no split holds a sample; None where there is none.

        Args:
            hours: of noise in all.
            seed: of the noise, with the role "continuous".
        """
        return None


__all__ = [
    "Array",
    "Block",
    "DataContext",
    "Dataset",
    "Layout",
    "NoiseStream",
    "Split",
    "StrainReader",
    "StrainSplits",
    "Windows",
]


# --- what pairings and augmentations draw from --------------------------------------------------------------


class NoiseSource(Protocol):
    """Coloured Gaussian noise as the encoder would see it."""

    def draw(self, detectors: Tensor, generator: torch.Generator) -> Tensor:
        """Noise for every channel of a view, conditioned like the data.

        Args:
            detectors: [B, C] detector indices.
            generator: the only source of randomness.

        Returns:
            [B, C, T] float32.
        """
        ...


@dataclass(frozen=True)
class SignalSettings:
    """What simulated signals a pairing or an augmentation asks for.

    Attributes:
        population: a name or file, as of simulated datasets.
        snr_model, snr: the network SNR, as of simulated datasets.
        count: how many are simulated, to draw from.
    """

    population: str
    snr_model: str
    snr: tuple[float, ...]
    count: int = 4096


class SignalSource(Protocol):
    """Simulated signals as the encoder would see them, without noise."""

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Signals of sources drawn at random, each in every detector: [n, D, T] float32, conditioned like the data."""
        ...
