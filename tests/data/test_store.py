"""The data file: round trip, hash, atomicity, refusals."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import pickle
import shutil
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from gwbench.contracts import Block, Layout
from gwbench.data import store, store_writer
from gwbench.data.store import DamagedStoreError, open_store, read_header, verify_store, write_store
from gwbench.errors import UserError
from gwbench.progress import Progress

SIZES = {"train": 37, "val": 8, "test": 11}
DETECTORS = ("H1", "L1", "V1")
LAYOUT = Layout(DETECTORS, 256.0, window=96, margin=16, sizes=SIZES, notes=("Made for a test.",))
RECIPE = {"dataset": "toy", "version": 1, "parameters": {"mass": 30.0}, "seed": 7, "fingerprint": {}}

Arrays = dict[str, dict[str, np.ndarray[Any, Any]]]


@pytest.fixture
def arrays() -> Arrays:
    """The three splits as plain arrays."""
    rng = np.random.default_rng(3)
    made: Arrays = {}
    for name, count in SIZES.items():
        signal = rng.integers(0, 2, count)
        snr = np.where(signal == 1, rng.uniform(6, 20, count), np.nan)
        made[name] = {
            "strain": rng.standard_normal((count, 3, 128)).astype(np.float32) * np.float32(1e-21),
            "label": signal.astype(np.int8),
            "snr": snr.astype(np.float32),
            "mass1": np.where(signal == 1, rng.uniform(5, 80, count), np.nan),
            "distance": rng.uniform(100, 900, count),
        }
    return made


def blocks(arrays: Arrays, size: int = 5, backwards: bool = False) -> list[Block]:
    """The splits cut into blocks of `size` windows."""
    made = []
    for name, split in arrays.items():
        for start in range(0, SIZES[name], size):
            part = {key: values[start : start + size] for key, values in split.items()}
            parameters = {key: part[key] for key in ("mass1", "distance")}
            made.append(Block(name, start, part["strain"], part["label"], part["snr"], parameters))
    return made[::-1] if backwards else made


@pytest.fixture
def path(tmp_path: Path, arrays: Arrays) -> Path:
    """A finished data file."""
    target = tmp_path / "toy.h5"
    write_store(target, LAYOUT, blocks(arrays), RECIPE, Progress())
    return target


def test_round_trip(path: Path, arrays: Arrays) -> None:
    splits = open_store(path)
    for name, split in arrays.items():
        found = splits[name]
        assert found.strain.shape == split["strain"].shape
        strain = found.strain[:]
        assert strain.dtype == np.float32
        np.testing.assert_array_equal(strain, split["strain"])
        np.testing.assert_array_equal(found.label, split["label"])
        np.testing.assert_array_equal(found.snr, split["snr"])
        assert found.label.dtype == np.int8
        assert found.snr.dtype == np.float32
        assert set(found.parameters) == {"mass1", "distance"}
        np.testing.assert_array_equal(found.parameters["mass1"], split["mass1"])
    assert splits.detectors == DETECTORS
    assert (splits.sample_rate, splits.margin, splits.window) == (256.0, 16, 96)
    assert splits.notes == LAYOUT.notes

    header = read_header(path)
    assert (header.recipe, header.sizes, header.window) == (RECIPE, SIZES, 96)
    assert header.content_hash == splits.content_hash
    assert list(path.parent.iterdir()) == [path]


def test_reading_like_numpy(path: Path, arrays: Arrays) -> None:
    reader, strain = open_store(path).train.strain, arrays["train"]["strain"]
    rng = np.random.default_rng(0)
    mask = rng.random(37) < 0.3
    for index in (
        rng.permutation(37),
        rng.integers(0, 37, 200),
        rng.integers(-37, 37, 50),
        np.array([5, 6, 7, 30, 31, 2], dtype=np.uint8),
        np.array([], dtype=np.int64),
        mask,
        slice(None),
        slice(3, 9),
        slice(30, 99),
        slice(9, 3),
        slice(-4, None),
        slice(None, None, 3),
        slice(None, None, -2),
    ):
        found = reader[index]
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, strain[index])
    for wrong in (
        np.array([0, 37]),
        np.array([-38]),
        np.array([1.0]),
        np.zeros((2, 2), int),
        np.zeros(3, bool),
    ):
        with pytest.raises(IndexError):
            reader[wrong]


def test_reader_in_other_processes(path: Path, arrays: Arrays) -> None:
    reader, strain = open_store(path).train.strain, arrays["train"]["strain"]
    index = np.array([30, 2, 2, 17])
    np.testing.assert_array_equal(reader[index], strain[index])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(reader))[index], strain[index])

    context = multiprocessing.get_context("fork")
    receiving, sending = context.Pipe(duplex=False)
    child = context.Process(target=lambda: sending.send(reader[index]))
    child.start()
    np.testing.assert_array_equal(receiving.recv(), strain[index])
    child.join()
    assert child.exitcode == 0
    np.testing.assert_array_equal(reader[index], strain[index])


def test_hash_is_the_documented_one(path: Path, arrays: Arrays) -> None:
    def line(value: Any) -> bytes:
        return json.dumps(value, separators=(",", ":")).encode() + b"\n"

    expected = hashlib.sha256(line([["H1", "L1", "V1"], 256.0, 16]))
    for name in ("train", "val", "test"):
        split = arrays[name]
        for key, array, dtype in (
            ("label", "label", "|i1"),
            ("snr", "snr", "<f4"),
            ("parameters/distance", "distance", "<f8"),
            ("parameters/mass1", "mass1", "<f8"),
            ("strain", "strain", "<f4"),
        ):
            expected.update(line([name, key, dtype, list(split[array].shape)]) + split[array].tobytes())
    assert open_store(path).content_hash == expected.hexdigest()


def test_hash_does_not_depend_on_how_the_file_is_written(
    path: Path, arrays: Arrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = read_header(path).content_hash
    for size, backwards, chunk in ((1, False, 1), (37, True, 10**9), (4, True, 5000)):
        monkeypatch.setattr(store_writer, "CHUNK_BYTES", chunk)
        made = iter(blocks(arrays, size, backwards))
        assert write_store(path, LAYOUT, made, {"another": "recipe"}, Progress()) == expected
        assert verify_store(path, Progress()).ok
    with h5py.File(path) as file:
        assert file["train/strain"].chunks == (3, 3, 128)
        assert file["train/strain"].compression is None

    arrays["test"]["snr"][0] = 8.25
    assert write_store(path, LAYOUT, blocks(arrays), RECIPE, Progress()) != expected


def test_empty_split(path: Path, arrays: Arrays) -> None:
    layout = Layout(DETECTORS, 256.0, 96, 16, {**SIZES, "val": 0})
    made = [block for block in blocks(arrays) if block.split != "val"]
    write_store(path, layout, made, RECIPE, Progress())
    assert open_store(path).val.strain[:].shape == (0, 3, 128)
    assert verify_store(path, Progress()).ok


@pytest.mark.parametrize("name", ["strain", "label", "snr", "parameters/mass1"])
def test_bit_flip_is_found(path: Path, name: str) -> None:
    with h5py.File(path) as file:
        dataset = file["val"][name]
        offset = dataset.id.get_chunk_info(0).byte_offset if dataset.chunks else dataset.id.get_offset()
    content = bytearray(path.read_bytes())
    content[offset + 2 * (name != "label")] ^= 1
    path.write_bytes(content)
    found = verify_store(path, Progress())
    assert not found.ok
    assert found.stored == read_header(path).content_hash


def replaced(block: Block, **changes: Any) -> Block:
    return Block(**{**block.__dict__, **changes})


def with_nan(strain: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    strain = strain.copy()
    strain[3, 1, 5] = np.nan
    return strain


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda b: replaced(b, strain=with_nan(b.strain)),
            r"train\[5:10\] has NaN .* in 1 windows, the first at 8",
        ),
        (lambda b: replaced(b, strain=b.strain / np.float32(0)), "infinite strain in 5 windows"),
        (lambda b: replaced(b, strain=b.strain.astype(float)), "float64"),
        (lambda b: replaced(b, strain=b.strain[:, :2]), r"\(5, 2, 128\); expected float32 \(5, 3, 128\)"),
        (lambda b: replaced(b, label=b.label + 2), "labels"),
        (lambda b: replaced(b, snr=b.snr[:4]), r"snr of shape \(4,\)"),
        (lambda b: replaced(b, parameters={}), r"parameters \[\]; others have \['distance', 'mass1'\]"),
        (lambda b: replaced(b, split="training"), "split 'training'"),
        (lambda b: replaced(b, start=4), "window 4 a second time"),
        (lambda b: replaced(b, start=33), "outside the 37 windows"),
        (lambda b: replaced(b, start=-1), "outside the 37 windows"),
        (lambda b: None, "left out 5 of the 37 windows of its train split, the first at 5"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_blocks_that_do_not_fit(
    tmp_path: Path, arrays: Arrays, change: Callable[[Block], Block | None], message: str
) -> None:
    made = blocks(arrays)
    changed = change(made[1])
    made = [made[0], *([changed] if changed else []), *made[2:]]
    with pytest.raises(UserError, match=message):
        write_store(tmp_path / "toy.h5", LAYOUT, made, RECIPE, Progress())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError("the dataset's own trouble"), RuntimeError()])
def test_generator_that_fails_leaves_the_old_file(path: Path, arrays: Arrays, error: BaseException) -> None:
    before = path.read_bytes()

    def failing() -> Iterator[Block]:
        yield from blocks(arrays)[:4]
        raise error

    with pytest.raises(type(error)) as caught:
        write_store(path, LAYOUT, failing(), RECIPE, Progress())
    assert caught.value is error
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_generator_is_closed_when_a_block_is_refused(tmp_path: Path, arrays: Arrays) -> None:
    closed = []

    def twice() -> Iterator[Block]:
        try:
            yield from blocks(arrays)[:1] * 2
        finally:
            closed.append(True)

    generator = twice()
    with pytest.raises(UserError, match="a second time"):
        write_store(tmp_path / "toy.h5", LAYOUT, generator, RECIPE, Progress())
    assert closed == [True]


def test_not_enough_room(path: Path, arrays: Arrays, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(0, 0, 1000))
    with pytest.raises(UserError, match=r"No space left on device .*--cache-dir or GWBENCH_CACHE"):
        write_store(path, LAYOUT, blocks(arrays), RECIPE, Progress())


def test_folder_that_cannot_be_written(path: Path, arrays: Arrays) -> None:
    for parent in (path, path.parent / "absent"):
        with pytest.raises(UserError, match=r"Cannot write .*toy\.h5.*--cache-dir"):
            write_store(parent / "toy.h5", LAYOUT, blocks(arrays), RECIPE, Progress())


FULL_DISK = """
import resource, sys
from pathlib import Path
import numpy as np
from gwbench.contracts import Block, Layout
from gwbench.data.store import write_store
from gwbench.errors import UserError
from gwbench.progress import Progress

limit = int(sys.argv[2])
layout = Layout(("H1",), 256.0, 96, 16, {"train": 4000, "val": 0, "test": 0})

def blocks():
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    for start in range(0, 4000, 100):
        yield Block("train", start, np.ones((100, 1, 128), "f4"), np.zeros(100, "i1"), np.zeros(100, "f4"))

try:
    write_store(Path(sys.argv[1]) / "toy.h5", layout, blocks(), {}, Progress())
except UserError as error:
    sys.exit(f"UserError: {error}")
"""


@pytest.mark.parametrize("limit", [0, 3_000, 1_000_000, 2_050_000])
def test_disk_that_fills_up_while_writing(tmp_path: Path, limit: int) -> None:
    """A limit on the size of files stands for the disk; HDF5 alone would bring the interpreter down."""
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path), str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stderr.startswith("UserError: Cannot write"), done.stderr
    assert "File too large" in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.returncode == 1
    assert not list(tmp_path.iterdir())


def test_interrupt_inside_a_write_of_hdf5(tmp_path: Path, arrays: Arrays, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted:
        def __init__(self, raw: Any) -> None:
            self._raw = raw

        def __getattr__(self, name: str) -> Any:
            return getattr(self._raw, name)

        def write(self, data: Any) -> int:
            raise KeyboardInterrupt

    class Sink(store_writer._Sink):
        def __init__(self, path: Path) -> None:
            super().__init__(path)
            self.raw: Any = Interrupted(self.raw)

    monkeypatch.setattr(store_writer, "_Sink", Sink)
    with pytest.raises(KeyboardInterrupt):
        write_store(tmp_path / "toy.h5", LAYOUT, blocks(arrays), RECIPE, Progress())
    assert not list(tmp_path.iterdir())


def test_long_recipe(path: Path, arrays: Arrays) -> None:
    recipe = {"fingerprint": {f"file-{number}.hdf5": "0" * 64 for number in range(3000)}}
    write_store(path, LAYOUT, blocks(arrays), recipe, Progress())
    assert read_header(path).recipe == recipe


def spoil_foreign(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["strain/Strain"] = np.zeros(4096)


def spoil_text(path: Path) -> None:
    path.write_text("id,target\n")


def spoil_truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4000])


def spoil_emptied(path: Path) -> None:
    path.write_bytes(b"")


def spoil_other_version(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file.attrs["gwbench_layout"] = 99


def spoil_incomplete(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file.attrs["complete"] = False


def spoil_group(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["val"]


def spoil_shape(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["val/snr"]
        file["val/snr"] = np.zeros(3, "f4")


def spoil_recipe(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file.attrs["recipe"] = "{not json"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_foreign, "none that gwbench finished writing"),
        (spoil_text, "no HDF5 file"),
        (spoil_truncated, "truncated"),
        (spoil_emptied, "truncated"),
        (spoil_other_version, "layout version 99, this gwbench reads version 1"),
        (spoil_incomplete, "incomplete"),
        (spoil_group, "does not hold what its layout promises"),
        (spoil_shape, r"/val/snr as float32 \(3,\), expected float32 \(8,\)"),
        (spoil_recipe, "does not hold what its layout promises"),
    ],
)
def test_files_that_are_refused(path: Path, spoil: Callable[[Path], None], message: str) -> None:
    spoil(path)
    for reading in (open_store, read_header, lambda file: verify_store(file, Progress())):
        with pytest.raises(DamagedStoreError, match=message) as caught:
            reading(path)
        assert str(path) in str(caught.value)


def test_files_out_of_reach(path: Path) -> None:
    reader = open_store(path).train.strain
    for missing in (path.parent / "absent.h5", path / "toy.h5"):
        with pytest.raises(UserError) as caught:
            open_store(missing)
        assert not isinstance(caught.value, DamagedStoreError)
    with pytest.raises(UserError):
        open_store(path.parent)
    path.unlink()
    with pytest.raises(UserError, match="There is no data file"):
        reader[:2]


def test_names_are_importable_from_one_place() -> None:
    assert all(hasattr(store, name) for name in store.__all__)
