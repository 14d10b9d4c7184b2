"""Windows that are files of their own: one .npy file each."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gwbench.data.store.npy_folder import NpyFolder, Scan
from gwbench.data.store.npy_window import BadFileError, read_window
from gwbench.errors import UserError
from gwbench.search.windows.source import WindowBatch, WindowSource
from gwbench.utils.files import file_digest

SAMPLED = 64
"""About so many files of a folder, evenly spaced in order of id, count with their content in its identity."""


class ChallengeFolder(WindowSource):
    """A folder of `a/b/c/abc*.npy` or `abc*.npy`, as the G2Net challenge has its strain.

    Args:
        root: the folder that holds a/b/c.
        files: what a scan of it found.
        shape: (D, K) of a window.
        notes: what was left out.
    """

    def __init__(self, root: Path, files: Scan, shape: tuple[int, int], notes: Sequence[str]) -> None:
        self.title, self.shape, self.notes = str(root), shape, tuple(notes)
        self._files = files
        self._folder = NpyFolder(root, files.ids, shape, files.places)

    def __len__(self) -> int:
        return len(self._files.ids)

    def ids(self, start: int, stop: int) -> list[str]:
        """The files' names without suffix."""
        return [name.decode() for name in self._files.ids[start:stop].tolist()]

    def read(self, start: int, stop: int) -> WindowBatch:
        """The windows; a file that is not as it should be is damaged."""
        return _read(self.ids(start, stop), [self._folder.path(place) for place in range(start, stop)], self.shape)

    def identity(self) -> str:
        """Digest of the ids, the odd sizes and the content of a sample of the files."""
        ids = self._files.ids
        digest = hashlib.sha256(f"{self.shape} {ids.dtype} {sorted(self._files.odd.items())} ".encode())
        digest.update(ids.tobytes() + self._files.narrow.tobytes())
        for place in range(0, len(ids), max(1, len(ids) // SAMPLED)):
            digest.update(_digest(self._folder.path(place)))
        return digest.hexdigest()


class NamedFile(NamedTuple):
    """A file, and the name of the window in it."""

    name: str
    path: Path


class SingleWindows(WindowSource):
    """Any .npy files of one window each.

    Args:
        title: where they are.
        files: in order.
        shape: (D, K) of a window.
        notes: what was left out.
    """

    def __init__(
        self, title: str, files: Sequence[NamedFile], shape: tuple[int, int], notes: Sequence[str] = ()
    ) -> None:
        self.title, self.shape, self.notes = title, shape, tuple(notes)
        self._files = files

    def __len__(self) -> int:
        return len(self._files)

    def ids(self, start: int, stop: int) -> list[str]:
        """The files' names without suffix, with the folders that lie between them and the one that was named."""
        return [file.name for file in self._files[start:stop]]

    def read(self, start: int, stop: int) -> WindowBatch:
        """The windows; a file that is not as it should be is damaged."""
        return _read(self.ids(start, stop), [file.path for file in self._files[start:stop]], self.shape)

    def identity(self) -> str:
        """Digest of names, sizes and times."""
        digest = hashlib.sha256(str(self.shape).encode())
        for file in self._files:
            digest.update(f"{file.name} {file_state(file.path)}\n".encode())
        return digest.hexdigest()


def file_state(path: Path) -> str:
    """Size and time of a file's last change; "unreadable" where there is none."""
    try:
        status = path.stat()
    except OSError:
        return "unreadable"
    return f"{status.st_size} {status.st_mtime_ns}"


def _read(ids: list[str], paths: Sequence[Path], shape: tuple[int, int]) -> WindowBatch:
    strain = np.empty((len(ids), *shape), dtype=np.float32)
    damaged: dict[int, str] = {}
    kept = 0
    for place, path in enumerate(paths):
        try:
            strain[kept] = read_window(path, shape)
        except BadFileError as error:
            damaged[place] = f"{path} {error}"
        else:
            kept += 1
    return WindowBatch(ids, strain[:kept], damaged)


def _digest(path: Path) -> bytes:
    try:
        return file_digest(path).encode()
    except UserError:
        return b"unreadable"
