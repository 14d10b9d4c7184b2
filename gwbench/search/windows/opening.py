"""Which windows lie behind a path: a file, the folder of a challenge, a folder of files, or a dataset of the store."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from gwbench.data.folder_walk import FolderWalk, LeftOut
from gwbench.data.hdf5_files import SUFFIXES as HDF5
from gwbench.data.hdf5_files import is_hdf5
from gwbench.data.store.layout import SPLITS
from gwbench.data.store.npy_folder import scan
from gwbench.data.store.recognise import is_store
from gwbench.errors import UserError
from gwbench.search.windows.array_sources import NpyRows, NpzRows
from gwbench.search.windows.damaged_source import DamagedFile
from gwbench.search.windows.file_sources import ChallengeFolder, NamedFile, SingleWindows
from gwbench.search.windows.hdf5_source import Hdf5Rows
from gwbench.search.windows.source import WindowSource
from gwbench.search.windows.store_source import store_windows
from gwbench.utils.paths import user_path
from gwbench.utils.progress import Progress
from gwbench.utils.untrusted_arrays import HEADER, parse_header
from gwbench.utils.untrusted_files import UnusableError, file_size, open_plain

NPY, NPZ = ".npy", ".npz"

CHALLENGE_ID = re.compile(r"[0-9a-f]{10}")
"""An id of the G2Net challenge: its files are of the detectors and the rate below."""

CHALLENGE_SHAPE, CHALLENGE_DETECTORS, CHALLENGE_RATE = (3, 4096), ("H1", "L1", "V1"), 2048.0

PARTS = ("test", "train")
"""Folders of the challenge, of which the first that is there is meant: a submission is about the test folder."""

PROBED = 64
"""Files of a folder whose headers are read, to learn the shape of its windows."""


def open_windows(
    places: Iterable[str | Path], progress: Progress, splits: Sequence[str] = SPLITS
) -> list[WindowSource]:
    """The windows behind some paths, in the order in which the paths are given.

    Args:
        places: files of windows (.npy, .npz, HDF5), folders of them, folders of the G2Net challenge, or datasets of the
            store.
        progress: where to report.
        splits: of a dataset.

    Raises:
        UserError: a path is not there or leads to no windows.
    """
    found: list[WindowSource] = []
    for place in places:
        path = user_path(place)
        if path.is_dir():
            found += _folder(path, progress)
            continue
        file_size(path, "window file")
        try:
            found += _file(path, path.stem, splits)
        except UserError as error:
            found.append(DamagedFile(path, path.stem, str(error)))
    bad = [each for each in found if isinstance(each, DamagedFile)]
    if len(bad) == len(found):
        raise UserError(bad[0].reason if bad else "Name files or folders of windows.")
    for each in bad:
        each.shape = next(other.shape for other in found if not isinstance(other, DamagedFile))
    return found


def _file(path: Path, name: str, splits: Sequence[str] = SPLITS) -> list[WindowSource]:
    """The windows of one file; `name` begins their ids."""
    suffix = path.suffix.lower()
    if suffix == NPY:
        shape = _shape_of(path)
        if shape is not None and len(shape) == 2:
            return [SingleWindows(str(path), [NamedFile(name, path)], (shape[0], shape[1]))]
        return [NpyRows(path, name)]
    if suffix == NPZ:
        return [NpzRows(path, name)]
    if suffix in HDF5 or is_hdf5(path):
        return store_windows(path, splits) if is_store(path) else [Hdf5Rows(path, name)]
    raise UserError(
        f"{path} is no file of windows: expected {NPY}, {NPZ} or HDF5 ({', '.join(HDF5)}), or a folder of the "
        "G2Net challenge."
    )


def _folder(root: Path, progress: Progress) -> list[WindowSource]:
    """The windows of a folder.

    Raises:
        UserError: it holds none.
    """
    notes: list[str] = []
    inner = next((root / part for part in PARTS if (root / part).is_dir()), None)
    if inner is not None:
        if all((root / part).is_dir() for part in PARTS):
            notes.append(f"{root} holds {' and '.join(PARTS)}: {inner} is used. Name a folder itself for the other.")
        # Some programs unpack test.zip into a folder of its name.
        root = inner / inner.name if (inner / inner.name).is_dir() else inner
    found = _challenge(root, progress, notes) if _looks_like_a_challenge(root) else _any_files(root, notes)
    if not found:
        raise UserError(
            f"There are no windows in {root}.{''.join(f' {note}' for note in notes)} Expected {NPY}, {NPZ} or HDF5 "
            f"files, or a folder of the G2Net challenge with a/b/c/abc*{NPY}."
        )
    return found


def _looks_like_a_challenge(root: Path) -> bool:
    """Whether files lie there as a/b/c/abc*.npy, or their names are ids."""
    try:
        with os.scandir(root) as entries:
            for entry in islice(entries, PROBED):
                if len(entry.name) == 1 and entry.name.isalnum() and entry.is_dir():
                    return True
                stem, suffix = os.path.splitext(entry.name)  # noqa: PTH122
                if suffix.lower() == NPY and CHALLENGE_ID.fullmatch(stem):
                    return True
    except OSError as error:
        raise UserError(f"The folder {root} cannot be read: {error.strerror}. Mend its permissions.") from None
    return False


def _challenge(root: Path, progress: Progress, notes: list[str]) -> list[WindowSource]:
    left_out = LeftOut()
    files = scan(root, CHALLENGE_SHAPE, progress, left_out)
    notes += left_out.sentences()
    if not len(files.ids):
        return []
    step = max(1, len(files.ids) // PROBED)
    shape = _usual_shape(files.places.path(root, name.decode()) for name in files.ids[::step].tolist())
    source = ChallengeFolder(root, files, shape or CHALLENGE_SHAPE, notes)
    if source.shape == CHALLENGE_SHAPE and CHALLENGE_ID.fullmatch(source.ids(0, 1)[0]):
        source.detectors, source.sample_rate, source.margin = CHALLENGE_DETECTORS, CHALLENGE_RATE, 0
    return [source]


def _any_files(root: Path, notes: list[str]) -> list[WindowSource]:
    """The windows of all files in and below a folder; those of one window each are read together."""
    left_out = LeftOut()
    single: list[NamedFile] = []
    shapes: Counter[tuple[int, int]] = Counter()
    others: list[WindowSource] = []
    for file in _files(root, left_out):
        shape = _shape_of(file.path) if file.path.suffix.lower() == NPY else ()
        if shape is None or len(shape) == 2:
            single.append(file)
            shapes.update([(shape[0], shape[1])] if shape else [])
            continue
        try:
            others += _file(file.path, file.name)
        except UserError as error:
            others.append(DamagedFile(file.path, file.name, str(error)))
    notes += left_out.sentences()
    if single and not shapes:
        others += [
            DamagedFile(file.path, file.name, f"{file.path} is no .npy file, or it is damaged.") for file in single
        ]
    elif single:
        others.insert(0, SingleWindows(str(root), single, shapes.most_common(1)[0][0]))
    if others:
        others[0].notes = (*others[0].notes, *notes)
    return others


def _files(root: Path, left_out: LeftOut) -> Iterator[NamedFile]:
    start = len(os.fspath(root)) + 1
    for folder in FolderWalk((NPY, NPZ, *HDF5), left_out).folders(root):
        for entry in sorted(folder.entries, key=lambda entry: entry.name):
            if entry.is_file() or entry.is_symlink():
                yield NamedFile(os.path.splitext(entry.path[start:])[0], Path(entry.path))  # noqa: PTH122


def _usual_shape(paths: Iterable[Path]) -> tuple[int, int] | None:
    """The commonest shape [D, K] that files have by their headers."""
    shapes = Counter((shape[0], shape[1]) for shape in map(_shape_of, paths) if shape and len(shape) == 2)
    return shapes.most_common(1)[0][0] if shapes else None


def _shape_of(path: Path) -> tuple[int, ...] | None:
    """The shape that the header of a .npy file says; None where it cannot be read."""
    try:
        with open_plain(path.resolve()) as stream:
            return parse_header(stream.read(HEADER), path.name).shape
    except (UnusableError, ValueError, OSError, RuntimeError):
        return None


__all__ = ["open_windows"]
