"""GWOSC's masks of good seconds in HDF5."""

from __future__ import annotations

from typing import Any

import numpy as np

from gwbench.data.strain_files.hdf5_facts import Facts, number_of
from gwbench.data.strain_files.recording import DATA_QUALITY, INJECTION_BITS, NO_INJECTION, QUALITY_BITS, Mask
from gwbench.errors import UserError

MASKS = {
    "quality/simple/DQ": (QUALITY_BITS, DATA_QUALITY),
    "quality/injections/Inj": (INJECTION_BITS, NO_INJECTION),
}
"""GWOSC's masks by the beginning of their names: the default order of the bits, and those required."""

MOST_BITS = 64


def masks_of(facts: Facts, start: float | None, samples: int) -> tuple[tuple[Mask, ...], tuple[str, ...]]:
    """The masks beside a series, and their names.

    Args:
        facts: of the series.
        start: its GPS time; None where that is unknown, and the masks then begin with it.
        samples: its length; a mask is no longer.

    Raises:
        UserError: a mask is no series of numbers, or its bits are not named by at most 64 names.
    """
    masks, names = [], []
    for mask, (bits, required) in MASKS.items():
        for group in facts.found.groups:
            dataset = facts.tree.get(group, f"{mask}mask")
            if dataset is not None:
                values = _values(facts, dataset, f"{mask}mask", samples)
                named = facts.tree.get(group, f"{mask}Shortnames")
                first, spacing = (_attribute(dataset, name) for name in ("Xstart", "Xspacing"))
                if spacing is not None and not 0 < spacing < np.inf:
                    raise _wrong(facts, f"{mask}mask", f"has the spacing {spacing:g} s, where seconds above 0")
                masks.append(
                    Mask(
                        values,
                        0.0 if start is None else start if first is None else first,
                        1.0 if spacing is None else spacing,
                        bits if named is None else _bits(facts, named, f"{mask}Shortnames"),
                        required,
                    )
                )
                names.append(f"{mask}mask")
                break
    return tuple(masks), tuple(names)


def _values(facts: Facts, dataset: Any, name: str, samples: int) -> Any:
    """The values [S] of a mask."""
    if not hasattr(dataset, "dtype"):
        raise _wrong(facts, name, "is a group, where a dataset of numbers")
    if dataset.shape is None or dataset.ndim != 1 or dataset.dtype.kind not in "iufb":
        raise _wrong(facts, name, f"has shape {dataset.shape} and type {dataset.dtype}, where one-dimensional numbers")
    return facts.tree.read(dataset, samples)


def _bits(facts: Facts, dataset: Any, name: str) -> tuple[str, ...]:
    """The names of a mask's bits."""
    kind = dataset.dtype.kind if hasattr(dataset, "dtype") else "a group"
    if kind not in ("S", "O", "U") or dataset.ndim != 1:
        raise _wrong(facts, name, "is no list of names, where the names of the bits")
    if dataset.size > MOST_BITS:
        raise _wrong(facts, name, f"names {dataset.size:,} bits, where at most {MOST_BITS}")
    return tuple(
        value.decode(errors="replace") if isinstance(value, bytes) else str(value)
        for value in facts.tree.read(dataset, MOST_BITS)
    )


def _attribute(dataset: Any, name: str) -> float | None:
    """A finite number; None where there is none."""
    if name not in dataset.attrs:
        return None
    number = number_of(dataset.attrs[name])
    return number.value if number is not None and np.isfinite(number.value) else None


def _wrong(facts: Facts, name: str, what: str) -> UserError:
    return UserError(
        f"The strain file {facts.tree.path}: {name} {what} are expected. Mend it, or write the strain anew without it."
    )


__all__ = ["masks_of"]
