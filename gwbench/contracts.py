"""What a plugin of each kind promises.

A plugin is a class that subclasses one of these, carries `gwbench.registry.register` and takes, after what
its kind hands it positionally, only typed keyword arguments with defaults: its parameters.

Shapes are written `B` batch, `N` samples of a split, `D` detectors, `C` channels of an encoder's input
(1 per detector, or D for a network), `T` time samples. Strain is dimensionless; times are in seconds,
frequencies in Hz.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

if TYPE_CHECKING:
    from gwbench.progress import Progress

Array = NDArray[Any]


# --- data ---------------------------------------------------------------------------------------------------


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
        train, val, test: the splits; no two share a signal or a stretch of noise.
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


class Dataset(ABC):
    """Strain in three splits. Takes no positional argument."""

    places: ClassVar[tuple[str, ...]] = ()
    """Parameters that say where files lie; what they are, `fingerprint` says, and they may be moved."""

    def fingerprint(self) -> Mapping[str, str]:
        """What identifies the data besides the parameters, such as the digests of the files read.

        Cheap enough to be computed before every run. Raises `UserError` where a file is missing.
        """
        return {}

    @abstractmethod
    def load(self, context: DataContext) -> StrainSplits:
        """Make or open the data."""


# --- pre-training -------------------------------------------------------------------------------------------


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
class StrainInfo:
    """What a pairing or an augmentation may know about the conditioned strain it gets.

    Attributes:
        detectors: names in channel order.
        sample_rate: Hz.
        window: T, samples of a window.
        coloured_noise: builds a `NoiseSource` from a list of PSD names per detector; the noise is generated by
            pycbc and goes through the run's own conditioning.
    """

    detectors: tuple[str, ...]
    sample_rate: float
    window: int
    coloured_noise: Callable[[Mapping[str, Sequence[str]]], NoiseSource]


@dataclass(frozen=True)
class View:
    """What one branch sees.

    Attributes:
        samples: [B, C, T] conditioned strain.
        detectors: [B, C] long, the index of the detector behind each channel.
    """

    samples: Tensor
    detectors: Tensor


class Pairing(ABC):
    """Draws two views of every window. Constructed as `Pairing(info, **parameters)`."""

    network: ClassVar[bool] = False
    """True where views hold all detectors (C = D); False for one detector per view (C = 1)."""

    @abstractmethod
    def __init__(self, info: StrainInfo) -> None: ...

    @abstractmethod
    def pair(self, strain: Tensor, generator: torch.Generator) -> tuple[View, View]:
        """Two views of conditioned strain [B, D, T]; never changes its input."""


class Augmentation(ABC):
    """Changes one view. Constructed as `Augmentation(info, **parameters)`."""

    @abstractmethod
    def __init__(self, info: StrainInfo) -> None: ...

    @abstractmethod
    def augment(self, view: View, generator: torch.Generator) -> View:
        """A new view; never changes its input."""


@dataclass(frozen=True)
class InputShape:
    """What an encoder is built for: windows [B, channels, samples] at `sample_rate` Hz."""

    channels: int
    samples: int
    sample_rate: float


class Encoder(nn.Module, ABC):
    """A network from conditioned strain to an embedding. Constructed as `Encoder(shape, **parameters)`.

    A constructor raises `UserError` where the shape is too small for it.
    """

    embed_dim: int
    """Width of the embedding; set by the constructor."""

    @abstractmethod
    def forward(self, strain: Tensor) -> Tensor:
        """Embeddings [B, embed_dim] of conditioned strain [B, C, T]."""


Encode = Callable[[View], Tensor]
"""Embeds a view: [B, C, T] -> [B, embed_dim], through the encoder that serves its detectors."""


class Objective(nn.Module, ABC):
    """A loss on two views, with the heads it needs. Constructed as `Objective(embed_dim, **parameters)`.

    Most objectives implement `loss` alone. One with an EMA target or a reconstruction overrides `attach`,
    `forward` and `after_step`.
    """

    min_batch: ClassVar[int] = 2
    """Smallest batch on which the loss means something."""

    def __init__(self, embed_dim: int) -> None:
        super().__init__()
        self.embed_dim = embed_dim

    @abstractmethod
    def loss(self, a: Tensor, b: Tensor) -> Tensor:
        """Scalar loss of the branches' embeddings, both [B, embed_dim] float32, outside autocast."""

    def attach(self, encoder: nn.Module) -> None:
        """Called once, before training, with the encoder; an EMA objective copies it here."""
        return None

    def forward(self, a: View, b: View, encode: Encode) -> Tensor:
        """Scalar loss of two views."""
        embedding_a, embedding_b = encode(a), encode(b)
        with torch.autocast(embedding_a.device.type, enabled=False):
            return self.loss(embedding_a.float(), embedding_b.float())

    def after_step(self, step: int, total_steps: int) -> None:
        """Called after every optimiser step."""
        return None


# --- baselines ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scores:
    """What a method says of the test split.

    Attributes:
        test: [N_test] float, larger for "signal".
        details: further numbers and arrays for the record, such as the probe's chosen strength.
        neighbours: [N_test] scores of the nearest neighbours, where there are embeddings.
        embeddings: test embeddings [N_test, F], where there are any.
        parameters: trainable parameters of the method's network; 0 without one.
    """

    test: Array
    details: Mapping[str, Any] = field(default_factory=dict)
    neighbours: Array | None = None
    embeddings: Array | None = None
    parameters: int = 0


class Job(Protocol):
    """What the core hands a baseline."""

    splits: StrainSplits
    """The data; the labels of the test split are hidden (-1)."""
    labelled: Array
    """Positions in the training split whose labels may be used."""
    seed: int
    progress: Progress

    def conditioned(self, split: str, index: slice | Array) -> Tensor:
        """Conditioned strain [n, D, T] float32 of a part of a split."""
        ...

    def new_encoder(self) -> nn.Module:
        """The run's encoder as pre-training would start from it."""
        ...

    def probe(self, encoder: nn.Module) -> Scores:
        """The run's probe on a frozen encoder."""
        ...


class Baseline(ABC):
    """Anything that turns the same splits into test scores. Takes no positional argument."""

    needs_encoder: ClassVar[bool] = False
    """True where the run has an encoder."""

    trains: ClassVar[bool] = False
    """True where the run's training settings and precision matter."""

    @abstractmethod
    def scores(self, job: Job) -> Scores:
        """Scores of the test split; labels are used at `job.labelled` and in the validation split only."""


__all__ = [
    "Augmentation",
    "Baseline",
    "Block",
    "DataContext",
    "Dataset",
    "Encode",
    "Encoder",
    "InputShape",
    "Job",
    "Layout",
    "NoiseSource",
    "Objective",
    "Pairing",
    "Scores",
    "Split",
    "StrainInfo",
    "StrainReader",
    "StrainSplits",
    "View",
    "Windows",
]
