"""`gwbench data fetch`."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from gwosc.api import v2

from gwbench.cli.data import data
from gwbench.data.strain_files.finding import find_strain_files
from gwbench.data.strain_files.reading import read_strain
from gwbench.errors import UserError
from gwbench.registry import REGISTRY
from tests.data.gwosc.gwosc_server import GwoscServer, Trouble, serving, strain_file

H1, L1 = (f"{name[0]}-{name}_GWOSC_4KHZ_R1-1126257415-4096.hdf5" for name in ("H1", "L1"))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[GwoscServer]:
    """A server that GWBENCH_GWOSC_HOST names, and an empty cache."""
    v2.JSON_CACHE.clear()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("GWBENCH_CACHE", str(tmp_path))
    monkeypatch.setattr("gwbench.data.gwosc.web.sleep", lambda _seconds: None)
    with serving() as server:
        monkeypatch.setenv("GWBENCH_GWOSC_HOST", server.url)
        yield server


def call(words: str) -> Result:
    return CliRunner().invoke(data, ["fetch", *shlex.split(words)])


def gwbench(words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "gwbench", "data", "fetch", *shlex.split(words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_the_command_says_what_came_what_is_missing_and_what_to_do_next(server: GwoscServer, tmp_path: Path) -> None:
    result = call("GW150914 --detectors H1 L1 V1")
    assert result.exit_code == 0, result.output
    folder = tmp_path / "strain" / "GW150914"
    lines = result.output.splitlines()
    assert lines[0] == "GW150914: GPS 1126259462"
    for line, name in zip(lines[1:3], (H1, L1), strict=True):
        assert line.split() == [name[2:4], name, "0.3", "MB", "downloaded"]
    assert lines[3] == "  V1  GWOSC has no strain of V1 at that time."
    assert "events.json): 151008, GW150914" in lines[4]
    words = shlex.split(lines[-1].removeprefix("next: "))
    assert words[:3] == ["gwbench", "run", "--dataset"]
    assert words[4:] == ["--set", f"dataset.path={folder}"]
    assert words[3] in [plugin.name for plugin in REGISTRY.list("dataset") if "real" in plugin.tags]
    assert [read_strain(path).detector for path in find_strain_files([str(folder)])] == ["H1", "L1"]

    again = call("GW150914 --detectors H1 L1 V1")
    assert again.output == result.output.replace("downloaded", "here already")
    assert server.downloads() == [H1, L1]


@pytest.mark.parametrize(
    "words",
    [
        "GW150914 --detectors L1 H1",
        "--detectors L1 H1 GW150914",
        "--detectors l1,H1 GW150914",
        "--detectors=L1 H1 GW150914",
        "GW150914 --detectors L1, H1 --sample-rate 4096",
        "--sample-rate 4096 --detectors L1 H1 -- GW150914",
    ],
)
def test_detectors_may_be_given_in_any_usual_way(server: GwoscServer, words: str) -> None:
    result = call(words)
    assert result.exit_code == 0, result.output
    assert server.downloads() == [L1, H1]


def test_a_gps_time_is_not_taken_for_a_detector_nor_a_stray_word_for_either(server: GwoscServer) -> None:
    result = call("--detectors H1 1126259462")
    assert result.exit_code == 0, result.output
    assert server.downloads() == ["H-H1_GWOSC_O1_4KHZ_R1-1126256640-4096.hdf5"]
    assert call("GW150914 --detectors H1 V").exit_code == 2
    assert "unexpected extra argument" in call("GW150914 --detectors H1 GW170817").output


def test_json_says_the_same(server: GwoscServer, tmp_path: Path) -> None:
    out = tmp_path / "with space"
    found = json.loads(call(f"GW150914 --json --duration 32 --out '{out}' --detectors H1 V1").output)
    assert (found["target"], found["gps"], found["missing"]) == ("GW150914", 1126259462.4, ["V1"])
    (file,) = found["files"]
    assert Path(file["path"]) == out / "H-H1_GWOSC_4KHZ_R1-1126259447-32.hdf5"
    assert (file["detector"], file["downloaded"], file["end"] - file["start"]) == ("H1", True, 32)
    assert found["next"].endswith(f"--set 'dataset.path={out}'")
    assert found["events"] == [{"name": "GW150914", "gps": 1126259462.4}]


def test_a_mistake_is_one_line_and_exit_code_2(server: GwoscServer) -> None:
    result = call("GW150914 --detectors V1")
    assert isinstance(result.exception, UserError)
    process = gwbench("GW999999")
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (2, "")
    assert errors == f"Error: There is no event 'GW999999' at {server.url}. Expected a name such as GW150914.\n"


@pytest.mark.parametrize("ended", [signal.SIGKILL, signal.SIGINT])
def test_a_command_that_was_ended_goes_on_where_it_was(
    server: GwoscServer, tmp_path: Path, ended: signal.Signals
) -> None:
    server.troubles = [Trouble("/data/", times=1, stall=150_000)]
    folder = tmp_path / "strain" / "GW150914"
    part = folder / f".{H1}.part"
    process = gwbench("GW150914 --detectors H1")
    deadline = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size >= 131072):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(ended)
    process.communicate(timeout=60)
    assert process.returncode == (-signal.SIGKILL if ended == signal.SIGKILL else 130)
    assert not (folder / H1).exists()
    assert part.stat().st_size == 131072

    process = gwbench("GW150914 --detectors H1")
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert H1 in output
    assert server.downloads() == [H1, f"{H1} [bytes=131072-]"]
    assert (folder / H1).read_bytes() == strain_file(H1)
    assert not part.exists()
