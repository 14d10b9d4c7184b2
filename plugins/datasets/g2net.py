"""The G2Net folder: simulated three-detector strain of a Kaggle challenge, whole or in part."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field

from gwbench import seeds
from gwbench.contracts import Array, DataContext, Dataset, Split, StrainSplits
from gwbench.errors import UserError
from gwbench.files import file_digest
from gwbench.progress import Progress
from gwbench.registry import register

DETECTORS = ("H1", "L1", "V1")
SAMPLE_RATE = 2048.0
WINDOW = 4096
FILE_BYTES = 128 + len(DETECTORS) * WINDOW * 8
"""A .npy header and float64 strain."""

LABELS = "training_labels.csv"
ID = re.compile(r"[0-9a-zA-Z]{3,}")


class NpyFolder:
    """Strain [N, 3, 4096] in one file per window, read on demand.

    Args:
        root: the folder that holds a/b/c/abc*.npy.
        ids: [N] file names without suffix, as text.
    """

    def __init__(self, root: Path, ids: Array) -> None:
        self._root, self._ids = root, ids
        self.shape = (len(ids), len(DETECTORS), WINDOW)

    def __getitem__(self, index: slice | Array, /) -> Array:
        """[n, 3, 4096] float32.

        Raises:
            UserError: a file is truncated, pickled, of another shape or type, or holds a number that is not
            finite.
        """
        chosen = self._ids[index]
        strain = np.empty((len(chosen), *self.shape[1:]), dtype=np.float32)
        for row, name in enumerate(chosen):
            strain[row] = self._read(_file(self._root, str(name)))
        return strain

    def _read(self, path: Path) -> Array:
        try:
            with path.open("rb") as file:
                window: Array = np.lib.format.read_array(file, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise UserError(
                f"{path} cannot be read as .npy: it is truncated, pickled or no .npy file ({error}). "
                "Download it again or delete it."
            ) from None
        if window.shape != self.shape[1:] or window.dtype.kind != "f":
            raise UserError(
                f"{path} holds {window.dtype} of shape {window.shape}; expected float64 of shape "
                f"{self.shape[1:]}. Download it again or delete it."
            )
        if not np.isfinite(window).all():
            raise UserError(f"{path} holds NaN or infinite strain. Download it again or delete it.")
        return window


SAMPLED = 64
"""Files, evenly spaced in order of id, whose content counts in the fingerprint."""


class _Folder(NamedTuple):
    """What a scan of the folder found; `ids` sorted, `labels` [len(ids)] with -1 for a file without one."""

    ids: list[str]
    labels: Array
    without_file: int
    labels_digest: str


@register(
    "dataset",
    "g2net",
    citation="G2Net Gravitational Wave Detection, Kaggle (2021)",
    version=1,
    tags=("simulated", "files"),
)
class G2Net(Dataset):
    """The G2Net challenge folder: H1, L1 and V1, 2 s at 2048 Hz, whole or in part.

    The folder holds `training_labels.csv` (columns id, target) and `train/a/b/c/abc*.npy`. A split is a hash of
    id and seed, so that a file keeps its split when more files arrive. Files without a label join the training
    split and serve pre-training only; ids without a file are counted in the notes. The content hash covers ids,
    labels, splits and file sizes, not the 80 GB of strain itself.

    Args:
        path: the folder.
        val_fraction: share of the labelled files in the validation split.
        test_fraction: share of the labelled files in the test split.
        limit: use this many files only, drawn by the data seed.
    """

    def __init__(
        self,
        *,
        path: str = "",
        val_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1,
        test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1,
        limit: Annotated[int, Field(gt=0)] | None = None,
    ) -> None:
        if val_fraction + test_fraction >= 1:
            raise UserError(
                f"dataset.val_fraction={val_fraction:g} and dataset.test_fraction={test_fraction:g} leave "
                "nothing to train on; their sum must be below 1."
            )
        self.path, self.limit = path, limit
        self.val_fraction, self.test_fraction = val_fraction, test_fraction
        self._scanned: _Folder | None = None

    def fingerprint(self) -> Mapping[str, str]:
        """Digests of the labels file, of the names and sizes of the strain files, and of a sample of them."""
        folder = self._scan(Progress())
        files = hashlib.sha256(f"{FILE_BYTES} {' '.join(folder.ids)}".encode())
        root = Path(self.path).expanduser() / "train"
        for name in folder.ids[:: max(1, len(folder.ids) // SAMPLED)]:
            files.update(file_digest(_file(root, name)).encode())
        return {LABELS: folder.labels_digest, "train": files.hexdigest()}

    def load(self, context: DataContext) -> StrainSplits:
        """Scan the folder and split its files.

        Raises:
            UserError: the folder, its labels or a file is not as described, or a split is empty.
        """
        folder = self._scan(context.progress)
        parts, digest = self._assign(folder, context.seed), hashlib.sha256()
        splits = {}
        for name, positions in parts.items():
            ids, labels = [folder.ids[position] for position in positions], folder.labels[positions]
            if not (labels >= 0).any():
                raise UserError(
                    f"The {name} split of {self.path} has no labelled file ({len(folder.ids)} files, "
                    f"{int((folder.labels >= 0).sum())} labelled). Add files, or raise dataset.limit or the "
                    "fractions."
                )
            digest.update(f"{name} {FILE_BYTES}\n".encode())
            digest.update("".join(f"{i} {label}\n" for i, label in zip(ids, labels, strict=True)).encode())
            reader = NpyFolder(Path(self.path).expanduser() / "train", np.array(ids))
            splits[name] = Split(reader, labels, np.full(len(ids), np.nan, dtype=np.float32))
        if folder.without_file:
            context.progress.say(f"{folder.without_file} ids of {LABELS} have no file in {self.path}.")
        return StrainSplits(
            splits["train"],
            splits["val"],
            splits["test"],
            detectors=DETECTORS,
            sample_rate=SAMPLE_RATE,
            margin=0,
            content_hash=digest.hexdigest(),
            notes=self._notes(folder, splits["train"]),
        )

    def _scan(self, progress: Progress) -> _Folder:
        if self._scanned is None:
            if not self.path:
                raise UserError("The dataset g2net needs --set dataset.path=DIR, the folder of the G2Net challenge.")
            root = Path(self.path).expanduser()
            for part, needed in ((root, "a folder"), (root / "train", "a folder"), (root / LABELS, "a file")):
                if not (part.is_file() if needed == "a file" else part.is_dir()):
                    raise UserError(
                        f"dataset.path={self.path}: {part} is not {needed}. Expected a G2Net folder with "
                        f"{LABELS} and train/a/b/c/abc*.npy."
                    )
            known = read_labels(root / LABELS)
            ids = _find(root / "train", progress)
            labels = np.array([known.get(name, -1) for name in ids], dtype=np.int8)
            without = len(known) - int((labels >= 0).sum())
            self._scanned = _Folder(ids, labels, without, file_digest(root / LABELS))
        return self._scanned

    def _assign(self, folder: _Folder, seed: int) -> dict[str, Array]:
        """Positions of every split's files, in order of id."""
        salt = seeds.integer(seed, "data")
        digests = (hashlib.blake2b(f"{salt} {name}".encode(), digest_size=16).digest() for name in folder.ids)
        draws = np.frombuffer(b"".join(digests), dtype="<u8").reshape(-1, 2)
        chosen = np.sort(np.argsort(draws[:, 1], kind="stable")[: self.limit])
        place = draws[chosen, 0] / 2.0**64
        labelled = folder.labels[chosen] >= 0
        test = labelled & (place < self.test_fraction)
        val = labelled & ~test & (place < self.test_fraction + self.val_fraction)
        return {"train": chosen[~test & ~val], "val": chosen[val], "test": chosen[test]}

    def _notes(self, folder: _Folder, train: Split) -> tuple[str, ...]:
        notes = [
            "Splits are a hash of file name and seed; the SNR of signals is not known.",
            "The content hash covers ids, labels, splits and file sizes, not the strain itself.",
        ]
        if self.limit is not None and self.limit < len(folder.ids):
            notes.append(f"{self.limit} of {len(folder.ids)} files were drawn (dataset.limit).")
        if unlabelled := int((train.label < 0).sum()):
            notes.append(f"{unlabelled} files without a label serve pre-training only.")
        if folder.without_file:
            notes.append(f"{folder.without_file} ids of {LABELS} have no file and are left out.")
        return tuple(notes)


def read_labels(path: Path) -> dict[str, int]:
    """The target, 0 or 1, of every id in a CSV file with columns id and target.

    Raises:
        UserError: the file is empty, not UTF-8 text or lacks a column; an id is malformed or there twice; a
            target is neither 0 nor 1. The message names the line.
    """
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}, line {line}: not UTF-8 text. Expected a CSV file with columns id,target.") from None
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    labels: dict[str, int] = {}
    try:
        header = [column.strip() for column in next(rows, [])]
        if "id" not in header or "target" not in header:
            found = ",".join(header) or "an empty line"
            raise UserError(f"{path}, line 1: expected columns id,target; found {found}. Mend its first line.")
        where_id, where_target = header.index("id"), header.index("target")
        for row in filter(None, rows):
            name, target = ([*row, "", ""][where].strip() for where in (where_id, where_target))
            if len(row) != len(header) or not ID.fullmatch(name) or target not in ("0", "1"):
                raise UserError(
                    f"{path}, line {rows.line_num}: {','.join(row)!r} is not {','.join(header)} with an id of "
                    "three or more letters and digits and a target of 0 or 1."
                )
            if name in labels:
                raise UserError(f"{path}, line {rows.line_num}: id {name} is there twice. Keep one of the lines.")
            labels[name] = int(target)
    except csv.Error as error:
        raise UserError(f"{path}, line {rows.line_num}: not valid CSV ({error}).") from None
    if not labels:
        raise UserError(f"{path} has a header but no line after it. Expected id,target of every file.")
    return labels


def _file(root: Path, name: str) -> Path:
    return root / name[0] / name[1] / name[2] / f"{name}.npy"


def _find(root: Path, progress: Progress) -> list[str]:
    """Sorted ids of the files in a/b/c/abc*.npy, all of the expected size."""
    ids: list[str] = []
    odd: list[str] = []
    first = _folders(root)
    with progress.task("Find files", total=len(first), unit="folders") as task:
        for a in first:
            for leaf in (c for b in _folders(a) for c in _folders(b)):
                prefix = "".join(Path(leaf).parts[-3:])
                for entry in _windows(leaf):
                    name = entry.name[: -len(".npy")]
                    if not ID.fullmatch(name) or name[:3] != prefix:
                        raise UserError(f"{entry.path} is out of place: expected train/a/b/c/abc*.npy.")
                    ids.append(name)
                    if entry.stat().st_size != FILE_BYTES:
                        odd.append(f"{entry.path} ({entry.stat().st_size} bytes)")
            task.advance()
    if odd:
        raise UserError(
            f"{len(odd)} of {len(ids)} files are truncated or of another shape: {', '.join(sorted(odd)[:3])}"
            f"{', ...' if len(odd) > 3 else ''}. Expected {FILE_BYTES} bytes, float64 of shape (3, {WINDOW}). "
            "Download them again or delete them."
        )
    if not ids:
        raise UserError(f"There is no file train/a/b/c/abc*.npy in {root.parent}.")
    return sorted(ids)


def _folders(path: Path | str) -> list[str]:
    """Sub-folders whose name is one character."""
    with os.scandir(path) as entries:
        return sorted(entry.path for entry in entries if len(entry.name) == 1 and entry.is_dir())


def _windows(path: str) -> Iterator[os.DirEntry[str]]:
    """The .npy files of a folder, without the hidden ones that some systems leave."""
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.name.endswith(".npy") and not entry.name.startswith("."):
                yield entry
