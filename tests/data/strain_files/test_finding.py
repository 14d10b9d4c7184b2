"""Which files lie behind files, folders and globs, and what is said of the rest."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gwbench.data.folder_walk import LeftOut
from gwbench.data.strain_files.finding import find_strain_files
from gwbench.errors import UserError


def put(*paths: Path, content: bytes = b"\x89HDF\r\n\x1a\n") -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def names(*places: Path | str, left_out: LeftOut | None = None) -> list[str]:
    return [path.name for path in find_strain_files(map(str, places), left_out)]


def test_blanks_and_brackets_are_taken_as_written(tmp_path: Path) -> None:
    old = tmp_path / "data [old] *"
    put(old / "H1 (1).hdf", old / "L1?.GWF", tmp_path / "data o" / "V1.hdf")
    assert names(old) == ["H1 (1).hdf", "L1?.GWF"]
    assert names(old / "L1?.GWF") == ["L1?.GWF"]
    assert names(old / "*.hdf") == ["H1 (1).hdf"]
    assert names(old / "[HL]1*") == ["H1 (1).hdf", "L1?.GWF"]
    assert names(tmp_path / "data *" / "*.hdf") == ["H1 (1).hdf", "V1.hdf"]


def test_a_glob_brings_folders_and_no_other_files(tmp_path: Path) -> None:
    put(tmp_path / "H1.hdf5", tmp_path / "O3a" / "L1.hdf5", tmp_path / "strain.dat", tmp_path / "x.hdf5.part")
    put(tmp_path / "events.json", tmp_path / "README.txt", content=b"text")
    left_out = LeftOut()
    assert names(tmp_path / "*", left_out=left_out) == ["H1.hdf5", "L1.hdf5", "strain.dat"]
    assert left_out.sentences() == [f"Left out (unfinished download): {tmp_path}/x.hdf5.part."]
    assert names(tmp_path / "**" / "*1.hdf5") == names(tmp_path) == ["H1.hdf5", "L1.hdf5"]


def test_text_and_arrays_are_read_where_they_are_named(tmp_path: Path) -> None:
    """In a folder, they may be notes, PSDs or anything."""
    put(tmp_path / "H1.hdf5", tmp_path / "L1.npy", tmp_path / "V1.txt.gz", tmp_path / "K1.hdf5.gz", content=b"1 2")
    left_out = LeftOut()
    assert names(tmp_path, left_out=left_out) == ["H1.hdf5"]
    assert set(left_out.sentences()) == {
        f"Left out (.npy is read only where the file itself is named): {tmp_path}/L1.npy.",
        f"Left out (.gz is read only where the file itself is named): {tmp_path}/V1.txt.gz.",
        f"Left out (.gz is not read): {tmp_path}/K1.hdf5.gz.",
    }
    assert names(tmp_path / "L1.npy", tmp_path / "*.txt.gz") == ["L1.npy", "V1.txt.gz"]


def test_a_detector_out_of_reach_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "H1.hdf5", tmp_path / "V1.hdf5")
    put(tmp_path / "K1.hdf5", content=b"")
    (tmp_path / "L1.hdf5").symlink_to("/mnt/not-mounted/L1.hdf5")
    os.mkfifo(tmp_path / "G1.hdf5")
    (tmp_path / "X.hdf5").mkdir()
    monkeypatch.setattr("gwbench.data.strain_files.finding.os.access", lambda path, _: not path.endswith("V1.hdf5"))
    left_out = LeftOut()
    assert names(tmp_path, left_out=left_out) == ["H1.hdf5"]
    assert set(left_out.sentences()) == {
        f"Left out (no plain file): {tmp_path}/G1.hdf5.",
        f"Left out (empty file): {tmp_path}/K1.hdf5.",
        f"Left out (broken link): {tmp_path}/L1.hdf5.",
        f"Left out (file without permission): {tmp_path}/V1.hdf5.",
    }


def test_every_real_file_counts_once(tmp_path: Path) -> None:
    put(tmp_path / "store" / "H1.hdf5")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "O3a").symlink_to("../store")
    (tmp_path / "data" / "latest.hdf5").symlink_to("../store/H1.hdf5")
    left_out = LeftOut()
    assert find_strain_files([str(tmp_path / "data"), str(tmp_path / "store")], left_out) == [
        tmp_path / "store" / "H1.hdf5"
    ]
    (line,) = left_out.sentences()
    assert line.startswith("Left out (another name of a file that is read): ")
    assert find_strain_files([str(tmp_path / "data")])[0].resolve() == tmp_path / "store" / "H1.hdf5"


def test_a_path_that_leads_nowhere_is_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "H1.hdf5.gz")
    (tmp_path / "gone.hdf5").symlink_to("/mnt/not-mounted/gone.hdf5")
    (tmp_path / "self").symlink_to("self")
    os.mkfifo(tmp_path / "pipe.hdf5")

    def refused(path: Path | str, message: str) -> None:
        with pytest.raises(UserError) as raised:
            find_strain_files([str(path)], option="dataset.glitch_path")
        assert f"dataset.glitch_path={path} names no strain file: {message}" in str(raised.value)

    expected = "expected a file (.hdf5, .hdf, .h5, .gwf), a folder of such files, or a glob in quotes."
    refused(tmp_path / "missing.hdf5", expected)
    refused(tmp_path / "*.hdf4", expected)
    refused(tmp_path, f"{expected} Left out (")
    refused(tmp_path / "gone.hdf5", "it is a link to /mnt/not-mounted/gone.hdf5, which is not there.")
    refused(tmp_path / "self", "it is a link that leads back to itself.")
    refused(tmp_path / "pipe.hdf5", "it is a pipe, a socket or a device.")
    refused("x" * 5000, expected)
    with pytest.raises(UserError, match="no user 'no-such-user'"):
        find_strain_files(["~no-such-user/x.hdf5"])
    monkeypatch.setattr("gwbench.data.strain_files.finding.os.stat", _refuse)
    refused(tmp_path / "closed.hdf5", "permission denied.")


def _refuse(path: str) -> os.stat_result:
    raise PermissionError(13, "Permission denied", path)
