"""Files that may be anything are read in a process whose death is one message."""

from __future__ import annotations

import os
import time
from pathlib import Path

import psutil
import pytest

from gwbench.errors import UserError
from gwbench.utils import reader_process
from gwbench.utils.reader_process import read_in_process
from tests.utils import reading


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "strain.hdf5"
    path.write_bytes(b"strain")
    return path


def read(path: Path, function: str, *arguments: object) -> object:
    return read_in_process(getattr(reading, function), path, *arguments, what="strain file", kind="HDF5 file")


def test_the_result_comes_from_one_other_process(file: Path) -> None:
    assert read(file, "content", 2) == b"strainstrain"
    first, second = read(file, "process"), read(file, "process")
    assert first == second
    assert isinstance(first, tuple) and first[0] != os.getpid()


def test_relative_paths_are_those_of_the_caller(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read(file, "process")
    monkeypatch.chdir(file.parent)
    assert read(Path(file.name), "content", 1) == b"strain"


@pytest.mark.parametrize(
    ("function", "cause"),
    [
        ("crash", "crashed the library that reads it (ended with SIGSEGV)"),
        ("spin", "does not come to an end"),
        ("swell", "more memory than a file of its size may"),
    ],
)
def test_a_crash_or_an_exhausted_budget_is_one_message(
    file: Path, function: str, cause: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_process, "CPU_SECONDS", 0.5)
    with pytest.raises(UserError, match=r"strain\.hdf5 cannot be read") as raised:
        read(file, function)
    assert cause in str(raised.value)
    assert read(file, "content", 1) == b"strain", "the next file is read as if nothing had been"


def test_a_message_of_the_reader_comes_as_it_is(file: Path) -> None:
    with pytest.raises(UserError, match=r"^strain.hdf5 is of no use\.$"):
        read(file, "mistake")


def test_what_a_parser_says_is_short_and_printable(file: Path) -> None:
    with pytest.raises(UserError) as raised:
        read(file, "unprintable")
    assert str(raised.value).isprintable()
    assert "no HDF5 file, or it is damaged (ValueError: \\x1b[31mred\\x07 xxx" in str(raised.value)
    assert len(str(raised.value)) < 600


def test_a_forked_process_reads_by_a_process_of_its_own(file: Path) -> None:
    mine = read(file, "process")
    end, start = os.pipe()
    if not (child := os.fork()):
        os.write(start, str(read(file, "process") != mine).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(end, 10) == b"True"


def test_the_process_ends_when_it_has_nothing_to_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_process, "IDLE", 0.1)
    first = read(file, "process")
    assert isinstance(first, tuple)
    for _ in range(100):
        if not psutil.pid_exists(first[0]):
            break
        time.sleep(0.1)
    assert not psutil.pid_exists(first[0])
    assert read(file, "content", 1) == b"strain"


@pytest.mark.parametrize(
    ("make", "cause"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.symlink_to("nowhere"), "a link to a file that is not there"),
        (lambda path: path.mkdir(), "a folder, not a file"),
        (lambda path: os.mkfifo(path), "a pipe, a socket or a device"),
    ],
)
def test_what_is_no_plain_file_is_named(tmp_path: Path, make: object, cause: str) -> None:
    assert callable(make)
    make(tmp_path / "odd")
    with pytest.raises(UserError, match=cause):
        read(tmp_path / "odd", "content", 1)
