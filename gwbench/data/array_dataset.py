"""Strain that is in memory already: windows and labels as arrays, split for a run."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from gwbench import seeds
from gwbench.data.array_splits import assign_splits
from gwbench.data.array_tables import (
    CHUNK,
    FloatRows,
    WindowTable,
    as_float32,
    number_of,
    of_split,
    refuse_infinite,
    refuse_one_class,
    refuse_shared_windows,
    rows_of,
    small_columns,
    table_of,
)
from gwbench.data.dataset import DataContext, Dataset, Split, StrainSplits
from gwbench.data.detectors import detector_name
from gwbench.errors import UserError

SPLITS = ("train", "val", "test")


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
        labels: [N] of 1 (signal), 0 (noise) or -1 (unknown), or a mapping of the splits; a run needs some, and a loop
            of one's own that only pre-trains needs none.
        sample_rate: Hz.
        detectors: D names in channel order, such as ("H1", "L1").
        snr: [N] optimal network SNR of each signal, for figures by SNR; NaN where unknown. Or a mapping.
        parameters: more that is known of each window, by name: [N] numbers. Or a mapping of the splits to such tables.
        groups: [N] of anything: windows of one group stay in one split. Only for an array that is yet to be split.
        margin: extra samples on either side of each window, which whitening consumes; T counts them.
        val_fraction: share of the labelled windows in the validation split.
        test_fraction: share of the labelled windows in the test split.
        name: what records and tables call these data, kebab-case.

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
        name: str = "array",
    ) -> None:
        names = detectors.split(",") if isinstance(detectors, str) else detectors
        self.name, self.detectors = name, tuple(detector_name(str(each)) for each in names)
        self.sample_rate, self.margin = number_of(sample_rate, "sample_rate"), margin
        self.val_fraction = number_of(val_fraction, "val_fraction")
        self.test_fraction = number_of(test_fraction, "test_fraction")
        self._check_settings()
        if isinstance(strain, Mapping):
            if groups is not None:
                raise UserError(
                    "groups say how one array is to be split; this strain is split already. Leave them out."
                )
            self._tables = self._given_splits(strain, labels, snr, parameters)
        else:
            self._tables = {"": table_of(strain, labels, snr, parameters, groups)}
        for name, table in self._tables.items():
            self._check_shape(table, name)

    def __len__(self) -> int:
        return sum(len(table.label) for table in self._tables.values())

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
            digest.update(name.encode() + small_columns(table))
            spread = np.zeros(len(self.detectors))
            for start in range(0, len(table.label), CHUNK):
                strain = np.ascontiguousarray(table.strain[start : start + CHUNK])
                digest.update(strain.tobytes())
                refuse_infinite(strain, name, start)
                spread = np.maximum(spread, np.ptp(as_float32(strain, name, start), axis=(0, 2)))
            if not (spread > 0).all():
                silent = ", ".join(np.array(self.detectors)[~(spread > 0)])
                raise UserError(
                    f"The strain of {silent}{of_split(name)} is the same number throughout. Leave that detector out, "
                    "or look at how the array was made: in float16 strain of 1e-21 is zero, and in float32, as which "
                    "it is used, what is below 1e-45."
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
            # in an order that is drawn, so that the first windows (`limit`) hold both classes
            tables = {name: rows_of(table, rng.permutation(places[name])) for name in SPLITS}
            if left_out:
                notes.append(
                    f"{left_out} windows without a label are left out: their groups are in validation or test."
                )
        refuse_shared_windows(tables)
        for name, table in tables.items():
            if not len(table.label):
                raise UserError(f"The {name} split has no window. Give more windows, or other fractions or groups.")
            if any((each.label >= 0).any() for each in self._tables.values()):
                refuse_one_class(table.label, name)
        arrays = self.fingerprint()["arrays"]
        content = hashlib.sha256(f"{arrays} {context.seed if '' in self._tables else ''}".encode()).hexdigest()
        return StrainSplits(
            **{
                name: Split(FloatRows(table.strain), table.label, table.snr, table.parameters)
                for name, table in tables.items()
            },
            detectors=self.detectors,
            sample_rate=self.sample_rate,
            margin=self.margin,
            content_hash=content,
            notes=tuple(notes),
        )

    def _check_settings(self) -> None:
        if not isinstance(self.name, str) or not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", self.name):
            raise UserError(f"name={self.name!r}: expected kebab-case, such as 'my-strain'.")
        if isinstance(self.margin, bool) or not isinstance(self.margin, (int, np.integer)):
            raise UserError(f"margin={self.margin!r}: expected a number of samples.")
        self.margin = int(self.margin)
        if not all(self.detectors) or not self.detectors or len(set(self.detectors)) < len(self.detectors):
            raise UserError(f"detectors={self.detectors!r}: expected one name for every channel, each once.")
        if not 0 < self.sample_rate < float("inf"):
            raise UserError(f"sample_rate={self.sample_rate:g}: expected Hz above 0, such as 2048.")
        shares = self.val_fraction, self.test_fraction
        if not all(0 < share < 1 for share in shares) or sum(shares) >= 1:
            raise UserError(
                f"val_fraction={shares[0]:g} and test_fraction={shares[1]:g}: expected shares above 0 whose "
                "sum is below 1."
            )

    def _given_splits(
        self, strain: Mapping[str, Any], labels: Any, snr: Any, parameters: Any
    ) -> dict[str, WindowTable]:
        if set(strain) != set(SPLITS):
            raise UserError(
                f"Strain by splits needs the keys train, val and test; found {', '.join(map(str, strain))}."
            )
        for what, given in (("labels", labels), ("snr", snr), ("parameters", parameters)):
            if given is not None and not (isinstance(given, Mapping) and set(given) <= set(SPLITS)):
                raise UserError(f"The strain is given by splits: {what} too must be a mapping of train, val and test.")
        return {
            name: table_of(
                strain[name], (labels or {}).get(name), (snr or {}).get(name), (parameters or {}).get(name), None
            )
            for name in SPLITS
        }

    def _check_shape(self, table: WindowTable, name: str) -> None:
        windows, detectors, samples = table.strain.shape
        if detectors != len(self.detectors):
            raise UserError(
                f"The strain{of_split(name)} has shape {table.strain.shape}, [windows, detectors, samples], and so "
                f"{detectors} detectors; detectors names {len(self.detectors)}: {', '.join(self.detectors)}."
                + (" np.moveaxis(strain, 2, 1) puts the detectors second." if samples == len(self.detectors) else "")
            )
        if not windows or self.margin < 0 or samples - 2 * self.margin < 2:
            raise UserError(
                f"The strain{of_split(name)} has shape {table.strain.shape}: nothing is left of it with a margin of "
                f"{self.margin} samples on either side."
            )


__all__ = ["ArrayDataset"]
