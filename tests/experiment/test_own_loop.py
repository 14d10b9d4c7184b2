"""Pieces for a loop of one's own: the same data, views and figures as a run has."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from lightly.loss import NTXentLoss
from lightly.models.modules import SimCLRProjectionHead
from pytorch_lightning import LightningModule, Trainer
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.utils.data import DataLoader

import gwbench
from gwbench.contracts import Encode, Objective, View
from gwbench.errors import UserError
from gwbench.experiment.open_dataset import ConditionedDataset
from gwbench.registry import REGISTRY
from tests.experiment.test_objects import QUICK, Loudest
from tests.experiment.test_objects import data as arrays

__all__ = ["arrays"]


@pytest.fixture(scope="module")
def conditioned(arrays: gwbench.ArrayDataset) -> ConditionedDataset:
    return gwbench.open_dataset(arrays).conditioned(high=400)


class Seen(Objective):
    """Keeps the views of every step."""

    views: list[tuple[View, View]] = []  # noqa: RUF012 - of the class, whose object a run makes

    def __init__(self, embed_dim: int) -> None:
        super().__init__(embed_dim)

    def forward(self, a: View, b: View, encode: Encode) -> Tensor:
        self.views.append((a, b))
        return super().forward(a, b, encode)

    def loss(self, a: Tensor, b: Tensor) -> Tensor:
        return (a - b).square().mean()


def test_data_views_and_figures_are_those_of_a_run(conditioned: Any, arrays: Any, tmp_path: Path) -> None:
    Seen.views.clear()
    record = gwbench.run(
        dataset=arrays,
        encoder=Loudest,
        objective=Seen,
        pairing="any-pair",
        augmentations=["time-shift", "polarity-flip"],
        settings=QUICK,
        precision="fp32",
        out=tmp_path,
    )
    assert record.data and record.data.content_hash == conditioned.splits.content_hash
    pairs = gwbench.PairDataset(conditioned, "any-pair", ["time-shift", "polarity-flip"])
    drawn = [pair for epoch in range(2) for pair in pairs.batches(32, epoch)]
    assert len(drawn) == len(Seen.views) == 6
    for views, own in zip(Seen.views, drawn, strict=True):
        for view, mine in zip(views, own, strict=True):
            torch.testing.assert_close(view.samples, mine.samples, rtol=0, atol=0)
            assert torch.equal(view.detectors, mine.detectors)

    embed = gwbench.load_encoder(record.folder or "", encoder=Loudest)
    splits = conditioned.splits
    x, y = (
        {name: part(splits[name]) for name in splits.sizes}
        for part in (lambda s: embed(s.strain[:]), lambda s: s.label)
    )
    probe = gwbench.Probe(label_fraction=0.25, seed=0).fit(x["train"], y["train"], x["val"], y["val"])
    metrics = probe.metrics(x["test"], y["test"], splits.test.snr)
    assert record.metrics and metrics.knn_auc and record.metrics.knn_auc
    for own_figure, recorded in ((metrics.auc, record.metrics.auc), (metrics.knn_auc, record.metrics.knn_auc)):
        assert [own_figure.value, own_figure.low, own_figure.high] == pytest.approx(
            [recorded.value, recorded.low, recorded.high]
        )
    assert metrics.average_precision == pytest.approx(record.metrics.average_precision)
    assert len(probe.labelled_) == record.data.labelled
    assert probe.val_auc_ == pytest.approx(record.val_auc)


def test_twenty_lines_train_with_the_loop_of_lightlys_examples(conditioned: Any) -> None:
    torch.manual_seed(0)
    pairs = gwbench.PairDataset(conditioned, pairing="any-pair", augmentations="time-shift")
    loader = DataLoader(pairs, batch_size=32, shuffle=True, drop_last=True)
    backbone, head, criterion = Loudest(), SimCLRProjectionHead(8, 32, 32), NTXentLoss()
    optimizer = torch.optim.Adam([*backbone.parameters(), *head.parameters()], lr=1e-2)
    losses = []
    for _ in range(15):
        for (x0, x1), _, _ in loader:
            loss = criterion(head(backbone(x0)), head(backbone(x1)))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.item())
    assert np.mean(losses[-3:]) < np.mean(losses[:3])

    def embed(split: Any) -> Tensor:
        with torch.inference_mode():
            strain = split[:]
            embedding: Tensor = backbone.eval()(strain.flatten(0, 1)[:, None])
            return embedding.reshape(len(strain), -1)

    train, val, test = (getattr(conditioned, name) for name in ("train", "val", "test"))
    probe = gwbench.Probe().fit(embed(train), train.label, embed(val), val.label)
    assert probe.metrics(embed(test), test.label).auc.value > 0.7


@pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning", "ignore:.*does not have many workers")
def test_a_lightning_trainer_takes_it(conditioned: Any, tmp_path: Path) -> None:
    class Simclr(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.backbone, self.criterion = Loudest(), NTXentLoss()

        def training_step(self, batch: Any, index: int) -> Tensor:
            (x0, x1), _, _ = batch
            loss: Tensor = self.criterion(self.backbone(x0), self.backbone(x1))
            return loss

        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.parameters())

    model = Simclr()
    trainer = Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    loader = DataLoader(gwbench.PairDataset(conditioned), batch_size=32, num_workers=2, persistent_workers=True)
    trainer.fit(model, loader)
    assert trainer.global_step == 3


@pytest.mark.parametrize("workers", [0, 2])
def test_views_come_again_by_the_seeds_and_differ_from_epoch_to_epoch(conditioned: Any, workers: int) -> None:
    def epochs(seed: int) -> list[Tensor]:
        torch.manual_seed(0)
        pairs = gwbench.PairDataset(conditioned, "any-pair", "time-shift", seed=seed)
        loader = DataLoader(pairs, batch_size=24, num_workers=workers)
        return [torch.cat([x0 for (x0, _), _, _ in loader]) for _ in range(2)]

    first, again, other = epochs(0), epochs(0), epochs(1)
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[0], other[0])
    # nor do two batches of an epoch, by whichever worker, draw the same: shifts of the same windows twice
    pairs = gwbench.PairDataset(conditioned, "same-detector", "time-shift")
    twice = DataLoader(pairs, batch_size=24, sampler=[*range(24), *range(24)], num_workers=workers)
    (a, _), (b, _) = (batch[0] for batch in twice)
    assert not torch.equal(a, b)


def test_every_pairing_serves_a_loader_or_says_why_not(conditioned: Any) -> None:
    refused: dict[str, str] = {}
    for plugin in REGISTRY.list("pairing"):
        try:
            pairs = gwbench.PairDataset(conditioned, plugin.name)
            (x0, x1), label, position = pairs.__getitems__(list(range(8)))[3]
        except UserError as error:
            refused[plugin.name] = str(error)
            continue
        assert x0.shape == x1.shape == (2 if pairs.network else 1, 1024)
        assert (label, position) == (int(conditioned.train.label[3]), 3)
    assert refused == {}


def test_open_data_are_those_of_the_store_and_of_a_run(tmp_path: Path) -> None:
    opened = gwbench.open_dataset("bbh", preset="quick", limit=8, cache=tmp_path, seed=3)
    again = gwbench.open_dataset("bbh", preset="quick", limit=8, cache=tmp_path, seed=3)
    assert opened.content_hash == again.content_hash
    assert opened.splits.sizes == {"train": 8, "val": 8, "test": 8}
    assert "<OpenDataset bbh: 8 + 8 + 8 windows of 2 s, H1, L1, V1 at 2048 Hz" in repr(opened)
    assert "<td>8</td>" in opened._repr_html_()
    white = opened.conditioned()
    assert white.train[0].shape == (3, 4096)
    assert torch.equal(white.train[np.array([2, 5])], white.train[:][[2, 5]])
    assert len(white.val) == 8
    with pytest.raises(IndexError):
        white.train[8]
    np.testing.assert_array_equal(white.test[:], white.conditioner(opened.test.strain[:]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c: gwbench.open_dataset("bbh", prset="quick"), "has no parameter 'prset'"),
        (lambda c: gwbench.open_dataset("bhb"), "There is no dataset 'bhb'"),
        (lambda c: gwbench.open_dataset(cast("Any", np.zeros(3))), "gwbench.ArrayDataset"),
        (lambda c: gwbench.PairDataset(c.splits), "expected what gwbench.open_dataset gives"),
        (lambda c: gwbench.PairDataset(c, split="tran"), "expected train, val or test"),
        (lambda c: gwbench.PairDataset(c, settings={"training.lr": 1}), "leave out training"),
        (lambda c: next(gwbench.PairDataset(c).batches(1000)), "expected 1 to 96"),
        (lambda c: gwbench.PairDataset(c, "coincidence")[0], "needs a batch of"),
    ],
)
def test_mistakes_are_named(conditioned: Any, call: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        call(conditioned)


def test_auc_of_a_probe_is_scikit_learns(conditioned: Any) -> None:
    rng = np.random.default_rng(0)
    label = np.arange(200) % 2
    x = rng.normal(size=(200, 5)) + label[:, None]
    probe = gwbench.Probe().fit(x[:100], label[:100])
    assert probe.score(x[100:], label[100:]) == pytest.approx(
        roc_auc_score(label[100:], probe.decision_function(x[100:]))
    )
    probability = probe.predict_proba(torch.from_numpy(x[100:]))
    np.testing.assert_allclose(probability.sum(axis=1), 1)
    assert (probe.predict(x[100:]) == (probability[:, 1] > 0.5)).all()
    with pytest.raises(UserError, match="Labels are 1 for signal"):
        gwbench.Probe().fit(x, label + 1)
    with pytest.raises(UserError, match="fitted to 5"):
        probe.predict(x[:, :4])
