"""The cache: made once, by one process; nothing half-made is trusted."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import platformdirs
import pytest

from gwbench.contracts import Block, Layout
from gwbench.data.store.cache import BusyEntryError, CacheContext, CacheDir, dataset_recipe, recipe_digest
from gwbench.data.store.reader import DamagedStoreError
from gwbench.errors import UserError
from gwbench.experiment.data_cache import recipes_of
from gwbench.utils.progress import Progress
from gwbench.utils.subprocesses import usable_cores
from tests.data.store.toy_windows import ToyWindows, asked
from tests.forked import ForkedCommand

LAYOUT = Layout(("H1", "L1"), 128.0, window=64, margin=8, sizes={"train": 12, "val": 4, "test": 4})


class Said(Progress):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.lines.append(message)


class Toy:
    """A dataset of noise that counts how often it is made."""

    bad: tuple[int, ...] = ()

    def __init__(self, root: Path, seed: int = 0, **parameters: Any) -> None:
        self.made = 0
        self.progress = Said()
        recipe = dataset_recipe("toy", 1, parameters, seed, {})
        self.cache = CacheDir(root)
        self.context = CacheContext(seed, 1, self.progress, self.cache, recipe)
        self.path = self.cache.path(recipe)

    def block(self, rng: np.random.Generator, split: str, start: int, n: int) -> Block:
        self.made += split == "train" and start == 0
        strain = rng.standard_normal((n, 2, 80), dtype=np.float32)
        kept = [at for at in range(n) if start + at not in self.bad]
        label, snr = np.zeros(len(kept), np.int8), np.full(len(kept), np.nan, np.float32)
        return Block(split, start, strain[kept], label, snr, {}, dict.fromkeys(set(self.bad) & set(range(n)), "bad"))

    def load(self, layout: Layout = LAYOUT) -> Any:
        return self.context.stored(layout, self)


def hidden(root: Path, suffix: str) -> list[Path]:
    return [path for path in root.iterdir() if path.name.endswith(suffix)]


def test_made_once(tmp_path: Path) -> None:
    root = tmp_path / "not" / "yet" / "there"
    first = Toy(root)
    made = first.load()
    again = Toy(root)
    opened = again.load()
    assert (first.made, again.made) == (1, 0)
    assert opened.content_hash == made.content_hash
    np.testing.assert_array_equal(opened.val.strain[:], made.val.strain[:])
    assert first.progress.lines == again.progress.lines == []
    assert first.path.name == f"toy-{recipe_digest(first.context.recipe)}.h5"


def test_every_part_of_the_recipe_counts(tmp_path: Path) -> None:
    base: dict[str, Any] = {"name": "toy", "version": 1, "parameters": {"a": 1}, "seed": 0, "fingerprint": {}}
    changes: list[dict[str, Any]] = [
        {"name": "toys"},
        {"version": 2},
        {"parameters": {"a": 1.5}},
        {"seed": 1},
        {"fingerprint": {"file": "digest"}},
    ]
    digests = {recipe_digest(dataset_recipe(**(base | change))) for change in ({}, *changes)}
    assert len(digests) == 6
    assert all(len(digest) == 16 and int(digest, 16) >= 0 for digest in digests)
    shuffled = {"seed": 0, "fingerprint": {}, "version": 1, "parameters": {"a": 1}, "dataset": "toy", "source": ""}
    assert recipe_digest(shuffled) == recipe_digest(dataset_recipe(**base))


def test_context_of_a_plugin(tmp_path: Path) -> None:
    target = SimpleNamespace(places=("folder",))
    plugin: Any = SimpleNamespace(
        name="toy", version=3, source_hash="5e1f", aliases=(), former_hashes=(), target=target
    )
    # Where the files lie says nothing of what they hold.
    context = CacheContext.of(
        recipes_of(plugin, {"a": 1, "folder": "/data"}, 5, {"f": "d"}), root=tmp_path, workers=None, progress=Progress()
    )
    assert context.recipe == dataset_recipe("toy", 3, {"a": 1}, 5, {"f": "d"}, "5e1f")
    assert (context.seed, context.cache.root) == (5, tmp_path)
    assert not context.materialise
    assert CacheContext.of(
        recipes_of(plugin, {}, 5, {}), root=tmp_path, workers=1, progress=Progress(), materialise=True
    ).materialise
    assert context.workers == usable_cores() == len(os.sched_getaffinity(0))


def test_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GWBENCH_CACHE", str(tmp_path / "named"))
    assert CacheDir().root == tmp_path / "named"
    assert CacheDir(tmp_path).root == tmp_path
    monkeypatch.setenv("GWBENCH_CACHE", "")
    assert CacheDir().root == Path(platformdirs.user_cache_dir("gwbench")) / "datasets"


@pytest.mark.parametrize("spoil", ["truncate", "foreign", "recipe", "layout"])
def test_entry_that_cannot_be_trusted_is_made_again(tmp_path: Path, spoil: str) -> None:
    toy, layout = Toy(tmp_path), LAYOUT
    expected = toy.load().content_hash
    if spoil == "truncate":
        toy.path.write_bytes(toy.path.read_bytes()[:5000])
    elif spoil == "foreign":
        toy.path.write_text("something else")
    elif spoil == "recipe":
        other = Toy(tmp_path, seed=1)
        other.load()
        other.path.replace(toy.path)
    else:
        layout = Layout(("H1", "V1"), 128.0, 64, 8, LAYOUT.sizes)
    splits = toy.load(layout)
    assert toy.made == 2
    assert (splits.content_hash == expected) == (spoil != "layout")
    assert len(toy.progress.lines) == 1
    assert "made again" in toy.progress.lines[0]


def test_failed_generation_is_gone_on_with(tmp_path: Path) -> None:
    toy = Toy(tmp_path)
    expected = Toy(tmp_path / "whole").load().content_hash
    made = toy.block

    def failing(rng: np.random.Generator, split: str, start: int, n: int) -> Block:
        if split == "val":
            raise KeyboardInterrupt
        return made(rng, split, start, n)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toy, "block", failing)
        with pytest.raises(KeyboardInterrupt):
            toy.load()
    (entry,) = toy.cache.list_entries()
    assert (entry.header, entry.unfinished) == (None, (12, 20))
    assert entry.problem == "unfinished, 12 of 20 windows"
    assert toy.cache.entry_info("toy").path == toy.path
    with pytest.raises(UserError, match="unfinished, 12 of 20 windows: the command that makes it goes on"):
        toy.cache.verify("toy", Progress())
    assert toy.context.find(LAYOUT) is None
    assert toy.load().content_hash == expected
    assert toy.made == 1
    assert toy.cache.list_entries()[0].unfinished is None


def test_find_makes_nothing(tmp_path: Path) -> None:
    toy = Toy(tmp_path / "none")
    assert toy.context.find(LAYOUT) is None
    assert not (tmp_path / "none").exists()
    made = toy.load()
    found = toy.context.find(LAYOUT)
    assert found is not None
    assert found.content_hash == made.content_hash
    assert toy.context.find(Layout(("H1", "V1"), 128.0, 64, 8, LAYOUT.sizes)) is None
    toy.path.write_bytes(b"damaged")
    assert toy.context.find(LAYOUT) is None
    assert toy.made == 1


def test_windows_left_out_do_not_make_an_entry_a_stranger(tmp_path: Path) -> None:
    toy = Toy(tmp_path)
    toy.bad = (2, 3)
    splits = toy.load()
    assert splits.sizes == {"train": 10, "val": 2, "test": 2}
    assert toy.load().content_hash == splits.content_hash
    assert toy.made == 1
    assert "made again" not in " ".join(toy.progress.lines)


SLOW = """
import sys, time
from pathlib import Path
from gwbench.contracts import Layout
from gwbench.data.store.cache import CacheContext, CacheDir, dataset_recipe
from gwbench.experiment.data_cache import recipes_of
from gwbench.utils.progress import Progress
from tests.data.store.toy_windows import ToyWindows

root, log, gate = map(Path, sys.argv[1:])

class Log(Progress):
    def say(self, message):
        note("said " + message)

def note(line):
    with log.open("a") as file:
        file.write(line + "\\n")

class Windows(ToyWindows):
    def block(self, *place):
        block = super().block(*place)
        while not gate.exists() and len(log.read_text().splitlines()) > 2:
            time.sleep(0.01)
        return block

cache = CacheDir(root)
context = CacheContext(0, 1, Log(), cache, dataset_recipe("slow", 1, {}, 0, {}))
layout = Layout(("H1", "L1"), 64.0, 64, 8, {"train": 3000, "val": 300, "test": 3})
try:
    note("hash " + context.stored(layout, Windows(log, 0.05)).content_hash)
except KeyboardInterrupt:
    sys.exit(3)
"""


def start(root: Path, log: Path, gate: Path) -> ForkedCommand:
    """A process that makes 15 blocks, two at once and the others when `gate` exists."""
    return ForkedCommand([root, log, gate], code=SLOW)


def wait_for(ready: Callable[[], bool]) -> None:
    limit = time.monotonic() + 60
    while not ready():
        assert time.monotonic() < limit
        time.sleep(0.01)


def test_killed_at_any_moment_it_goes_on_where_it_was(tmp_path: Path) -> None:
    root, log, gate = tmp_path / "cache", tmp_path / "log", tmp_path / "gate"
    rng = np.random.default_rng(int.from_bytes(os.urandom(4)))
    process = start(root, log, gate)
    wait_for(lambda: len(asked(log)) == 3)
    held = root / hidden(root, ".partial")[0].name[1:].removesuffix(".partial")
    with pytest.raises(BusyEntryError, match="being made by another process"), CacheDir(root).lock(held):
        pass
    with pytest.raises(BusyEntryError):
        CacheDir(root).clear([held.stem])
    assert CacheDir(root).clear() == []
    (entry,) = CacheDir(root).list_entries()
    assert entry.unfinished == (512, 3303)

    gate.touch()
    process.send_signal(signal.SIGKILL)
    process.wait()
    for number, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 3)):
        before = len(asked(log))
        process = start(root, log, gate)
        wait_for(lambda before=before: len(asked(log)) > before + 1)  # type: ignore[misc]
        time.sleep(rng.uniform(0, 0.1))
        process.send_signal(number)
        assert process.wait(timeout=60) == code
    assert start(root, log, gate).wait(timeout=60) == 0

    made = asked(log)
    assert set(made) == {*(("train", start) for start in range(0, 3000, 256)), ("val", 0), ("val", 256), ("test", 0)}
    # Of all blocks, only that in hand at the moment of an interruption is made again.
    assert len(made) <= 15 + 3
    assert max(made.count(place) for place in made) <= 2
    whole = CacheContext(0, 1, Progress(), CacheDir(tmp_path / "whole"), {"dataset": "whole"})
    expected = whole.stored(Layout(("H1", "L1"), 64.0, 64, 8, {"train": 3000, "val": 300, "test": 3}), ToyWindows())
    assert log.read_text().splitlines()[-1] == f"hash {expected.content_hash}"
    assert not hidden(root, ".partial") + hidden(root, ".journal")
    assert CacheDir(root).verify("slow", Progress()).ok


def test_two_processes_make_it_once(tmp_path: Path) -> None:
    root, logs, gate = tmp_path / "cache", [tmp_path / "first", tmp_path / "second"], tmp_path / "gate"
    first = start(root, logs[0], gate)
    wait_for(lambda: len(asked(logs[0])) == 3)
    second = start(root, logs[1], gate)
    wait_for(lambda: logs[1].exists() and "waiting for it" in logs[1].read_text())
    gate.touch()
    assert (first.wait(timeout=60), second.wait(timeout=60)) == (0, 0)
    assert (len(asked(logs[0])), len(asked(logs[1]))) == (15, 0)
    made, waited = (log.read_text().splitlines() for log in logs)
    assert made[-1] == waited[-1]
    assert made[-1].startswith("hash ")


def test_clear_removes_what_a_killed_process_left(tmp_path: Path) -> None:
    toy = Toy(tmp_path)
    toy.load()
    for name in ("toy-0000000000000000", toy.path.stem):
        (tmp_path / f".{name}.h5.partial").write_bytes(b"x")
        (tmp_path / f".{name}.h5.journal").write_bytes(b"x")
    (tmp_path / "a note of the user's.txt").write_text("stays")
    assert [entry.problem for entry in toy.cache.list_entries()] == ["unfinished, 0 of 0 windows", ""]
    removed = toy.cache.clear()
    assert [entry.name for entry in removed] == ["toy-0000000000000000", toy.path.stem]
    assert [path.name for path in tmp_path.iterdir()] == ["a note of the user's.txt"]


@pytest.mark.parametrize("below", ["file", "file/deeper"])
def test_cache_below_a_file(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("")
    toy = Toy(tmp_path / below)
    with pytest.raises(UserError, match=r"Cannot write to the cache folder .*--cache-dir or GWBENCH_CACHE"):
        toy.load()
    assert toy.made == 0
    with pytest.raises(UserError, match="Cannot read the cache folder"):
        toy.cache.list_entries()


def test_folder_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy = Toy(tmp_path / "locked")

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise PermissionError(13, "Permission denied")

    for name in ("mkdir", "stat"):
        monkeypatch.setattr(Path, name, refuse)
    with pytest.raises(UserError, match="Permission denied"):
        toy.load()


def test_entries_and_their_names(tmp_path: Path) -> None:
    toys = [Toy(tmp_path, seed=seed) for seed in (0, 1)]
    for toy in toys:
        toy.load()
    cache = toys[0].cache
    (tmp_path / "broken.h5").write_bytes(b"not HDF5")
    entries = {entry.name: entry for entry in cache.list_entries()}
    assert sorted(entries) == sorted(["broken", toys[0].path.stem, toys[1].path.stem])
    assert entries["broken"].header is None
    assert "no HDF5 file" in entries["broken"].problem

    entry = cache.entry_info(toys[1].path.stem[:7])
    assert entry.path == toys[1].path
    assert entry.size == toys[1].path.stat().st_size
    assert entry.header is not None
    assert entry.header.recipe == toys[1].context.recipe
    assert cache.entry_info(toys[0].path.name) == entries[toys[0].path.stem]
    with pytest.raises(UserError, match=f"may be any of .*{toys[0].path.stem}"):
        cache.entry_info("toy-")
    with pytest.raises(UserError, match=r"no entry 'borken'\. Did you mean 'broken'\? See `gwbench data list`"):
        cache.entry_info("borken")
    with pytest.raises(DamagedStoreError):
        cache.verify("broken", Progress())

    assert [entry.name for entry in cache.clear(["broken", "brok"])] == ["broken"]
    assert len(cache.list_entries()) == 2


def test_names_are_not_paths(tmp_path: Path) -> None:
    outside = Toy(tmp_path / "outside")
    outside.load()
    cache = CacheDir(tmp_path / "cache")
    cache.root.mkdir()
    for name in (f"../outside/{outside.path.stem}", str(outside.path), "..", "", ".hidden", "a\\b", "a\0"):
        for action in (cache.entry_info, lambda each: cache.verify(each, Progress()), lambda each: cache.clear([each])):
            with pytest.raises(UserError, match="not a path"):
                action(name)
    assert outside.path.exists()


def test_read_only_cache_serves_what_it_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy = Toy(tmp_path)
    toy.load()

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    toy.load()
    assert toy.made == 1
    with pytest.raises(UserError, match="Read-only file system"):
        Toy(tmp_path, seed=9).load()


def test_recipe_is_readable_in_the_file(tmp_path: Path) -> None:
    toy = Toy(tmp_path, masses=[5.0, 80.0])
    toy.load()
    with h5py.File(toy.path) as file:
        assert json.loads(file.attrs["recipe"])["parameters"] == {"masses": [5.0, 80.0]}
