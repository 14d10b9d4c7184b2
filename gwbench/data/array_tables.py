"""Windows in arrays, checked against each other and read on demand."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from gwbench.data.dataset import Array
from gwbench.errors import UserError

LOUDEST = 1e12
"""Strain is conditioned in float32 in units of 1e-21, and sums over a window need room below 3e38."""

CHUNK = 256
"""Windows that are looked at at once."""


class WindowTable(NamedTuple):
    """Windows with what is known of each: strain [N, D, T], label [N], snr [N], parameters and groups, each [N]."""

    strain: Array
    label: Array
    snr: Array
    parameters: dict[str, Array]
    group: Array | None


class FloatRows:
    """Strain of one split, as float32."""

    def __init__(self, strain: Array) -> None:
        self._strain = strain
        self.shape = strain.shape

    def __getitem__(self, index: slice | Array, /) -> Array:
        """[n, D, T] float32."""
        return np.ascontiguousarray(self._strain[index], dtype=np.float32)


class ChosenRows:
    """Rows of an array by their positions, read when they are asked for."""

    def __init__(self, strain: Array, positions: Array) -> None:
        self._strain, self._positions = strain, positions
        self.shape = (len(positions), *strain.shape[1:])

    def __getitem__(self, index: Any) -> Array:
        """The rows at a slice or an array of positions."""
        rows: Array = self._strain[self._positions[index]]
        return rows


def table_of(strain: Any, labels: Any, snr: Any, parameters: Any, groups: Any) -> WindowTable:
    """The arrays of one split, checked against each other."""
    strain = _as_array(strain, "strain")
    if strain.ndim != 3:
        one = " For one detector write strain[:, None, :]." if strain.ndim == 2 else ""
        raise UserError(f"strain has shape {strain.shape}: expected [windows, detectors, samples].{one}")
    if strain.dtype.kind not in "fiu":
        raise UserError(f"strain is of type {strain.dtype}: expected real numbers.")
    count = len(strain)
    label = np.full(count, -1) if labels is None else _column(labels, "labels", count)
    if not np.isin(label, (-1, 0, 1)).all():
        odd = np.unique(label[~np.isin(label, (-1, 0, 1))])[:3]
        raise UserError(
            f"labels hold {', '.join(map(str, odd.tolist()))}: expected 1 for signal, 0 for noise, -1 for unknown."
        )
    known = {
        str(name): _column(values, f"parameters[{name!r}]", count).astype(np.float64)
        for name, values in (parameters or {}).items()
    }
    ratio = np.full(count, np.nan) if snr is None else _column(snr, "snr", count)
    group = None if groups is None else _column(groups, "groups", count, numbers=False)
    return WindowTable(strain, label.astype(np.int8), ratio.astype(np.float32), known, group)


def _as_array(values: Any, name: str) -> Array:
    if hasattr(values, "detach"):  # a torch tensor, wherever it is
        values = values.detach().cpu().numpy()
    try:
        return np.asanyarray(values)
    except (ValueError, TypeError) as error:
        raise UserError(f"{name} cannot be read as an array: {error}.") from None


def _column(values: Any, name: str, count: int, *, numbers: bool = True) -> Array:
    column = np.asarray(_as_array(values, name))
    if column.shape != (count,):
        raise UserError(f"{name} has shape {column.shape}; the strain has {count} windows: expected ({count},).")
    if numbers and column.dtype.kind not in "fiub":
        raise UserError(f"{name} is of type {column.dtype}: expected numbers.")
    return column


def rows_of(table: WindowTable, positions: Array) -> WindowTable:
    """Some windows of a table, whose strain is read when it is asked for."""
    strain: Any = ChosenRows(table.strain, positions)
    known = {name: values[positions] for name, values in table.parameters.items()}
    return WindowTable(strain, table.label[positions], table.snr[positions], known, None)


def small_columns(table: WindowTable) -> bytes:
    """Every number but the strain's, with what the strain's bytes mean."""
    group = [] if table.group is None else [np.unique(table.group, return_inverse=True)[1]]
    columns = [table.label, table.snr, *table.parameters.values(), *group]
    head = repr((table.strain.shape, table.strain.dtype.str, list(table.parameters), len(group))).encode()
    return head + b"".join(np.ascontiguousarray(column).tobytes() for column in columns)


def refuse_infinite(strain: Array, name: str, start: int) -> None:
    """Raise `UserError` for NaN or infinite strain [n, D, T], whose first window is number `start` of the split."""
    if strain.dtype.kind == "f" and not np.isfinite(strain).all():
        window = start + int(np.flatnonzero(~np.isfinite(strain).all(axis=(1, 2)))[0])
        raise UserError(f"Window {window}{of_split(name)} holds NaN or infinite strain. Leave such windows out.")


def as_float32(strain: Array, name: str, start: int) -> Array:
    """Strain as float32, as which it is used.

    Raises:
        UserError: it is too large to be conditioned in float32.
    """
    with np.errstate(over="ignore"):
        narrow = strain.astype(np.float32)
    loud = ~(np.abs(narrow).max(axis=(1, 2)) <= LOUDEST)
    if loud.any():
        window = start + int(np.flatnonzero(loud)[0])
        raise UserError(
            f"Window {window}{of_split(name)} reaches {float(np.abs(strain[window - start]).max()):.1e}, for which "
            "float32 has no room. Scale the arrays to strain, or to a standard deviation of 1."
        )
    return narrow


def number_of(value: Any, name: str) -> float:
    """A number that a user gave; raises `UserError` where it is none."""
    try:
        return float(value)
    except (TypeError, ValueError):
        raise UserError(f"{name}={value!r}: expected a number.") from None


def refuse_one_class(label: Array, name: str) -> None:
    """Raise `UserError` unless the labels of a split hold both classes."""
    missing = [word for value, word in ((1, "signal (1)"), (0, "noise (0)")) if not (label == value).any()]
    if missing:
        raise UserError(
            f"The {name} split has no window labelled {' or '.join(missing)} among {len(label)}: every split needs "
            "both, to fit the probe, to choose its strength and to judge it. Give more labels, or other fractions or "
            "groups."
        )


def refuse_shared_windows(tables: Mapping[str, WindowTable]) -> None:
    """No two splits may hold the same window."""
    seen: dict[bytes, str] = {}
    for name, table in tables.items():
        for start in range(0, len(table.label), CHUNK):
            for window in np.ascontiguousarray(table.strain[start : start + CHUNK]):
                key = hashlib.blake2b(window.tobytes(), digest_size=16).digest()
                if seen.setdefault(key, name) != name:
                    raise UserError(
                        f"One and the same window is in the splits {seen[key]} and {name}, so that the test would be "
                        "none. Give each window once, or say by groups which belong together."
                    )


def of_split(name: str) -> str:
    """Which split is meant, as a message says it; empty where there is one array."""
    return f" of the {name} split" if name else ""
