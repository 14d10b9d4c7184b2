"""The data file: round trip, hash, atomicity, refusals."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import pickle
import shutil
import signal
import textwrap
from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from gwbench.contracts import Block, Layout
from gwbench.data.store import layout as store_layout
from gwbench.data.store import reader as store
from gwbench.data.store import structure as store_structure
from gwbench.data.store.reader import DamagedStoreError, open_store, read_header, verify_store, write_store
from gwbench.errors import UserError
from gwbench.utils.progress import Progress

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


def blocks(arrays: Arrays, size: int = 5) -> list[Block]:
    """The splits cut into blocks of `size` windows."""
    made = []
    for name, split in arrays.items():
        for start in range(0, SIZES[name], size):
            part = {key: values[start : start + size] for key, values in split.items()}
            parameters = {key: part[key] for key in ("mass1", "distance")}
            made.append(Block(name, start, part["strain"], part["label"], part["snr"], parameters))
    return made


def write(path: Path, made: Iterable[Block], recipe: dict[str, Any] = RECIPE, layout: Layout = LAYOUT) -> str:
    return write_store(path, layout, lambda done: made, recipe, Progress())


@pytest.fixture
def path(tmp_path: Path, arrays: Arrays) -> Path:
    """A finished data file."""
    target = tmp_path / "toy.h5"
    write(target, blocks(arrays))
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
    for size, chunk in ((1, 1), (37, 10**9), (4, 5000)):
        monkeypatch.setattr(store_structure, "CHUNK_BYTES", chunk)
        assert write(path, blocks(arrays, size), {"another": "recipe"}) == expected
        assert verify_store(path, Progress()).ok
    with h5py.File(path) as file:
        assert file["train/strain"].chunks == (3, 3, 128)
        assert file["train/strain"].compression is None

    arrays["test"]["snr"][0] = 8.25
    assert write(path, blocks(arrays)) != expected


def test_empty_split(path: Path, arrays: Arrays) -> None:
    layout = Layout(DETECTORS, 256.0, 96, 16, {**SIZES, "val": 0})
    write(path, [block for block in blocks(arrays) if block.split != "val"], layout=layout)
    assert open_store(path).val.strain[:].shape == (0, 3, 128)
    assert verify_store(path, Progress()).ok
    write(path, [], layout=Layout(DETECTORS, 256.0, 96, 16, dict.fromkeys(SIZES, 0)))
    assert len(open_store(path).train) == 0


@pytest.mark.parametrize("name", ["strain", "label", "snr", "parameters/mass1"])
def test_bit_flip_is_found(path: Path, name: str) -> None:
    with h5py.File(path) as file:
        dataset = file["val"][name]
        offset = dataset.id.get_chunk_info(0).byte_offset
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
        (lambda b: replaced(b, label=b.label[:, None]), r"strain float32|labels"),
        (lambda b: replaced(b, start=4), r"block train\[4:9\] where train\[5:\] of 37 windows is next"),
        (lambda b: replaced(b, split="val"), r"block val\[5:10\] where train\[5:\]"),
        (lambda b: replaced(b, left_out=dict.fromkeys(range(5, 50), "")), r"block train\[5:55\] where .* of 37"),
        (lambda b: replaced(b, left_out={4: "bad"}), "leaves out window 4, which does not belong to it"),
        (lambda b: None, r"block train\[10:15\] where train\[5:\]"),
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
        write(tmp_path / "toy.h5", made)
    assert not list(tmp_path.iterdir())


def test_blocks_that_end_too_early(tmp_path: Path, arrays: Arrays) -> None:
    with pytest.raises(UserError, match="5 of the 8 windows of its val split, and no more"):
        write(tmp_path / "toy.h5", blocks(arrays)[: 8 + 1])
    assert not list(tmp_path.iterdir())


def test_a_failure_before_the_first_block_leaves_the_old_file(path: Path) -> None:
    before = path.read_bytes()

    def failing(done: int) -> list[Block]:
        raise OSError("the dataset's own trouble")

    with pytest.raises(OSError, match="own trouble"):
        write_store(path, LAYOUT, failing, RECIPE, Progress())
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
    with pytest.raises(UserError, match="is next"):
        write(tmp_path / "toy.h5", generator)
    assert closed == [True]


def test_not_enough_room(path: Path, arrays: Arrays, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(0, 0, 1000))
    with pytest.raises(UserError, match=r"No space left on device .*--cache-dir or GWBENCH_CACHE"):
        write(path, blocks(arrays))


def test_folder_that_cannot_be_written(path: Path, arrays: Arrays) -> None:
    for parent in (path, path.parent / "absent"):
        with pytest.raises(UserError, match=r"Cannot write .*toy\.h5.*--cache-dir"):
            write(parent / "toy.h5", blocks(arrays))


def test_ctrl_c_while_hdf5_writes(path: Path, arrays: Arrays, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()

    class Memory(store_structure._Memory):
        def write(self, data: Any) -> int:
            if not self.writes:
                os.kill(os.getpid(), signal.SIGINT)
            return super().write(data)

    monkeypatch.setattr(store_structure, "_Memory", Memory)
    with pytest.raises(KeyboardInterrupt):
        write(path, blocks(arrays))
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_long_recipe(path: Path, arrays: Arrays) -> None:
    recipe = {"fingerprint": {f"file-{number}.hdf5": "0" * 64 for number in range(3000)}}
    write(path, blocks(arrays), recipe)
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


def spoil_first_version(path: Path) -> None:
    """Chunks wherever HDF5 had put them."""
    with h5py.File(path, "w") as file:
        file.attrs["gwbench_layout"] = 1


def spoil_order(path: Path) -> None:
    """The numbers are all there, and not where a window is looked for."""
    with h5py.File(path, "r+") as file:
        strain = file["val/strain"][:]
        del file["val/strain"]
        file.create_dataset("val/strain", data=strain, chunks=(1, 3, 128), compression="gzip")


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
        (spoil_other_version, "layout version 99, this gwbench reads version 2"),
        (spoil_first_version, "layout version 1, this gwbench reads version 2"),
        (spoil_incomplete, "incomplete"),
        (spoil_order, "val/strain is not stored as plain whole windows"),
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


def test_the_documented_reader_needs_no_gwbench(path: Path, arrays: Arrays, monkeypatch: pytest.MonkeyPatch) -> None:
    described = (store_layout.__doc__ or "").partition("without gwbench::\n")[2]
    code = textwrap.dedent(described).strip()
    assert "gwbench" not in code
    assert code in (Path(store.__file__).parent.parent / "README.md").read_text()
    assert code.count("\n") + 1 - code.count("\n\n") <= 12
    monkeypatch.chdir(path.parent)
    path.rename("dataset.h5")
    found: dict[str, Any] = {}
    exec(code, found)
    np.testing.assert_array_equal(found["strain"], arrays["train"]["strain"][:16, :, 16:112])
    np.testing.assert_array_equal(found["label"], arrays["train"]["label"])
    np.testing.assert_array_equal(found["snr"], arrays["train"]["snr"])
    np.testing.assert_array_equal(found["parameters"]["mass1"], arrays["train"]["mass1"])
    assert found["detectors"] == ["H1", "L1", "V1"]
    assert found["time"][-1] == 95 / 256


def test_plain_hdf5_reads_what_gwbench_reads(path: Path, arrays: Arrays) -> None:
    with h5py.File(path) as file:
        for name in SIZES:
            np.testing.assert_array_equal(file[name]["strain"][:], arrays[name]["strain"])
            np.testing.assert_array_equal(file[name]["strain"][3:5, 1, 7], arrays[name]["strain"][3:5, 1, 7])


def test_a_full_sized_set_is_laid_out_and_opened_at_once(tmp_path: Path) -> None:
    """560,000 windows: every one has its place, and the file's structure takes no room for it."""
    layout = Layout(DETECTORS, 2048.0, 4096, 512, {"train": 560_000, "val": 0, "test": 100})
    structure = store_structure.make_structure(layout, [f"parameter_{i}" for i in range(20)])
    assert sum(len(piece) for _, piece in structure.writes) < 100_000
    assert 560_000 * 3 * 5120 * 4 < structure.size < 1.01 * 560_000 * 3 * 5120 * 4
    path = tmp_path / "large.h5"
    with path.open("wb") as file:
        for offset, piece in structure.writes:
            file.seek(offset)
            file.write(piece)
        last = np.arange(3 * 5120, dtype="<f4")
        file.seek(structure.offsets["train/strain"] + 559_999 * last.nbytes)
        file.write(last.tobytes())
        file.truncate(structure.size)
    assert path.stat().st_blocks * 512 < 2_000_000
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["train/strain"][559_999].ravel(), last)
        assert store_structure.first_byte(file["train/strain"]) == structure.offsets["train/strain"]


def test_names_are_importable_from_one_place() -> None:
    assert all(hasattr(store, name) for name in store.__all__)
