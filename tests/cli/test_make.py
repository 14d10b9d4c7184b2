"""`gwbench data make | import`: what they leave in the cache is what a run asks for."""

from __future__ import annotations

import json
import shlex
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from gwbench.cli.main import main
from gwbench.contracts import Array
from tests.forked import run_forked

TINY = ("dataset.train=64", "dataset.val=32", "dataset.test=32")
METHOD = ("encoder.width=4", "encoder.embed_dim=8", "encoder.stride=8", "training.epochs=1", "training.batch_size=16",
          "objective.hidden_dim=8", "objective.output_dim=8")  # fmt: skip
FRACTIONS = ("dataset.val_fraction=0.2", "dataset.test_fraction=0.2")
FILES = 600
BAD = (11, 222, 333)


def settings(*pairs: str) -> list[str]:
    return [word for pair in pairs for word in ("--set", pair)]


@dataclass
class CommandLine:
    """`gwbench WORDS` in this process, with a cache of its own."""

    cache: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *words: str) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        self.monkeypatch.setattr(sys, "argv", ["gwbench", *words])
        with pytest.raises(SystemExit) as stop:
            main()
        assert isinstance(stop.value.code, int)
        return stop.value.code, *self.capsys.readouterr()

    def json(self, *words: str) -> dict[str, Any]:
        """What a command prints as JSON."""
        code, out, err = self(*words, "--json")
        assert code == 0, err
        found: dict[str, Any] = json.loads(out)
        return found

    def entries(self) -> dict[str, tuple[int, int]]:
        """Every dataset in the cache, and what tells it from one made anew."""
        found = {path.stem: path.stat() for path in self.cache.glob("[!.]*.h5")}
        return {name: (status.st_ino, status.st_mtime_ns) for name, status in found.items()}


@pytest.fixture
def gwbench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GWBENCH_CACHE", str(tmp_path / "cache"))
    return CommandLine(tmp_path / "cache", monkeypatch, capsys)


def name_of(number: int) -> str:
    return f"{number * 2654435761 % 2**32:08x}ff"


def place_of(root: Path, number: int) -> Path:
    name = name_of(number)
    return root / "train" / name[0] / name[1] / name[2] / f"{name}.npy"


def strain_of(number: int) -> Array:
    return np.random.default_rng(number).normal(scale=1e-21, size=(3, 4096))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A G2Net folder with some damaged files."""
    root = tmp_path_factory.mktemp("data") / "g2net"
    for number in range(FILES):
        path = place_of(root, number)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, strain_of(number))
    place_of(root, BAD[0]).write_bytes(b"short")
    np.save(place_of(root, BAD[1]), np.full((3, 4096), np.nan))
    place_of(root, BAD[2]).write_bytes(bytes(98432))
    lines = [f"{name_of(number)},{number % 2}" for number in range(FILES)]
    (root / "training_labels.csv").write_text("\n".join(["id,target", *lines, ""]))
    return root


def test_a_run_uses_what_was_made(gwbench: CommandLine) -> None:
    code, out, _ = gwbench("data", "make", "bbh", *settings(*TINY))
    assert code == 0
    (name,) = made = gwbench.entries()
    assert f"{name} is made." in out
    assert "windows: train 64, val 32, test 32" in out
    assert f"file: {gwbench.cache / name}.h5\nlook: gwbench data plot {name}\n" in out

    code, again, _ = gwbench("data", "make", "bbh", *settings(*TINY))
    assert again == out.replace("is made.", "is there already.")
    assert gwbench.entries() == made

    (step,) = [line for line in out.splitlines() if line.startswith("next: ")]
    words = shlex.split(step.removeprefix("next: gwbench "))
    assert words == ["run", "--dataset", "bbh", *settings(*TINY)]
    record = gwbench.json(*words, "--baseline", "random-init", *settings(*METHOD[:3]), "--device", "cpu", "--quiet")
    assert gwbench.entries() == made
    assert f"hash: {record['data']['content_hash']}" in out


def test_another_seed_or_setting_is_another_dataset(gwbench: CommandLine) -> None:
    first = gwbench.json("data", "make", "bbh", *settings(*TINY))
    other = gwbench.json("data", "make", "bbh", *settings(*TINY), "--data-seed", "1")
    louder = gwbench.json("data", "make", "bbh", *settings(*TINY, "dataset.snr=20,30"))
    found = (first, other, louder)
    assert [entry["made"] for entry in found] == [True] * 3
    assert {entry["name"] for entry in found} == set(gwbench.entries())
    assert len({entry["content_hash"] for entry in found}) == 3
    assert other["next"].endswith("--data-seed 1 " + shlex.join(settings(*TINY)))


def test_an_import_is_what_a_run_reads(gwbench: CommandLine, folder: Path) -> None:
    code, out, err = gwbench("data", "import", "g2net", f"{folder}/", *settings(*FRACTIONS))
    assert code == 0, err
    (name,) = made = gwbench.entries()
    assert f"{name} is made." in out
    for number in BAD:
        assert name_of(number) in out + err
    again = gwbench.json("data", "import", "g2net", str(folder), *settings(*FRACTIONS))
    assert (again["name"], again["made"], gwbench.entries()) == (name, False, made)
    assert sum(again["sizes"].values()) == FILES - len(BAD)

    stored: dict[bytes, int] = {}
    with h5py.File(gwbench.cache / f"{name}.h5") as file:
        for split, size in again["sizes"].items():
            assert file[split]["strain"].shape == (size, 3, 4096)
            windows = (window.tobytes() for window in file[split]["strain"][:])
            stored |= zip(windows, file[split]["label"][:].tolist(), strict=True)
    good = set(range(FILES)) - set(BAD)
    assert stored == {strain_of(number).astype(np.float32).tobytes(): number % 2 for number in good}

    words = shlex.split(again["next"])[1:]
    assert words == ["run", "--dataset", "g2net", *settings(f"dataset.path={folder}", *FRACTIONS)]
    record = gwbench.json(*words, "--baseline", "random-init", *settings(*METHOD[:3]), "--device", "cpu", "--quiet")
    assert record["data"]["content_hash"] == again["content_hash"]
    assert gwbench.entries() == made


def test_threads_and_processes_change_nothing(gwbench: CommandLine, folder: Path) -> None:
    words = ["data", "import", "g2net", str(folder), *settings(*FRACTIONS)]
    alone = gwbench.json(*words, "--workers", "1")
    threads = gwbench.json(*words, "--workers", "2", "--cache-dir", "threads")
    gwbench.monkeypatch.setattr("gwbench.data.store.generate.PROCESSES_PAY", 0.0)
    processes = gwbench.json(*words, "--workers", "2", "--cache-dir", "processes")
    assert [entry["made"] for entry in (alone, threads, processes)] == [True] * 3
    assert alone["content_hash"] == threads["content_hash"] == processes["content_hash"]
    assert alone["left_out"] == threads["left_out"] == processes["left_out"] != {}
    assert "--cache-dir processes" in processes["next"]


DIE = """
import os, signal, sys
from gwbench.data.store import npy_folder
block, main = npy_folder.FolderWindows.block, os.getpid()
def dying(self, rng, split, start, n):
    if start >= 256 or split == "test":
        os.kill(main, signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)
    return block(self, rng, split, start, n)
npy_folder.FolderWindows.block = dying
from gwbench.cli.main import main as gwbench
gwbench()
"""
"""The command line of a process that is killed in the middle of an import."""


def test_an_import_that_was_killed_goes_on(gwbench: CommandLine, folder: Path) -> None:
    words = ["data", "import", "g2net", str(folder), *settings(*FRACTIONS)]
    whole = gwbench.json(*words, "--cache-dir", "whole")
    killed = run_forked([*words, "--workers", "1"], code=DIE)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not gwbench.entries()
    read: list[tuple[str, int]] = []
    from gwbench.data.store.npy_folder import FolderWindows

    block = FolderWindows.block

    def noting(self: FolderWindows, rng: np.random.Generator, split: str, start: int, n: int) -> Any:
        read.append((split, start))
        return block(self, rng, split, start, n)

    gwbench.monkeypatch.setattr(FolderWindows, "block", noting)
    resumed = gwbench.json(*words, "--workers", "1")
    assert resumed["content_hash"] == whole["content_hash"]
    assert ("train", 256) in read
    assert ("train", 0) not in read
    assert resumed["sizes"] == whole["sizes"]


def test_a_folder_that_is_streamed_is_not_made(gwbench: CommandLine, folder: Path) -> None:
    words = settings(f"dataset.path={folder}", "dataset.limit=100", *FRACTIONS)
    damaged = gwbench("data", "make", "g2net", *words)
    assert damaged[0] == 2
    assert "an import (`gwbench data import`) leaves such files out" in damaged[2]
    short = place_of(folder, BAD[0])
    short.rename("aside")
    try:
        code, out, _ = gwbench("data", "make", "g2net", *words)
    finally:
        Path("aside").rename(short)
    assert code == 0
    assert "g2net is read where it lies: nothing to make." in out
    assert "note: Streamed: " in out
    (store,) = [line for line in out.splitlines() if line.startswith("store: ")]
    rest = settings("dataset.limit=100", *FRACTIONS)
    assert shlex.split(store)[1:] == ["gwbench", "data", "import", "g2net", str(folder), *rest]
    assert not gwbench.entries()


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("make", ("Missing argument 'DATASET'",)),
        ("make bhh", ("There is no dataset 'bhh'", "Did you mean 'bbh'?", "`gwbench list dataset`")),
        ("make bbh --set encoder.width=32", ("--set encoder.width", "dataset.NAME=VALUE", "`gwbench run`")),
        ("make bbh --set train=32", ("--set train", "expected dataset.NAME=VALUE")),
        ("make bbh --set dataset.=32", ("--set dataset.", "expected dataset.NAME=VALUE")),
        ("make bbh --set dataset.train", ("'dataset.train' is not of the form",)),
        ("make bbh --set dataset.train=0", ("dataset.train='0' is not valid",)),
        ("make bbh --set dataset.trian=9", ("no parameter 'trian'", "Did you mean 'train'?")),
        ("make bbh --set dataset.train=9 --set dataset.train=8", ("--set dataset.train is given twice",)),
        ("make bbh --data-seed -1", ("--data-seed", "-1")),
        ("make bbh --workers 0", ("--workers", "0")),
        ("make bbh --plugin nowhere.py", ("nowhere.py",)),
        ("make g2net", ("needs --set dataset.path=DIR",)),
        ("import g2net", ("Missing argument 'PATH'",)),
        ("import g2net nowhere", ("nowhere is not a folder", "Expected a G2Net folder")),
        ("import g2net x --set dataset.path=y", ("PATH and --set dataset.path",)),
        ("import bbh x", ("'bbh' is not read from files", "`gwbench data make bbh`")),
    ],
)
def test_a_mistake_ends_in_one_line(gwbench: CommandLine, command: str, says: tuple[str, ...]) -> None:
    code, out, message = gwbench("data", *command.split())
    assert (code, out) == (2, "")
    assert message.startswith("Error: ")
    assert message.count("\n") == 1, message
    for text in says:
        assert text in message
    assert not gwbench.cache.exists()


def test_a_cache_that_cannot_be_written_is_named(gwbench: CommandLine) -> None:
    Path("file").write_text("in the way")
    code, out, message = gwbench("data", "make", "bbh", *settings(*TINY), "--cache-dir", "file")
    assert (code, out) == (2, "")
    assert "cache folder" in message
    assert Path("file").read_text() == "in the way"
