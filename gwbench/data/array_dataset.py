"""Strain that is in memory already: windows and labels as arrays, split for a run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from gwbench import seeds
from gwbench.data.array_splits import assign_splits
from gwbench.data.dataset import Array, DataContext, Dataset, Split, StrainSplits
from gwbench.errors import UserError

SPLITS = ("train", "val", "test")

CHUNK = 256
"""Windows that are looked at at once."""


class _Table(NamedTuple):
    """Windows with what is known of each: strain [N, D, T], label [N], snr [N], parameters and groups, each [N]."""

    strain: Array
    label: Array
    snr: Array
    parameters: dict[str, Array]
    group: Array | None


class ArrayDataset(Dataset):
    """Windows of strain from arrays, as a dataset for `gwbench.run`.

        data = gwbench.ArrayDataset(strain, labels, sample_rate=2048, detectors=("H1", "L1"))
        record = gwbench.run(dataset=data)

    One array is split by the run's `data_seed`, class by class; windows without a label (-1) join the training split,
    where they serve pre-training alone. A mapping with the keys "train", "val" and "test" is taken as it is. Windows
    that overlap in time, or that hold the same simulated source, must not lie in different splits: say by `groups`
    which belong together.

    The run whitens and band-passes the strain like any other (`conditioning.low`, `conditioning.high`); strain that is
    white already passes through nearly unchanged within the band. Arrays are not copied: do not change them while a run
    goes on.

    Args:
        strain: [N, D, T] numbers of any real type (numpy, torch, a memory map), or a mapping of the three splits to
            such arrays. Strain units or any others, as long as new strain comes in the same.
        labels: [N] of 1 (signal), 0 (noise) or -1 (unknown), or a mapping of the splits; a run needs some.
        sample_rate: Hz.
        detectors: D names in channel order, such as ("H1", "L1").
        snr: [N] optimal network SNR of each signal, for figures by SNR; NaN where unknown. Or a mapping.
        parameters: more that is known of each window, by name: [N] numbers. Or a mapping of the splits to such tables.
        groups: [N] of anything: windows of one group stay in one split. Only for an array that is yet to be split.
        margin: extra samples on either side of each window, which whitening consumes; T counts them.
        val_fraction: share of the labelled windows in the validation split.
        test_fraction: share of the labelled windows in the test split.

    Raises:
        UserError: the arrays do not fit each other, or hold what strain cannot be.
    """

    fingerprinted: ClassVar[bool] = True

    def __init__(
        self,
        strain: ArrayLike | Mapping[str, ArrayLike],
        labels: ArrayLike | Mapping[str, ArrayLike] | None = None,
        *,
        sample_rate: float,
        detectors: str | Sequence[str],
        snr: ArrayLike | Mapping[str, ArrayLike] | None = None,
        parameters: Mapping[str, Any] | None = None,
        groups: ArrayLike | None = None,
        margin: int = 0,
        val_fraction: float = 0.2,
        test_fraction: float = 0.2,
    ) -> None:
        self.detectors = (detectors,) if isinstance(detectors, str) else tuple(map(str, detectors))
        self.sample_rate, self.margin = float(sample_rate), int(margin)
        self.val_fraction, self.test_fraction = float(val_fraction), float(test_fraction)
        self._check_settings()
        if isinstance(strain, Mapping):
            if groups is not None:
                raise UserError(
                    "groups say how one array is to be split; this strain is split already. Leave them out."
                )
            self._tables = self._given_splits(strain, labels, snr, parameters)
        else:
            self._tables = {"": _table(strain, labels, snr, parameters, groups)}
        for name, table in self._tables.items():
            self._check_shape(table, name)

    def __repr__(self) -> str:
        """Windows, detectors and rate."""
        sizes = " + ".join(f"{len(table.label):,}" for table in self._tables.values())
        samples = next(iter(self._tables.values())).strain.shape[2]
        return (
            f"<ArrayDataset {sizes} windows of {samples} samples: {', '.join(self.detectors)} "
            f"at {self.sample_rate:g} Hz>"
        )

    def fingerprint(self) -> Mapping[str, str]:
        """The hash of every number in the arrays, and of how they are split.

        Raises:
            UserError: strain is not finite, or a detector is silent.
        """
        digest = hashlib.sha256(
            repr((self.detectors, self.sample_rate, self.margin, self.val_fraction, self.test_fraction)).encode()
        )
        for name, table in self._tables.items():
            digest.update(name.encode() + _small(table))
            spread = np.zeros(len(self.detectors))
            for start in range(0, len(table.label), CHUNK):
                strain = np.ascontiguousarray(table.strain[start : start + CHUNK])
                digest.update(strain.tobytes())
                _refuse_infinite(strain, name, start)
                spread = np.maximum(spread, np.ptp(strain.astype(np.float64), axis=(0, 2)))
            if not (spread > 0).all():
                silent = ", ".join(np.array(self.detectors)[~(spread > 0)])
                raise UserError(
                    f"The strain of {silent}{_of(name)} is the same number throughout. Leave that detector out, or "
                    "look at how the array was made; in float16, strain of 1e-21 is zero."
                )
        return {"arrays": digest.hexdigest()}

    def load(self, context: DataContext) -> StrainSplits:
        """The three splits.

        Raises:
            UserError: a split has no labelled window of either class, or windows of two splits are the same.
        """
        tables, notes = self._tables, ["The strain was given as arrays."]
        if "" in tables:
            table = tables[""]
            rng = seeds.numpy_generator(context.seed, "data")
            places, left_out = assign_splits(table.label, table.group, self.val_fraction, self.test_fraction, rng)
            tables = {name: _rows(table, places[name]) for name in SPLITS}
            if left_out:
                notes.append(
                    f"{left_out} windows without a label are left out: their groups are in validation or test."
                )
        _refuse_shared_windows(tables)
        for name, table in tables.items():
            _refuse_one_class(table.label, name)
        arrays = self.fingerprint()["arrays"]
        content = hashlib.sha256(f"{arrays} {context.seed if '' in self._tables else ''}".encode()).hexdigest()
        return StrainSplits(
            **{
                name: Split(_Rows(table.strain), table.label, table.snr, table.parameters)
                for name, table in tables.items()
            },
            detectors=self.detectors,
            sample_rate=self.sample_rate,
            margin=self.margin,
            content_hash=content,
            notes=tuple(notes),
        )

    def _check_settings(self) -> None:
        if not self.detectors or len(set(self.detectors)) < len(self.detectors):
            raise UserError(f"detectors={self.detectors!r}: expected one name for every channel, each once.")
        if not 0 < self.sample_rate < float("inf"):
            raise UserError(f"sample_rate={self.sample_rate:g}: expected Hz above 0, such as 2048.")
        shares = self.val_fraction, self.test_fraction
        if not all(0 < share < 1 for share in shares) or sum(shares) >= 1:
            raise UserError(
                f"val_fraction={shares[0]:g} and test_fraction={shares[1]:g}: expected shares above 0 whose "
                "sum is below 1."
            )

    def _given_splits(self, strain: Mapping[str, Any], labels: Any, snr: Any, parameters: Any) -> dict[str, _Table]:
        if set(strain) != set(SPLITS):
            raise UserError(
                f"Strain by splits needs the keys train, val and test; found {', '.join(map(str, strain))}."
            )
        for what, given in (("labels", labels), ("snr", snr), ("parameters", parameters)):
            if given is not None and not (isinstance(given, Mapping) and set(given) <= set(SPLITS)):
                raise UserError(f"The strain is given by splits: {what} too must be a mapping of train, val and test.")
        return {
            name: _table(
                strain[name], (labels or {}).get(name), (snr or {}).get(name), (parameters or {}).get(name), None
            )
            for name in SPLITS
        }

    def _check_shape(self, table: _Table, name: str) -> None:
        windows, detectors, samples = table.strain.shape
        if detectors != len(self.detectors):
            raise UserError(
                f"The strain{_of(name)} has shape {table.strain.shape}, [windows, detectors, samples], and so "
                f"{detectors} detectors; detectors names {len(self.detectors)}: {', '.join(self.detectors)}."
            )
        if not windows or self.margin < 0 or samples - 2 * self.margin < 2:
            raise UserError(
                f"The strain{_of(name)} has shape {table.strain.shape}: nothing is left of it with a margin of "
                f"{self.margin} samples on either side."
            )


class _Rows:
    """Strain of one split, as float32."""

    def __init__(self, strain: Array) -> None:
        self._strain = strain
        self.shape = strain.shape

    def __getitem__(self, index: slice | Array, /) -> Array:
        """[n, D, T] float32."""
        return np.ascontiguousarray(self._strain[index], dtype=np.float32)


class _Chosen:
    """Rows of an array by their positions, read when they are asked for."""

    def __init__(self, strain: Array, positions: Array) -> None:
        self._strain, self._positions = strain, positions
        self.shape = (len(positions), *strain.shape[1:])

    def __getitem__(self, index: Any) -> Array:
        """The rows at a slice or an array of positions."""
        rows: Array = self._strain[self._positions[index]]
        return rows


def _table(strain: Any, labels: Any, snr: Any, parameters: Any, groups: Any) -> _Table:
    """The arrays of one split, checked against each other."""
    strain = _as_array(strain, "strain")
    if strain.ndim != 3:
        raise UserError(f"strain has shape {strain.shape}: expected [windows, detectors, samples].")
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
    return _Table(strain, label.astype(np.int8), ratio.astype(np.float32), known, group)


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


def _rows(table: _Table, positions: Array) -> _Table:
    strain: Any = _Chosen(table.strain, positions)
    known = {name: values[positions] for name, values in table.parameters.items()}
    return _Table(strain, table.label[positions], table.snr[positions], known, None)


def _small(table: _Table) -> bytes:
    """Every number but the strain's, with what the strain's bytes mean."""
    group = [] if table.group is None else [np.unique(table.group, return_inverse=True)[1]]
    columns = [table.label, table.snr, *table.parameters.values(), *group]
    head = repr((table.strain.shape, table.strain.dtype.str, list(table.parameters), len(group))).encode()
    return head + b"".join(np.ascontiguousarray(column).tobytes() for column in columns)


def _refuse_infinite(strain: Array, name: str, start: int) -> None:
    if strain.dtype.kind == "f" and not np.isfinite(strain).all():
        window = start + int(np.flatnonzero(~np.isfinite(strain).all(axis=(1, 2)))[0])
        raise UserError(f"Window {window}{_of(name)} holds NaN or infinite strain. Leave such windows out.")


def _refuse_one_class(label: Array, name: str) -> None:
    missing = [word for value, word in ((1, "signal (1)"), (0, "noise (0)")) if not (label == value).any()]
    if missing:
        raise UserError(
            f"The {name} split has no window labelled {' or '.join(missing)} among {len(label)}: every split needs "
            "both, to fit the probe, to choose its strength and to judge it. Give more labels, or other fractions or "
            "groups."
        )


def _refuse_shared_windows(tables: Mapping[str, _Table]) -> None:
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


def _of(name: str) -> str:
    return f" of the {name} split" if name else ""
