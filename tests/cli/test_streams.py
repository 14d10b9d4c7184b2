"""Standard output holds what a verb says and nothing else, and ends well where it cannot be written."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.forked import run_forked
from tests.registry.plugin_files import ENCODER

LOUD = """
import ctypes, os, sys
print("a greeting at import")
os.system("echo from a subprocess")
os.write(1, b"from descriptor 1\\n")
ctypes.CDLL(None).puts(b"from a C library, whose buffer is emptied at exit")
import atexit
atexit.register(print, "at exit")
"""


def gwbench(*words: str | Path, cwd: Path, shell: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """`python -m gwbench WORDS`, with what a shell does to its descriptors."""
    command = [sys.executable, "-m", "gwbench", *map(str, words)]
    if shell:
        command = ["bash", "-o", "pipefail", "-c", f'"$0" "$@" {shell}', *command]
    paths = os.pathsep.join(map(os.path.abspath, filter(None, sys.path)))
    environment = {**os.environ, "PYTHONPATH": paths, "GWBENCH_CACHE": str(cwd / "cache"), **variables}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, check=False, timeout=300)


@pytest.fixture
def loud(tmp_path: Path) -> Path:
    path = tmp_path / "loud.py"
    path.write_text(LOUD + ENCODER.format(name="loud"))
    return path


def test_json_stands_alone_whatever_a_plugin_prints(loud: Path, tmp_path: Path) -> None:
    said = gwbench("list", "encoder", "--plugin", loud, "--json", cwd=tmp_path)
    assert {"loud", "cnn1d"} <= {plugin["name"] for plugin in json.loads(said.stdout)["plugins"]}
    for line in ("a greeting at import", "from a subprocess", "from descriptor 1", "from a C library", "at exit"):
        assert line in said.stderr
    said = gwbench("list", "encoder", "--json", cwd=tmp_path, GWBENCH_PLUGINS=str(loud))
    assert "loud" in {plugin["name"] for plugin in json.loads(said.stdout)["plugins"]}


def test_a_dataset_that_prints_leaves_the_json_of_data_make_alone(tmp_path: Path) -> None:
    words = ["--set", "dataset.train=2", "--set", "dataset.val=2", "--set", "dataset.test=2", "--json"]
    source = tmp_path / "chatty.py"
    source.write_text("print('hello')\n")
    own = {**os.environ, "GWBENCH_CACHE": str(tmp_path / "cache")}
    said = run_forked(["data", "make", "bbh", *words, "--plugin", source], folder=tmp_path, environment=own)
    assert json.loads(said.stdout)["sizes"] == {"train": 2, "val": 2, "test": 2}
    listed = run_forked(["data", "list", "--json"], folder=tmp_path, environment=own)
    assert json.loads(listed.stdout)[0]["header"]["sizes"]["train"] == 2


def test_a_record_stands_alone(loud: Path, tmp_path: Path) -> None:
    words = ["run", "--baseline", "random-init", "--encoder", "loud", "--plugin", str(loud), "--json", "--quiet"]
    for name, size in {"train": 64, "val": 32, "test": 32}.items():
        words += ["--set", f"dataset.{name}={size}"]
    said = run_forked(words, folder=tmp_path)
    assert json.loads(said.stdout)["status"] == "ok", said.stderr
    board = run_forked(["leaderboard", "runs", "--format", "csv", "--plugin", loud], folder=tmp_path)
    (row,) = csv.DictReader(io.StringIO(board.stdout))
    assert "random-init" in row["method"]


@pytest.mark.parametrize("words", [("list",), ("list", "--json"), ("--help",), ("show", "encoder", "cnn1d")])
def test_a_full_disk_is_one_message(words: tuple[str, ...], tmp_path: Path) -> None:
    said = gwbench(*words, cwd=tmp_path, shell="> /dev/full")
    assert said.returncode == 1
    assert said.stderr == "Error: Standard output cannot be written: No space left on device.\n"


@pytest.mark.parametrize("words", [("list",), ("list", "--json"), ("show", "encoder", "cnn1d")])
def test_a_reader_that_has_gone_is_no_error_to_speak_of(words: tuple[str, ...], tmp_path: Path) -> None:
    said = gwbench(*words, cwd=tmp_path, shell="| true")
    assert said.returncode in (0, 141)
    assert said.stderr == ""


@pytest.mark.parametrize("shell", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_descriptor_is_written_nothing_to(shell: str, tmp_path: Path) -> None:
    said = gwbench("list", cwd=tmp_path, shell=shell)
    assert said.returncode == 0
    assert said.stderr == ""
    assert gwbench("show", "encoder", "nothing", cwd=tmp_path, shell=shell).returncode == 2


def test_text_that_the_terminal_cannot_show_is_escaped(tmp_path: Path) -> None:
    source = tmp_path / "unicode.py"
    source.write_text(ENCODER.format(name="toy").replace("A toy.", "Größe 码"), encoding="utf-8")
    said = gwbench("show", "encoder", "toy", "--plugin", source, cwd=tmp_path, PYTHONIOENCODING="ascii")
    assert said.returncode == 0
    assert r"Gr\xf6\xdfe \u7801" in said.stdout
