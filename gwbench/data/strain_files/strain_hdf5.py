"""Strain in HDF5: as GWOSC, pycbc and gwpy write it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gwbench.data.strain_files.recording import (
    DATA_QUALITY,
    INJECTION_BITS,
    LISTED,
    NO_INJECTION,
    QUALITY_BITS,
    Mask,
    Recording,
    detector_of,
    one_channel,
)
from gwbench.errors import UserError

if TYPE_CHECKING:
    import h5py

SPACING = ("Xspacing", "delta_t", "dx")
"""Attributes that hold the sample spacing in seconds, as GWOSC, pycbc and gwpy write them."""

START = ("Xstart", "start_time", "x0")
"""Attributes that hold the GPS time of the first sample."""

MASKS = {
    "simple/DQ": (QUALITY_BITS, DATA_QUALITY),
    "injections/Inj": (INJECTION_BITS, NO_INJECTION),
}
"""GWOSC's masks by the beginning of their names: the default order of the bits, and those required."""


def read_hdf5(path: Path, channels: Sequence[str]) -> list[Recording]:
    """Read `strain/Strain`, `data`, the only one-dimensional float dataset, or the one among `channels`.

    Raises:
        UserError: no such dataset or several, no sample rate, or a file that is no HDF5 file or damaged.
    """
    with _opened(path) as file:
        dataset = _strain(file, path, channels)
        spacing = _number(dataset.attrs, SPACING, path)
        if spacing is None or spacing <= 0:
            raise UserError(
                f"The strain file {path} has no sample rate: {dataset.name} needs an attribute delta_t (or "
                f"{' or '.join(name for name in SPACING if name != 'delta_t')}) above 0, in seconds; found "
                f"{spacing}."
            )
        start = _number(dataset.attrs, START, path) or None
        strain = np.asarray(dataset[()], dtype=np.float64)
        masks = _masks(file, path, start or 0.0)
        quality = tuple(f"quality/{mask}mask" for mask in MASKS if f"quality/{mask}mask" in file)
        rate = round(1 / spacing, 6)
        return [Recording(_detector(file, dataset), start, rate, strain, masks, dataset.name, quality)]


def hdf5_detectors(path: Path, channels: Sequence[str]) -> list[str | None]:
    """The detector of every series that `read_hdf5` gives. Raises `UserError` likewise."""
    with _opened(path) as file:
        return [_detector(file, _strain(file, path, channels))]


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            yield file
    # What h5py raises for a damaged file depends on where the damage lies.
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise UserError(
            f"The strain file {path} cannot be read: it is not an HDF5 file, or it is truncated or damaged. Download "
            f"it again or convert it to HDF5. ({error})"
        ) from None


def _strain(file: h5py.File, path: Path, channels: Sequence[str]) -> h5py.Dataset:
    import h5py

    series: dict[str, h5py.Dataset] = {}
    listed: list[str] = []

    def visit(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            listed.append(f"{name} {item.shape} {item.dtype}")
            if item.ndim == 1 and item.dtype.kind == "f":
                series[name] = item

    file.visititems(visit)
    if not channels:
        for name in ("strain/Strain", "data"):
            if name in series:
                return series[name]
        if not series:
            raise UserError(
                f"The strain file {path} has no strain: expected strain/Strain, data, or a single one-dimensional "
                f"float dataset; found {'; '.join(listed[:LISTED]) or 'no dataset'}. Use another file."
            )
    return series[one_channel(path, list(series), list(series), channels)]


def _number(attributes: Mapping[str, Any], names: Iterable[str], path: Path) -> float | None:
    """The first of these attributes that is there; None where there is none, or it is not finite."""
    for name in names:
        if name in attributes:
            try:
                value = float(attributes[name])
                return value if np.isfinite(value) else None
            except (TypeError, ValueError):
                raise UserError(
                    f"The strain file {path}: attribute {name}={attributes[name]!r} is not a number."
                ) from None
    return None


def _detector(file: h5py.File, dataset: h5py.Dataset) -> str | None:
    said = [dataset.attrs.get(key) for key in ("detector", "channel", "name")] + [file.attrs.get("detector")]
    said += [file[key][()] for key in ("meta/Detector", "detector") if key in file and file[key].ndim == 0]
    return next(filter(None, (detector_of(_text(value)) for value in said)), None)


def _masks(file: h5py.File, path: Path, start: float) -> tuple[Mask, ...]:
    masks = []
    for mask, (bits, required) in MASKS.items():
        if f"quality/{mask}mask" in file:
            dataset = file[f"quality/{mask}mask"]
            named = file.get(f"quality/{mask}Shortnames")
            first, spacing = _number(dataset.attrs, ("Xstart",), path), _number(dataset.attrs, ("Xspacing",), path)
            masks.append(
                Mask(
                    dataset[()],
                    start if first is None else first,
                    spacing or 1.0,
                    bits if named is None else tuple(map(_text, named)),
                    required,
                )
            )
    return tuple(masks)


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
