"""The walk through folders: every real folder once, and a word on all that is left out."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from gwbench.data.folder_walk import FolderWalk, LeftOut, escaped


def walked(root: Path, suffixes: tuple[str, ...] = (".hdf5",)) -> tuple[list[str], list[str]]:
    """The files found, and what was left out, with paths below the root."""
    left_out = LeftOut()
    walk = FolderWalk(suffixes, left_out)
    files = [entry.path for folder in walk.folders(root) for entry in folder.entries]
    return [os.path.relpath(file, root) for file in files], [
        line.replace(f"{root}/", "") for line in left_out.sentences()
    ]


def touch(*paths: Path, content: bytes = b"x") -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def test_suffixes_are_found_in_any_case_to_the_bottom(tmp_path: Path) -> None:
    touch(tmp_path / "a.hdf5", tmp_path / "B.HDF5", tmp_path / "x" / "y y" / "[z]" / "c.Hdf5", tmp_path / "notes.md")
    files, left_out = walked(tmp_path)
    assert sorted(files) == ["B.HDF5", "a.hdf5", "x/y y/[z]/c.Hdf5"]
    assert left_out == []


def test_hidden_files_wastebaskets_and_backups_are_nobodys(tmp_path: Path) -> None:
    for place in (".hidden", ".Trash-1000/files", "$RECYCLE.BIN", "lost+found", "__MACOSX", "x/.ipynb_checkpoints"):
        touch(tmp_path / place / "a.hdf5")
    touch(tmp_path / "._a.hdf5", tmp_path / ".a.hdf5", tmp_path / "a.hdf5~", tmp_path / ".DS_Store")
    assert walked(tmp_path) == ([], [])


def test_linked_folders_are_walked_once(tmp_path: Path) -> None:
    data, store = tmp_path / "data", tmp_path / "store"
    touch(store / "O3a" / "h.hdf5", data / "own" / "v.hdf5")
    (data / "a-link").symlink_to("../store")
    (data / "b-link").symlink_to("../store/O3a")
    (data / "c-link").symlink_to("own")
    (data / "own" / "up").symlink_to("..")
    (data / "self").symlink_to("self")
    files, left_out = walked(data)
    assert files == ["own/v.hdf5", "a-link/O3a/h.hdf5"]
    assert left_out == ["Left out (link that leads back to itself): self, own/up."]


def test_what_is_left_out_is_named_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "L1").symlink_to("/mnt/not-mounted/L1")
    for name in ("a", "b", "c", "d", "e"):
        touch(tmp_path / f"{name}.hdf5.gz")
    touch(tmp_path / "l.npy", tmp_path / "x" / "h.hdf5.crdownload", tmp_path / ".v.hdf5.part")
    touch(tmp_path / "H-H1_LOSC-32.txt", tmp_path / "README.txt", tmp_path / "h1_strain.dat")
    touch(tmp_path / "long.csv", content=b"1.0\n" * 70_000)
    touch(tmp_path / "H1", content=b"\x89HDF\r\n\x1a\n")
    touch(tmp_path / "L1.frame", content=b"IGWD\0")
    files, left_out = walked(tmp_path)
    assert files == []
    found = dict(line[:-1].split(": ") for line in left_out)
    packed = found.pop("Left out (.gz is not read)")
    assert len(packed.split(", ")) == 3
    assert packed.endswith(" and 2 more")
    assert {reason: set(names.split(", ")) for reason, names in found.items()} == {
        "Left out (broken link)": {"L1"},
        "Left out (.npy is not read)": {"l.npy"},
        "Left out (unfinished download)": {".v.hdf5.part", "x/h.hdf5.crdownload"},
        "Left out (.txt is not read)": {"H-H1_LOSC-32.txt"},
        "Left out (.dat is not read)": {"h1_strain.dat"},
        "Left out (.csv is not read)": {"long.csv"},
        "Left out (strain, but a name without suffix is not read)": {"H1"},
        "Left out (strain, but the suffix .frame is not read)": {"L1.frame"},
    }


def test_a_folder_without_permission_is_left_out_or_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "a" / "h.hdf5", tmp_path / "b" / "l.hdf5", tmp_path / "c" / "v.hdf5")
    really = os.scandir

    def refusing(path: Any) -> Any:
        if str(path) == str(tmp_path / "b"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return really(path)

    monkeypatch.setattr("gwbench.data.folder_walk.os.scandir", refusing)
    assert walked(tmp_path) == (["a/h.hdf5", "c/v.hdf5"], ["Left out (folder without permission): b."])
    with pytest.raises(PermissionError):
        list(FolderWalk((".hdf5",), LeftOut(), strict=True).folders(tmp_path))


def test_names_are_shown_without_control_characters() -> None:
    assert escaped("a\x1b[31m\nb\udcff é") == r"a\x1b[31m\nb\udcff é"
    left_out = LeftOut()
    left_out.add("\x1b]0;x", "broken link")
    assert left_out.sentences() == [r"Left out (broken link): \x1b]0;x."]
