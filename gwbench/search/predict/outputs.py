"""Files of scores: the challenge's CSV, HDF5 and Parquet. A row at a time would be slow, all rows at once too large."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from gwbench.data.dataset import Array
from gwbench.errors import UserError

Blocks = Iterable[tuple[list[str], Array]]
"""Ids [n] and rows [n] of `partial.row_type`, block after block."""

UNKNOWN = 0.5
"""The target of a window that cannot be read in a submission, which must have a row for every id."""

PARQUET = "parquet"

HDF5 = (".hdf5", ".hdf", ".h5")


def check_output(path: Path) -> None:
    """Refuse a file that cannot be written, before any work.

    Raises:
        UserError: its suffix says no format, what writes the format is not installed, or it is a folder.
    """
    if path.suffix.lower() not in FORMATS:
        raise UserError(
            f"--out {path}: the suffix {path.suffix or '(none)'} is no format of scores. Choose .csv (id,target, as "
            "the challenge's submission), .hdf5 or .parquet (id, score, probability and embedding)."
        )
    if path.suffix.lower() == f".{PARQUET}" and find_spec("pyarrow") is None:
        raise UserError(
            f"--out {path}: Parquet is written by pyarrow, which is not installed. `pip install "
            f"'gwbench-ssl[{PARQUET}]'`, or choose .hdf5, which holds the same."
        )
    if path.is_dir():
        raise UserError(f"--out {path} is a folder. Name a file, such as {path / 'submission.csv'}.")


def has_embedding(path: Path) -> bool:
    """Whether a format holds embeddings."""
    return path.suffix.lower() != ".csv"


def write_scores(
    path: Path, suffix: str, blocks: Blocks, *, windows: int, width: int, facts: Mapping[str, str]
) -> None:
    """Write a file of scores.

    Args:
        path: the file.
        suffix: whose format it has.
        blocks: the rows.
        windows: how many rows there are.
        width: values of an embedding; 0 for none.
        facts: what the file says of itself, where its format has room for that.
    """
    FORMATS[suffix.lower()](path, blocks, windows, width, facts)


def print_header(stream: TextIO) -> None:
    """The columns of `print_rows`."""
    csv.writer(stream, lineterminator="\n").writerow(("id", "score", "probability"))


def print_rows(stream: TextIO, ids: list[str], rows: Array) -> None:
    """CSV with columns id, score and probability; empty where a window cannot be read."""
    writer = csv.writer(stream, lineterminator="\n")
    for name, score, probability in zip(ids, rows["score"].tolist(), rows["probability"].tolist(), strict=True):
        writer.writerow((name, "", "") if math.isnan(score) else (name, score, probability))


def _submission(path: Path, blocks: Blocks, windows: int, width: int, facts: Mapping[str, str]) -> None:
    """`id,target`: the probability of a signal, in full, so that no two windows become equal by rounding."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("id", "target"))
        for ids, rows in blocks:
            targets = np.where(np.isnan(rows["score"]), UNKNOWN, rows["probability"])
            writer.writerows(zip(ids, targets.tolist(), strict=True))


def _hdf5(path: Path, blocks: Blocks, windows: int, width: int, facts: Mapping[str, str]) -> None:
    import h5py

    with h5py.File(path, "w", locking=False) as file:  # `atomic` holds the file
        file.attrs.update(facts)
        names = file.create_dataset("id", (windows,), h5py.string_dtype())
        columns = {name: file.create_dataset(name, (windows,), "<f8") for name in ("score", "probability")}
        if width:
            columns["embedding"] = file.create_dataset("embedding", (windows, width), "<f4")
        start = 0
        for ids, rows in blocks:
            part = slice(start, start + len(ids))
            names[part] = ids
            for name, column in columns.items():
                column[part] = rows[name]
            start = part.stop


def _parquet(path: Path, blocks: Blocks, windows: int, width: int, facts: Mapping[str, str]) -> None:
    import pyarrow
    from pyarrow import parquet

    fields: list[tuple[str, Any]] = [
        ("id", pyarrow.string()), ("score", pyarrow.float64()), ("probability", pyarrow.float64()),
    ]  # fmt: skip
    if width:
        fields.append(("embedding", pyarrow.list_(pyarrow.float32(), width)))
    schema = pyarrow.schema(fields, metadata=dict(facts))
    with parquet.ParquetWriter(path, schema) as writer:
        for ids, rows in blocks:
            columns = [pyarrow.array(ids), *(pyarrow.array(rows[name]) for name in ("score", "probability"))]
            if width:
                flat = pyarrow.array(np.ascontiguousarray(rows["embedding"]).reshape(-1))
                columns.append(pyarrow.FixedSizeListArray.from_arrays(flat, width))
            writer.write_table(pyarrow.Table.from_arrays(columns, schema=schema))


FORMATS: dict[str, Callable[[Path, Blocks, int, int, Mapping[str, str]], None]] = {
    ".csv": _submission,
    f".{PARQUET}": _parquet,
    **dict.fromkeys(HDF5, _hdf5),
}
"""What writes each format, by the file's suffix."""
