"""A dataset's splits, and the same as an encoder sees them, for loops of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from gwbench.data.dataset import Array, Dataset, Split, StrainSplits
from gwbench.experiment import objects
from gwbench.experiment.data_cache import ConditionedData, DataCache
from gwbench.experiment.spec import RunSpec
from gwbench.registry import REGISTRY
from gwbench.utils import progress as progress_bars
from gwbench.utils.list_text import names_of

if TYPE_CHECKING:
    from gwbench.dataloading.conditioned_split import ConditionedStrain
    from gwbench.preprocessing.conditioning import Conditioner
    from gwbench.utils.progress import Progress


def open_dataset(
    dataset: str | type[Dataset] | Dataset | None = None,
    *,
    seed: int = 0,
    limit: int | None = None,
    cache: str | Path | None = None,
    workers: int | None = None,
    plugins: str | Sequence[str] = (),
    progress: Progress | None = None,
    **parameters: Any,
) -> OpenDataset:
    """The splits of a dataset, made or taken from the store, as a run with the same settings has them.

        data = gwbench.open_dataset(preset="quick")
        data.train.strain[:10]  # [10, D, T + 2 margin], float32
        data.conditioned().train[:10]  # whitened [10, D, T]

    Labels, SNRs and parameters of all splits are there, those of the test split too: choose by validation, and look at
    the test split once.

    Args:
        dataset: a plugin's name, or an object such as `gwbench.ArrayDataset`; by default the one tagged "default".
        seed: of simulated data and of splits: `data_seed` of a run.
        limit: at most so many windows of each split.
        cache: folder of generated data; by default the user's cache folder.
        workers: threads that generate data; by default one per core.
        plugins: files or modules that register further plugins.
        progress: where to report; by default a bar on a terminal, nothing elsewhere.
        parameters: of the dataset, such as `preset="g2net-like"`, `train=2000`.

    Raises:
        UserError: there is no such dataset or parameter, or the data cannot be made.
    """
    progress = progress or progress_bars.default()
    for source in names_of(plugins):
        REGISTRY.load_source(source)
    settings = {f"dataset.{name}": value for name, value in parameters.items()}
    with objects.named({"dataset": dataset}) as names:
        spec = RunSpec.create(dataset=names["dataset"], settings=settings, data_seed=seed, limit=limit)
        data_cache = DataCache(cache, workers)
        splits = data_cache.splits(spec, progress)
    return OpenDataset(splits, spec, data_cache, progress)


@dataclass(frozen=True, eq=False)
class OpenDataset:
    """A dataset that is open.

    Attributes:
        splits: train, validation and test, with detectors, sample rate, margin, content hash and notes.
        spec: a run's, of which the dataset is this one.
    """

    splits: StrainSplits
    spec: RunSpec = field(repr=False)
    _cache: DataCache = field(repr=False)
    _progress: Progress = field(repr=False)

    @property
    def train(self) -> Split:
        """The training split."""
        return self.splits.train

    @property
    def val(self) -> Split:
        """The validation split."""
        return self.splits.val

    @property
    def test(self) -> Split:
        """The test split."""
        return self.splits.test

    @property
    def detectors(self) -> tuple[str, ...]:
        """Names in channel order."""
        return self.splits.detectors

    @property
    def sample_rate(self) -> float:
        """Hz."""
        return self.splits.sample_rate

    @property
    def margin(self) -> int:
        """Extra samples on either side of a window, which whitening consumes."""
        return self.splits.margin

    @property
    def content_hash(self) -> str:
        """Of every number in the three splits."""
        return self.splits.content_hash

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know of these data."""
        return self.splits.notes

    def __getitem__(self, name: str) -> Split:
        return self.splits[name]

    def __repr__(self) -> str:
        """Dataset, sizes, detectors and rate."""
        sizes = " + ".join(f"{size:,}" for size in self.splits.sizes.values())
        seconds = self.splits.window / self.sample_rate
        return (
            f"<OpenDataset {self.spec.dataset.name}: {sizes} windows of {seconds:g} s, {', '.join(self.detectors)} "
            f"at {self.sample_rate:g} Hz, data {self.content_hash[:12]}>"
        )

    def _repr_html_(self) -> str:
        """What a notebook shows: a line for every split."""
        rows = []
        for name in self.splits.sizes:
            label = self.splits[name].label
            counts = [int((label == value).sum()) for value in (1, 0)] + [int(((label != 0) & (label != 1)).sum())]
            cells = "".join(f"<td>{count:,}</td>" for count in (len(label), *counts))
            rows.append(f"<tr><th>{name}</th>{cells}</tr>")
        head = "".join(f"<th>{word}</th>" for word in ("split", "windows", "signals", "noise", "unlabelled"))
        return f"<p>{escape(repr(self)[1:-1])}</p><table><tr>{head}</tr>{''.join(rows)}</table>"

    def conditioned(self, **settings: Any) -> ConditionedDataset:
        """The splits as an encoder sees them: whitened with the training split's PSD, and band-passed.

        The training split is conditioned now, where it fits into memory, and the others as they are read.

        Args:
            settings: `method`, `low`, `high`: as of `gwbench show conditioning`.

        Raises:
            UserError: there is no such setting, or the strain is not fit for it.
        """
        given = {f"conditioning.{name}": value for name, value in settings.items()}
        conditioning = RunSpec.create(settings=given).conditioning
        spec = self.spec.model_copy(update={"conditioning": conditioning})
        return ConditionedDataset(self._cache.condition_splits(spec, self.splits, self._progress))


class ConditionedSplit(TorchDataset[Tensor]):
    """One split as an encoder sees it: a torch dataset of windows [D, T], which also takes slices and positions.

    Attributes:
        label: [N] int8; 1 signal, 0 noise, -1 unlabelled.
        snr: [N] optimal network SNR; NaN where unknown.
        parameters: what is known of every window, each [N].
    """

    def __init__(self, strain: ConditionedStrain, split: Split) -> None:
        self._strain = strain
        self.label, self.snr, self.parameters = split.label, split.snr, split.parameters

    def __len__(self) -> int:
        return len(self.label)

    def __getitem__(self, index: int | slice | Array | Tensor) -> Tensor:
        """Conditioned strain: [D, T] at a position, [n, D, T] at a slice or an array of positions, float32."""
        if isinstance(index, (int, np.integer)):
            place = range(len(self))[index]  # which raises IndexError beyond the end
            return self._strain[slice(place, place + 1)][0]
        return self._strain[index if isinstance(index, (slice, Tensor)) else np.asarray(index)]


class ConditionedDataset:
    """The three splits as an encoder sees them.

    Attributes:
        train, val, test: the splits.
        conditioner: strain [N, D, T + 2 margin] -> conditioned [N, D, T]; fitted on the training split, without labels.
        splits: the strain that they are made of.
    """

    def __init__(self, data: ConditionedData) -> None:
        self.data = data
        self.splits: StrainSplits = data.splits
        self.conditioner: Conditioner = data.conditioner
        self.train, self.val, self.test = (
            ConditionedSplit(data.strain[name], data.splits[name]) for name in ("train", "val", "test")
        )

    def __getitem__(self, name: str) -> ConditionedSplit:
        return {"train": self.train, "val": self.val, "test": self.test}[name]

    def __repr__(self) -> str:
        """Sizes and what the conditioner is."""
        sizes = " + ".join(f"{len(split):,}" for split in (self.train, self.val, self.test))
        own = self.conditioner.settings
        return f"<ConditionedDataset {sizes} windows, {own.method}, {own.low:g} to {own.high:g} Hz>"
