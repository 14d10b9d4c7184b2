"""Arrays that a user hands over as a dataset, checked: strain, labels, SNRs and parameters of some windows."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gwbench.data.dataset import Array
from gwbench.data.detectors import DETECTORS, detector_name
from gwbench.errors import UserError, did_you_mean

LOUDEST = 1e12
"""Conditioning computes with strain times 1e21 in float32, which ends at 3e38; sums over a window need room."""

ROWS = 1024
"""Windows looked at at once."""


@dataclass(frozen=True)
class ArrayWindows:
    """Some windows in memory, or in a file that is mapped into memory.

    Attributes:
        strain: [N, D, T + 2 margin], numbers of any real type; float32 unless it is a mapped file.
        label: [N] int8; 1 signal, 0 noise, -1 unlabelled.
        snr: [N] float32, NaN where it is not known.
        parameters: [N] float64 each.
    """

    strain: Array
    label: Array
    snr: Array
    parameters: Mapping[str, Array]

    def __len__(self) -> int:
        return len(self.label)


class ArrayRows:
    """Windows of an array at some positions, read on demand; a `contracts.StrainReader`."""

    def __init__(self, strain: Array, positions: Array) -> None:
        self._strain, self._positions = strain, positions
        self.shape: tuple[int, int, int] = (len(positions), strain.shape[1], strain.shape[2])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: slice | Array) -> Array:
        """Strain [n, D, T + 2 margin] float32, a copy, at a slice or an array of positions."""
        return np.asarray(self._strain[self._positions[index]], dtype=np.float32)


def detector_names(given: str | Iterable[str]) -> tuple[str, ...]:
    """Names of detectors from "H1,L1" or several texts.

    Raises:
        UserError: there are none, one is no text or stands twice, or one is not known.
    """
    texts = given.split(",") if isinstance(given, str) else list(given)
    if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
        raise UserError(f"detectors={given!r} is not valid: expected names in channel order, such as ('H1', 'L1').")
    names = tuple(map(detector_name, texts))
    for name in names:
        if name not in DETECTORS:
            hint = did_you_mean(name.upper(), DETECTORS)
            raise UserError(f"Unknown detector {name!r} in detectors: expected some of {', '.join(DETECTORS)}.{hint}")
    if len(set(names)) < len(names):
        raise UserError(f"detectors={given!r} names a detector twice. Name each channel's own.")
    return names


def read_windows(
    strain: Any,
    labels: Any,
    snr: Any,
    parameters: Mapping[str, Any] | None,
    detectors: Sequence[str],
    where: str = "",
) -> ArrayWindows:
    """Windows from arrays, or from torch's tensors, as they are handed over.

    Args:
        strain: [N, D, T + 2 margin].
        labels: [N] 0, 1 or -1; None where no window has one.
        snr: [N]; None where it is not known.
        parameters: [N] each; None where there are none.
        detectors: D names.
        where: the split, for messages; empty where there is none yet.

    Raises:
        UserError: an array is not of this shape or type, or holds numbers that cannot be.
    """
    of = f" of {where}" if where else ""
    windows = _strain(strain, detectors, of)
    count = len(windows)
    return ArrayWindows(
        windows,
        _labels(labels, count, of),
        _column(snr, count, f"snr{of}").astype(np.float32),
        {_name(key): _column(values, count, f"parameters[{key!r}]{of}") for key, values in (parameters or {}).items()},
    )


def as_array(given: Any, name: str) -> Array:
    """A numpy array from one, from a tensor on any device, or from nested lists.

    Raises:
        UserError: no array of numbers can be made of it.
    """
    if hasattr(given, "detach"):  # a tensor of torch, which is not imported here
        given = given.detach().cpu()
        given = (given.float() if str(given.dtype) == "torch.bfloat16" else given).numpy()
    try:
        array: Array = given if isinstance(given, np.ndarray) else np.asarray(given)
    except (ValueError, TypeError):
        raise UserError(f"{name} is no array: its parts have different shapes. Stack windows of one length.") from None
    if array.dtype.kind not in "biuf":
        raise UserError(f"{name} holds {array.dtype} values: expected real numbers.")
    return array


def _strain(given: Any, detectors: Sequence[str], of: str) -> Array:
    if isinstance(given, Mapping):
        raise UserError(f"strain{of} is a {type(given).__name__}: expected an array [N, {len(detectors)}, T].")
    array = as_array(given, f"strain{of}")
    shape = f"strain{of} has the shape {list(array.shape)}"
    if array.ndim == 2 and len(detectors) == 1:
        raise UserError(f"{shape}: expected [N, 1, T]. Write strain[:, None, :].")
    if array.ndim != 3:
        raise UserError(f"{shape}: expected [N, {len(detectors)}, T], windows of every detector.")
    if array.shape[1] != len(detectors):
        moved = ""
        if len(detectors) in array.shape:
            moved = f" Its axis {array.shape.index(len(detectors))} has that length: np.moveaxis puts it second."
        names = ", ".join(detectors)
        raise UserError(f"{shape}: the second axis should hold {len(detectors)} detector(s), {names}.{moved}")
    if 0 in array.shape:
        raise UserError(f"{shape}: it is empty. Give at least two windows of every class.")
    kept = array.view() if isinstance(array, np.memmap) else None
    if kept is None:
        with np.errstate(over="ignore"):  # what does not fit is found below
            kept = array.astype(np.float32)
    _refuse_odd(array, kept, detectors, of)
    kept.flags.writeable = False
    return kept


def _refuse_odd(given: Array, kept: Array, detectors: Sequence[str], of: str) -> None:
    """Raise `UserError` for NaN, for numbers that are too large, and for a detector that holds nothing."""
    alive = np.zeros(len(detectors), dtype=bool)
    for start in range(0, len(kept), ROWS):
        part = np.asarray(kept[start : start + ROWS], dtype=np.float32)
        wrong = ~np.isfinite(part)
        if wrong.any():
            row, detector = np.argwhere(wrong.any(axis=2))[0]
            own = given[start + row, detector]
            text = "NaN or infinite values" if not np.isfinite(own).all() else "values too large for float32"
            raise UserError(
                f"strain{of} holds {text}: window {start + row}, {detectors[detector]}. Leave such windows out, or "
                "mend them."
            )
        loudest = float(np.abs(part).max())
        if loudest > LOUDEST:
            raise UserError(
                f"strain{of} reaches {loudest:.1e}, and float32 has no room to condition that. Scale it to strain, or "
                "to a standard deviation of 1; a common factor changes nothing else."
            )
        alive |= (part.max(axis=2) > part.min(axis=2)).any(axis=0)
    if not alive.all():
        name = detectors[int(np.argmin(alive))]
        lost = (
            bool(np.asarray(given[:, int(np.argmin(alive))]).any())
            and not np.asarray(kept[:, int(np.argmin(alive))], dtype=np.float32).any()
        )
        half = given.dtype == np.float16
        reason = " It is too small for float32: give it in strain." if lost else ""
        reason = " float16 holds nothing below 6e-8, so that strain is zero in it: use float32." if half else reason
        raise UserError(f"strain{of} of {name} is constant in every window, so that it holds no noise.{reason}")


def _labels(given: Any, count: int, of: str) -> Array:
    if given is None:
        return np.full(count, -1, dtype=np.int8)
    array = as_array(given, f"labels{of}")
    if array.shape != (count,):
        raise UserError(f"labels{of} has the shape {list(array.shape)}: expected [{count}], one a window.")
    odd = [value for value in np.unique(array).tolist() if value not in (-1, 0, 1)]
    if odd:
        shown = ", ".join(map(str, odd[:5]))
        raise UserError(f"labels{of} holds {shown}: expected 1 for signal, 0 for noise and -1 for unlabelled.")
    return array.astype(np.int8)


def _column(given: Any, count: int, name: str) -> Array:
    if given is None:
        return np.full(count, np.nan)
    array = as_array(given, name)
    if array.shape != (count,):
        raise UserError(f"{name} has the shape {list(array.shape)}: expected [{count}], one a window.")
    if np.isinf(array).any():
        raise UserError(f"{name} holds infinite values: write NaN where it is not known.")
    return array.astype(np.float64)


def _name(key: Any) -> str:
    if not isinstance(key, str) or not key.isidentifier():
        raise UserError(f"parameters has the name {key!r}: expected a word such as 'mass1'.")
    return key


def group_numbers(given: Any, count: int) -> Array:
    """[N] int64 that are equal where two windows have the same group, numbered in order of appearance.

    Raises:
        UserError: there is not one group a window.
    """
    values = given.detach().cpu().numpy() if hasattr(given, "detach") else given
    listed = values.tolist() if isinstance(values, np.ndarray) else list(values)
    if len(listed) != count:
        raise UserError(f"groups has {len(listed)} values: expected {count}, one a window.")
    numbers: dict[Any, int] = {}
    counter = itertools.count()
    try:
        found = [numbers[each] if each in numbers else numbers.setdefault(each, next(counter)) for each in listed]
    except TypeError:
        raise UserError("groups holds lists: expected one name or number a window.") from None
    return np.asarray(found, dtype=np.int64)
