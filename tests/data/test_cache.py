"""The cache: made once, by one process; nothing half-made is trusted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import platformdirs
import pytest

from gwbench.contracts import Block, Layout
from gwbench.data.cache import (
    BusyEntryError,
    CacheContext,
    CacheDir,
    dataset_recipe,
    recipe_digest,
    usable_cores,
)
from gwbench.data.store import DamagedStoreError
from gwbench.errors import UserError
from gwbench.progress import Progress

LAYOUT = Layout(("H1", "L1"), 128.0, window=64, margin=8, sizes={"train": 12, "val": 4, "test": 4})


class Said(Progress):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.lines.append(message)


class Toy:
    """A dataset of noise that counts how often it is made."""

    def __init__(self, root: Path, seed: int = 0, **parameters: Any) -> None:
        self.made = 0
        self.progress = Said()
        recipe = dataset_recipe("toy", 1, parameters, seed, {})
        self.cache = CacheDir(root)
        self.context = CacheContext(seed, 1, self.progress, self.cache, recipe)
        self.path = self.cache.path(recipe)

    def blocks(self) -> Iterator[Block]:
        self.made += 1
        rng = np.random.default_rng(self.context.seed)
        for name, count in LAYOUT.sizes.items():
            strain = rng.standard_normal((count, 2, 80), dtype=np.float32)
            yield Block(name, 0, strain, np.zeros(count, np.int8), np.full(count, np.nan, np.float32))

    def load(self, layout: Layout = LAYOUT) -> Any:
        return self.context.stored(layout, self.blocks)


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
    plugin: Any = SimpleNamespace(name="toy", version=3, source_hash="5e1f")
    context = CacheContext.of(plugin, {"a": 1}, 5, {"f": "d"}, root=tmp_path, workers=None, progress=Progress())
    assert context.recipe == dataset_recipe("toy", 3, {"a": 1}, 5, {"f": "d"}, "5e1f")
    assert (context.seed, context.cache.root) == (5, tmp_path)
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


def test_failed_generation_leaves_nothing(tmp_path: Path) -> None:
    toy = Toy(tmp_path)

    def failing() -> Iterator[Block]:
        yield from list(toy.blocks())[:2]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        toy.context.stored(LAYOUT, failing)
    assert not toy.cache.list_entries()
    assert not hidden(tmp_path, ".partial")
    assert toy.load().train.strain.shape == (12, 2, 80)


SLOW = """
import sys, time
from pathlib import Path
import numpy as np
from gwbench.contracts import Block, Layout
from gwbench.data.cache import CacheContext, CacheDir, dataset_recipe
from gwbench.progress import Progress

root, log, gate = map(Path, sys.argv[1:])

class Log(Progress):
    def say(self, message):
        note("said " + message)

def note(line):
    with log.open("a") as file:
        file.write(line + "\\n")

def blocks():
    note("making")
    for name in ("train", "val", "test"):
        yield Block(name, 0, np.ones((3, 1, 8), "f4"), np.zeros(3, "i1"), np.zeros(3, "f4"))
        note("block")
        while not gate.exists():
            time.sleep(0.02)

cache = CacheDir(root)
context = CacheContext(0, 1, Log(), cache, dataset_recipe("slow", 1, {}, 0, {}))
layout = Layout(("H1",), 8.0, 8, 0, {"train": 3, "val": 3, "test": 3})
note("hash " + context.stored(layout, blocks).content_hash)
"""


def start(root: Path, log: Path, gate: Path) -> subprocess.Popen[bytes]:
    """A process that makes one block and goes on once `gate` exists."""
    return subprocess.Popen([sys.executable, "-c", SLOW, str(root), str(log), str(gate)])


def wait_for(log: Path, text: str) -> None:
    limit = time.monotonic() + 60
    while not (log.exists() and text in log.read_text()):
        assert time.monotonic() < limit, f"no {text!r}"
        time.sleep(0.02)


def test_killed_process_leaves_nothing_that_is_trusted(tmp_path: Path) -> None:
    root, log, gate = tmp_path / "cache", tmp_path / "log", tmp_path / "gate"
    process = start(root, log, gate)
    wait_for(log, "block")
    with pytest.raises(BusyEntryError, match="being made by another process"), CacheDir(root).lock(partial_of(root)):
        pass
    CacheDir(root).clear()
    assert len(hidden(root, ".partial")) == 1
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert CacheDir(root).list_entries() == []
    assert len(hidden(root, ".partial")) == 1

    gate.touch()
    second = start(root, log, gate)
    assert second.wait(timeout=60) == 0
    assert len(CacheDir(root).list_entries()) == 1
    assert not hidden(root, ".partial")
    assert CacheDir(root).verify("slow", Progress()).ok


def partial_of(root: Path) -> Path:
    """The entry behind the only partial file."""
    (partial,) = hidden(root, ".partial")
    return root / partial.name[1:].rsplit(".", 2)[0]


def test_two_processes_make_it_once(tmp_path: Path) -> None:
    root, logs, gate = tmp_path / "cache", [tmp_path / "first", tmp_path / "second"], tmp_path / "gate"
    first = start(root, logs[0], gate)
    wait_for(logs[0], "block")
    second = start(root, logs[1], gate)
    wait_for(logs[1], "waiting for it")
    gate.touch()
    assert (first.wait(timeout=60), second.wait(timeout=60)) == (0, 0)
    made, waited = (log.read_text().splitlines() for log in logs)
    assert (made[0], made.count("making"), waited.count("making")) == ("making", 1, 0)
    assert made[-1] == waited[-1]
    assert made[-1].startswith("hash ")


def test_clear_removes_what_a_killed_process_left(tmp_path: Path) -> None:
    toy = Toy(tmp_path)
    toy.load()
    (tmp_path / ".toy-0000000000000000.h5.12-abcd.partial").write_bytes(b"x")
    (tmp_path / f".{toy.path.name}.12-abcd.partial").write_bytes(b"x")
    (tmp_path / "a note of the user's.txt").write_text("stays")
    removed = toy.cache.clear()
    assert [entry.name for entry in removed] == [toy.path.stem]
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
