"""Locks between processes, with and without those of the file system."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import filelock
import pytest

from gwbench.data.store.cache import BusyEntryError, CacheDir
from gwbench.experiment.run_directory import BusyRunError, exclusive
from gwbench.utils import locks
from gwbench.utils.locks import HeldError, acquire


@pytest.fixture(params=[None, errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, "filelock's own"])
def mount(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system with locks, and some without."""
    reason = request.param
    if reason is None:
        return

    def refuse(*_: object) -> None:
        raise OSError(reason, os.strerror(reason)) if isinstance(reason, int) else NotImplementedError(reason)

    monkeypatch.setattr(fcntl, "flock", refuse)


@pytest.mark.usefixtures("mount")
def test_one_holder_at_a_time(tmp_path: Path) -> None:
    release = acquire(tmp_path / "lock")
    with pytest.raises(HeldError):
        acquire(tmp_path / "lock")
    release()
    acquire(tmp_path / "lock")()
    assert {path.name for path in tmp_path.iterdir()} == {"lock"}


@pytest.mark.usefixtures("mount")
def test_a_second_one_waits_for_the_first(tmp_path: Path) -> None:
    release, asked = acquire(tmp_path / "lock"), threading.Event()
    taken: list[float] = []

    def second() -> None:
        acquire(tmp_path / "lock", asked.set)()
        taken.append(time.monotonic())

    thread = threading.Thread(target=second)
    thread.start()
    assert asked.wait(10)
    released = time.monotonic()
    release()
    thread.join(10)
    assert taken[0] > released


@pytest.mark.usefixtures("mount")
def test_runs_and_datasets_are_locked(tmp_path: Path) -> None:
    with exclusive(tmp_path / "run"), pytest.raises(BusyRunError, match="Another process"), exclusive(tmp_path / "run"):
        pass
    cache = CacheDir(tmp_path)
    with (
        cache.lock(tmp_path / "x.h5"),
        pytest.raises(BusyEntryError, match="being made by another process"),
        cache.lock(tmp_path / "x.h5"),
    ):
        pass


def test_it_is_the_lock_of_older_versions(tmp_path: Path) -> None:
    with filelock.FileLock(tmp_path / "lock"), pytest.raises(HeldError):
        acquire(tmp_path / "lock")
    release = acquire(tmp_path / "lock")
    with pytest.raises(filelock.Timeout):
        filelock.FileLock(tmp_path / "lock").acquire(timeout=0)
    release()


def _named(path: Path, **holder: object) -> None:
    path.write_text(json.dumps({"host": locks._host(), "pid": os.getpid(), "begun": 0.0, **holder}))


def test_without_locks_a_holder_that_was_killed_holds_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "_try", lambda path: locks._try_named(path))
    code = "import sys, time; from pathlib import Path; from gwbench.utils import locks\n"
    code += "locks._try_named(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
    path = tmp_path / "holder"
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "held\n"
        with pytest.raises(HeldError, match=rf"process {process.pid} on .*; if it has gone, remove {path}"):
            acquire(path)
        process.kill()
    acquire(path)()
    _named(path)  # a process of this number that began at another time: its number was given again
    acquire(path)()
    assert list(tmp_path.iterdir()) == []


def test_without_locks_a_holder_on_another_machine_is_believed(tmp_path: Path) -> None:
    path = tmp_path / "holder"
    _named(path, host="node7 pid:[1]", pid=12)
    with pytest.raises(HeldError, match="process 12 on node7;"):
        locks._try_named(path)


@pytest.mark.parametrize("written", ["", "{", "[]", '{"host": 1}', "\xff"])
def test_without_locks_a_file_that_names_nobody_is_believed_for_a_while(written: str, tmp_path: Path) -> None:
    path = tmp_path / "holder"
    path.write_text(written, encoding="latin-1")
    with pytest.raises(HeldError, match="a process that is starting"):
        locks._try_named(path)
    os.utime(path, (0, 0))
    locks._try_named(path)()
