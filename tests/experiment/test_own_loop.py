"""One's own loop beside a run: the same windows, the same strain, the same metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightly.loss import NTXentLoss
from lightly.models.modules import SimCLRProjectionHead
from torch.utils.data import DataLoader, StackDataset

import gwbench
from gwbench.data.store.cache_dir import CacheDir
from gwbench.errors import UserError
from gwbench.evaluation.labelled import draw_labelled
from gwbench.experiment.data_cache import DataCache
from gwbench.experiment.open_dataset import OpenedSplits
from gwbench.experiment.record import RunRecord
from gwbench.experiment.spec import RunSpec
from gwbench.utils.progress import Progress
from tests.experiment.own_strain import MARGIN, WINDOW, backbone, own_dataset

QUIET = Progress()


@pytest.fixture(scope="module")
def splits() -> OpenedSplits:
    return gwbench.open_dataset(own_dataset(), seed=2, progress=QUIET)


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    return gwbench.run(
        dataset=own_dataset(), encoder=backbone(), pairing="any-pair", seed=4, data_seed=2, device="cpu",
        settings={"training.epochs": 1, "training.batch_size": 32}, out=tmp_path_factory.mktemp("runs"),
    )  # fmt: skip


def test_the_splits_are_those_of_a_run(splits: OpenedSplits, record: RunRecord) -> None:
    assert record.data
    assert splits.content_hash == record.data.content_hash
    assert splits.sizes == record.data.sizes
    assert gwbench.open_dataset(own_dataset(), seed=3, progress=QUIET).content_hash != splits.content_hash


def test_a_named_dataset_comes_from_the_store_that_runs_use(tmp_path: Path) -> None:
    sizes = {"train": 4, "val": 4, "test": 4}
    opened = gwbench.open_dataset("bbh", preset="quick", seed=1, cache=tmp_path, workers=1, progress=QUIET, **sizes)
    (entry,) = (path for path in CacheDir(tmp_path).root.iterdir() if path.suffix == ".hdf5")
    made = entry.stat().st_mtime_ns
    spec = RunSpec.create(data_seed=1, settings={f"dataset.{name}": size for name, size in sizes.items()})
    data = DataCache(tmp_path, 1).conditioned(spec, QUIET)
    assert entry.stat().st_mtime_ns == made
    assert data.splits.content_hash == opened.content_hash
    strain = opened.conditioned(low=20.0)
    for name in sizes:
        assert torch.equal(strain[name][:], data.strain[name][slice(None)])
    assert repr(opened) == (
        "<OpenedSplits bbh: windows: 4 train, 4 val, 4 test, detectors: H1, L1, V1, sample rate: 2048 Hz, "
        "window: 2 s, margin: 0.25 s>"
    )
    assert "<table>" in opened._repr_html_()


def test_conditioned_strain_reads_like_an_array_and_a_torch_dataset(splits: OpenedSplits) -> None:
    strain = splits.conditioned(low=30.0, high=500.0)
    assert strain.conditioner.settings.low == 30.0
    everything = np.asarray(strain.val)
    assert everything.shape == strain.val.shape == (len(splits.val), 2, WINDOW)
    np.testing.assert_array_equal(strain.conditioner(splits.val.strain[:]).numpy(), everything)
    for index in (0, -1, slice(2, 9, 3), [3, 1], np.array([-1, 0]), torch.tensor([5]), splits.val.label == 1):
        np.testing.assert_array_equal(strain.val[index].numpy(), everything[index])
    labelled = StackDataset(strain.val, torch.from_numpy(strain.val.label))
    x, y = next(iter(DataLoader(labelled, batch_size=5)))
    np.testing.assert_array_equal(x.numpy(), everything[:5])
    assert y.tolist() == splits.val.label[:5].tolist()
    for wrong in (len(everything), [0, -len(everything) - 1]):
        with pytest.raises(IndexError):
            strain.val[wrong]
    kept = splits.conditioned(low=30.0, high=500.0).keep("val", progress=QUIET)
    assert kept.val.strain.in_memory
    np.testing.assert_array_equal(np.asarray(kept.val), everything)


def test_the_probe_gives_the_metrics_of_the_record(splits: OpenedSplits, record: RunRecord) -> None:
    encoder = gwbench.load_encoder(record.folder or "", encoder=backbone())
    labelled = draw_labelled(splits.train.label, 0.25, gwbench.seeds.numpy_generator(4, "split"))
    embedder = gwbench.Embedder(encoder).fit(splits.train.strain[:1])
    train, val, test = (embedder.transform(split.strain[:]) for split in (splits.train, splits.val, splits.test))
    probe = gwbench.Probe(label_fraction=0.25, seed=4).fit(train, splits.train.label, val, splits.val.label)
    assert probe.labelled_.tolist() == labelled.tolist()
    assert probe.score(test, splits.test.label, snr=splits.test.snr) == record.metrics
    assert probe.val_auc_ == record.val_auc
    np.testing.assert_array_equal(test, encoder(splits.test.strain[:]))
    scores = encoder.score(splits.test.strain[:])
    np.testing.assert_allclose(probe.predict_proba(test)[:, 1], scores.probability, rtol=1e-4)


def test_lightlys_example_loop_trains_on_pairs(splits: OpenedSplits) -> None:
    torch.manual_seed(0)
    strain = splits.conditioned().keep("train", progress=QUIET)
    pairs = gwbench.PairDataset(strain, "any-pair", ["time-shift"], layout="lightly")
    dataloader = DataLoader(pairs, batch_size=40, shuffle=True, drop_last=True)
    network, head, criterion = backbone(), SimCLRProjectionHead(8, 16, 16), NTXentLoss()
    optimizer = torch.optim.Adam([*network.parameters(), *head.parameters()], lr=1e-2)
    losses = []
    for _ in range(6):
        for (x0, x1), _, _ in dataloader:
            loss = criterion(head(network(x0)), head(network(x1)))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.item())
    embedder = gwbench.Embedder(network, conditioner=strain.conditioner).fit(splits.train.strain[:1])
    parts = [(embedder.transform(each.strain[:]), each.label) for each in (splits.train, splits.val, splits.test)]
    metrics = gwbench.Probe().fit(*parts[0], *parts[1]).score(*parts[2])
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
    assert metrics.auc.value > 0.9


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"dataset": "bbhs"}, "bbh"),
        ({"dataset": np.zeros(3)}, "ArrayDataset"),
        ({"dataset": "bbh", "trian": 4}, "trian"),
        ({"dataset": "bbh", "limit": 1}, "limit=1"),
        ({"dataset": "bbh", "seed": -1}, "seed=-1"),
        ({"dataset": "bbh", "settings": {"encoder.width": 4}}, "encoder.width"),
    ],
)
def test_what_cannot_be_opened_is_refused(given: dict[str, Any], match: str) -> None:
    with pytest.raises(UserError, match=match):
        gwbench.open_dataset(**given, progress=QUIET)
    with pytest.raises(UserError, match="lo"):
        gwbench.open_dataset(own_dataset(), progress=QUIET).conditioned(lo=30)


def test_margins_belong_to_the_strain(splits: OpenedSplits) -> None:
    assert splits.train.strain[0:2].shape == (2, 2, WINDOW + 2 * MARGIN)
    assert splits.window == WINDOW
