"""Arrays as a dataset: splits, checks, identity."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.model_selection import train_test_split

import gwbench
from gwbench.data.array_splits import assign_splits
from gwbench.errors import UserError

RATE = 1024.0


def strain_of(windows: int = 60, detectors: int = 2, samples: int = 64) -> Any:
    return np.random.default_rng(0).normal(size=(windows, detectors, samples)) * 1e-21


def labels_of(windows: int = 60) -> Any:
    return np.arange(windows) % 2


def dataset(strain: Any = None, labels: Any = None, **more: Any) -> gwbench.ArrayDataset:
    settings: dict[str, Any] = {"sample_rate": RATE, "detectors": ("H1", "L1"), **more}
    return gwbench.ArrayDataset(
        strain_of() if strain is None else strain, labels_of() if labels is None else labels, **settings
    )


def load(data: gwbench.ArrayDataset, seed: int = 0) -> Any:
    context: Any = SimpleNamespace(seed=seed)
    return data.load(context)


def test_every_window_is_in_one_split_and_classes_keep_their_shares() -> None:
    splits = load(dataset())
    assert splits.sizes == {"train": 36, "val": 12, "test": 12}
    rows = np.concatenate([splits[name].strain[:] for name in splits.sizes])
    np.testing.assert_array_equal(np.sort(rows.ravel()), np.sort(strain_of().astype(np.float32).ravel()))
    assert [int(splits[name].label.sum()) for name in splits.sizes] == [18, 6, 6]
    # as scikit-learn's stratified split has it
    _, test = train_test_split(labels_of(), test_size=0.2, stratify=labels_of(), random_state=0)
    assert test.sum() == splits.test.label.sum()


def test_strain_of_1e_minus_21_keeps_its_precision_and_its_rows() -> None:
    strain = strain_of()
    split = load(dataset(strain)).train
    first = split.strain[np.array([3])][0]
    assert first.dtype == np.float32
    matches = np.isclose(strain, first[None], rtol=1e-6, atol=0).all(axis=(1, 2))
    assert matches.sum() == 1


def test_the_seed_of_the_data_draws_other_splits() -> None:
    data = dataset()
    one, again, other = load(data, 0), load(data, 0), load(data, 1)
    np.testing.assert_array_equal(one.test.strain[:], again.test.strain[:])
    assert not np.array_equal(one.test.strain[:], other.test.strain[:])
    assert one.content_hash == again.content_hash != other.content_hash


def test_groups_stay_together() -> None:
    groups = np.repeat(np.arange(20), 3)
    places, left_out = assign_splits(labels_of(), groups, 0.2, 0.2, np.random.default_rng(0))
    of_split = [set(groups[rows]) for rows in places.values()]
    assert left_out == 0
    assert sum(map(len, of_split)) == len(set.union(*of_split)) == 20
    assert [len(rows) for rows in places.values()] == [36, 12, 12]


def test_windows_without_a_label_train_alone_and_do_not_leak_by_their_group() -> None:
    labels = labels_of()
    labels[::5] = -1
    places, left_out = assign_splits(labels, None, 0.2, 0.2, np.random.default_rng(0))
    assert left_out == 0
    assert (labels[places["val"]] >= 0).all() and (labels[places["test"]] >= 0).all()
    assert set(np.flatnonzero(labels < 0)) <= set(places["train"])
    groups = np.repeat(np.arange(12), 5)
    places, left_out = assign_splits(labels, groups, 0.2, 0.2, np.random.default_rng(0))
    judged = np.isin(groups, groups[np.concatenate([places["val"], places["test"]])])
    assert left_out == (labels[judged] < 0).sum()


def test_splits_that_are_given_stay_as_they_are() -> None:
    strain = {"train": strain_of(20), "val": strain_of(30)[20:], "test": -strain_of(12)}
    labels = {"train": labels_of(20), "val": labels_of(10), "test": labels_of(12)}
    splits = load(dataset(strain, labels, snr={"test": np.ones(12)}))
    assert splits.sizes == {"train": 20, "val": 10, "test": 12}
    np.testing.assert_array_equal(splits.test.snr, 1)
    assert np.isnan(splits.train.snr).all()


@pytest.mark.parametrize("change", ["strain", "label", "snr", "rate", "groups"])
def test_every_number_counts_for_the_identity(change: str) -> None:
    strain, labels = strain_of(), labels_of()
    before = dataset(strain, labels).fingerprint()
    more: dict[str, Any] = {}
    if change == "strain":
        strain[59, 1, 63] = np.nextafter(strain[59, 1, 63], 1)
    elif change == "label":
        labels[[0, 1]] = labels[[1, 0]]
    elif change == "snr":
        more = {"snr": np.ones(60)}
    elif change == "rate":
        more = {"sample_rate": 512.0}
    else:
        more = {"groups": np.arange(60)}
    assert dataset(strain, labels, **more).fingerprint() != before


def test_tensors_integers_and_bare_names_are_read() -> None:
    strain = torch.from_numpy(np.round(strain_of(detectors=1) * 1e23)).to(torch.int16)
    splits = load(gwbench.ArrayDataset(strain, torch.tensor(labels_of()), sample_rate=RATE, detectors="H1"))
    assert splits.detectors == ("H1",)
    assert splits.train.strain[:].dtype == np.float32
    assert "60 windows of 64 samples: H1, L1 at 1024 Hz" in repr(dataset())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"strain": np.zeros((4, 64))}, "expected \\[windows, detectors, samples\\]"),
        ({"strain": np.zeros((4, 2, 64), complex)}, "expected real numbers"),
        ({"strain": [[[1.0, 2.0]], [[1.0]]]}, "cannot be read as an array"),
        ({"detectors": ("H1",)}, "and so 2 detectors; detectors names 1"),
        ({"detectors": ("H1", "H1")}, "one name for every channel"),
        ({"labels": labels_of(59)}, "the strain has 60 windows"),
        ({"labels": labels_of() + 1}, "labels hold 2"),
        ({"labels": np.full(60, np.nan)}, "labels hold nan"),
        ({"snr": np.ones(3)}, "snr has shape"),
        ({"sample_rate": 0}, "expected Hz above 0"),
        ({"val_fraction": 0.6, "test_fraction": 0.5}, "sum is below 1"),
        ({"margin": 32}, "nothing is left"),
        ({"strain": {"train": strain_of()}}, "needs the keys train, val and test"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_cause(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        dataset(**arguments)


def test_strain_that_cannot_be_is_refused_before_a_run() -> None:
    strain = strain_of()
    strain[7, 0, 3] = np.nan
    with pytest.raises(UserError, match="Window 7 holds NaN"):
        dataset(strain).fingerprint()
    with pytest.raises(UserError, match="L1 is the same number throughout"):
        dataset(np.stack([strain_of()[:, 0], np.zeros((60, 64))], axis=1)).fingerprint()


def test_a_window_in_two_splits_is_refused() -> None:
    strain = strain_of()
    strain[30:] = strain[:30]
    with pytest.raises(UserError, match="One and the same window is in the splits"):
        load(dataset(strain))
    splits = load(dataset(strain, groups=np.tile(np.arange(30), 2)))
    assert sum(splits.sizes.values()) == 60


def test_a_split_of_one_class_is_refused() -> None:
    with pytest.raises(UserError, match="The val split has no window labelled signal"):
        load(dataset(labels=np.arange(60) == 0))
