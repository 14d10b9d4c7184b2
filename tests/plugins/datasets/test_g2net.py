"""The G2Net folder, whole and in part, and what a bad one says."""

from __future__ import annotations

import errno
import io
import os
import pickle
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gwbench.contracts import Array, Block, Layout, Split, StrainSplits, Windows
from gwbench.data.store.npy_folder import FolderWindows, NpyFolder
from gwbench.errors import UserError
from gwbench.plugins.datasets.g2net import G2Net, read_labels
from gwbench.registry import REGISTRY
from gwbench.registry.parameters import validate
from gwbench.utils.progress import Progress


class Listener(Progress):
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)


@dataclass
class Context:
    """Keeps what is stored in memory, made from blocks of 7 windows by pickled copies, last block first."""

    seed: int = 0
    workers: int = 1
    progress: Listener = field(default_factory=Listener)
    materialise: bool = False
    store: StrainSplits | None = None
    left_out: dict[str, dict[int, str]] = field(default_factory=dict)

    def find(self, layout: Layout) -> StrainSplits | None:
        return self.store

    def stored(self, layout: Layout, windows: Windows) -> StrainSplits:
        splits = {}
        for name, count in layout.sizes.items():
            blocks: list[Block] = []
            for start in reversed(range(0, count, 7)):
                maker: Windows = pickle.loads(pickle.dumps(windows))
                blocks.insert(0, maker.block(np.random.default_rng(), name, start, min(7, count - start)))
            self.left_out[name] = {position: reason for block in blocks for position, reason in block.left_out.items()}
            strain, label, snr = (
                np.concatenate([getattr(block, part) for block in blocks]) for part in ("strain", "label", "snr")
            )
            assert (strain.dtype, label.dtype, snr.dtype) == (np.float32, np.int8, np.float32)
            splits[name] = Split(strain, label, snr)
        self.store = StrainSplits(**splits, detectors=layout.detectors, sample_rate=layout.sample_rate,
                                  margin=layout.margin, content_hash="stored", notes=layout.notes)  # fmt: skip
        return self.store


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
        (b"id,target\nabc,1\nabd,0.5\n", "line 3: 'abd,0.5' is not id,target"),
        (b"id,target\nabc,1\nabd,-1\n", "line 3: 'abd,-1' is not id,target"),
        (b"id,target\nabc,1\n\n../x,1\n", "line 4: '../x,1' is not id,target with an id of three or more letters"),
        (b"id,target\nabc,1\nabd,0\nabc,1\n", "line 4: id abc is there twice"),
        (b"id,target\nabc,1\nab\xff,0\n", "line 3: not UTF-8 text"),
        (b'id,target\nabc,1\n"abd,0\n', "line 3: not valid CSV"),
        (b"id,target\nabc,1\n" + b"a" * 200_000 + b",1\n", "line 3: not valid CSV (field larger than field limit"),
        (b"id,target\nabc,1\n" + b"a" * 65 + b",1\n", "line 3: 'aaaaaaaa"),
        (b"id,target\nabc,1\n" + b"a" * 100_000 + b",1\n", f"line 3: '{'a' * 80}...' is not id,target"),
        (b"id,target\n/etc/passwd,1\n", "line 2: '/etc/passwd,1' is not id,target"),
    ],
)
def test_bad_labels_name_the_line(tmp_path: Path, text: bytes, message: str) -> None:
    path = tmp_path / "training_labels.csv"
    path.write_bytes(text)
    with pytest.raises(UserError) as raised:
        read_labels(path)
    assert message in str(raised.value)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize(
    "text",
    [
        b"id,target\nabc,1.0\nabd,0.0\nabe,\n",
        b"id,target\nabc,1\nabd,0\nabe,nan\n",
        b"id,target\nabc,True\nabd,False\nabe,<NA>\n",
        b"ID,Target\r\nabc,1 \r\nabd, 0\r\nabe,\r\n",
        b"\xef\xbb\xbfid;target\nabc;1\nabd;0\nabe;\n",
        b"sep=;\r\nid;target\r\nabc;1,0\r\nabd;0,0\r\nabe;\r\n",
        b"id\ttarget\nabc\t1\nabd\t0\nabe\t\n",
        b'"id","target"\n"abc","1"\n"abd","0"\n"abe",""\n',
        b",id,target\n0,abc,1.0\n1,abd,0.0\n2,abe,\n",
        b"id,target,\nabc,1,\nabd,0,\nabe,,\n,,\n",
        b"id,target\rabc,1\rabd,0\rabe,None\r",
        "id,target\nabc,1\nabd,0\nabe,\n".encode("utf-16"),
    ],
)
def test_labels_as_programs_write_them(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "training_labels.csv"
    path.write_bytes(text)
    assert read_labels(path) == {"abc": 1, "abd": 0, "abe": -1}


def test_files_whose_label_is_empty_serve_pre_training(tmp_path: Path) -> None:
    root = make(tmp_path, 60)
    lines = [f"{name_of(number)},{'' if number % 6 == 0 else number % 2}.0" for number in range(60)]
    (root / "training_labels.csv").write_text("\n".join(["id,target", *lines]).replace(",.0", ",") + "\n")
    splits = load(root, val_fraction=0.2, test_fraction=0.2)
    assert "10 files without a label serve pre-training only." in splits.notes
    assert not any("have no file" in note for note in splits.notes)


def test_labels_with_other_columns_and_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "training_labels.csv"
    path.write_bytes(b"\xef\xbb\xbftarget,fold,id\r\n1,a,abc\r\n0,b,abd\r\n")
    assert read_labels(path) == {"abc": 1, "abd": 0}


def test_an_import_equals_the_files_in_float32(folder: Path) -> None:
    streamed = load(folder, val_fraction=0.2, test_fraction=0.3)
    context = Context(materialise=True)
    stored = G2Net(path=str(folder), val_fraction=0.2, test_fraction=0.3).load(context)
    assert stored.content_hash == "stored"
    assert stored.sizes == streamed.sizes
    for name in ("train", "val", "test"):
        np.testing.assert_array_equal(stored[name].strain[:], streamed[name].strain[:])
        np.testing.assert_array_equal(stored[name].label, streamed[name].label)
        assert np.isnan(stored[name].snr).all()
    assert not any(context.left_out.values())
    # What streaming alone has to say of its hash is not said of the store.
    assert [note for note in streamed.notes if note.startswith("Streamed: ")] == list(streamed.notes[-1:])
    assert stored.notes == streamed.notes[:-1]


def test_what_was_imported_is_used_from_then_on(folder: Path) -> None:
    context = Context(materialise=True)
    stored = G2Net(path=str(folder)).load(context)
    context.materialise = False
    assert G2Net(path=str(folder)).load(context) is stored


def fortran(path: Path) -> None:
    np.save(path, np.asfortranarray(np.load(path)))


def big_endian(path: Path) -> None:
    np.save(path, np.load(path).astype(">f8"))


def linked(path: Path) -> None:
    """The folder's owner keeps the file elsewhere."""
    elsewhere = path.parents[5] / f"elsewhere-{path.name}"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def single(path: Path) -> None:
    np.save(path, np.load(path).astype("f4"))


def single_big_endian(path: Path) -> None:
    np.save(path, np.asfortranarray(np.load(path).astype(">f4")))


def longdouble(path: Path) -> None:
    np.save(path, np.load(path).astype(np.longdouble))


def old_header(path: Path) -> None:
    """As numpy before 1.14 wrote it, by Python 2: padded to 16 bytes, whole numbers with an L."""
    text = b"{'descr': '<f8', 'fortran_order': False, 'shape': (3L, 4096L), }"
    text = text.ljust(80 - 11) + b"\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + np.load(path).tobytes())


def upper_case(path: Path) -> None:
    path.rename(path.with_suffix(".NPY"))


def flat(path: Path) -> None:
    path.rename(path.parents[3] / path.name)


def some_flat(path: Path) -> None:
    if path.name < "4":
        flat(path)


FORMS = [fortran, big_endian, linked, single, single_big_endian, longdouble, old_header, upper_case, flat, some_flat]


@pytest.mark.parametrize("change", FORMS)
@pytest.mark.parametrize("materialise", [False, True], ids=["streamed", "imported"])
def test_the_same_strain_in_another_form(tmp_path: Path, materialise: bool, change: Callable[[Path], None]) -> None:
    root = make(tmp_path / "g2net", 20)
    given = {"path": str(root), "val_fraction": 0.2, "test_fraction": 0.2}
    before = members(G2Net(**given).load(Context()))
    for path in sorted(root.glob("train/*/*/*/*.npy")):
        change(path)
    assert members(G2Net(**given).load(Context(materialise=materialise))) == before


def test_float32_counts_in_the_hashes_and_the_notes(tmp_path: Path) -> None:
    root = make(tmp_path, 40)
    before, fingerprint = load(root), G2Net(path=str(root)).fingerprint()
    single(place(root, name_of(3)))
    after = load(root)
    assert after.content_hash != before.content_hash
    assert G2Net(path=str(root)).fingerprint() != fingerprint
    assert "1 files hold float32, as which all strain is used." in after.notes
    assert members(after) == members(before)


def test_hashes_of_the_usual_folder_are_those_of_earlier_versions(folder: Path) -> None:
    """As gwbench computed them when it knew nothing but float64 in a/b/c."""
    assert G2Net(path=str(folder)).fingerprint()["train"][:16] == "8396365b04e938f3"
    assert load(folder).content_hash[:16] == "3293df89f45736e9"


def test_the_folder_may_be_nested_once_more(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "g2net").mkdir()
    (tmp_path / "g2net" / "g2net-gravitational-wave-detection").symlink_to(folder)
    assert members(load(tmp_path / "g2net")) == members(load(folder))
    (tmp_path / "apart").mkdir()
    (tmp_path / "apart" / "training_labels.csv").symlink_to(folder / "training_labels.csv")
    (tmp_path / "apart" / "train").mkdir()
    (tmp_path / "apart" / "train" / "train").symlink_to(folder / "train")
    (tmp_path / "apart" / "test").symlink_to(folder / "train")
    assert members(load(tmp_path / "apart")) == members(load(folder))
    (tmp_path / "g2net" / "copy").symlink_to(folder)
    with pytest.raises(UserError, match=r"holds several: .*copy/train, .*Name the folder of one"):
        load(tmp_path / "g2net")
    with pytest.raises(UserError, match=r"Name the folder above it"):
        load(folder / "train")


def test_what_is_left_out_is_named(tmp_path: Path) -> None:
    root = make(tmp_path, 20)
    usual = members(load(root))
    (root / "train" / "z").symlink_to("/mnt/not-mounted/z")
    (root / "train" / "more").mkdir()
    np.save(root / "train" / "more" / "abc1.npy", strain_of(0))
    np.save(place(root, name_of(0)).with_name("abc (1).npy"), strain_of(0))
    place(root, name_of(0)).with_name("abc2.npy.part").write_bytes(b"part")
    (root / "train" / "all.zip").write_bytes(b"PK")
    (root / "train" / "loop").symlink_to("..")
    context = Context()
    splits = G2Net(path=str(root)).load(context)
    assert members(splits) == usual
    for reason in (
        f"Left out (broken link): {root}/train/z.",
        f"Left out (out of the layout a/b/c/abc*.npy): {root}/train/more/abc1.npy.",
        "Left out (unfinished download): ",
        f"Left out (.zip is not read): {root}/train/all.zip.",
        "Left out (its name is no id)",
    ):
        assert any(reason in note for note in splits.notes), reason
        assert any(reason in line for line in context.progress.said), reason


def test_one_message_says_what_most_files_are(tmp_path: Path) -> None:
    root = make(tmp_path, 20)
    for number in range(5):
        np.save(place(root, name_of(number)), np.zeros((3, 4096), np.int16))
    place(root, name_of(6)).write_bytes(b"")
    with pytest.raises(UserError) as raised:
        load(root)
    message = str(raised.value)
    assert "5 of 20 files are of no use, each holds int16 of shape (3, 4096); expected float64 or float32" in message
    assert "Save it as float64 or float32 of that shape" in message
    assert not re.search("ownload|elete", message)


def test_two_files_of_one_id_are_told_apart(tmp_path: Path) -> None:
    root = make(tmp_path, 20)
    np.save(root / "train" / f"{name_of(3)}.npy", strain_of(3))
    with pytest.raises(UserError, match=f"two files of the id {name_of(3)}"):
        load(root)


def with_header(shape: str, descr: str = "<f8", pad: int = 117) -> bytes:
    """A file of the right size whose header claims a shape."""
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".ljust(pad) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + bytes(98304)


def replaced(make: Callable[[Path], object]) -> Callable[[Path], None]:
    """Something else takes the place of the file."""

    def spoil(path: Path) -> None:
        path.unlink()
        make(path)

    return spoil


def npy_bytes(strain: Array) -> bytes:
    stream = io.BytesIO()
    np.save(stream, strain)
    return stream.getvalue()


class Payload:
    """Leaves a trace when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("executed"),))


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "short": (lambda path: path.write_bytes(path.read_bytes()[:999]), "truncated or of another shape"),
    "empty": (lambda path: path.write_bytes(b""), "truncated or of another shape"),
    "long": (lambda path: path.write_bytes(path.read_bytes() + b"more"), "truncated or of another shape"),
    "float16": (
        lambda path: np.save(path, strain_of(0).astype("f2")),
        "holds float16, in which strain of 1e-21 is zero",
    ),
    "int16": (
        lambda path: np.save(path, strain_of(0).astype("i2")),
        r"holds int16 of shape \(3, 4096\); expected float64",
    ),
    "one second": (lambda path: np.save(path, strain_of(0)[:, :2048]), r"holds float64 of shape \(3, 2048\)"),
    "float32 cut": (
        lambda path: path.write_bytes(npy_bytes(strain_of(0).astype("f4"))[:-1]),
        "truncated or of another shape",
    ),
    "header of 4 GB": (
        lambda path: path.write_bytes(b"\x93NUMPY\x02\x00" + b"\xff" * 4 + bytes(98420)),
        r"pickled or no \.npy file",
    ),
    "text": (lambda path: path.write_text("404 Not Found"), r"no \.npy file \(the magic string is not correct"),
    "zeros": (lambda path: path.write_bytes(bytes(98432)), r"no \.npy file \(the magic string is not correct"),
    "pickle": (lambda path: path.write_bytes(pickle.dumps(Payload()).ljust(98432, b"\0")), r"pickled or no \.npy file"),
    "objects": (lambda path: path.write_bytes(with_header("(3, 4096)", "|O")), "holds pickled objects, no numbers"),
    "transposed": (lambda path: np.save(path, strain_of(0).reshape(4096, 3)), r"holds float64 of shape \(4096, 3\)"),
    "integers": (lambda path: np.save(path, strain_of(0).view(np.int64)), r"holds int64 of shape \(3, 4096\)"),
    "huge": (lambda path: path.write_bytes(with_header("(3, 1 << 50)")), r"pickled or no \.npy file"),
    "claims": (lambda path: path.write_bytes(with_header(f"(3, {2**60})")), rf"holds float64 of shape \(3, {2**60}\)"),
    "vast": (lambda path: path.write_bytes(with_header("(3, 0x" + "f" * 4000 + ")", pad=4200)), "of shape a vast size"),
    "nested": (lambda path: path.write_bytes(with_header("(" * 40)), r"pickled or no \.npy file"),
    "nan": (lambda path: np.save(path, np.full((3, 4096), np.nan)), "holds NaN or infinite strain"),
    "overflow": (lambda path: np.save(path, np.full((3, 4096), 1e300)), "holds NaN or infinite strain"),
    "garbled": (
        lambda path: np.save(path, np.full((3, 4096), 0x7FF4 << 48, np.uint64).view(np.float64)),
        "holds NaN or",
    ),
    "folder": (replaced(Path.mkdir), "is not a regular file"),
    "pipe": (replaced(os.mkfifo), "is not a regular file"),
    "gone": (Path.unlink, "cannot be read: No such file"),
    "dangling": (replaced(lambda path: path.symlink_to("nowhere")), "cannot be read: No such file"),
    "loop": (replaced(lambda path: path.symlink_to(path.name)), "cannot be read: Too many levels"),
}
"""Ways in which a file can be bad, and what is said of it."""


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_stops_streaming_and_is_left_out_of_an_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    root = make(tmp_path, 20)
    whole = members(load(root, val_fraction=0.2, test_fraction=0.2))
    given = {"path": str(root), "val_fraction": 0.2, "test_fraction": 0.2}
    dataset, streaming = G2Net(**given), G2Net(**given)
    dataset.fingerprint()  # the folder is scanned before the file turns bad
    splits = streaming.load(Context())
    path = place(root, name_of(7))
    spoil, reason = BAD[kind]
    spoil(path)

    with pytest.raises(UserError, match=reason) as raised:
        [splits[name].strain[:] for name in ("train", "val", "test")]
    assert str(path) in str(raised.value)
    assert "gwbench data import" in str(raised.value)

    again = G2Net(**given) if kind != "gone" else dataset
    for imported in (dataset, again):
        context = Context(materialise=True)
        stored = imported.load(context)
        (left_out,) = [text for reasons in context.left_out.values() for text in reasons.values()]
        assert re.search(reason, left_out)
        assert left_out.startswith(f"{path.name} ")
        lost = strain_of(7).astype(np.float32).tobytes()
        assert members(stored) == {name: windows - {lost} for name, windows in whole.items()}
    assert not Path("executed").exists()


def test_left_out_positions_are_those_of_the_files(tmp_path: Path) -> None:
    root = make(tmp_path, 40)
    streamed = load(root, val_fraction=0.2, test_fraction=0.2).train
    position = {window.tobytes(): where for where, window in enumerate(streamed.strain[:])}
    expected = {}
    for number in range(0, 40, 4):
        where = position.get(strain_of(number).astype(np.float32).tobytes())
        if where is not None:
            expected[where] = f"{name_of(number)}.npy"
        place(root, name_of(number)).write_bytes(b"damaged")
    context = Context(materialise=True)
    stored = G2Net(path=str(root), val_fraction=0.2, test_fraction=0.2).load(context).train
    assert len(expected) > 3
    assert context.left_out["train"].keys() == expected.keys()
    assert all(name in context.left_out["train"][where] for where, name in expected.items())
    kept = [where for where in range(len(streamed)) if where not in expected]
    np.testing.assert_array_equal(stored.strain[:], streamed.strain[np.array(kept)])
    np.testing.assert_array_equal(stored.label, streamed.label[kept])


def test_files_of_another_size_are_counted_before_anything_is_streamed(tmp_path: Path) -> None:
    root = make(tmp_path, 20)
    for number in range(5):
        path = place(root, name_of(number))
        path.write_bytes(path.read_bytes()[: 1000 * number])
    with pytest.raises(
        UserError, match=r"5 of 20 files are truncated or of another shape: .*\.npy \(\d+ bytes\), .*\.\.\."
    ):
        load(root)


def test_a_disk_that_goes_away_stops_an_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make(tmp_path / "g2net", 20)
    dataset = G2Net(path=str(root), val_fraction=0.2, test_fraction=0.2)
    dataset.fingerprint()
    (root / "train").rename(tmp_path / "unmounted")
    with pytest.raises(UserError, match=r"Make sure that its disk is there"):
        dataset.load(Context(materialise=True))
    (tmp_path / "unmounted").rename(root / "train")

    def failing(*_: Any) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr("gwbench.data.store.npy_folder.os.open", failing)
        with pytest.raises(UserError, match=r"Input/output error.*run the same command again"):
            dataset.load(Context(materialise=True))
    assert sum(dataset.load(Context(materialise=True)).sizes.values()) == 20


def test_a_file_without_permission_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, really = make(tmp_path, 20), os.open

    def refusing(path: Path, flags: int) -> int:
        """As for a user who may not read one file; the super-user, who runs some tests, may read all."""
        if path.name.startswith(name_of(7)):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return really(path, flags)

    monkeypatch.setattr("gwbench.data.store.npy_folder.os.open", refusing)
    context = Context(materialise=True)
    G2Net(path=str(root), val_fraction=0.2, test_fraction=0.2).load(context)
    ((reason,),) = [tuple(reasons.values()) for reasons in context.left_out.values() if reasons]
    assert reason.endswith(f"{name_of(7)}.npy cannot be read: Permission denied")


def test_a_folder_that_cannot_be_listed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, really = make(tmp_path, 5), os.scandir
    closed = str(place(root, name_of(3)).parent)

    def refusing(path: Any) -> Any:
        if str(path) == closed:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return really(path)

    monkeypatch.setattr("gwbench.data.store.npy_folder.os.scandir", refusing)
    with pytest.raises(UserError, match=f"The folder {closed} cannot be read: Permission denied"):
        G2Net(path=str(root)).fingerprint()


def test_one_command_scans_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = G2Net(path=str(folder))
    dataset.fingerprint()
    monkeypatch.setattr("gwbench.data.store.npy_folder.os.scandir", None)
    dataset.load(Context(materialise=True))


def test_one_spelling_of_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    plugin = REGISTRY.get("dataset", "g2net")
    for text in ("/home/me/x", "/home/me/x/", "~/x", "~/./x//", "/home/me/y/../x"):
        assert validate(plugin, {"path": text})["path"] == "/home/me/x"
    assert validate(plugin, {"path": ""})["path"] == ""


def test_windows_of_half_a_million_files_pickle_small() -> None:
    """They go to every process that imports: 10 bytes an id and one a label."""
    ids = np.array([f"{number:010x}" for number in range(560_000)], dtype=bytes)
    windows = FolderWindows({"train": NpyFolder(Path("/x"), ids, (3, 4096))}, {"train": np.zeros(560_000, "i1")})
    assert len(pickle.dumps(windows)) < 560_000 * 11 + 1000


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


# --- the challenge's test/ folder ---


def with_test_folder(root: Path, numbers: range, inner: str = "test") -> Path:
    """The folder, and these files in its test/."""
    for number in numbers:
        name = name_of(number)
        folder = root / inner / name[0] / name[1] / name[2]
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / f"{name}.npy", strain_of(number))
    return root


@pytest.mark.parametrize("inner", ["test", "test/test"])
def test_the_test_folder_joins_the_training_split_without_labels(tmp_path: Path, inner: str) -> None:
    root = with_test_folder(make(tmp_path / "all"), range(100, 130), inner)
    plain, joined = load(root), load(root, test_folder=True)
    for name in ("val", "test"):
        np.testing.assert_array_equal(joined[name].strain[:], plain[name].strain[:])
        np.testing.assert_array_equal(joined[name].label, plain[name].label)
    count = len(plain.train)
    assert joined.train.strain.shape == (count + 30, 3, 4096)
    np.testing.assert_array_equal(joined.train.strain[:count], plain.train.strain[:])
    np.testing.assert_array_equal(joined.train.label, [*plain.train.label, *[-1] * 30])
    new = {window.tobytes() for window in joined.train.strain[count:]}
    assert new == {strain_of(number).astype(np.float32).tobytes() for number in range(100, 130)}
    mixed = np.array([count + 3, 0, count])  # any order, over both folders
    np.testing.assert_array_equal(joined.train.strain[mixed][1], plain.train.strain[:1][0])
    np.testing.assert_array_equal(joined.train.strain[mixed], joined.train.strain[:][mixed])
    assert joined.content_hash != plain.content_hash
    assert "Of these, 30 are of test/ (dataset.test_folder)." in joined.notes


def test_without_the_test_folder_it_changes_nothing(tmp_path: Path) -> None:
    before = load(make(tmp_path / "all"))
    fingerprint = G2Net(path=str(tmp_path / "all")).fingerprint()
    with_test_folder(tmp_path / "all", range(100, 130))
    after = load(tmp_path / "all")
    assert (after.content_hash, after.notes) == (before.content_hash, before.notes)
    assert G2Net(path=str(tmp_path / "all")).fingerprint() == fingerprint
    assert set(G2Net(path=str(tmp_path / "all"), test_folder=True).fingerprint()) == {*fingerprint, "test"}


def test_files_that_train_has_too_are_left_out_of_the_test_folder(tmp_path: Path) -> None:
    root = with_test_folder(make(tmp_path / "all"), range(50, 70))  # train/ has 0 to 59
    joined = load(root, test_folder=True)
    assert len(joined.train) + len(joined.val) + len(joined.test) == 70
    assert "10 files of test/ are left out, as train/ has files of their ids." in joined.notes


def test_the_limit_holds_for_either_folder(tmp_path: Path) -> None:
    root = with_test_folder(make(tmp_path / "all"), range(100, 130))
    plain, joined = load(root, limit=40), load(root, limit=40, test_folder=True)
    assert len(joined.train) == len(plain.train) + 30


def test_the_test_folder_is_stored_with_the_others(tmp_path: Path) -> None:
    root = with_test_folder(make(tmp_path / "all"), range(100, 130))
    with place(root, name_of(3)).open("r+b") as file:
        file.truncate(1000)
    damaged = next((root / "test").rglob("*.npy"))
    damaged.write_bytes(b"nothing")
    context = Context(materialise=True)
    splits = G2Net(path=str(root), test_folder=True).load(context)
    assert len(splits.train) + len(splits.val) + len(splits.test) == 88
    assert (splits.train.label < 0).sum() == 29
    assert any(damaged.name in reason for reason in context.left_out["train"].values())


def test_a_test_folder_that_is_asked_for_must_be_there(tmp_path: Path) -> None:
    root = make(tmp_path / "all")
    with pytest.raises(UserError, match=r"dataset\.test_folder=true needs the folder .*test \(No such file"):
        load(root, test_folder=True)
    (root / "test").mkdir()
    with pytest.raises(UserError, match="no file a/b/c/abc"):
        load(root, test_folder=True)
