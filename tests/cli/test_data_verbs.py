"""`gwbench data list | info | verify | clear`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from click.testing import CliRunner, Result

from gwbench.cli.data import data
from gwbench.contracts import Block, Layout
from gwbench.data.store.cache import CacheContext, CacheDir, dataset_recipe
from gwbench.errors import UserError
from gwbench.utils.progress import Progress

LAYOUT = Layout(("H1", "L1"), 2048.0, 64, 8, {"train": 1200, "val": 4, "test": 4}, notes=("Quiet [noise].",))


class Ones:
    """Windows of ones; those of the validation split cannot be had where `fails` is true."""

    def __init__(self, fails: bool = False, bad: bool = False) -> None:
        self.fails, self.bad = fails, bad

    def block(self, rng: np.random.Generator, split: str, start: int, n: int) -> Block:
        if self.fails and split == "val":
            raise KeyboardInterrupt
        left_out = {1: "b.npy is cut off"} if self.bad and split == "val" else {}
        n -= len(left_out)
        return Block(split, start, np.ones((n, 2, 80), "f4"), np.zeros(n, "i1"), np.zeros(n, "f4"), {}, left_out)


def make(name: str, windows: Ones) -> Path:
    recipe = dataset_recipe(name, 1, {"mass": 30.0}, 0, {})
    CacheContext(0, 1, Progress(), CacheDir(), recipe).stored(LAYOUT, windows)
    return CacheDir().path(recipe)


@pytest.fixture
def entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Two entries of a cache that GWBENCH_CACHE names."""
    monkeypatch.setenv("GWBENCH_CACHE", str(tmp_path))
    return [make(name, Ones()) for name in ("alpha", "beta")]


def call(*words: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(data, words, input=answer)


def refused(result: Result, message: str) -> None:
    assert isinstance(result.exception, UserError), result.output
    assert message in str(result.exception)


def flip(path: Path) -> None:
    """Change the last bit of one strain sample."""
    with h5py.File(path) as file:
        offset = file["train/strain"].id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)


def test_list(entries: list[Path]) -> None:
    entries[1].write_bytes(b"damaged")
    result = call("list")
    assert result.exit_code == 0, result.output
    line = next(line for line in result.output.splitlines() if line.startswith("alpha"))
    for text in (entries[0].stem, "1,200 / 4 / 4", "H1,L1", "2048 Hz", "0.8 MB"):
        assert text in line
    assert "damaged" in result.output

    found = {entry["name"]: entry for entry in json.loads(call("list", "--json").output)}
    header = found[entries[0].stem]["header"]
    assert header["sizes"] == dict(LAYOUT.sizes)
    assert header["recipe"]["parameters"] == {"mass": 30.0}
    assert found[entries[1].stem]["header"] is None


def test_list_of_nothing(tmp_path: Path) -> None:
    result = call("list", "--cache-dir", str(tmp_path / "none"))
    assert (result.exit_code, "No datasets in" in result.output) == (0, True)
    assert json.loads(call("list", "--json", "--cache-dir", str(tmp_path / "none")).output) == []
    result = call("verify", "--all", "--cache-dir", str(tmp_path / "none"))
    assert (result.exit_code, "nothing to verify" in result.output) == (0, True)


def test_info(entries: list[Path]) -> None:
    output = call("info", "alp").output
    header: dict[str, Any] = json.loads(call("info", "alp", "--json").output)["header"]
    for text in (str(entries[0]), header["content_hash"], "Quiet [noise].", '"mass": 30.0', "0.03125 s", "H1, L1"):
        assert text in output
    refused(call("info", "gamma"), "no entry 'gamma'")
    refused(call("info", "../alpha"), "not a path")
    entries[0].write_bytes(b"damaged")
    assert "no HDF5 file" in call("info", "alpha").output


def test_verify(entries: list[Path]) -> None:
    result = call("verify", "--all")
    assert (result.exit_code, result.output.count(": good")) == (0, 2)
    flip(entries[0])
    result = call("verify", "alpha")
    assert result.exit_code == 1
    assert f"{entries[0].stem}: BAD: content hash" in result.output
    entries[1].write_bytes(b"damaged")
    found = json.loads(call("verify", "--all", "--json").output)
    assert [entry["ok"] for entry in found] == [False, False]
    assert found[0]["stored"] != found[0]["computed"]
    assert found[1]["computed"] is None
    refused(call("verify"), "names of datasets or --all")
    refused(call("verify", "alpha", "--all"), "not both")
    refused(call("verify", "gamma"), "no entry 'gamma'")


def test_clear(entries: list[Path]) -> None:
    refused(call("clear"), "names of datasets or --all")
    refused(call("clear", "alpha"), "--yes")
    assert "Nothing was removed" in call("clear", "--all", answer="n\n").output
    assert all(path.exists() for path in entries)
    result = call("clear", "alpha", "alp", answer="y\n")
    assert "Removed 1 dataset, " in result.output
    assert [path.exists() for path in entries] == [False, True]
    assert call("clear", "--all", "--yes").exit_code == 0
    assert not list(entries[0].parent.iterdir())
    assert call("clear", "--all", "--yes").exit_code == 0


def test_an_unfinished_dataset(entries: list[Path]) -> None:
    with pytest.raises(KeyboardInterrupt):
        make("gamma", Ones(fails=True))
    assert "unfinished, 1,200 of 1,208 windows" in call("list").output
    assert [entry["unfinished"] for entry in json.loads(call("list", "--json").output)] == [None, None, [1200, 1208]]
    assert "unfinished, 1,200 of 1,208 windows" in call("info", "gamma").output
    result = call("verify", "--all")
    assert (result.exit_code, result.output.count("\n")) == (0, 2)
    refused(call("verify", "gamma"), "the command that makes it goes on from there")
    assert "Removed 1 dataset" in call("clear", "gamma", "--yes").output
    assert len(list(entries[0].parent.glob(".gamma*"))) == 0


def test_info_tells_what_is_left_out(entries: list[Path]) -> None:
    make("gamma", Ones(bad=True))
    output = call("info", "gamma").output
    assert "1 of val, such as" in output
    assert "1: b.npy is cut off" in output
    assert "1 window could not be read and is left out." in output
    assert "left out" not in call("info", "alpha").output


def test_verbs_import_nothing_heavy(entries: list[Path]) -> None:
    code = f"""
import sys
from gwbench.cli.data import data
assert not {{"h5py", "numpy", "rich", "filelock"}} & set(sys.modules), "at start-up"
for words in (["list"], ["info", "alpha"], ["verify", "--all"], ["clear", "{entries[1].stem}", "--yes"]):
    data(words, standalone_mode=False)
assert not {{"torch", "pycbc", "lightly", "scipy"}} & set(sys.modules), "by a verb"
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert not entries[1].exists()
