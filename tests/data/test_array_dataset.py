"""Arrays as a dataset: what is accepted, what is refused and why, and how they are split."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import signal

import gwbench
from gwbench.errors import UserError
from gwbench.preprocessing.conditioning import fit_conditioner
from gwbench.preprocessing.settings import Conditioning

N, T, RATE = 60, 1024, 2048
LABELS = np.arange(N) % 2
HL = {"sample_rate": RATE, "detectors": ("H1", "L1")}


def strain(n: int = N, detectors: int = 2) -> np.ndarray[Any, Any]:
    return 1e-21 * np.random.default_rng(1).standard_normal((n, detectors, T))


def dataset(**changed: Any) -> gwbench.ArrayDataset:
    given = {"strain": strain(), "labels": LABELS, **HL} | changed
    return gwbench.ArrayDataset(given.pop("strain"), given.pop("labels"), **given)


def test_every_window_is_in_one_split_with_its_own_label() -> None:
    given = strain()
    data = dataset(strain=given, snr=np.arange(N), parameters={"mass": np.arange(N) + 0.5})
    splits, positions = data.splits(3), data.positions(3)
    assert sorted(np.concatenate(list(positions.values())).tolist()) == list(range(N))
    assert splits.sizes == {"train": 36, "val": 12, "test": 12}
    for name, rows in positions.items():
        split = splits[name]
        np.testing.assert_array_equal(split.strain[:], given[rows].astype(np.float32))
        np.testing.assert_array_equal(split.strain[np.array([1, 0])], given[rows[[1, 0]]].astype(np.float32))
        np.testing.assert_array_equal(split.label, LABELS[rows])
        np.testing.assert_array_equal(split.snr, rows)
        np.testing.assert_array_equal(split.parameters["mass"], rows + 0.5)
        assert split.label.sum() * 2 == len(rows), "each class is divided by the fractions"
    assert (splits.detectors, splits.sample_rate, splits.margin, splits.window) == (("H1", "L1"), 2048.0, 0, T)


def test_the_seed_draws_the_splits_and_nothing_else_does() -> None:
    one, same, other = dataset().positions(0), dataset().positions(0), dataset().positions(1)
    assert all(np.array_equal(one[name], same[name]) for name in one)
    assert not np.array_equal(one["test"], other["test"])


def test_groups_stay_together_and_unlabelled_windows_of_them_are_left_out() -> None:
    groups = [f"stretch {number // 6}" for number in range(N)]
    labels = LABELS.copy()
    labels[::5] = -1
    data = dataset(labels=labels, groups=groups)
    held = [{groups[row] for row in rows} for rows in data.positions(0).values()]
    assert not held[0] & held[1] and not held[0] & held[2] and not held[1] & held[2]
    splits = data.splits(0)
    assert (splits.val.label >= 0).all() and (splits.test.label >= 0).all() and (splits.train.label < 0).any()
    assert any("left out" in note for note in splits.notes)


def test_unlabelled_windows_join_the_training_split() -> None:
    labels = LABELS.copy()
    labels[:20] = -1
    positions = dataset(labels=labels).positions(0)
    assert set(range(20)) <= set(positions["train"].tolist())


def test_arrays_without_labels_split_for_a_loop_of_ones_own() -> None:
    splits = dataset(labels=None).splits()
    assert splits.sizes == {"train": 36, "val": 12, "test": 12} and (splits.test.label == -1).all()


def test_splits_may_be_given_by_name_and_keep_their_order() -> None:
    parts = dict(zip(("train", "val", "test"), np.split(strain(), [30, 44]), strict=True))
    labels = dict(zip(("train", "val", "test"), np.split(LABELS, [30, 44]), strict=True))
    splits = dataset(strain=parts, labels=labels).splits(7)
    for name, part in parts.items():
        np.testing.assert_array_equal(splits[name].strain[:], part.astype(np.float32))


@pytest.mark.parametrize(
    "changed",
    [
        {"strain": strain() * 1.0000002},
        {"labels": 1 - LABELS},
        {"snr": np.arange(N)},
        {"parameters": {"mass": np.ones(N)}},
        {"detectors": ("L1", "H1")},
        {"sample_rate": 4096},
        {"margin": 16},
        {"test_fraction": 0.3},
        {"groups": np.arange(N) // 3},
    ],
)
def test_any_change_changes_what_identifies_the_data(changed: dict[str, Any]) -> None:
    assert dataset().fingerprint() == dataset(strain=torch.from_numpy(strain())).fingerprint()
    assert dataset(**changed).fingerprint() != dataset().fingerprint()


def test_the_arrays_are_copied() -> None:
    given = strain().astype(np.float32)
    data = dataset(strain=given)
    before = data.splits().content_hash
    given[:] = 0
    assert data.splits().content_hash == before


def test_a_mapped_file_is_read_where_it_lies(tmp_path: Path) -> None:
    np.save(tmp_path / "strain.npy", strain())
    mapped = np.load(tmp_path / "strain.npy", mmap_mode="r")
    assert dataset(strain=mapped).splits().content_hash == dataset().splits().content_hash
    assert pickle.loads(pickle.dumps(dataset().splits())).content_hash == dataset().splits().content_hash


@pytest.mark.parametrize("scale", [1e-3, 1e21, 1e30])
def test_the_unit_of_the_strain_is_free(scale: float) -> None:
    conditioned = []
    for factor in (1.0, scale):
        splits = dataset(strain=strain() * factor).splits()
        own = fit_conditioner(
            splits.train, sample_rate=RATE, margin=0, detectors=splits.detectors, settings=Conditioning()
        )
        conditioned.append(own(splits.test.strain[:]))
    torch.testing.assert_close(conditioned[0], conditioned[1], rtol=1e-4, atol=1e-4)


def test_what_is_white_already_is_only_band_passed() -> None:
    splits = dataset(strain=np.random.default_rng(2).standard_normal((N, 2, T))).splits()
    own = fit_conditioner(splits.train, sample_rate=RATE, margin=0, detectors=splits.detectors, settings=Conditioning())
    middle = slice(T // 4, -T // 4)
    sos = signal.butter(4, (20, 600), "bandpass", fs=RATE, output="sos")
    expected = signal.sosfiltfilt(sos, splits.test.strain[:].astype(float))[..., middle].ravel()
    assert np.corrcoef(own(splits.test.strain[:])[..., middle].numpy().ravel(), expected)[0, 1] > 0.95


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"strain": strain()[:, 0]}, "expected [N, 2, T]"),
        ({"strain": strain()[:, 0], "detectors": "H1"}, "strain[:, None, :]"),
        ({"strain": np.moveaxis(strain(), 1, 2)}, "np.moveaxis puts it second"),
        ({"strain": strain(0)}, "it is empty"),
        ({"strain": "strain.npy"}, "real numbers"),
        ({"strain": strain() + 0j}, "real numbers"),
        ({"strain": [[1.0], [1.0, 2.0]]}, "different shapes"),
        ({"strain": np.where(np.arange(N)[:, None, None] == 7, np.nan, strain())}, "window 7, H1"),
        ({"strain": strain() * [[1], [0]]}, "of L1 is constant"),
        ({"strain": strain().astype(np.float16)}, "float16"),
        ({"strain": strain() * 1e-30}, "too small for float32"),
        ({"strain": strain() * 1e70}, "too large for float32"),
        ({"strain": strain() * 1e40}, "no room"),
        ({"labels": LABELS[:-1]}, "expected [60]"),
        ({"labels": LABELS + 1}, "labels holds 2"),
        ({"labels": LABELS * 0.5}, "labels holds 0.5"),
        ({"snr": np.ones(3)}, "snr has the shape [3]"),
        ({"parameters": {"mass": np.ones(3)}}, "parameters['mass']"),
        ({"detectors": ()}, "expected names in channel order"),
        ({"detectors": ("H1", "H1")}, "twice"),
        ({"detectors": ("H1", "LL")}, "Unknown detector 'LL'"),
        ({"sample_rate": 0}, "sample_rate=0"),
        ({"margin": T}, "two margins leave some"),
        ({"margin": 0.5}, "number of samples"),
        ({"val_fraction": 0.6, "test_fraction": 0.5}, "nothing to train on"),
        ({"groups": [1, 2]}, "groups has 2 values"),
        ({"name": "My data"}, "kebab-case"),
        ({"strain": {"train": strain(), "tests": strain()}}, "Did you mean"),
        ({"strain": {"train": strain(), "val": strain()}, "labels": None}, "no split 'test'"),
        ({"strain": dict.fromkeys(("train", "val", "test"), strain())}, "give it by split"),
    ],
)
def test_what_cannot_serve_is_refused_with_the_reason(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as told:
        dataset(**changed)
    assert message in str(told.value)


def test_a_split_of_one_class_is_refused() -> None:
    with pytest.raises(UserError, match="no window labelled noise"):
        dataset(labels=np.ones(N)).splits()
    with pytest.raises(UserError, match="groups"):
        dataset(groups=LABELS).splits()


def test_whole_numbers_serve() -> None:
    counts = np.random.default_rng(3).integers(-500, 500, (N, 2, T), dtype=np.int16)
    np.testing.assert_array_equal(dataset(strain=counts).splits().train.strain[:].astype(np.int16).dtype, np.int16)
