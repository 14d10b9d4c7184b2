"""A data file whose making is interrupted is gone on with, and ends in the same content hash."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from gwbench.contracts import Block, Layout
from gwbench.data.store import partial as store_partial
from gwbench.data.store.journal import Journal
from gwbench.data.store.reader import open_store, read_header, verify_store, write_store
from gwbench.errors import UserError
from gwbench.utils.progress import Progress
from tests.forked import run_forked

SIZES = {"train": 37, "val": 8, "test": 11}
LAYOUT = Layout(("H1", "L1"), 128.0, window=64, margin=8, sizes=SIZES, notes=("Made for a test.",))
RECIPE: dict[str, Any] = {"dataset": "toy", "seed": 7, "files": ["ä.npy"]}
SIZE = 5
"""Windows of a block."""
COUNT = 8 + 2 + 3


class Said(Progress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.lines.append(message)


class Maker:
    """Makes blocks, and counts them.

    Args:
        path: of the data file.
        left_out: positions without a window, by split.
        recipe: of the data.
    """

    def __init__(self, path: Path, left_out: dict[str, tuple[int, ...]] | None = None, recipe: Any = RECIPE) -> None:
        self.path, self.left_out, self.recipe = path, left_out or {}, recipe
        self.made: list[tuple[str, int]] = []
        self.progress = Said()

    def block(self, split: str, start: int) -> Block:
        self.made.append((split, start))
        n = min(SIZE, SIZES[split] - start)
        rng = np.random.default_rng([len(split), start])
        strain, distance = rng.standard_normal((n, 2, 80), dtype=np.float32), rng.uniform(1, 9, n)
        missing = {start + i: f"{start + i} is bad" for i in range(n) if start + i in self.left_out.get(split, ())}
        kept = [i for i in range(n) if start + i not in missing]
        label = np.arange(start, start + n, dtype=np.int8)[kept] % 2
        snr = np.full(len(kept), 8.5, np.float32)
        return Block(split, start, strain[kept], label, snr, {"distance": distance[kept]}, missing)

    def all(self, done: int, stop: int | None = None) -> Iterator[Block]:
        places = [(split, start) for split, size in SIZES.items() for start in range(0, size, SIZE)]
        for place in places[done:stop]:
            yield self.block(*place)

    def write(self, stop: int | None = None, error: BaseException | None = None) -> str:
        """Write the file; raise `error` before block number `stop`."""

        def blocks(done: int) -> Iterable[Block]:
            yield from self.all(done, stop)
            if error:
                raise error

        return write_store(self.path, LAYOUT, blocks, self.recipe, self.progress)


@pytest.fixture
def maker(tmp_path: Path) -> Maker:
    folder = tmp_path / "folder"
    folder.mkdir()
    return Maker(folder / "toy.h5")


@pytest.fixture
def expected(tmp_path: Path) -> str:
    """The hash of the data made in one go."""
    return Maker(tmp_path / "whole.h5").write()


def files(path: Path) -> list[str]:
    return sorted(each.name for each in path.parent.iterdir())


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError("the dataset's own trouble"), UserError("bad")])
def test_interrupted_several_times_no_block_is_made_twice(maker: Maker, expected: str, error: BaseException) -> None:
    for stop in (3, 4, 9, 12, 13):
        with pytest.raises(type(error)) as caught:
            maker.write(stop, error)
        assert caught.value is error
        assert files(maker.path) == [".toy.h5.journal", ".toy.h5.partial"]
    assert maker.write() == expected
    assert len(maker.made) == len(set(maker.made)) == COUNT
    assert files(maker.path) == ["toy.h5"]
    assert verify_store(maker.path, Progress()).computed == expected
    assert maker.progress.lines[:3] == [
        "15 of 56 windows are kept; the same command goes on from there.",
        "Going on with toy: 15 of 56 windows are there already.",
        "20 of 56 windows are kept; the same command goes on from there.",
    ]


def test_interrupted_while_it_is_finished(maker: Maker, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for step in ("content_hash", "make_structure", "write_at"):
        original = getattr(store_partial, step)

        def interrupt(*arguments: Any, original: Callable[..., Any] = original) -> Any:
            if len(maker.made) == COUNT and len(arguments) > 2:
                raise KeyboardInterrupt
            return original(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(store_partial, step, interrupt)
            with pytest.raises(KeyboardInterrupt):
                maker.write()
    assert maker.write() == expected
    assert len(maker.made) == COUNT


def test_an_old_file_stays_until_the_new_one_is_whole(maker: Maker, expected: str) -> None:
    maker.write()
    before = maker.path.read_bytes()
    with pytest.raises(KeyboardInterrupt):
        maker.write(5, KeyboardInterrupt())
    assert maker.path.read_bytes() == before
    assert maker.write() == expected


def interrupted(maker: Maker, blocks: int = 7) -> Journal:
    with pytest.raises(KeyboardInterrupt):
        maker.write(blocks, KeyboardInterrupt())
    maker.made.clear()
    return Journal(maker.path)


def test_a_journal_that_is_cut_off_anywhere(maker: Maker, expected: str) -> None:
    interrupted(maker)
    whole, partial = Journal(maker.path).file.read_bytes(), Journal(maker.path).partial.read_bytes()
    for cut in [0, 1, *range(len(whole.splitlines(keepends=True)[0]) - 2, len(whole), 11)]:
        maker.made.clear()
        maker.path.unlink(missing_ok=True)
        Journal(maker.path).file.write_bytes(whole[:cut])
        Journal(maker.path).partial.write_bytes(partial)
        lines = whole[:cut].count(b"\n")
        assert maker.write() == expected
        assert len(maker.made) == COUNT - max(0, lines - 1)


@pytest.mark.parametrize(
    "garbage", [b"\xff\0\xfe\n", b"[]\n", b'["train",15,"x",1,[]]\n', b"{\n", b'["all",0,1,1,[]]\n']
)
def test_a_garbled_line_and_all_after_it_are_not_trusted(maker: Maker, expected: str, garbage: bytes) -> None:
    journal = interrupted(maker)
    lines = journal.file.read_bytes().splitlines(keepends=True)
    assert len(lines) == 1 + 7
    lines[4] = garbage
    journal.file.write_bytes(b"".join(lines))
    assert maker.write() == expected
    assert len(maker.made) == COUNT - 3


def test_a_line_too_many_is_not_trusted(maker: Maker, expected: str) -> None:
    for lines in ([0, 1, 2, 2, 3], [0, 1, 3, 2], [0, 2, 1]):
        journal = interrupted(maker)
        written = journal.file.read_bytes().splitlines(keepends=True)
        journal.file.write_bytes(b"".join(written[line] for line in lines))
        assert maker.write() == expected
        assert len(maker.made) == COUNT - {5: 2, 4: 1, 3: 0}[len(lines)]
        maker.made.clear()
        maker.path.unlink()


@pytest.mark.parametrize("name", ["strain", "label", "snr", "parameters/distance"])
def test_a_flipped_bit_is_noticed_when_it_goes_on(maker: Maker, expected: str, name: str) -> None:
    journal = interrupted(maker)
    header, _ = journal.read()
    row = {"strain": 2 * 80 * 4, "label": 1, "snr": 4, "parameters/distance": 8}[name]
    content = bytearray(journal.partial.read_bytes())
    # A window of the fourth block.
    content[header["offsets"][f"train/{name}"] + 17 * row] ^= 1
    journal.partial.write_bytes(content)
    assert maker.write() == expected
    assert maker.made[0] == ("train", 15)
    assert len(maker.made) == COUNT - 3


def test_a_file_that_has_lost_its_end_or_all(maker: Maker, expected: str) -> None:
    journal = interrupted(maker)
    header, _ = journal.read()
    os.truncate(journal.partial, header["offsets"]["train/strain"] + 12 * 2 * 80 * 4)
    assert maker.write() == expected
    assert len(maker.made) == COUNT - 2
    maker.path.unlink()
    for lost in ("partial", "file"):
        journal = interrupted(maker)
        getattr(journal, lost).unlink()
        assert maker.write() == expected
        assert len(maker.made) == COUNT
        maker.path.unlink()
        maker.made.clear()


def test_what_was_made_from_something_else_is_not_gone_on_with(maker: Maker, expected: str) -> None:
    changes: list[dict[str, Any]] = [
        {"recipe": {**RECIPE, "seed": 8}},
        {"gwbench_version": "0.0.0"},
        {"layout_version": 1},
        {"layout": {"sizes": {"train": 37, "val": 8, "test": 12}}},
        {"parameters": ["mass"]},
        {"parameters": [["mass"]]},
        {"parameters": 5},
        {"offsets": {}},
    ]
    for change in changes:
        journal = interrupted(maker)
        header, lines = journal.read()
        assert len(lines) == 7
        journal.begin({**header, **change})
        for line in lines:
            journal.add(line)
        assert maker.write() == expected
        assert len(maker.made) == COUNT
        maker.made.clear()
        maker.path.unlink()


def test_what_is_refused_is_not_kept(maker: Maker) -> None:
    def blocks(done: int) -> Iterator[Block]:
        yield from maker.all(0, 3)
        yield maker.block("val", 0)

    with pytest.raises(UserError, match="is next"):
        write_store(maker.path, LAYOUT, blocks, RECIPE, maker.progress)
    assert files(maker.path) == []
    assert not any("kept" in line for line in maker.progress.lines)


# --- windows left out ---------------------------------------------------------------------------------------

LEFT_OUT = {"train": (0, 7, 8, *range(10, 15), 36), "test": (10,)}


def test_windows_left_out_are_counted_and_the_others_close_up(tmp_path: Path) -> None:
    maker, whole = Maker(tmp_path / "toy.h5", LEFT_OUT), Maker(tmp_path / "whole.h5")
    whole.write()
    digest = maker.write()
    splits, all_ = open_store(maker.path), open_store(whole.path)
    assert splits.sizes == {"train": 28, "val": 8, "test": 10}
    for split in SIZES:
        kept = [at for at in range(SIZES[split]) if at not in LEFT_OUT.get(split, ())]
        np.testing.assert_array_equal(splits[split].strain[:], all_[split].strain[:][kept])
        np.testing.assert_array_equal(splits[split].label, all_[split].label[kept])
        np.testing.assert_array_equal(splits[split].parameters["distance"], all_[split].parameters["distance"][kept])
        with h5py.File(maker.path) as file:
            np.testing.assert_array_equal(file[split]["strain"][:], splits[split].strain[:])
    assert splits.notes == (*LAYOUT.notes, "10 windows could not be read and are left out.")
    assert maker.progress.lines == ["10 of 56 windows could not be read and are left out of toy."]

    header = read_header(maker.path)
    assert header.asked == SIZES
    assert header.left_out["test"] == {"count": 1, "reasons": {"10": "10 is bad"}}
    assert header.left_out["train"]["count"] == 9
    assert read_header(whole.path).left_out == {}
    assert verify_store(maker.path, Progress()).computed == digest


def test_windows_left_out_before_an_interruption_stay_left_out(tmp_path: Path) -> None:
    expected = Maker(tmp_path / "whole.h5", LEFT_OUT).write()
    maker = Maker(tmp_path / "toy.h5", LEFT_OUT)
    for stop in (1, 3, 8):
        with pytest.raises(KeyboardInterrupt):
            maker.write(stop, KeyboardInterrupt())
    assert maker.write() == expected
    assert len(maker.made) == COUNT
    assert read_header(maker.path).left_out == read_header(tmp_path / "whole.h5").left_out


def test_one_window_left_out_and_a_file_name_that_is_no_text(tmp_path: Path) -> None:
    maker = Maker(tmp_path / "toy.h5", {"val": (3,)})
    made = maker.block

    def block(split: str, start: int) -> Block:
        given = made(split, start)
        reasons = {at: os.fsdecode(b"caf\xe9.npy is cut off") for at in given.left_out}
        return Block(**{**given.__dict__, "left_out": reasons})

    maker.block = block  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        maker.write(10, KeyboardInterrupt())
    maker.write()
    assert len(maker.made) == COUNT
    assert open_store(maker.path).notes[-1] == "1 window could not be read and is left out."
    assert "is cut off" in read_header(maker.path).left_out["val"]["reasons"]["3"]


def test_many_reasons_are_cut_to_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert store_partial.REASONS == 100
    monkeypatch.setattr(store_partial, "REASONS", 4)
    maker = Maker(tmp_path / "toy.h5", {"train": tuple(range(2, 30))})
    maker.write()
    found = read_header(maker.path).left_out["train"]
    assert (found["count"], list(found["reasons"])) == (28, ["2", "3", "4", "5"])


def test_a_split_of_which_nothing_is_left_is_refused(tmp_path: Path) -> None:
    maker = Maker(tmp_path / "toy.h5", {"val": tuple(range(8))})
    with pytest.raises(UserError, match=r"Not one window of the val split could be read; the first: 0 is bad"):
        maker.write()
    assert files(maker.path) == []


# --- a full disk --------------------------------------------------------------------------------------------

FULL_DISK = """
import resource, sys
from pathlib import Path
import numpy as np
from gwbench.contracts import Block, Layout
from gwbench.data.store.reader import write_store
from gwbench.errors import UserError
from gwbench.utils.progress import Progress

limit = int(sys.argv[2])
layout = Layout(("H1",), 256.0, 96, 16, {"train": 4000, "val": 0, "test": 0})

def blocks(done):
    print(done)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    for start in range(100 * done, 4000, 100):
        strain = np.full((100, 1, 128), start, "f4")
        yield Block("train", start, strain, np.zeros(100, "i1"), np.zeros(100, "f4"))

path = Path(sys.argv[1]) / "toy.h5"
def write():
    try:
        print(write_store(path, layout, blocks, {}, Progress()))
    except UserError as error:
        print(f"UserError: {error}", file=sys.stderr)

write()
limit = resource.RLIM_INFINITY
write()
"""


@pytest.mark.parametrize(("limit", "kept"), [(0, 0), (3_000, 0), (1_000_000, None), (2_050_000, None)])
def test_disk_that_fills_up_while_writing(tmp_path: Path, limit: int, kept: int | None) -> None:
    """A limit on the size of files stands for the disk; what is there already serves once there is room."""
    done = run_forked([str(tmp_path), str(limit)], code=FULL_DISK)
    assert done.stderr.startswith("UserError: Cannot write"), done.stderr
    assert "File too large" in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.returncode == 0
    first, second, digest = done.stdout.split()
    assert first == "0"
    assert int(second) == kept or (kept is None and 10 < int(second) <= 40)
    assert [each.name for each in tmp_path.iterdir()] == ["toy.h5"]
    splits = open_store(tmp_path / "toy.h5")
    assert splits.content_hash == verify_store(tmp_path / "toy.h5", Progress()).computed == digest
    np.testing.assert_array_equal(splits.train.strain[:][:, 0, 0], np.repeat(np.arange(0, 4000, 100), 100))


def test_the_journal_is_lines_of_json(maker: Maker) -> None:
    journal = interrupted(maker)
    lines = [json.loads(line) for line in journal.file.read_text().splitlines()]
    assert lines[0]["recipe"] == RECIPE
    assert [line[:3] for line in lines[1:4]] == [["train", 0, 5], ["train", 5, 5], ["train", 10, 5]]
    assert journal.count() == (35, 56)
