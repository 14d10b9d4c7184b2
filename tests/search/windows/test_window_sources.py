"""Windows in every layout: what is read is what was written, and what cannot be read is named."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from gwbench.data.dataset import Array
from gwbench.errors import UserError
from gwbench.search.windows.opening import open_windows
from gwbench.search.windows.source import WindowSource
from gwbench.utils.progress import Progress
from tests.plugins.datasets.test_g2net import name_of, strain_of


def windows_of(n: int, shape: tuple[int, ...] = (2, 64), seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(scale=1e-21, size=(n, *shape))


def opened(*places: Path) -> list[WindowSource]:
    return open_windows(places, Progress())


def everything(source: WindowSource, batch: int = 3) -> tuple[list[str], Array, list[str]]:
    """Ids, strain and reasons of all windows, read in batches."""
    ids: list[str] = []
    strain: list[Array] = []
    reasons: list[str] = []
    for start in range(0, len(source), batch):
        read = source.read(start, min(start + batch, len(source)))
        assert len(read.strain) == len(read.whole)
        ids += read.ids
        strain.append(read.strain)
        reasons += read.damaged.values()
    assert ids == source.ids(0, len(source))
    return ids, np.concatenate(strain), reasons


def challenge(root: Path, numbers: range, depth: int = 3) -> Path:
    for number in numbers:
        name = name_of(number)
        place = root.joinpath(*name[:depth])
        place.mkdir(parents=True, exist_ok=True)
        np.save(place / f"{name}.npy", strain_of(number))
    return root


@pytest.mark.parametrize("inner", ["test", "train", ".", "test/test"])
@pytest.mark.parametrize("depth", [0, 3])
def test_a_folder_of_the_challenge_in_every_layout(tmp_path: Path, inner: str, depth: int) -> None:
    challenge(tmp_path / inner, range(8), depth)
    (source,) = opened(tmp_path)
    assert (source.shape, source.detectors, source.sample_rate, source.margin) == (
        (3, 4096), ("H1", "L1", "V1"), 2048.0, 0,
    )  # fmt: skip
    ids, strain, reasons = everything(source)
    assert ids == sorted(name_of(number) for number in range(8))
    assert reasons == []
    expected = {name_of(number): strain_of(number).astype(np.float32) for number in range(8)}
    for name, window in zip(ids, strain, strict=True):
        np.testing.assert_array_equal(window, expected[name])


def test_of_both_folders_the_challenges_submission_is_about_the_test_folder(tmp_path: Path) -> None:
    challenge(tmp_path / "train", range(4))
    challenge(tmp_path / "test", range(10, 13))
    (source,) = opened(tmp_path)
    assert len(source) == 3
    assert any("Name a folder itself for the other" in note for note in source.notes)
    (train,) = opened(tmp_path / "train")
    assert len(train) == 4


def test_a_damaged_file_of_the_challenge_is_named(tmp_path: Path) -> None:
    challenge(tmp_path, range(8))
    first, second = name_of(2), name_of(5)
    (tmp_path.joinpath(*first[:3]) / f"{first}.npy").write_bytes(b"nothing")
    bad = strain_of(5)
    bad[1, 100] = np.nan
    np.save(tmp_path.joinpath(*second[:3]) / f"{second}.npy", bad)
    (source,) = opened(tmp_path)
    ids, strain, reasons = everything(source)
    assert (len(ids), len(strain)) == (8, 6)
    assert any(first in reason and "cannot be read as .npy" in reason for reason in reasons)
    assert any(second in reason and "NaN" in reason for reason in reasons)


@pytest.mark.parametrize("dtype", ["<f4", "<f8", ">f8"])
@pytest.mark.parametrize("suffix", [".npy", ".npz", ".hdf5"])
def test_many_windows_in_one_file(tmp_path: Path, suffix: str, dtype: str) -> None:
    strain = windows_of(10).astype(dtype)
    path = tmp_path / f"set{suffix}"
    if suffix == ".npy":
        np.save(path, strain)
    elif suffix == ".npz":
        np.savez_compressed(path, strain=strain, label=np.arange(10))
    else:
        with h5py.File(path, "w") as file:
            file["label"] = np.arange(10)
            file["strain"] = strain
            file.attrs["sample_rate"] = 1024
            file.attrs["detectors"] = ["H1", "L1"]
    (source,) = opened(path)
    assert (len(source), source.shape) == (10, (2, 64))
    ids, read, reasons = everything(source)
    assert ids == [f"set/{number}" for number in range(10)]
    np.testing.assert_array_equal(read, strain.astype("f4"))
    assert read.dtype == np.float32
    assert reasons == []
    np.testing.assert_array_equal(source.read(4, 6).strain, strain[4:6].astype("f4"))  # back, after the end
    if suffix == ".hdf5":
        assert (source.detectors, source.sample_rate) == (("H1", "L1"), 1024.0)


def test_one_window_a_file_in_any_format(tmp_path: Path) -> None:
    strain = windows_of(3)
    np.save(tmp_path / "a.npy", np.asfortranarray(strain[0]))
    np.savez(tmp_path / "b.npz", strain[1])
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file["anything"] = strain[2]
    sources = opened(tmp_path / "b.npz", tmp_path / "c.h5")
    assert [source.ids(0, 9) for source in sources] == [["b"], ["c"]]
    np.testing.assert_array_equal(sources[0].read(0, 1).strain[0], strain[1].astype("f4"))
    np.testing.assert_array_equal(sources[1].read(0, 1).strain[0], strain[2].astype("f4"))
    together = opened(tmp_path)
    assert sorted(name for source in together for name in source.ids(0, len(source))) == ["a", "b", "c"]
    assert sum(len(everything(source)[1]) for source in together if "a" not in source.ids(0, 1)) == 2


def test_a_folder_of_any_files(tmp_path: Path) -> None:
    strain = windows_of(5)
    (tmp_path / "sub").mkdir()
    for number in range(3):
        np.save(tmp_path / f"window_{number}.npy", strain[number])
    np.save(tmp_path / "sub" / "window_0.npy", strain[3])
    np.save(tmp_path / "several.npy", strain[3:])
    (tmp_path / "cut.npy").write_bytes((tmp_path / "window_0.npy").read_bytes()[:300])
    (tmp_path / "notes.txt").write_text("of no concern")
    sources = opened(tmp_path)
    found = [everything(source) for source in sources]
    ids = [name for each in found for name in each[0]]
    assert set(ids) == {"window_0", "window_1", "window_2", "sub/window_0", "several/0", "several/1", "cut"}
    assert sum(len(each[1]) for each in found) == 6
    assert any("cut.npy" in reason for each in found for reason in each[2])


def test_windows_with_nan_and_files_that_break_off(tmp_path: Path) -> None:
    strain = windows_of(8)
    strain[3, 1, 7] = np.inf
    path = tmp_path / "set.npy"
    np.save(path, strain)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 2000)  # a window is 1024 bytes
    (source,) = opened(path)
    ids, read, reasons = everything(source)
    assert (len(ids), len(read)) == (8, 5)
    assert "window 3, holds NaN" in reasons[0]
    assert all("cut off" in reason for reason in reasons[1:])
    np.testing.assert_array_equal(read, np.delete(strain, [3, 6, 7], axis=0).astype("f4"))


def test_a_damaged_archive_loses_what_comes_after(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    np.savez(path, strain=windows_of(40))
    content = bytearray(path.read_bytes())
    content[-3000:-2000] = bytes(1000)  # in the last windows; the checksum no longer fits
    path.write_bytes(content)
    (source,) = opened(path)
    ids, read, reasons = everything(source, 4)
    assert len(ids) == 40
    assert len(read) + len(reasons) == 40
    assert reasons


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: np.save(path, np.arange(10.0)), r"Expected windows \[N, D, T\]"),
        (lambda path: np.save(path, np.ones((4, 2, 64), "i4")), "no strain of 1e-21"),
        (lambda path: np.save(path, np.array([None, {}]), allow_pickle=True), "cannot be read"),
        (lambda path: path.write_bytes(b""), "cannot be read"),
        (lambda path: path.with_suffix(".npy").write_bytes(b"\x93NUMPY\x01\x00\xff\xff"), "cannot be read"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, make: object, message: str) -> None:
    path = tmp_path / "set.npy"
    make(path)  # type: ignore[operator]
    with pytest.raises(UserError, match=message):
        opened(path)


def test_what_is_no_file_of_windows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such file"):
        opened(tmp_path / "nothing.npy")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="There are no windows in"):
        opened(tmp_path / "empty")
    (tmp_path / "text.txt").write_text("strain")
    with pytest.raises(UserError, match="is no file of windows"):
        opened(tmp_path / "text.txt")
    np.savez(tmp_path / "two.npz", a=windows_of(2), b=windows_of(2))
    with pytest.raises(UserError, match=r"holds 2 arrays: a\.npy, b\.npy"):
        opened(tmp_path / "two.npz")
    with h5py.File(tmp_path / "long.hdf5", "w") as file:
        file.create_group("H1")["1126259446"] = np.ones(4096)
    with pytest.raises(UserError, match="gwbench scan"):
        opened(tmp_path / "long.hdf5")


def test_of_several_files_a_damaged_one_is_one_damaged_window(tmp_path: Path) -> None:
    np.save(tmp_path / "good.npy", windows_of(2))
    (tmp_path / "bad.npy").write_bytes(b"nothing")
    good, bad = opened(tmp_path / "good.npy", tmp_path / "bad.npy")
    assert len(good) == 2
    assert everything(bad)[0] == ["bad"]
    assert "bad.npy cannot be read" in everything(bad)[2][0]


def test_identities_tell_files_apart_and_notice_changes(tmp_path: Path) -> None:
    challenge(tmp_path / "one", range(6))
    np.save(tmp_path / "set.npy", windows_of(3))
    before = [source.identity() for source in opened(tmp_path / "one", tmp_path / "set.npy")]
    assert before == [source.identity() for source in opened(tmp_path / "one", tmp_path / "set.npy")]
    challenge(tmp_path / "one", range(6, 7))
    np.save(tmp_path / "set.npy", windows_of(4))
    after = [source.identity() for source in opened(tmp_path / "one", tmp_path / "set.npy")]
    assert len({*before, *after}) == 4
