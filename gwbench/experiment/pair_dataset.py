"""Pairs of views for a training loop of one's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import get_worker_info

from gwbench import seeds
from gwbench.contracts import Augmentation, Pairing, View
from gwbench.errors import UserError
from gwbench.experiment import objects
from gwbench.experiment.choice import Choice
from gwbench.experiment.open_dataset import ConditionedDataset, OpenDataset
from gwbench.experiment.sections import sort_settings
from gwbench.experiment.train_encoder import strain_info
from gwbench.registry import REGISTRY
from gwbench.training.epoch_batches import EpochBatches
from gwbench.training.method import views_of
from gwbench.utils.list_text import names_of
from gwbench.utils.progress import Progress

if TYPE_CHECKING:
    Pair = tuple[tuple[Tensor, Tensor], int, int]


class PairDataset(TorchDataset["Pair"]):
    """Two views of every window of a split, under any `DataLoader`.

        pairs = gwbench.PairDataset(gwbench.open_dataset(preset="quick"), augmentations=[MyAugmentation])
        loader = torch.utils.data.DataLoader(pairs, batch_size=256, shuffle=True, drop_last=True)
        for (x0, x1), _, _ in loader:  # [B, C, T] each, as the loops of lightly take them
            ...

    An item is `(view 0 [C, T], view 1 [C, T]), label, position`. The label is the split's own: leave it alone in
    pre-training. A loader asks for a batch at once, and the pairing draws it as a whole, as in a run: so pairings that
    take strain of other windows of the batch work too. `batches` gives the very batches that a run trains on, as views
    that also tell which detector is behind each channel.

    Views are drawn anew whenever they are asked for: by `seed`, by how often this dataset was asked before, and in a
    loader's worker by the seed that torch gives the worker, which changes with the epoch. With the same seeds (and
    `torch.manual_seed`, from which a loader draws its order) the same views come again.

    Args:
        data: what `gwbench.open_dataset` gives, or its `conditioned()`.
        pairing: a plugin's name, class or object; by default the one tagged "default".
        augmentations: likewise, in the order in which they change a view.
        split: "train", "val" or "test".
        settings: parameters by dotted name, such as "pairing.NAME" and "augmentation.PLUGIN.NAME".
        seed: of the views.
        plugins: files or modules that register further plugins.

    Attributes:
        network: whether views hold all detectors (C = D) rather than one (C = 1).
    """

    def __init__(
        self,
        data: OpenDataset | ConditionedDataset,
        pairing: str | type[Pairing] | Pairing | None = None,
        augmentations: str | Sequence[Any] = (),
        *,
        split: str = "train",
        settings: Mapping[str, Any] | None = None,
        seed: int = 0,
        plugins: str | Sequence[str] = (),
    ) -> None:
        if isinstance(data, OpenDataset):
            data = data.conditioned()
        if not isinstance(data, ConditionedDataset):
            raise UserError(f"data is a {type(data).__name__}: expected what gwbench.open_dataset gives.")
        if split not in ("train", "val", "test"):
            raise UserError(f"split={split!r}: expected train, val or test.")
        for source in names_of(plugins):
            REGISTRY.load_source(source)
        self._split, self._seed, self._asked = data[split], seed, 0
        info = strain_info(data.conditioner, data.splits, seed=seed, progress=Progress())
        with objects.named({"pairing": pairing, "augmentations": augmentations}) as names:
            name = names["pairing"] or REGISTRY.default("pairing")
            given = sort_settings(settings or {}, {"pairing": name}, names["augmentations"])
            self._pairing: Pairing = Choice.of("pairing", name, given.pop("pairing", {})).build("pairing", info)
            self._augmentations: list[Augmentation] = [
                Choice.of("augmentation", each, given.pop(f"augmentation.{each}", {})).build("augmentation", info)
                for each in names["augmentations"]
            ]
        if given:
            raise UserError(f"A PairDataset has a pairing and augmentations: leave out {', '.join(given)}.")
        self.network = self._pairing.network

    def __len__(self) -> int:
        return len(self._split)

    def __getitem__(self, index: int) -> Pair:
        """The pair of one window; a pairing that needs others beside it cannot give one."""
        return self.__getitems__([index])[0]

    def __getitems__(self, index: Sequence[int]) -> list[Pair]:
        """The pairs of the windows of a batch, drawn as a whole. A loader calls it."""
        positions = np.arange(len(self))[np.asarray(index)]
        a, b = self._views(self._split[positions], self._generator())
        if not len(a.samples) == len(b.samples) == len(positions):
            raise UserError(
                f"The pairing makes {len(a.samples)} and {len(b.samples)} windows of a batch of {len(positions)}, "
                "not a pair of every window. Use PairDataset.batches, which gives whole views."
            )
        labels = self._split.label[positions].tolist()
        return [
            ((x0, x1), label, position)
            for x0, x1, label, position in zip(a.samples, b.samples, labels, positions.tolist(), strict=True)
        ]

    def batches(self, batch_size: int, epoch: int = 0) -> Iterator[tuple[View, View]]:
        """The batches of an epoch as a run with this seed trains on them; windows that fill no batch are left out.

        Args:
            batch_size: windows of a batch.
            epoch: counted from 0; every epoch has an order and views of its own.

        Raises:
            UserError: there are fewer windows than one batch.
        """
        if not 1 <= batch_size <= len(self):
            raise UserError(f"batch_size={batch_size}: expected 1 to {len(self)}, the windows of the split.")
        sampler = EpochBatches(len(self), batch_size, self._seed, first_epoch=epoch)
        for step, positions in enumerate(sampler, start=epoch * len(sampler)):
            yield self._views(self._split[positions], seeds.torch_generator(self._seed, "pairing", step))

    def _views(self, strain: Tensor, generator: torch.Generator) -> tuple[View, View]:
        return views_of(strain, self._pairing, self._augmentations, generator)

    def _generator(self) -> torch.Generator:
        """A generator for the next batch, which no other worker, process or batch has."""
        worker = get_worker_info()
        rank = torch.distributed.get_rank() if torch.distributed.is_available() and _distributed() else 0
        key = (1 + rank, worker.seed % 2**32 if worker else 0, self._asked)  # longer than a run's own keys
        self._asked += 1
        return seeds.torch_generator(self._seed, "pairing", *key)


def _distributed() -> bool:
    return torch.distributed.is_initialized()
