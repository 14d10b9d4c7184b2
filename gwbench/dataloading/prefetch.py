"""Batches of conditioned strain, read in the background while the last ones are trained on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from torch import Tensor
from torch.utils.data import Sampler

if TYPE_CHECKING:
    from gwbench.dataloading.conditioned_split import ConditionedStrain

AHEAD = 2
"""Batches made before they are asked for."""

In = TypeVar("In")
Out = TypeVar("Out")


class Batches:
    """An epoch's batches [B, D, T] by the positions that a sampler gives; a loader as Lightning takes it.

    The disk is read ahead in any case. Conditioning runs ahead too where a GPU does the training; on a CPU it would
    only take the cores from it, so it is done when the batch is due.

    Attributes:
        sampler: tells the positions of every batch.
    """

    def __init__(self, strain: ConditionedStrain, sampler: Sampler[Tensor], device: str) -> None:
        self._strain, self._device = strain, device
        self.sampler = sampler

    def __len__(self) -> int:
        return len(self.sampler)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[Tensor]:
        if self._device == "cpu":
            return (finish() for finish in ahead(self._strain.read, self.sampler))
        return ahead(self._whole, self.sampler)

    def _whole(self, positions: Tensor) -> Tensor:
        strain = self._strain[positions]
        return strain.pin_memory() if self._device.startswith("cuda") else strain


def ahead(make: Callable[[In], Out], items: Iterable[In], depth: int = AHEAD) -> Iterator[Out]:
    """`map(make, items)` in order, by one thread that is at most `depth` results ahead.

    An error of `make` is raised in its result's place. Whoever stops early, by an error or Ctrl-C too, leaves no
    thread behind once the result under way is made.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="gwbench-batches") as thread:
        waiting: deque[Future[Out]] = deque()
        try:
            for item in items:
                waiting.append(thread.submit(make, item))
                if len(waiting) > depth:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
