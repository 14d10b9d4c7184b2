from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

import gwbench
from gwbench.contracts import Augmentation, StrainInfo, View
from gwbench.errors import UserError
from gwbench.experiment.open_dataset import OpenedSplits
from gwbench.training.method import SslMethod
from gwbench.utils.progress import Progress
from tests.experiment.own_strain import WINDOW, backbone, own_dataset

Epochs = list[list[Tensor]]


@pytest.fixture(scope="module")
def splits() -> OpenedSplits:
    return gwbench.open_dataset(own_dataset(), progress=Progress())


def pairs(splits: OpenedSplits, **changes: Any) -> gwbench.PairDataset:
    return gwbench.PairDataset(splits, **{"pairing": "any-pair", "augmentations": ["time-shift"], **changes})


def two_epochs(data: gwbench.PairDataset, **loader: Any) -> Epochs:
    """The first views of every batch, of two epochs."""
    batches = DataLoader(data, **loader)
    return [[x0 for x0, _ in batches] for _ in range(2)]


def same(a: Epochs, b: Epochs) -> bool:
    return all(torch.equal(torch.cat(x), torch.cat(y)) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("batch_size", [None, 32])
def test_views_are_the_same_with_any_workers_and_others_in_every_epoch(
    splits: OpenedSplits, batch_size: int | None
) -> None:
    loader = {"batch_size": 30 if batch_size is None else None}
    alone = two_epochs(pairs(splits, batch_size=batch_size), **loader)
    assert alone[0][0].shape == (batch_size or 30, 1, WINDOW)
    assert not torch.equal(alone[0][0], alone[1][0])
    assert same(alone, two_epochs(pairs(splits, batch_size=batch_size), **loader, num_workers=2))
    kept = two_epochs(pairs(splits, batch_size=batch_size), **loader, num_workers=2, persistent_workers=True)
    assert same(alone, kept)
    assert not same(alone, two_epochs(pairs(splits, batch_size=batch_size, seed=1), **loader))


def test_views_of_a_window_depend_on_no_order_and_no_batch(splits: OpenedSplits) -> None:
    one_by_one = pairs(splits)
    views = [one_by_one[position] for position in reversed(range(40))][::-1]
    at_once = pairs(splits).__getitems__(range(40))
    assert all(torch.equal(a, c) and torch.equal(b, d) for (a, b), (c, d) in zip(views, at_once, strict=True))
    shuffled = DataLoader(pairs(splits), batch_size=7, shuffle=True, drop_last=True)
    assert len(list(shuffled)) == len(one_by_one) // 7


def test_an_epoch_can_be_set_and_a_copy_counts_for_itself(splits: OpenedSplits) -> None:
    data = pairs(splits)
    first, second = data[3][0], data[3][0]
    other: gwbench.PairDataset = pickle.loads(pickle.dumps(data))
    data.set_epoch(0)
    assert torch.equal(data[3][0], first)
    assert torch.equal(data[3][0], second)
    assert other._drawn[3] == 2
    assert copy.deepcopy(other)._drawn.is_shared()


def test_batches_are_those_that_a_run_trains_on(
    splits: OpenedSplits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[View, View]] = []
    drawn = SslMethod.views

    def views(self: SslMethod, *given: Any) -> tuple[View, View]:
        seen.append(drawn(self, *given))
        return seen[-1]

    monkeypatch.setattr(SslMethod, "views", views)
    gwbench.run(
        dataset=own_dataset(), encoder=backbone(), pairing="any-pair", augmentations="time-shift", seed=5,
        settings={"training.epochs": 2, "training.batch_size": 32}, device="cpu", out=tmp_path,
    )  # fmt: skip
    data = pairs(splits, batch_size=32, seed=5, layout="views")
    ours = [data[number] for _ in range(2) for number in range(len(data))]
    assert len(ours) == 2 * len(data) == 2 * (len(splits.train) // 32)
    for mine, theirs in zip(ours, seen, strict=False):  # what comes after is for diagnostics
        for a, b in zip(mine, theirs, strict=True):
            assert torch.equal(a.samples, b.samples)
            assert torch.equal(a.detectors, b.detectors)


def test_pairings_of_whole_batches_need_a_batch_size(splits: OpenedSplits) -> None:
    slid = {"pairing.longest_ms": 50.0, "pairing.slides": 2}
    for pairing, settings in (("coincidence", slid), ("time-slide", {})):
        with pytest.raises(UserError, match="draws from whole batches: give PairDataset a batch_size"):
            gwbench.PairDataset(splits, pairing, settings=settings)
    data = gwbench.PairDataset(splits, "coincidence", batch_size=16, settings=slid)
    a, b = data[0]
    assert a.shape == (16, 2, WINDOW)
    assert b.shape == (32, 2, WINDOW)
    assert data.input_shape.channels == 2


def test_lightly_finds_its_own_layout(splits: OpenedSplits) -> None:
    data = pairs(splits, layout="lightly", split="val")
    (x0, x1), targets, names = next(iter(DataLoader(data, batch_size=4)))
    assert x0.shape == x1.shape == (4, 1, WINDOW)
    assert targets.tolist() == splits.val.label[:4].tolist()
    assert list(names) == ["val/0", "val/1", "val/2", "val/3"]
    (x0, _), targets, names = pairs(splits, layout="lightly", batch_size=8)[1]
    assert x0.shape[0] == len(targets) == len(names) == 8
    assert targets.tolist() == [int(splits.train.label[int(name.partition("/")[2])]) for name in names]


class Louder(Augmentation):
    """Twice the strain."""

    def __init__(self, info: StrainInfo) -> None:
        self.rate = info.sample_rate

    def augment(self, view: View, generator: torch.Generator) -> View:
        return View(2 * view.samples, view.detectors)


def test_an_augmentation_of_ones_own_may_be_an_object_or_a_class(splits: OpenedSplits) -> None:
    plain = pairs(splits, augmentations=())[0][0]
    assert torch.equal(pairs(splits, augmentations=Louder)[0][0], 2 * plain)
    made = Louder.__new__(Louder)
    assert torch.equal(pairs(splits, augmentations=[made])[0][0], 2 * plain)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"pairing": "any-pairs"}, "any-pair"),
        ({"augmentations": "no-such"}, "no-such"),
        ({"augmentations": ["time-shift", "time-shift"]}, "named twice"),
        ({"pairing": "same-detector", "augmentations": ()}, "add an augmentation"),
        ({"split": "dev"}, "split='dev'"),
        ({"layout": "tuple"}, "layout='tuple'"),
        ({"layout": "views"}, "give PairDataset a batch_size"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"batch_size": 10_000}, "does not fit the train split"),
        ({"seed": -1}, "seed=-1"),
        ({"settings": {"conditioning.low": 30}}, "conditioned"),
        ({"settings": {"augmentation.longest_ms": 1e9}}, "longest_ms"),
    ],
)
def test_what_cannot_be_is_refused(splits: OpenedSplits, changes: dict[str, Any], match: str) -> None:
    with pytest.raises(UserError, match=match):
        pairs(splits, **changes)


def test_data_of_another_kind_are_refused() -> None:
    with pytest.raises(UserError, match="open_dataset"):
        gwbench.PairDataset("bbh")  # type: ignore[arg-type]


class Siamese(pl.LightningModule):
    """The smallest module that trains on pairs."""

    def __init__(self) -> None:
        super().__init__()
        self.network = backbone()
        self.losses: list[float] = []

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        a, b = map(self.network, batch)
        loss = nn.functional.mse_loss(a, b)
        self.losses.append(float(loss))
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.01)


@pytest.mark.filterwarnings("ignore")  # Lightning's hints
def test_lightning_fits_on_it(splits: OpenedSplits, tmp_path: Path) -> None:
    data = pairs(splits)
    module = Siamese()
    trainer = pl.Trainer(
        max_epochs=2, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=tmp_path,
    )  # fmt: skip
    trainer.fit(module, DataLoader(data, batch_size=60, shuffle=True))
    assert len(module.losses) == 2 * 2
    assert (data._drawn == 2).all()
