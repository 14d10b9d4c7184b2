"""Data files, journals and leftovers that are damaged end in one message, or are made anew."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from gwbench.data.store.cache import CacheContext
from gwbench.data.store.cache_dir import CacheDir
from gwbench.data.store.journal import Journal
from gwbench.data.store.reader import DamagedStoreError, open_store, read_header, verify_store
from gwbench.errors import UserError
from gwbench.utils.progress import Progress
from tests.data.store.test_partial import COUNT, LAYOUT, RECIPE, Maker
from tests.data.store.toy_windows import ToyWindows

ATTRIBUTES: dict[str, list[Any]] = {
    "gwbench_layout": ["2", 2.5, [2, 2], "x", h5py.Empty("i8")],
    "complete": [[True, False], h5py.Empty("b1")],
    "detectors": ["H1", [1, 2], [1.0, 2.0], ["H1", "H1"], ["H1", ""], [b"\xff", b"x"], 3, np.zeros((0,), "S2")],
    "margin": [-1, 8.5, "8", 2**62, [8], 40],
    "sample_rate": [0.0, -1.0, float("nan"), float("inf"), "x", [1.0, 2.0]],
    "notes": ["{", "3", '{"a": 1}', "[1]", "[" * 100_000, 3, "[1e400]", '["\\ud800"]', b"\xff"],
    "recipe": ["[]", "null", '{"a": 1, "a": 2}', "9" * 5000, 1.5, "{" * 1000, '{"a": 1e400}'],
    "left_out": ["[]", '{"train": 3}', "7",
                 '{"train": {"count": "x", "reasons": {}}}', '{"other": {"count": 1, "reasons": {}}}',
                 '{"train": {"count": 1e400, "reasons": {}}}', '{"train": {"count": -1, "reasons": {}}}',
                 '{"train": {"count": 1, "reasons": [1]}}', '{"train": {"count": 1, "reasons": {"1": [[]]}}}'],
    "content_hash": [3, [1, 2], b"\xff"],
    "created": [3.5, [b"a", b"b"]],
    "gwbench_version": [7],
}  # fmt: skip


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    maker = Maker(tmp_path / "toy.h5")
    maker.write()
    return maker.path


def refused(path: Path) -> str:
    said = set()
    for read in (read_header, open_store, lambda path: verify_store(path, Progress())):
        with pytest.raises(DamagedStoreError) as caught:
            read(path)
        said.add(str(caught.value))
    (message,) = said
    return message


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_attributes_of_another_type_are_refused(stored: Path, name: str) -> None:
    for number, value in enumerate(ATTRIBUTES[name]):
        path = Path(shutil.copy(stored, stored.with_name(f"{number}.h5")))
        with h5py.File(path, "a") as file:
            file.attrs[name] = value
        message = refused(path)
        assert message.isprintable(), value
        assert len(message) < 600, value


def test_an_infinite_parameter_of_a_recipe_is_read(tmp_path: Path) -> None:
    maker = Maker(tmp_path / "toy.h5", recipe=RECIPE | {"largest": float("inf")})
    maker.write()
    assert read_header(maker.path).recipe["largest"] == float("inf")


def link(name: str, target: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        file.move(name, "moved")
        file[name] = target

    return change


def outside(file: h5py.File) -> None:
    count = len(file["train/label"])
    del file["train/label"]
    file.create_dataset("train/label", (count,), "|i1", external=[("/etc/hostname", 0, h5py.h5f.UNLIMITED)])


def elsewhere(file: h5py.File) -> None:
    count = len(file["train/label"])
    source = h5py.VirtualSource("other.h5", "x", (count,), "|i1")
    layout = h5py.VirtualLayout((count,), "|i1")
    layout[:] = source
    del file["train/label"]
    file.create_virtual_dataset("train/label", layout)


def endless(file: h5py.File) -> None:
    del file["train/snr"]
    file["train"].create_dataset("snr", (2**50,), "<f4", chunks=(1024,))


@pytest.mark.parametrize(
    "change",
    [
        link("train/strain", h5py.SoftLink("/val/strain")),
        link("train/strain", h5py.ExternalLink("/etc/hostname", "/x")),
        link("val", h5py.SoftLink("/nowhere")),
        link("train/parameters", h5py.ExternalLink("toy.h5", "/val/parameters")),
        outside,
        elsewhere,
        endless,
        lambda file: file["train"].__delitem__("label"),
        lambda file: (file["train"].__delitem__("snr"), file["train"].create_group("snr")),
        lambda file: (file["train"].__delitem__("snr"), file["train"].__setitem__("snr", "text")),
    ],
)
def test_a_structure_that_leads_elsewhere_is_refused(stored: Path, change: Callable[[h5py.File], Any]) -> None:
    with h5py.File(stored, "a") as file:
        change(file)
    assert refused(stored).isprintable()


def test_flipped_bytes_are_refused_or_change_the_hash(stored: Path) -> None:
    """Some hundred places of the structure and of the numbers; the library spins at none of them."""
    content, rng, outcomes = stored.read_bytes(), random.Random(1), {"read": 0, "refused": 0}
    damaged = stored.with_name("damaged.h5")
    for number in range(400):
        data = bytearray(content)
        if number % 5 == 0:
            data = data[: rng.randrange(len(data))]
        else:
            for _ in range(rng.choice([1, 1, 4, 30])):
                data[rng.randrange(len(data) if number % 2 else 4096)] ^= 1 << rng.randrange(8)
        damaged.write_bytes(data)
        try:
            open_store(damaged)
            verify_store(damaged, Progress())
            outcomes["read"] += 1
        except UserError:
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 20


# --- journals ---


JUNK = [
    b"[" * 100_000,
    b'["train", 1e400, 5, 3, []]',
    b'["train", 0, 5, NaN, []]',
    b'["train", 0.5, 5, 3, []]',
    b'["train", "0", "5", "3", []]',
    b'["train", 0, 5, 3, [[1e400, "x"]]]',
    b'["train", 0, 5, 3, [[99, "x"]]]',
    b'["train", 0, 5, 3, 7]',
    b'["train", 0, 5, 3, [[[], "x"]]]',
    b'["train", 0, ' + b"9" * 5000 + b", 3, []]",
    b'["train", -1, 5, 3, []]',
    b'["train", true, 5, 3, []]',
    b'[["train"], 0, 5, 3, []]',
    b'{"train": 1}',
    b"null",
    b"\xff\xfe",
    b"",
]


@pytest.mark.parametrize("junk", JUNK)
@pytest.mark.parametrize("line", [0, 1, 4])
def test_a_line_of_something_else_is_not_trusted(tmp_path: Path, junk: bytes, line: int) -> None:
    expected = Maker(tmp_path / "whole.h5").write()
    maker = Maker(tmp_path / "toy.h5")
    with pytest.raises(OSError, match="interrupted"):
        maker.write(6, OSError("interrupted"))
    journal = Journal(maker.path)
    lines = journal.file.read_bytes().splitlines()
    lines[line] = junk
    journal.file.write_bytes(b"\n".join(lines) + b"\n")
    assert journal.count()[0] <= 30
    again = Maker(maker.path)
    assert again.write() == expected
    assert len(again.made) == COUNT - max(line - 1, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"parameters": "distance"},
        {"parameters": [1]},
        {"parameters": ["a\0b"]},
        {"parameters": ["../label"]},
        {"parameters": [f"p{number}" for number in range(100_000)]},
        {"layout": 3},
        {"layout": {"sizes": {"train": 1e308}}},
        {"offsets": []},
        {"recipe": None},
    ],
)
def test_a_journal_that_says_something_else_begins_anew(tmp_path: Path, change: dict[str, Any]) -> None:
    expected = Maker(tmp_path / "whole.h5").write()
    maker = Maker(tmp_path / "toy.h5")
    with pytest.raises(OSError, match="interrupted"):
        maker.write(3, OSError("interrupted"))
    journal = Journal(maker.path)
    head, *rest = journal.file.read_bytes().splitlines(keepends=True)
    journal.file.write_bytes(json.dumps(json.loads(head) | change).encode() + b"\n" + b"".join(rest))
    assert isinstance(journal.count()[1], int)
    again = Maker(maker.path)
    assert again.write() == expected
    assert len(again.made) == COUNT


def test_links_and_pipes_in_the_place_of_unfinished_files(tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"mine")
    maker = Maker(tmp_path / "toy.h5")
    with pytest.raises(OSError, match="interrupted"):
        maker.write(3, OSError("interrupted"))
    journal = Journal(maker.path)
    journal.partial.unlink()
    journal.partial.symlink_to(tmp_path / "precious")
    Maker(maker.path).write()
    assert (tmp_path / "precious").read_bytes() == b"mine"
    maker.path.unlink()
    os.mkfifo(journal.file)
    Maker(maker.path).write()
    assert not journal.file.exists()


# --- leftovers ---


def context(cache: CacheDir, seed: int) -> CacheContext:
    return CacheContext(seed, 1, Progress(), cache, {"dataset": "toy", "seed": seed})


def test_a_journal_whose_file_was_finished_is_swept_and_one_of_a_living_process_is_not(tmp_path: Path) -> None:
    cache, windows = CacheDir(tmp_path), ToyWindows()
    first = context(cache, 1)
    first.stored(LAYOUT, windows)
    path = cache.path(first.recipe)
    left, orphan = Journal(path).file, Journal(tmp_path / "gone.h5").file
    held = Journal(tmp_path / "held.h5")
    for file in (left, orphan, held.file):
        file.write_text("{}\n")
    with cache.lock(held.path):
        first.stored(LAYOUT, windows)
        assert not left.exists()
        context(cache, 2).stored(LAYOUT, windows)
        assert not orphan.exists()
        assert held.file.exists()
    cache.clear()
    assert not list(tmp_path.glob(".*journal"))
