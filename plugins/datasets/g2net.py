"""The G2Net folder: simulated three-detector strain of a Kaggle challenge, whole or in part."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, NamedTuple

import numpy as np
from pydantic import AfterValidator, Field

from gwbench import seeds
from gwbench.contracts import Array, DataContext, Dataset, Layout, Split, StrainSplits
from gwbench.data.folder_walk import LeftOut
from gwbench.data.label_csv import read_labels
from gwbench.data.store.joined_folders import JoinedFolders
from gwbench.data.store.npy_folder import FolderWindows, NpyFolder, Scan, WindowFiles, require_even, scan
from gwbench.data.store.npy_window import file_bytes
from gwbench.errors import UserError
from gwbench.registry import register
from gwbench.utils.files import file_digest
from gwbench.utils.paths import user_path
from gwbench.utils.progress import Progress

DETECTORS = ("H1", "L1", "V1")
SAMPLE_RATE = 2048.0
WINDOW = (len(DETECTORS), 4096)

LABELS = "training_labels.csv"
STRAIN, UNLABELLED = "train", "test"

SAMPLED = 64
"""About so many files, evenly spaced in order of id, count with their content in the fingerprint."""


class _Folder(NamedTuple):
    """What a folder holds: files in order of id, labels [N] with -1 for a file without one.

    `test` and `test_files` are those of test/, where they are asked for; `twice` counts its files whose id train/ has,
    too, which are left out.
    """

    strain: Path
    files: Scan
    labels: Array
    without_file: int
    labels_digest: str
    left_out: LeftOut
    test: Path | None = None
    test_files: Scan | None = None
    twice: int = 0


class _Parts(NamedTuple):
    """The files of every split and their labels."""

    strain: dict[str, WindowFiles]
    labels: dict[str, Array]
    digest: str


def _tidy(path: str) -> str:
    """One spelling of a path, so that `~/x/` finds what was imported from `/home/me/x`."""
    return os.path.normpath(user_path(path)) if path else path


@register(
    "dataset",
    "g2net",
    citation="G2Net Gravitational Wave Detection, Kaggle (2021)",
    version=1,
    tags=("simulated", "files"),
)
class G2Net(Dataset):
    """The G2Net challenge folder: H1, L1 and V1, 2 s at 2048 Hz, whole or in part.

    The folder holds `training_labels.csv` (columns id, target) and `train/a/b/c/abc*.npy` or `train/abc*.npy`, of
    float64 or float32; or both lie in its only sub-folder of that kind. A split is a hash of id and seed, so that a
    file keeps its split when more files arrive. Files without a label join the training split and serve pre-training
    only; ids without a file are counted in the notes, and what is left out of the folder is named there.

    With `test_folder`, the files of the challenge's `test/` beside `train/`, which have no labels, join the training
    split: pre-training then has 786,000 windows instead of 560,000, and everything else stays as it is.

    `gwbench data import g2net DIR` copies the strain into the store, as float32 and without the files that are
    damaged, which it counts and names; runs with the same settings use the store from then on. Without an import
    the files are read where they lie, and a damaged one stops the run; the content hash then covers ids, labels,
    splits and file sizes, not the 80 GB of strain.

    Args:
        path: the folder. Symbolic links in it are followed.
        val_fraction: share of the labelled files in the validation split.
        test_fraction: share of the labelled files in the test split.
        limit: use this many files only, drawn by the data seed; of either folder with `test_folder`.
        test_folder: whether the files of test/ join the training split, without labels.
    """

    places: ClassVar = ("path",)

    def __init__(
        self,
        *,
        path: Annotated[str, AfterValidator(_tidy)] = "",
        val_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1,
        test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1,
        limit: Annotated[int, Field(gt=0)] | None = None,
        test_folder: bool = False,
    ) -> None:
        if val_fraction + test_fraction >= 1:
            raise UserError(
                f"dataset.val_fraction={val_fraction:g} and dataset.test_fraction={test_fraction:g} leave "
                "nothing to train on; their sum must be below 1."
            )
        self.path, self.limit = path, limit
        self.val_fraction, self.test_fraction = val_fraction, test_fraction
        self.test_folder = test_folder
        self._scanned: _Folder | None = None

    def fingerprint(self) -> Mapping[str, str]:
        """Digests of the labels file, of the names and sizes of the strain files, and of a sample of them."""
        folder = self._scan(Progress())
        digests = {LABELS: folder.labels_digest, STRAIN: _sampled_digest(folder.strain, folder.files)}
        if folder.test and folder.test_files:
            digests[UNLABELLED] = _sampled_digest(folder.test, folder.test_files)
        return digests

    def load(self, context: DataContext) -> StrainSplits:
        """Split the files, and open them in the store or where they lie.

        Raises:
            UserError: the folder, its labels or a file is not as described, or a split is empty.
        """
        folder = self._scan(context.progress)
        parts = self._assign(folder, context.seed)
        if folder.without_file:
            context.progress.say(f"{folder.without_file} ids of {LABELS} have no file in {self.path}.")
        for line in folder.left_out.sentences():
            context.progress.say(line)
        notes = self._notes(folder, parts.labels["train"])
        sizes = {name: len(labels) for name, labels in parts.labels.items()}
        layout = Layout(DETECTORS, SAMPLE_RATE, WINDOW[1], 0, sizes, notes)
        windows = FolderWindows(parts.strain, parts.labels)
        stored = context.stored(layout, windows) if context.materialise else context.find(layout)
        if stored is None:
            return _stream(folder, parts, notes)
        # The folder may have changed beside the files that were stored.
        return stored.with_notes(folder.left_out.sentences())

    def _scan(self, progress: Progress) -> _Folder:
        if self._scanned is None:
            if not self.path:
                raise UserError("The dataset g2net needs --set dataset.path=DIR, the folder of the G2Net challenge.")
            strain, labels_file = _inside(user_path(self.path))
            known, left_out = read_labels(labels_file), LeftOut()
            files = scan(strain, WINDOW, progress, left_out)
            if not len(files.ids):
                raise UserError(
                    f"There is no file {STRAIN}/a/b/c/abc*.npy in {strain.parent}."
                    f"{''.join(f' {line}' for line in left_out.sentences())}"
                )
            names = [name.decode() for name in files.ids.tolist()]
            labels = np.fromiter((known.get(name, -1) for name in names), dtype=np.int8, count=len(names))
            without = len(known) - sum(name in known for name in names)
            found = _Folder(strain, files, labels, without, file_digest(labels_file), left_out)
            self._scanned = _with_test(found, progress) if self.test_folder else found
        return self._scanned

    def _assign(self, folder: _Folder, seed: int) -> _Parts:
        """The files of every split, in order of id.

        Raises:
            UserError: a split has no labelled file.
        """
        ids, labels = folder.files.ids, folder.labels
        salt = f"{seeds.integer(seed, 'data')} ".encode()
        draws = _draws(salt, ids)
        chosen = np.sort(np.argsort(draws[:, 1], kind="stable")[: self.limit])
        place, labelled = draws[chosen, 0] / 2.0**64, labels[chosen] >= 0
        test = labelled & (place < self.test_fraction)
        val = labelled & ~test & (place < self.test_fraction + self.val_fraction)
        parts, digest = _Parts({}, {}, ""), hashlib.sha256()
        for name, member in {"train": ~test & ~val, "val": val, "test": test}.items():
            positions = chosen[member]
            parts.labels[name] = labels[positions]
            if not (parts.labels[name] >= 0).any():
                raise UserError(
                    f"The {name} split of {self.path} has no labelled file ({len(ids)} files, "
                    f"{int((labels >= 0).sum())} labelled). Add files, or raise dataset.limit or the fractions."
                )
            parts.strain[name] = NpyFolder(folder.strain, ids[positions], WINDOW, folder.files.places)
            digest.update(f"{name} {file_bytes(WINDOW)} {ids.dtype} {len(positions)}\n".encode())
            digest.update(ids[positions].tobytes() + parts.labels[name].tobytes())
            digest.update(_widths(folder.files.narrow[positions]))
        if folder.test and folder.test_files:
            self._join(parts, folder.test, folder.test_files, salt, digest)
        return parts._replace(digest=digest.hexdigest())

    def _join(self, parts: _Parts, test: Path, files: Scan, salt: bytes, digest: hashlib._Hash) -> None:
        """Have the files of test/ follow those of the training split."""
        drawn = np.sort(np.argsort(_draws(salt, files.ids)[:, 1], kind="stable")[: self.limit])
        ids = files.ids[drawn]
        train = parts.strain["train"]
        assert isinstance(train, NpyFolder)
        parts.strain["train"] = JoinedFolders([train, NpyFolder(test, ids, WINDOW, files.places)])
        parts.labels["train"] = np.concatenate([parts.labels["train"], np.full(len(ids), -1, dtype=np.int8)])
        digest.update(f"{UNLABELLED} {ids.dtype} {len(ids)}\n".encode() + ids.tobytes() + _widths(files.narrow[drawn]))

    def _notes(self, folder: _Folder, train: Array) -> tuple[str, ...]:
        notes = ["Splits are a hash of file name and seed; the SNR of signals is not known."]
        if self.limit is not None and self.limit < len(folder.labels):
            notes.append(f"{self.limit} of {len(folder.labels)} files were drawn (dataset.limit).")
        if unlabelled := int((train < 0).sum()):
            notes.append(f"{unlabelled} files without a label serve pre-training only.")
        if folder.test_files:
            count = len(folder.test_files.ids)
            drawn = min(count, self.limit or count)
            notes.append(f"Of these, {drawn} are of {UNLABELLED}/ (dataset.test_folder).")
        if folder.twice:
            notes.append(f"{folder.twice} files of {UNLABELLED}/ are left out, as {STRAIN}/ has files of their ids.")
        if folder.without_file:
            notes.append(f"{folder.without_file} ids of {LABELS} have no file and are left out.")
        if folder.files.narrow.any():
            notes.append(f"{int(folder.files.narrow.sum())} files hold float32, as which all strain is used.")
        return (*notes, *folder.left_out.sentences())


def _stream(folder: _Folder, parts: _Parts, notes: tuple[str, ...]) -> StrainSplits:
    """The files, to be read where they lie.

    Raises:
        UserError: some are not of the expected size.
    """
    require_even(folder.strain, folder.files, WINDOW)
    if folder.test and folder.test_files:
        require_even(folder.test, folder.test_files, WINDOW)
    splits = {
        name: Split(strain, parts.labels[name], np.full(len(parts.labels[name]), np.nan, dtype=np.float32))
        for name, strain in parts.strain.items()
    }
    streamed = "Streamed: the content hash covers ids, labels, splits and file sizes, not the strain itself."
    return StrainSplits(
        **splits,
        detectors=DETECTORS,
        sample_rate=SAMPLE_RATE,
        margin=0,
        content_hash=parts.digest,
        notes=(*notes, streamed),
    )


def _with_test(folder: _Folder, progress: Progress) -> _Folder:
    """The folder with the files of test/, which lies beside train/.

    Raises:
        UserError: it is not there, or holds no file.
    """
    above = folder.strain.parent
    beside = above / UNLABELLED
    if above.name == STRAIN and _lacking(beside, "a folder"):
        beside = above.parent / UNLABELLED
    if reason := _lacking(beside, "a folder"):
        raise UserError(
            f"dataset.test_folder=true needs the folder {beside} ({reason}). Unpack the challenge's test files there, "
            "or leave dataset.test_folder out."
        )
    again = beside / UNLABELLED  # some programs unpack test.zip into a folder of its name
    test = beside if _lacking(again, "a folder") else again
    files = scan(test, WINDOW, progress, folder.left_out)
    known = np.isin(files.ids, folder.files.ids)
    kept = files._replace(ids=files.ids[~known], narrow=files.narrow[~known])
    if not len(kept.ids):
        raise UserError(f"There is no file a/b/c/abc*.npy of its own in {test}. Leave dataset.test_folder out.")
    return folder._replace(test=test, test_files=kept, twice=int(known.sum()))


def _draws(salt: bytes, ids: Array) -> Array:
    """[N, 2] whole numbers below 2**64, even and independent, of every id."""
    digests = (hashlib.blake2b(salt + name, digest_size=16).digest() for name in ids.tolist())
    draws: Array = np.frombuffer(b"".join(digests), dtype="<u8").reshape(-1, 2)
    return draws


def _sampled_digest(root: Path, found: Scan) -> str:
    """Of the names and sizes of files, and of the content of a sample of them."""
    ids, odd = found.ids, found.odd
    files = hashlib.sha256(f"{file_bytes(WINDOW)} {ids.dtype} {sorted(odd.items())} ".encode())
    files.update(ids.tobytes() + _widths(found.narrow))
    for name in map(bytes.decode, ids[:: max(1, len(ids) // SAMPLED)].tolist()):
        files.update(b"odd" if name in odd else _digest(found.places.path(root, name)).encode())
    return files.hexdigest()


def _inside(root: Path) -> tuple[Path, Path]:
    """The folder of strain and the file of labels, which lie in a folder or in one of its sub-folders.

    Raises:
        UserError: they do not, or lie in several.
    """
    if _lacking(root, "a folder"):
        raise UserError(_expected(root, root, "a folder"))
    try:
        below = sorted(each for each in root.iterdir() if each.name[0] != "." and not _lacking(each, "a folder"))
    except OSError as error:
        raise UserError(f"dataset.path={root} cannot be read: {error.strerror}. Mend its permissions.") from None
    found = []
    for part, needed in ((STRAIN, "a folder"), (LABELS, "a file")):
        nested = [each / part for each in below if not _lacking(each / part, needed)]
        if _lacking(root / part, needed) and len(nested) != 1:
            if len(nested) > 1:
                raise UserError(f"dataset.path={root} holds several: {nested[0]}, {nested[1]}. Name the folder of one.")
            raise UserError(_expected(root, root / part, needed))
        found.append(nested[0] if _lacking(root / part, needed) else root / part)
    strain, labels = found
    again = strain / STRAIN  # some programs unpack train.zip into a folder of its name
    return (again if not _lacking(again, "a folder") else strain), labels


def _lacking(path: Path, needed: str) -> str:
    """Why a path is not a folder or a file as needed; empty where it is."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return error.strerror or "out of reach"
    kind = "a folder" if stat.S_ISDIR(mode) else "a file" if stat.S_ISREG(mode) else "a pipe, a socket or a device"
    return "" if kind == needed else f"it is {kind}"


def _expected(root: Path, part: Path, needed: str) -> str:
    hint = " Name the folder above it." if root.name in (STRAIN, "test") else ""
    return (
        f"dataset.path={root}: {part} is not {needed}. Expected a G2Net folder with {LABELS} and "
        f"{STRAIN}/a/b/c/abc*.npy ({_lacking(part, needed)}).{hint}"
    )


def _widths(narrow: Array) -> bytes:
    """What files of float32 add to a digest; nothing where all are of float64."""
    return bytes(narrow.tobytes()) if narrow.any() else b""


def _digest(path: Path) -> str:
    """Of a file's content, or of the fact that it cannot be read."""
    try:
        return file_digest(path)
    except UserError:
        return "unreadable"
