"""The G2Net folder, whole and in part, and what a bad one says."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gwbench.contracts import Array, Block, Layout, StrainSplits
from gwbench.errors import UserError
from gwbench.parameters import validate
from gwbench.plugins.datasets.g2net import G2Net, read_labels
from gwbench.progress import Progress
from gwbench.registry import REGISTRY


class Listener(Progress):
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)


@dataclass
class Context:
    seed: int = 0
    workers: int = 1
    progress: Listener = field(default_factory=Listener)

    def stored(self, layout: Layout, blocks: Callable[[], Iterator[Block]]) -> StrainSplits:
        raise AssertionError("G2Net reads its files in place")


def name_of(number: int) -> str:
    return f"{number * 2654435761 % 2**32:08x}ff"


def strain_of(number: int) -> Array:
    return np.random.default_rng(number).normal(scale=1e-21, size=(3, 4096))


def place(root: Path, name: str) -> Path:
    folder = root / "train" / name[0] / name[1] / name[2]
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}.npy"


def make(root: Path, files: int = 60, labelled: range | None = None) -> Path:
    """A folder with this many files; ids of `labelled` have a label, whether they have a file or not."""
    for number in range(files):
        np.save(place(root, name_of(number)), strain_of(number))
    lines = [f"{name_of(number)},{number % 2}" for number in (range(files) if labelled is None else labelled)]
    (root / "training_labels.csv").write_text("\n".join(["id,target", *lines]) + "\n")
    return root


def load(root: Path, seed: int = 0, **given: Any) -> StrainSplits:
    splits: StrainSplits = G2Net(path=str(root), **given).load(Context(seed))
    return splits


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("g2net"))


def members(splits: StrainSplits) -> dict[str, set[bytes]]:
    return {name: {window.tobytes() for window in splits[name].strain[:]} for name in ("train", "val", "test")}


def test_every_file_reaches_one_split_with_its_label(folder: Path) -> None:
    splits = load(folder, val_fraction=0.2, test_fraction=0.3)
    assert (splits.detectors, splits.sample_rate, splits.margin, splits.window) == (("H1", "L1", "V1"), 2048.0, 0, 4096)
    number = {strain_of(i).astype(np.float32).tobytes(): i for i in range(60)}
    seen = []
    for name in ("train", "val", "test"):
        split = splits[name]
        assert split.strain.shape == (len(split), 3, 4096)
        strain = split.strain[:]
        assert strain.dtype == np.float32
        assert np.isnan(split.snr).all()
        found = [number[window.tobytes()] for window in strain]
        np.testing.assert_array_equal(split.label, np.array(found) % 2)
        seen += found
    assert sorted(seen) == list(range(60))
    # Binomial: 60 x 0.3 = 18, standard deviation 3.5.
    assert 8 <= len(splits.test) <= 28


def test_reading_by_slice_and_by_position(folder: Path) -> None:
    strain = load(folder).train.strain
    whole = strain[:]
    np.testing.assert_array_equal(strain[3:9:2], whole[3:9:2])
    np.testing.assert_array_equal(strain[np.array([5, 0, 5])], whole[[5, 0, 5]])
    assert strain[np.array([], dtype=int)].shape == (0, 3, 4096)


def test_a_file_keeps_its_split_when_more_arrive(tmp_path: Path) -> None:
    few, more = load(make(tmp_path / "few", 40)), load(make(tmp_path / "more", 60))
    early, late = members(few), members(more)
    for name in ("train", "val", "test"):
        assert early[name] <= late[name]


def test_the_seed_moves_the_splits(folder: Path) -> None:
    assert members(load(folder, 0)) != members(load(folder, 1))
    assert load(folder, 0).content_hash == load(folder, 0).content_hash != load(folder, 1).content_hash


def test_limit_draws_so_many_files(folder: Path) -> None:
    splits = load(folder, limit=30, val_fraction=0.3, test_fraction=0.3)
    assert sum(len(splits[name]) for name in ("train", "val", "test")) == 30
    assert "30 of 60 files were drawn (dataset.limit)." in splits.notes
    drawn, whole = members(splits), members(load(folder, val_fraction=0.3, test_fraction=0.3))
    assert all(drawn[name] <= whole[name] for name in whole)


def test_files_without_a_label_train_and_ids_without_a_file_are_counted(tmp_path: Path) -> None:
    root = make(tmp_path, 60, labelled=range(20, 90))
    context = Context()
    splits = G2Net(path=str(root), val_fraction=0.3, test_fraction=0.3).load(context)
    assert (splits.train.label == -1).sum() == 20
    assert (splits.val.label >= 0).all()
    assert (splits.test.label >= 0).all()
    assert "20 files without a label serve pre-training only." in splits.notes
    assert "30 ids of training_labels.csv have no file and are left out." in splits.notes
    assert context.progress.said == [f"30 ids of training_labels.csv have no file in {root}."]


def test_fingerprint_changes_with_labels_and_files(tmp_path: Path) -> None:
    root = make(tmp_path, 5)
    first = G2Net(path=str(root)).fingerprint()
    assert first == G2Net(path=str(root)).fingerprint()
    np.save(place(root, "abc999"), strain_of(0))
    second = G2Net(path=str(root)).fingerprint()
    assert (second["train"] != first["train"], second["training_labels.csv"]) == (True, first["training_labels.csv"])
    with (root / "training_labels.csv").open("a") as file:
        file.write("abc999,1\n")
    assert G2Net(path=str(root)).fingerprint()["training_labels.csv"] != first["training_labels.csv"]


def test_hidden_and_other_files_are_passed_over(tmp_path: Path) -> None:
    root = make(tmp_path, 5)
    place(root, name_of(0)).with_name(f"._{name_of(0)}.npy").write_bytes(b"resource fork")
    (root / "train" / "README.txt").write_text("notes")
    assert G2Net(path=str(root)).fingerprint()


def test_command_line_text_is_converted(folder: Path) -> None:
    plugin = REGISTRY.get("dataset", "g2net")
    given = validate(plugin, {"path": str(folder), "limit": "none", "val_fraction": "0.2"})
    assert (given["limit"], given["val_fraction"]) == (None, 0.2)
    with pytest.raises(UserError, match=r"dataset\.limit='0' is not valid"):
        validate(plugin, {"limit": "0"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "line 1: expected columns id,target; found an empty line"),
        (b"name,target\nabc,1\n", "line 1: expected columns id,target; found name,target"),
        (b"id,target\n", "a header but no line after it"),
        (b"id,target\nabc,1\nabd,2\n", "line 3: 'abd,2' is not id,target"),
        (b"id,target\nabc,1\nabd\n", "line 3: 'abd' is not id,target"),
        (b"id,target\nabc,1\nabd,\n", "line 3: 'abd,' is not id,target"),
        (b"id,target\nabc,1\n\n../x,1\n", "line 4: '../x,1' is not id,target with an id of three or more letters"),
        (b"id,target\nabc,1\nabd,0\nabc,1\n", "line 4: id abc is there twice"),
        (b"id,target\nabc,1\nab\xff,0\n", "line 3: not UTF-8 text"),
        (b'id,target\nabc,1\n"abd,0\n', "line 3: not valid CSV"),
    ],
)
def test_bad_labels_name_the_line(tmp_path: Path, text: bytes, message: str) -> None:
    path = tmp_path / "training_labels.csv"
    path.write_bytes(text)
    with pytest.raises(UserError) as raised:
        read_labels(path)
    assert message in str(raised.value)
    assert str(path) in str(raised.value)


def test_labels_with_other_columns_and_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "training_labels.csv"
    path.write_bytes(b"\xef\xbb\xbftarget,fold,id\r\n1,a,abc\r\n0,b,abd\r\n")
    assert read_labels(path) == {"abc": 1, "abd": 0}


def test_bad_files_are_named_in_the_scan(tmp_path: Path) -> None:
    root = make(tmp_path, 20)
    for number in range(5):
        path = place(root, name_of(number))
        path.write_bytes(path.read_bytes()[: 1000 * number])
    with pytest.raises(
        UserError, match=r"5 of 20 files are truncated or of another shape: .*\.npy \(\d+ bytes\), .*\.\.\."
    ):
        load(root)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda path, size: path.write_bytes(pickle.dumps(b"x" * 98000).ljust(size, b"\0")),
            "truncated, pickled or no",
        ),
        (lambda path, size: np.save(path, strain_of(0).reshape(4096, 3)), r"holds float64 of shape \(4096, 3\)"),
        (lambda path, size: np.save(path, strain_of(0).view(np.int64)), r"holds int64 of shape \(3, 4096\)"),
        (lambda path, size: np.save(path, np.full((3, 4096), np.nan)), "holds NaN or infinite strain"),
        (lambda path, size: path.write_bytes(path.read_bytes()[:999]), "truncated, pickled or no"),
    ],
)
def test_bad_files_are_named_when_read(tmp_path: Path, spoil: Callable[[Path, int], None], message: str) -> None:
    root = make(tmp_path, 20)
    splits = load(root, val_fraction=0.2, test_fraction=0.2)
    path = place(root, name_of(7))
    spoil(path, path.stat().st_size)
    with pytest.raises(UserError, match=message) as raised:
        [splits[name].strain[:] for name in ("train", "val", "test")]
    assert path.name in str(raised.value)


def test_a_pickled_array_is_refused(tmp_path: Path) -> None:
    root = make(tmp_path, 20)
    splits = load(root, val_fraction=0.2, test_fraction=0.2)
    for path in root.glob("train/*/*/*/*.npy"):
        np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match=r"pickled or no \.npy file \(Object arrays cannot be loaded"):
        splits.train.strain[0:1]


def test_bad_folders_are_named(tmp_path: Path) -> None:
    def refused(match: str, **given: Any) -> None:
        with pytest.raises(UserError, match=match):
            G2Net(**given).load(Context())

    refused("needs --set dataset.path=DIR")
    refused(r"gone is not a folder", path=str(tmp_path / "gone"))
    refused(r"train is not a folder\. Expected a G2Net folder", path=str(tmp_path))
    (tmp_path / "train").mkdir()
    refused(r"training_labels\.csv is not a file", path=str(tmp_path))
    (tmp_path / "training_labels.csv").write_text("id,target\nabc,1\n")
    refused(r"There is no file train/a/b/c/abc\*\.npy", path=str(tmp_path))
    make(tmp_path, 3)
    refused(r"The val split of .* has no labelled file \(3 files, 3 labelled\)", path=str(tmp_path))
    refused("leave nothing to train on", path=str(tmp_path), val_fraction=0.5, test_fraction=0.5)
    np.save(place(tmp_path, "abd1").with_name("abc1.npy"), strain_of(0))
    refused("out of place", path=str(tmp_path))
