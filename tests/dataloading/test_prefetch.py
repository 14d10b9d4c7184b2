from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gwbench.dataloading.conditioned_split import ConditionedStrain
from gwbench.dataloading.prefetch import AHEAD, Batches, ahead
from gwbench.training.epoch_batches import EpochBatches
from gwbench.training.pretrain import pretrain
from gwbench.training.settings import TrainingSettings
from gwbench.utils.progress import Progress
from tests.dataloading.test_conditioned_split import WINDOWS, data, fitted, kept
from tests.training.test_pretrain import method


class Cut:
    """Windows of 16 samples, as the method of the pre-training tests takes them."""

    def __init__(self, strain: ConditionedStrain) -> None:
        self._strain = strain

    def __len__(self) -> int:
        return len(self._strain)

    def __getitem__(self, index: Any) -> torch.Tensor:
        return self._strain[index][..., :16]

    def read(self, index: Any) -> Callable[[], torch.Tensor]:
        finish = self._strain.read(index)
        return lambda: finish()[..., :16]


def workers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("gwbench-batches")]


def test_results_come_in_order_whatever_their_time() -> None:
    def slow_at_even(number: int) -> int:
        time.sleep(0.002 * (number % 2 == 0))
        return number * number

    assert list(ahead(slow_at_even, range(20))) == [number * number for number in range(20)]
    assert list(ahead(slow_at_even, [])) == []
    assert not workers()


def test_no_more_is_made_than_the_depth_allows() -> None:
    made: list[int] = []
    for count, _ in enumerate(ahead(made.append, range(30))):
        assert len(made) <= count + 1 + AHEAD
    assert made == list(range(30))


def test_an_error_is_raised_in_its_results_place() -> None:
    def fails_at_five(number: int) -> int:
        if number == 5:
            raise ValueError("five")
        return number

    numbers = ahead(fails_at_five, range(100))
    assert [next(numbers) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="five"):
        next(numbers)
    assert not workers()


@pytest.mark.parametrize("stop", [KeyboardInterrupt, ValueError, GeneratorExit])
def test_who_stops_early_leaves_no_thread(stop: type[BaseException]) -> None:
    made: list[int] = []

    def consumer() -> Generator[int]:
        for number in ahead(lambda number: made.append(number) or number, range(10_000)):  # type: ignore[func-returns-value]
            yield number
            if number == 3:
                raise stop

    numbers = consumer()
    with pytest.raises((stop, RuntimeError)):
        for _ in numbers:
            pass
    numbers.close()
    assert not workers()
    assert len(made) <= 4 + AHEAD + 1


@pytest.mark.parametrize("device", ["cpu", "mps"])  # conditioned when due, and ahead
@pytest.mark.parametrize("memory", ["1", "0"])
def test_batches_are_those_of_the_strain_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str, memory: str
) -> None:
    monkeypatch.setenv("GWBENCH_MEMORY", memory)
    split = data()
    conditioner = fitted(split)
    strain = kept(tmp_path, split, conditioner)
    sampler = EpochBatches(WINDOWS, 32, seed=0)
    batches = Batches(strain, sampler, device)
    assert len(batches) == 4
    expected = conditioner(split.strain[:])
    for epoch in range(2):
        sampler.set_epoch(epoch)
        for batch, positions in zip(batches, sampler, strict=True):
            assert torch.equal(batch, expected[positions])


def test_a_run_ends_in_the_same_numbers_wherever_its_strain_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = data(48)
    conditioner = fitted(split)
    losses: list[Any] = []
    for place, memory in (("memory", "1"), ("disk", "0"), ("disk", "0")):
        monkeypatch.setenv("GWBENCH_MEMORY", memory)
        strain = kept(tmp_path / place, split, conditioner)
        settings = TrainingSettings(epochs=2, batch_size=20)
        trained = pretrain(
            method(),
            Cut(strain),  # type: ignore[arg-type]
            settings,
            seed=0,
            precision="fp32",
            device="cpu",
            folder=tmp_path / f"run{len(losses)}",
            progress=Progress(),
        )
        losses.append(trained.loss)
    assert losses[0] == losses[1] == losses[2]
    assert np.isfinite(losses[0]).all()
