"""What killed processes left is removed by whoever next writes there; what a living one holds is not."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gwbench.utils.files import atomic
from gwbench.utils.leftovers import AGE, scratch_folder, sweep_files

HOLDING = """
import sys, time
from pathlib import Path
from gwbench.utils.files import atomic
from gwbench.utils.leftovers import scratch_folder
with atomic(Path(sys.argv[1]) / "record.json") as path, scratch_folder() as folder:
    path.write_text("half")
    print(path.name, folder.name, flush=True)
    time.sleep(60)
"""


def age(path: Path, seconds: float) -> None:
    os.utime(path, (time.time() - seconds,) * 2)


def write(folder: Path) -> None:
    with atomic(folder / "other.json") as path:
        path.write_text("whole")


def test_a_killed_writers_file_goes_with_the_next_write_and_a_living_ones_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    words = [sys.executable, "-c", HOLDING, str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        name, scratch = process.stdout.readline().split()
        for left in (tmp_path / name, tmp_path / "tmp" / scratch):
            age(left, 30 * 86400)
        write(tmp_path)
        sweep_files(tmp_path, ["record.json"], held=True)
        with scratch_folder():
            pass
        assert (tmp_path / name).read_text() == "half"  # its process lives
        assert (tmp_path / "tmp" / scratch).is_dir()
        process.send_signal(signal.SIGKILL)
    write(tmp_path)
    assert not (tmp_path / name).exists()
    with scratch_folder():
        assert len(list((tmp_path / "tmp").iterdir())) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.json", "tmp"]
    assert not list((tmp_path / "tmp").iterdir())


def test_only_old_files_of_our_own_naming_go(tmp_path: Path) -> None:
    for name in (".bashrc.ab12cd34", ".x.json.gwbench", "a.json.ab12cd34.gwbench", ".y.json.ab12cd34.gwbench.bak"):
        (tmp_path / name).write_text("mine")
        age(tmp_path / name, 30 * 86400)
    (tmp_path / ".young.json.ab12cd34.gwbench").write_text("of a process that has not locked it yet")
    (tmp_path / ".folder.json.ab12cd34.gwbench").mkdir()
    (tmp_path / ".link.json.ab12cd34.gwbench").symlink_to(tmp_path / ".bashrc.ab12cd34")
    before = {path.name for path in tmp_path.iterdir()}
    (tmp_path / ".old.json.ab12cd34.gwbench").write_text("left")
    age(tmp_path / ".old.json.ab12cd34.gwbench", AGE + 5)
    write(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == before | {"other.json"}


def test_where_there_are_no_locks_only_very_old_files_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(descriptor: int, kind: int) -> None:
        raise OSError(38, os.strerror(38))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    for name, seconds in ((".hour.json.ab12cd34.gwbench", 3600), (".week.json.ab12cd34.gwbench", 7 * 86400)):
        (tmp_path / name).write_text("left")
        age(tmp_path / name, seconds)
    write(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".hour.json.ab12cd34.gwbench", "other.json"]


def test_former_names_go_where_they_are_known(tmp_path: Path) -> None:
    for name in (".fetched.json.ab12cd34", ".events.json.x_yz1234", ".other.json.ab12cd34"):
        (tmp_path / name).write_text("left")
    sweep_files(tmp_path, ["fetched.json", "events.json"], held=True)
    assert [path.name for path in tmp_path.iterdir()] == [".other.json.ab12cd34"]
    sweep_files(tmp_path / "absent")
