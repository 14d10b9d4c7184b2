"""`gwbench scan` as it is typed, with a run that was trained in this session."""

from __future__ import annotations

import json
import shlex
import signal
import time
from pathlib import Path
from typing import Any

import pytest

import gwbench as package
from gwbench.cli.main import main
from gwbench.search.record import parse_search_record, read_search_record
from tests.conftest import TINY, Heard
from tests.forked import ForkedCommand, run_forked
from tests.search.event_run import train
from tests.search.strain import GPS, noise, write_segments

RATE = 2048.0
GW150914 = 1126259462.42


def gwbench(monkeypatch: pytest.MonkeyPatch, *words: str | Path) -> int:
    monkeypatch.setattr("sys.argv", ["gwbench", *map(str, words)])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a baseline's run on two detectors, made in a second."""
    settings: dict[str, Any] = {key: value for key, value in TINY.items() if key.startswith("dataset.")}
    settings["dataset.detectors"] = ("H1", "L1")
    record = package.run(
        baseline="band-power", settings=settings, device="cpu", out=tmp_path_factory.mktemp("tiny"), progress=Heard()
    )
    assert record.folder
    return Path(record.folder)


@pytest.fixture(scope="module")
def strain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four segments of white noise of two detectors."""
    starts = [GPS + 200 * place for place in range(4)]
    parts = {
        name: [(start, noise(40, RATE, seed + place)) for place, start in enumerate(starts)]
        for name, seed in (("H1", 0), ("L1", 50))
    }
    return write_segments(tmp_path_factory.mktemp("strain") / "noise.hdf", parts, RATE)


def test_gw150914_is_the_loudest_trigger_and_louder_than_every_slide(
    tmp_path: Path, test_data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = train(tmp_path / "runs").folder
    assert folder
    words: list[str | Path] = [
        "scan",
        folder,
        test_data / "gwosc",
        "--event",
        "GW150914",
        "--searches",
        tmp_path / "searches",
    ]
    assert gwbench(monkeypatch, *words, "--json") == 0
    out, _ = capsys.readouterr()
    document = json.loads(out)
    record = parse_search_record(document)
    loudest = record.triggers[0]
    assert loudest.time == pytest.approx(GW150914, abs=0.5)
    assert record.background is not None
    assert record.background.slides >= 10
    assert loudest.score > record.background.loudest[0]
    others = [each.score for each in record.triggers[1:]]
    # The scale of log-odds is that of the probe's strength, so the distance is told in that of the other triggers.
    assert loudest.score - others[0] > 3 * (others[0] - others[-1])
    assert document["triggers"][0]["detectors"].keys() == {"H1", "L1"}
    assert all(abs(value - 1) < 0.2 for value in document["whitened_variance"].values())
    assert document["event"] == {
        "name": "GW150914", "time": 1126259462.4, "rank": 1, "louder_in_background": 0,
    }  # fmt: skip
    assert gwbench(monkeypatch, *words) == 0
    out, err = capsys.readouterr()
    assert "GW150914 at GPS 1126259462.40: rank 1 of" in out
    assert "louder than all events of" in out
    assert "done before" in err


def test_the_table_the_events_and_the_same_command_again(
    tiny: Path, strain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    events = tmp_path / "events.csv"
    words: list[str | Path] = ["scan", tiny, strain, "--searches", tmp_path / "s", "--out", events]
    assert gwbench(monkeypatch, *words) == 0
    out, err = capsys.readouterr()
    assert "Scan: done" in err
    assert "rank" in out
    assert "whitened variance" in out
    assert events.read_text().startswith("time,stat,var,rank")
    (folder,) = (tmp_path / "s").iterdir()
    record = read_search_record(folder)
    assert shlex.split(record.command)[:3] == ["gwbench", "scan", str(tiny)]
    assert len(record.strain.segments) == 4
    assert gwbench(monkeypatch, *words, "--quiet") == 0
    again, err = capsys.readouterr()
    assert again == out
    assert not err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "events.txt"], "expected a suffix of"),
        (["--ray-address", "auto"], "--ray-address goes with --ray"),
        (["--stride", "0"], "--stride 0: expected seconds"),
        (["--duration", "32"], "--duration says how much strain of an --event is fetched"),
        (["--threshold", "nan"], "--threshold nan: expected a score"),
        (["--event", "GW999999", "--host", "http://127.0.0.1:1"], "do not know the event 'GW999999'"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(
    tiny: Path,
    strain: Path,
    tmp_path: Path,
    words: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("gwbench.data.gwosc.web.sleep", lambda _seconds: None)
    monkeypatch.chdir(tmp_path)
    assert gwbench(monkeypatch, "scan", tiny, strain, "--quiet", *words) == 2
    out, err = capsys.readouterr()
    assert not out
    assert message in err.splitlines()[-1]


def test_a_folder_without_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    assert gwbench(monkeypatch, "scan", tmp_path, tmp_path / "x.hdf") == 2
    assert "There is no record in" in capsys.readouterr().err


def test_several_processes_find_what_one_does(
    tiny: Path, strain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = []
    for processes in ("1", "2"):
        words: list[str | Path] = ["--searches", tmp_path / processes, "--processes", processes, "--json", "--quiet"]
        assert gwbench(monkeypatch, "scan", tiny, strain, *words) == 0
        found.append(json.loads(capsys.readouterr().out)["triggers"])
    assert found[0] == found[1]


def test_killed_and_started_again_it_finds_the_same(tiny: Path, strain: Path, tmp_path: Path) -> None:
    words = ["scan", str(tiny), str(strain), "--json", "--quiet", "--searches"]

    def finished(folder: str) -> Any:
        done = run_forked([*words, tmp_path / folder])
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["triggers"]

    expected = finished("alone")
    process = ForkedCommand([*words, tmp_path / "killed"])
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        if list(tmp_path.glob("killed/*/scores/*.npz")):
            process.kill()
            break
        time.sleep(0.01)
    assert process.wait(60) == -signal.SIGKILL
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("killed/*/scores/*.npz")}
    assert kept
    assert finished("killed") == expected
    assert all(path.stat().st_mtime_ns == written for path, written in kept.items())
