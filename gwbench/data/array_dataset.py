"""Arrays in memory as a dataset: somebody's own strain, with a split by class or by group."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from gwbench.data.array_splits import draw_splits, refuse_one_class
from gwbench.data.array_values import ROWS, ArrayRows, ArrayWindows, detector_names, group_numbers, read_windows
from gwbench.data.dataset import Array, DataContext, Dataset, Split, StrainSplits
from gwbench.data.store.layout import SPLITS, content_hash
from gwbench.errors import UserError, did_you_mean
from gwbench.utils.progress import Progress


class ArrayDataset(Dataset):
    """Windows of strain in arrays, labelled or not.

        data = gwbench.ArrayDataset(strain, labels, sample_rate=2048, detectors=("H1", "L1"))
        record = gwbench.run(dataset=data)

    The strain is conditioned as that of any dataset: whitened by the PSD of the training split and band-passed
    (`conditioning.low`, `conditioning.high`). Its unit is free: a factor common to all windows changes nothing. Strain
    that is whitened already may stay so; it is measured as flat, and what is left of the conditioning is the band-pass.

    Whitening reads up to a second on either side of a sample. Where `margin` is 0, the samples near a window's ends get
    filters of their own, fitted to what exists; windows that were cut with a margin are conditioned as inside a long
    stretch.

    The arrays are copied as float32 and never changed; a file that `numpy.load(..., mmap_mode="r")` maps into memory is
    read as windows are needed, and must not change while a run goes on.

    Args:
        strain: [N, D, T + 2 margin], of numpy, torch or nested lists, of any real type; or the splits by name, as
            {"train": ..., "val": ..., "test": ...}.
        labels: [N] 1 for signal, 0 for noise, -1 for unlabelled; splits by name where the strain is. None where nothing
            is labelled: such data serve pre-training in one's own loop, and no run, which needs labels for its probe.
        sample_rate: Hz.
        detectors: D names in channel order.
        snr: [N] optimal network SNR of the signals; NaN or None where it is not known.
        parameters: further numbers of every window by name, [N] each, such as {"mass1": ...}.
        margin: samples at either end of a window that whitening may read and an encoder does not see.
        groups: [N] numbers or names: windows of one group, such as a stretch of noise or a source, stay in one split.
        val_fraction, test_fraction: shares of the labelled windows. The run's `data_seed` draws them, by class unless
            there are groups; unlabelled windows join the training split.
        name: what records and tables call these data, kebab-case.

    Raises:
        UserError: an array is not of the expected shape, holds NaN, is constant in a detector, or has other labels.
    """

    def __init__(
        self,
        strain: Any,
        labels: Any = None,
        *,
        sample_rate: float,
        detectors: str | Iterable[str],
        snr: Any = None,
        parameters: Mapping[str, Any] | None = None,
        margin: int = 0,
        groups: Any = None,
        val_fraction: float = 0.2,
        test_fraction: float = 0.2,
        name: str = "array",
    ) -> None:
        self.name, self.detectors = _dataset_name(name), detector_names(detectors)
        self.sample_rate = _positive(sample_rate)
        self._given = isinstance(strain, Mapping)
        if self._given:
            self._parts = _named_splits(strain, labels, snr, parameters, self.detectors)
            if groups is not None:
                raise UserError("groups have no use where the splits are given by name: leave them out.")
        else:
            self._parts = {"": read_windows(strain, labels, snr, parameters, self.detectors)}
        first = next(iter(self._parts.values()))
        self.margin = _margin(margin, first.strain.shape[2])
        self._groups = None if groups is None else group_numbers(groups, len(first))
        self.val_fraction, self.test_fraction = _fractions(val_fraction, test_fraction)

    def __len__(self) -> int:
        return sum(map(len, self._parts.values()))

    def __repr__(self) -> str:
        """How many windows, of what."""
        samples = next(iter(self._parts.values())).strain.shape[2] - 2 * self.margin
        seconds = f"{samples / self.sample_rate:g} s of {', '.join(self.detectors)} at {self.sample_rate:g} Hz"
        return f"<ArrayDataset {self.name!r}: {len(self)} windows, {seconds}>"

    @property
    def labelled(self) -> bool:
        """Whether any window has a label."""
        return any((part.label >= 0).any() for part in self._parts.values())

    @cached_property
    def _digest(self) -> str:
        rule = [*self.detectors, self.sample_rate, self.margin, self._given, self.val_fraction, self.test_fraction]
        digest = hashlib.sha256(json.dumps(rule).encode())
        for key, part in self._parts.items():
            digest.update(json.dumps([key, list(part.strain.shape), sorted(part.parameters)]).encode())
            for start in range(0, len(part), ROWS):
                rows = np.ascontiguousarray(part.strain[start : start + ROWS], dtype="<f4")
                digest.update(rows.data)
            columns = [part.label.astype("<i1"), part.snr.astype("<f4")]
            columns += [part.parameters[name].astype("<f8") for name in sorted(part.parameters)]
            for column in columns:
                digest.update(np.ascontiguousarray(column).data)
        if self._groups is not None:
            digest.update(self._groups.astype("<i8").tobytes())
        return digest.hexdigest()

    def fingerprint(self) -> Mapping[str, str]:
        """The SHA-256 of every number that was handed over, and of the rule of the splits."""
        return {"array": self._digest}

    def positions(self, seed: int = 0) -> dict[str, Array]:
        """Where the windows of every split stand in the arrays, in the split's order.

        Args:
            seed: the run's `data_seed`.
        """
        if self._given:
            return {name: np.arange(len(part)) for name, part in self._parts.items()}
        return draw_splits(
            self._parts[""].label,
            self._groups,
            val_fraction=self.val_fraction,
            test_fraction=self.test_fraction,
            seed=seed,
        )

    def splits(self, seed: int = 0, progress: Progress | None = None) -> StrainSplits:
        """The three splits.

        Args:
            seed: draws them, where they are not given by name.
            progress: told of every window that is hashed.

        Raises:
            UserError: a split has no window, or lacks a class though there are labels.
        """
        hint = "Balance the arrays." if self._given else "Give more windows, other fractions or smaller groups."
        found, positions = {}, self.positions(seed)
        for name in SPLITS:
            part, rows = self._parts[name if self._given else ""], positions[name]
            if not len(rows):
                raise UserError(f"The {name} split of {len(self)} windows has none. {hint}")
            if self.labelled:
                refuse_one_class(name, part.label[rows], hint)
            columns = {key: values[rows] for key, values in part.parameters.items()}
            found[name] = Split(ArrayRows(part.strain, rows), part.label[rows], part.snr[rows], columns)
        hashed = content_hash(found, self.detectors, self.sample_rate, self.margin, progress or Progress())
        return StrainSplits(
            **found,
            detectors=self.detectors,
            sample_rate=self.sample_rate,
            margin=self.margin,
            content_hash=hashed,
            notes=tuple(self._notes(positions)),
        )

    def load(self, context: DataContext) -> StrainSplits:
        """The splits of the context's seed."""
        return self.splits(context.seed, context.progress)

    def _notes(self, positions: Mapping[str, Array]) -> Iterable[str]:
        """What a reader of a record must know of these data."""
        yield "Arrays handed over from Python; what they are, the record cannot tell beyond their hash."
        if self._given:
            return
        if self._groups is not None:
            yield f"Splits keep each of {int(self._groups.max()) + 1} groups of windows together."
            left_out = len(self) - sum(map(len, positions.values()))
            if left_out:
                yield f"{left_out} unlabelled windows of groups in validation or test are left out."
        else:
            yield "Splits are drawn window by window: windows that overlap, or share a source, may lie in two of them."


def _named_splits(
    strain: Mapping[str, Any], labels: Any, snr: Any, parameters: Any, detectors: tuple[str, ...]
) -> dict[str, ArrayWindows]:
    """The windows of every split that is given by name.

    Raises:
        UserError: the names are others, or the shapes differ.
    """
    for what, given in (("strain", strain), ("labels", labels), ("snr", snr), ("parameters", parameters)):
        if given is None:
            continue
        if not isinstance(given, Mapping):
            raise UserError(f"strain holds splits by name, and {what} does not: give it by split, too.")
        for name in given:
            if name not in SPLITS:
                hint = did_you_mean(str(name), SPLITS)
                raise UserError(f"{what} has a split {name!r}: expected train, val and test.{hint}")
        if missing := [name for name in SPLITS if name not in given]:
            raise UserError(f"{what} has no split {missing[0]!r}: expected train, val and test.")
    parts = {
        name: read_windows(strain[name], *(each and each[name] for each in (labels, snr, parameters)), detectors, name)
        for name in SPLITS
    }
    shapes = {name: part.strain.shape[1:] for name, part in parts.items()}
    if len(set(shapes.values())) > 1:
        listed = ", ".join(f"{name} [N, {shape[0]}, {shape[1]}]" for name, shape in shapes.items())
        raise UserError(f"The splits have windows of different lengths: {listed}. Cut them to one.")
    if len({tuple(sorted(part.parameters)) for part in parts.values()}) > 1:
        raise UserError("The splits have different parameters: give each of them for every split.")
    return parts


def _dataset_name(name: Any) -> str:
    if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) or len(name) > 60:
        raise UserError(f"name={name!r} is not valid: expected kebab-case, such as 'my-strain'.")
    return name


def _positive(sample_rate: Any) -> float:
    try:
        rate = float(sample_rate)
    except (TypeError, ValueError):
        rate = math.nan
    if not 0 < rate < math.inf:
        raise UserError(f"sample_rate={sample_rate!r} is not valid: expected Hz, such as 2048.")
    return rate


def _margin(margin: Any, samples: int) -> int:
    if isinstance(margin, bool) or not isinstance(margin, (int, np.integer)) or not 0 <= 2 * margin < samples:
        raise UserError(
            f"margin={margin!r} is not valid for windows of {samples} samples: expected a number of samples, of which "
            "two margins leave some."
        )
    return int(margin)


def _fractions(val: Any, test: Any) -> tuple[float, float]:
    for name, value in (("val_fraction", val), ("test_fraction", test)):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1:
            raise UserError(f"{name}={value!r} is not valid: expected a share between 0 and 1.")
    if val + test >= 1:
        raise UserError(f"val_fraction={val:g} and test_fraction={test:g} leave nothing to train on.")
    return float(val), float(test)


__all__ = ["ArrayDataset"]
