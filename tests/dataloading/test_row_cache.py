from __future__ import annotations

import errno
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gwbench.dataloading import row_cache
from gwbench.dataloading.row_cache import RowFile, file_size, in_use
from tests.forked import run_forked

ROWS, WIDTH = 100, 7
Array = NDArray[Any]

ALL = np.random.default_rng(0).standard_normal((ROWS, WIDTH)).astype(np.float32)


def opened(path: Path, rows: int = ROWS) -> RowFile:
    return RowFile(path, rows, 4 * WIDTH)


def read(file: RowFile, positions: Array) -> tuple[Array, Array]:
    out = np.full((len(positions), WIDTH), np.nan, np.float32)
    return file.read(positions, out), out


def test_rows_come_back_as_they_were_written_and_the_others_are_missing(tmp_path: Path) -> None:
    file = opened(tmp_path / "rows")
    assert file.fills
    written = np.array([5, 99, 0, 42])
    file.write(written, ALL[written])
    wanted = np.array([42, 7, 0, 42])
    there, out = read(file, wanted)
    assert there.tolist() == [True, False, True, True]
    np.testing.assert_array_equal(out[there], ALL[wanted[there]])
    assert np.isnan(out[1]).all()
    assert not file.complete


def test_the_file_is_as_its_description_says(tmp_path: Path) -> None:
    file = opened(tmp_path / "rows")
    file.write(np.arange(ROWS), ALL)
    content = (tmp_path / "rows").read_bytes()
    assert len(content) == file_size(ROWS, 4 * WIDTH) == 8192 + ALL.nbytes
    assert content[:4096].rstrip(b"\0") == b"gwbench rows 1: 100 of 28 bytes, complete\n"
    bits = np.unpackbits(np.frombuffer(content[4096:8192], np.uint8), bitorder="little")
    assert bits[:ROWS].all()
    assert not bits[ROWS:].any()
    np.testing.assert_array_equal(np.frombuffer(content[8192:], "<f4").reshape(ROWS, WIDTH), ALL)


def test_only_the_first_fills_and_the_second_reads_along(tmp_path: Path) -> None:
    first, second = opened(tmp_path / "rows"), opened(tmp_path / "rows")
    assert (first.fills, second.fills) == (True, False)
    second.write(np.array([3]), -ALL[[3]])  # says nothing, does nothing
    first.write(np.array([4]), ALL[[4]])
    there, out = read(second, np.array([3, 4]))
    assert there.tolist() == [False, True]
    np.testing.assert_array_equal(out[1], ALL[4])
    first.close()
    third = opened(tmp_path / "rows")
    assert third.fills
    assert read(third, np.array([3, 4]))[0].tolist() == [False, True]


def test_many_may_read_a_complete_file(tmp_path: Path) -> None:
    first = opened(tmp_path / "rows")
    first.write(np.arange(ROWS), ALL)
    second, third = opened(tmp_path / "rows"), opened(tmp_path / "rows")
    assert first.complete and second.complete and third.complete
    assert not (first.fills or second.fills or third.fills)
    np.testing.assert_array_equal(read(third, np.arange(ROWS))[1], ALL)


def test_a_file_is_in_use_while_it_is_filled_or_read_complete(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    assert not in_use(path)
    file = opened(path)
    assert in_use(path)
    file.write(np.arange(ROWS), ALL)
    assert in_use(path)
    file.close()
    assert not in_use(path)


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from gwbench.dataloading.row_cache import RowFile

rows = np.random.default_rng(0).standard_normal((100, 7)).astype(np.float32)
file = RowFile(Path(sys.argv[1]), 100, 28)
file.write(np.arange(10, 30), rows[10:30])
put, calls = os.pwrite, []

def half(descriptor, data, offset):
    calls.append(offset)
    if len(calls) == 5:
        put(descriptor, bytes(data)[:12], offset)
        os.kill(os.getpid(), signal.SIGKILL)
    return put(descriptor, data, offset)

os.pwrite = half
file.write(np.arange(30, 60), rows[30:60])
"""


def test_what_a_killed_process_left_is_right(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    ended = run_forked([path], code=KILLED)
    assert ended.returncode == -signal.SIGKILL
    file = opened(path)
    assert file.fills
    there, out = read(file, np.arange(ROWS))
    assert there.nonzero()[0].tolist() == list(range(10, 30))
    np.testing.assert_array_equal(out[there], ALL[there])
    file.write(np.arange(ROWS), ALL)
    np.testing.assert_array_equal(read(file, np.arange(ROWS))[1], ALL)


def test_rows_of_another_boot_are_not_trusted_but_complete_files_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boot = tmp_path / "boot"
    monkeypatch.setattr(row_cache, "BOOT", boot)
    boot.write_text("first\n")
    part, whole = opened(tmp_path / "part"), opened(tmp_path / "whole")
    part.write(np.arange(ROWS - 1), ALL[:-1])
    whole.write(np.arange(ROWS), ALL)
    part.close()
    whole.close()
    assert read(opened(tmp_path / "part"), np.arange(ROWS))[0].sum() == ROWS - 1
    boot.write_text("second\n")
    part, whole = opened(tmp_path / "part"), opened(tmp_path / "whole")
    assert not read(part, np.arange(ROWS))[0].any()
    assert whole.complete


@pytest.mark.parametrize("spoil", ["other rows", "shorter", "garbage", "empty"])
def test_a_file_that_is_not_what_it_should_be_is_laid_out_anew(tmp_path: Path, spoil: str) -> None:
    path = tmp_path / "rows"
    file = opened(path, ROWS + 1 if spoil == "other rows" else ROWS)
    file.write(np.arange(ROWS), ALL)
    file.close()
    if spoil == "shorter":
        os.truncate(path, path.stat().st_size - 8)
    elif spoil == "garbage":
        path.write_bytes(b"\xff" * 12000)
    elif spoil == "empty":
        path.write_bytes(b"")
    file = opened(path)
    assert file.fills
    assert not read(file, np.arange(ROWS))[0].any()
    file.write(np.array([1]), ALL[[1]])
    np.testing.assert_array_equal(read(file, np.array([1]))[1], ALL[[1]])


def test_rows_cut_off_under_a_reader_are_missing(tmp_path: Path) -> None:
    file = opened(tmp_path / "rows")
    file.write(np.arange(ROWS), ALL)
    os.truncate(tmp_path / "rows", file.bytes - 2 * 28)
    there, out = read(file, np.arange(ROWS))
    assert there.nonzero()[0].tolist() == list(range(ROWS - 2))
    np.testing.assert_array_equal(out[there], ALL[there])


def test_a_removed_file_reads_on_and_leaves_its_successor_alone(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    old = opened(path)
    old.write(np.array([1]), ALL[[1]])
    path.unlink()
    new = opened(path)
    assert new.fills
    old.write(np.array([2]), ALL[[2]])
    assert read(old, np.array([1, 2]))[0].all()
    assert not read(new, np.array([1, 2]))[0].any()


@pytest.mark.parametrize("way", ["refused", "short"])
def test_a_full_disk_is_an_error_and_leaves_no_wrong_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    file = opened(tmp_path / "rows")
    file.write(np.arange(5), ALL[:5])

    def full(descriptor: int, data: Any, offset: int) -> int:
        if way == "refused":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return 3

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(OSError, match="No space left"):
            file.write(np.arange(5, 9), ALL[5:9])
    there, out = read(file, np.arange(ROWS))
    assert there.nonzero()[0].tolist() == list(range(5))
    np.testing.assert_array_equal(out[there], ALL[:5])
    file.remove()
    assert not (tmp_path / "rows").exists()
    assert not read(file, np.arange(ROWS))[0].any()


def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        opened(tmp_path / "file" / "rows")


def test_what_is_no_plain_file_is_neither_filled_nor_waited_for(tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"mine")
    (tmp_path / "link").symlink_to(tmp_path / "precious")
    (tmp_path / "dangling").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "dangling", "folder", "pipe"):
        with pytest.raises(OSError, match=r"."):
            opened(tmp_path / name)
        assert not in_use(tmp_path / name)
    assert (tmp_path / "precious").read_bytes() == b"mine"
    assert not (tmp_path / "elsewhere").exists()
