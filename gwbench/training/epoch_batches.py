"""Which windows of the training split a step sees."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import Sampler

from gwbench import seeds
from gwbench.dataloading.prefetch import Batches
from gwbench.training.distributed import ProcessGroup


class EpochBatches(Sampler[Tensor]):
    """Positions of every batch: a fresh permutation each epoch; the rest that fills no batch is left for another.

    Each process of a process group gets its share of every batch.
    """

    def __init__(
        self,
        size: int,
        batch_size: int,
        seed: int,
        process_group: ProcessGroup | None = None,
        first_epoch: int = 0,
    ) -> None:
        self._size, self._batch_size, self._seed = size, batch_size, seed
        self._first_epoch = self._epoch = first_epoch
        self._team = process_group or ProcessGroup()

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning at the start of every epoch."""
        self._epoch = self._first_epoch + epoch

    def __len__(self) -> int:
        return self._size // self._batch_size

    def __iter__(self) -> Iterator[Tensor]:
        order = torch.randperm(self._size, generator=seeds.torch_generator(self._seed, "batch", self._epoch))
        for batch in order[: len(self) * self._batch_size].split(self._batch_size):
            yield batch.chunk(self._team.size)[self._team.rank]


class IndexedBatches:
    """Batches of strain [B, D, T], each with the positions [B] of its windows; a loader as Lightning takes it.

    Attributes:
        sampler: tells the positions.
    """

    def __init__(self, batches: Batches) -> None:
        self._batches, self.sampler = batches, batches.sampler

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return zip(self._batches, self.sampler, strict=True)
