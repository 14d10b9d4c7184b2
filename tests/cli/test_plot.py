"""`gwbench data plot`."""

from __future__ import annotations

from pathlib import Path

import h5py
import matplotlib.image
import numpy as np
import pytest
from click.testing import CliRunner, Result

from gwbench.cli.data.plot import plot
from gwbench.contracts import Block, Layout
from gwbench.data.store.reader import write_store
from gwbench.errors import UserError
from gwbench.utils.progress import Progress

RATE = 1024.0


def write_dataset(path: Path) -> Path:
    """A dataset of white noise in two detectors; every second window is labelled a signal."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    layout = Layout(("H1", "L1"), RATE, window=2048, margin=256, sizes={"train": 16, "val": 4, "test": 2})
    blocks = []
    for name, count in layout.sizes.items():
        strain = (1e-21 * rng.standard_normal((count, 2, 2560))).astype(np.float32)
        label = (np.arange(count) % 2).astype(np.int8)
        snr = np.where(label == 1, 9.0 + np.arange(count), np.nan).astype(np.float32)
        known = {"geocent_time": 1.5, "ra": 1.0, "dec": 1.0}
        parameters = {key: np.where(label == 1, value, np.nan) for key, value in known.items()}
        blocks.append(Block(name, 0, strain, label, snr, parameters))
    write_store(path, layout, lambda done: blocks[done:], {"parameters": {"gps": 1.0e9}}, Progress())
    return path


def write_strain(path: Path, seconds: float = 30) -> Path:
    with h5py.File(path, "w") as file:
        strain = 1e-21 * np.random.default_rng(1).standard_normal(int(seconds * RATE))
        data = file.create_dataset("data", data=strain)
        data.attrs.update({"delta_t": 1 / RATE, "start_time": 1000.0, "detector": "L1"})
    return path


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, and a cache with two datasets in it."""
    monkeypatch.setenv("GWBENCH_CACHE", str(tmp_path / "cache"))
    write_dataset(tmp_path / "cache" / "alpha-0123.h5")
    write_dataset(tmp_path / "cache" / "alps-4567.h5")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def call(*words: str | Path) -> Result:
    return CliRunner().invoke(plot, [*map(str, words), "--high", "400"])


def drawn(result: Result, name: str) -> None:
    assert result.exit_code == 0, result.output or result.exception
    assert result.output == f"{name}\n"
    assert matplotlib.image.imread(name).shape[1] > 1000


def refused(result: Result, message: str) -> None:
    assert isinstance(result.exception, UserError), result.output or result.exception
    assert message in str(result.exception)
    assert "\n" not in str(result.exception)


def test_a_dataset_is_drawn_by_its_name_or_by_its_file(here: Path) -> None:
    drawn(call("alpha"), "alpha-0123-val-3.png")
    drawn(call(here.parent / "cache" / "alps-4567.h5", "--split", "train", "--window", "2"), "alps-4567-train-2.png")
    drawn(call("alpha", "--window", "noise", "--out", "sub/one.png"), "sub/one.png")
    before = Path("sub/one.png").read_bytes()
    drawn(call("alpha", "--window", "1", "--out", "sub/one.png"), "sub/one.png")  # replaces it
    assert Path("sub/one.png").read_bytes() != before
    assert sorted(path.name for path in Path("sub").iterdir()) == ["one.png"]


def test_strain_files_are_drawn_at_a_time(here: Path) -> None:
    drawn(call(write_strain(here / "one.hdf5")), "one-1015.png")
    drawn(call("one.hdf5", write_strain(here / "two.hdf5"), "--gps", "1012.25", "--duration", "1"), "L1L1-1012.25.png")


def test_what_cannot_be_drawn_is_said_in_one_message(here: Path) -> None:
    strain = write_strain(here / "one.hdf5")
    refused(call("al"), "may be any of")
    refused(call("beta"), "no entry 'beta'")
    refused(call("sub/none.h5"), "no file sub/none.h5")
    refused(call("none.gwf"), "no file none.gwf")
    refused(call("alpha", "--window", "4"), "0 to 3")
    refused(call("alpha", "--window", "-1"), "0 to 3")
    refused(call("alpha", "--split", "test", "--window", "2"), "0 to 1 in the test split")
    refused(call("alpha", "--gps", "1", "--duration", "2"), "Leave out --gps and --duration: of no meaning")
    refused(call(strain, "--split", "val"), "Leave out --split: of no meaning for strain files")
    refused(call("alpha", strain), "expected one dataset")
    refused(call(strain, "none.hdf5"), "none.hdf5 is no file")
    refused(call(strain, here.parent / "cache" / "alps-4567.h5"), "is a dataset")
    refused(call(strain, "--gps", "1e9"), "Good data: 1000 to 1030")
    refused(call(write_strain(here / "short.hdf5", 5)), "too few for a PSD")
    refused(call("alpha", "--out", "one.pdf"), "ends in .png")
    refused(call("alpha", "--q", "2"), "--q 2")
    refused(call("alpha", "--low", "500"), "--low 500 and --high 400")
    refused(call("alpha", "--low", "nan"), "--low nan and")
    assert not list(here.glob("*.png"))


def test_damaged_files_and_unwritable_places_are_said_in_one_message(here: Path) -> None:
    entry = here.parent / "cache" / "alpha-0123.h5"
    whole = entry.read_bytes()
    entry.write_bytes(whole[: len(whole) // 2])
    refused(call("alpha"), "truncated or damaged")
    refused(call(entry), "truncated")
    entry.write_bytes(whole)
    with h5py.File(entry, "r+") as file:
        del file["val/snr"]
    refused(call(entry), "does not hold what its layout promises")
    refused(call("alps", "--out", "/proc/none/one.png"), "Cannot write /proc/none")
    (here / "folder.png").mkdir()
    refused(call("alps", "--out", "folder.png"), "Cannot write folder.png")
    assert not [path for path in here.iterdir() if path.name != "folder.png"]


def test_a_channel_is_chosen_and_every_detector_of_a_file_is_drawn(here: Path) -> None:
    rng = np.random.default_rng(2)
    with h5py.File(here / "both.h5", "w") as file:
        for name in ("H1:A_STRAIN", "H1:B_STRAIN", "L1:A_STRAIN"):
            data = file.create_dataset(name, data=1e-21 * rng.standard_normal(int(30 * RATE)))
            data.attrs.update({"dx": 1 / RATE, "x0": 1000.0})
    refused(call("both.h5"), "--channel")
    drawn(call("both.h5", "--channel", "H1:A_STRAIN", "--channel", "L1:A_STRAIN", "--out", "x.png"), "x.png")
    drawn(call("both.h5", "--channel", "L1"), "both-1015.png")
    refused(call("alpha", "--channel", "H1"), "Leave out --channel: of no meaning for a dataset")


def test_strain_of_unknown_time_is_drawn_by_its_seconds_and_alone(here: Path) -> None:
    with h5py.File(write_strain(here / "one.hdf5"), "a") as file:
        del file["data"].attrs["start_time"]
    drawn(call("one.hdf5", "--gps", "12"), "one-12.png")
    refused(call("one.hdf5", write_strain(here / "two.hdf5")), "The GPS time of one.hdf5 is unknown")
