"""Windows in an HDF5 file of anybody's, read in the process that reads files."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gwbench.data.dataset import Array
from gwbench.errors import UserError
from gwbench.search.windows.array_sources import windows_of
from gwbench.search.windows.file_sources import file_state
from gwbench.search.windows.source import WindowBatch, WindowSource, finite_batch, numbered
from gwbench.utils.printable import printable
from gwbench.utils.reader_process import read_in_process

STRAIN = "strain"
"""The dataset that is read where there are several."""

MEMBERS = 1000
"""Members of the file's root that are looked at."""


class _Facts(NamedTuple):
    """What a file says of its windows; `others` names its datasets where none or several may be meant."""

    dataset: str
    shape: tuple[int, ...]
    dtype: str
    detectors: tuple[str, ...]
    sample_rate: float | None
    others: tuple[str, ...]


class Hdf5Rows(WindowSource):
    """A dataset [N, D, K], or [D, K] for one window: `strain`, or the only one of such a shape in the file's root.

    Attributes `detectors` and `sample_rate`, of the dataset or of the file, are compared with the run's.

    Args:
        path: the file.
        name: what the ids begin with.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.title, self._path, self._name = str(path), path, name
        facts: _Facts = read_in_process(facts_in, path, what="window file", kind="HDF5 file", modules=("h5py",))
        if not facts.dataset:
            others = f"; it holds {printable(', '.join(facts.others))}" if facts.others else ""
            raise UserError(
                f"{path} has no dataset {STRAIN!r} of windows [N, D, T], nor a single other one{others}. For "
                "continuous strain there is `gwbench scan`."
            )
        self._facts = facts
        self._count, self.shape = windows_of(facts.shape, np.dtype(facts.dtype), path)
        self.sample_rate = facts.sample_rate
        self.detectors = facts.detectors if len(facts.detectors) == self.shape[0] else ()

    def __len__(self) -> int:
        return self._count

    def ids(self, start: int, stop: int) -> list[str]:
        """`name/0`, `name/1` and so on; the name alone where there is one window."""
        return numbered(self._name, start, stop) if len(self._facts.shape) == 3 else [self._name][start:stop]

    def read(self, start: int, stop: int) -> WindowBatch:
        """The rows; where some cannot be read, the others are read one by one."""
        ids = self.ids(start, stop)
        try:
            return finite_batch(ids, self._rows(start, stop), self.title)
        except UserError:
            if not self._path.is_file():
                raise
        rows: list[Array] = []
        damaged: dict[int, str] = {}
        for place in range(len(ids)):
            try:
                rows.append(self._rows(start + place, start + place + 1))
            except UserError:
                damaged[place] = f"{self.title}, window {ids[place].rpartition('/')[2]}, cannot be read"
        good = [place for place in range(len(ids)) if place not in damaged]
        strain = np.concatenate(rows) if rows else np.empty((0, *self.shape), np.float32)
        batch = finite_batch([ids[place] for place in good], strain, self.title)
        return WindowBatch(ids, batch.strain, damaged | {good[at]: why for at, why in batch.damaged.items()})

    def identity(self) -> str:
        """Digest of name, size and time."""
        return hashlib.sha256(f"{self._name} {file_state(self._path)}".encode()).hexdigest()

    def _rows(self, start: int, stop: int) -> Array:
        rows: Array = read_in_process(
            rows_in, self._path, self._facts.dataset, start, stop, what="window file", kind="HDF5 file",
            modules=("h5py",),
        )  # fmt: skip
        return rows


# --- in the process that reads ---


def facts_in(path: Path) -> _Facts:
    """What a file says of its windows."""
    import h5py

    with h5py.File(path, "r", locking=False) as file:
        names = [name for name, _ in zip(file, range(MEMBERS), strict=False)]
        datasets = [name for name in names if isinstance(file.get(name), h5py.Dataset)]
        shaped = [name for name in datasets if file[name].ndim in (2, 3) and file[name].dtype.kind == "f"]
        several = [name for name in shaped if file[name].ndim == 3] or shaped
        chosen = STRAIN if STRAIN in shaped else several[0] if len(several) == 1 else ""
        if not chosen:
            return _Facts("", (), "f4", (), None, tuple(map(str, names[:8])))
        data = file[chosen]
        said = {**dict(file.attrs), **dict(data.attrs)}
        rate = np.asarray(said.get("sample_rate", np.nan)).reshape(-1)
        known = rate.size == 1 and rate.dtype.kind in "iuf" and np.isfinite(rate[0])
        detectors = _texts(said.get("detectors"))
        return _Facts(chosen, tuple(data.shape), data.dtype.str, detectors, float(rate[0]) if known else None, ())


def rows_in(path: Path, dataset: str, start: int, stop: int) -> Array:
    """[stop - start, D, K] of a dataset [N, D, K]; [1, D, K] of one [D, K]."""
    import h5py

    with h5py.File(path, "r", locking=False) as file:
        data = file[dataset]
        rows: Array = data[start:stop] if data.ndim == 3 else data[()][None]
        return rows


def _texts(value: Any) -> tuple[str, ...]:
    """Names in an attribute: an array of text, or one text with commas between."""
    if value is None:
        return ()
    items = np.asarray(value).reshape(-1).tolist()
    texts = [item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item) for item in items]
    if len(texts) == 1:
        texts = texts[0].split(",")
    return tuple(text.strip().upper() for text in texts)
