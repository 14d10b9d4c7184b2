"""No byte of a file moves the cursor of a terminal, and none is taken for a style."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import h5py
import pytest
from rich.table import Table

from gwbench.cli import streams, terminal
from gwbench.cli.main import main
from gwbench.suite.display import TerminalDisplay
from gwbench.utils.progress import TerminalProgress
from tests.reporting.synthetic_runs import write_run
from tests.suite.tiny import write_suite

EVIL = "\x1b[31m[bold]\x9b2J[/]\u202e\x07[link=x]"


def harmless(text: str) -> bool:
    return all(line.isprintable() for line in text.replace("\t", " ").split("\n"))


def called(*words: str, code: tuple[int, ...] = (0,), monkeypatch: pytest.MonkeyPatch, capsys: Any) -> str:
    """What a command prints, to both streams."""
    monkeypatch.setattr("sys.argv", ["gwbench", *words])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code in code
    out, err = capsys.readouterr()
    return str(out + err)


def test_the_console_writes_control_characters_out(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(streams, "_kept", [stream])
    console = terminal.console()
    table = Table(box=None)
    table.add_column("a")
    table.add_row("x\x1b[2Jy")
    console.print(table)
    console.print("z\x9b\u202e", markup=False, soft_wrap=True)
    terminal.echo(f"e {EVIL}\nsecond line")
    assert harmless(stream.getvalue())
    for text in (r"x\x1b[2Jy", r"z\x9b\u202e", "\nsecond line"):
        assert text in stream.getvalue()


def test_progress_and_display_write_them_out() -> None:
    for made in (TerminalProgress, TerminalDisplay):
        shown = made()
        shown.console.file = io.StringIO()
        shown.say(f"{EVIL} [/] said")
        assert harmless(shown.console.file.getvalue())
        assert "[bold]" in shown.console.file.getvalue()


@pytest.fixture
def evil_runs(tmp_path: Path) -> Path:
    def change(document: dict[str, Any]) -> None:
        document["data"]["notes"] = [EVIL]
        document["phases"] = {EVIL: {"seconds": 1.0}}
        document["command"] = f"gwbench run '{EVIL}"
        document["environment"]["hardware"] = {EVIL: EVIL}
        document["environment"]["packages"] = {EVIL: EVIL}

    runs = tmp_path / "runs"
    write_run(runs, folder="good", edit=change)
    write_run(runs, folder="failed", seed=1, failed=EVIL)
    (runs / f"bad{EVIL.replace('/', '')}").mkdir()
    (runs / f"bad{EVIL.replace('/', '')}" / "record.json").write_text(json.dumps({EVIL: EVIL}))
    return runs


def test_records(evil_runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path) -> None:
    def call(*words: str, code: tuple[int, ...] = (0, 1, 2)) -> str:
        return called(*words, code=code, monkeypatch=monkeypatch, capsys=capsys)

    good, failed = str(evil_runs / "good"), str(evil_runs / "failed")
    for words in (
        ["leaderboard", str(evil_runs)],
        ["leaderboard", str(evil_runs), "--format", "md"],
        ["compare", good, failed],
        ["compare", good, failed, "--json"],
        ["compare", good, str(next(evil_runs.glob("bad*")))],
        ["report", good, "--output", str(tmp_path / f"{EVIL.replace('/', '')}.html")],
        ["report", str(evil_runs / EVIL)],
        ["leaderboard", EVIL],
        [EVIL],
        ["run", "--encoder", EVIL],
        ["suite", "status", EVIL],
        ["data", "info", EVIL],
    ):
        assert harmless(call(*words)), words


def test_a_record_in_the_terminal(evil_runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gwbench.cli.summary import show_record
    from gwbench.experiment.record import read_record

    stream = io.StringIO()
    monkeypatch.setattr(streams, "_kept", [stream])
    show_record(read_record(evil_runs / "good"))
    assert harmless(stream.getvalue())
    assert "next: " in stream.getvalue()


def test_suites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    suite = write_suite(tmp_path, about=EVIL)
    said = called("suite", "status", str(suite), "--out", str(tmp_path), monkeypatch=monkeypatch, capsys=capsys)
    assert harmless(said)
    assert "[bold]" in said


def test_data_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    name = EVIL.replace("/", "")
    with h5py.File(tmp_path / f"{name}.h5", "w") as file:
        file.attrs["gwbench_layout"] = 2
        file.attrs["complete"] = True
        file.attrs["detectors"] = [EVIL]
    for words in (["list"], ["list", "--json"], ["info", name], ["verify", "--all"], ["clear", "--all", "--yes"]):
        cache = ["--cache-dir", str(tmp_path)]
        said = called("data", *words, *cache, code=(0, 1, 2), monkeypatch=monkeypatch, capsys=capsys)
        assert harmless(said), words
