"""Strain files: GWOSC HDF5 and plain HDF5, with the stretches of good data in them."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gwbench.contracts import Array
from gwbench.errors import UserError

if TYPE_CHECKING:
    import h5py

Ranges = tuple[tuple[int, int], ...]
"""Half-open sample ranges (start, stop), in order, without overlap."""

SUFFIXES = (".hdf5", ".hdf", ".h5")
"""What is read of a folder."""

SPACING = ("Xspacing", "delta_t", "dx")
"""Attributes that hold the sample spacing in seconds, as GWOSC, pycbc and gwpy write them."""

START = ("Xstart", "start_time", "x0")
"""Attributes that hold the GPS time of the first sample."""

DATA_QUALITY = ("DATA", "CBC_CAT1", "CBC_CAT2", "CBC_CAT3")
"""Bits of GWOSC's DQmask that a good second has set."""

NO_INJECTION = ("NO_CBC_HW_INJ", "NO_BURST_HW_INJ", "NO_DETCHAR_HW_INJ", "NO_STOCH_HW_INJ")
"""Bits of GWOSC's Injmask that a good second has set.

NO_CW_HW_INJ is not among them: faint continuous waves were injected during most of the observing time, and
asking for their absence would discard whole detectors.
"""

DEFAULT_BITS = {
    "simple/DQ": (*DATA_QUALITY, "BURST_CAT1", "BURST_CAT2", "BURST_CAT3"),
    "injections/Inj": (*NO_INJECTION[:3], "NO_CW_HW_INJ", NO_INJECTION[3]),
}
"""The order of the bits where a file does not name them."""


@dataclass(frozen=True)
class StrainFile:
    """Strain of one detector.

    Attributes:
        detector: its name, such as "H1"; None where the file does not say.
        gps_start: GPS time of the first sample; 0 where the file does not say.
        sample_rate: Hz.
        strain: [samples] float64 as `read_strain` gives it.
        good: the ranges that hold data of good quality.
        path: where it was read.
    """

    detector: str | None
    gps_start: float
    sample_rate: float
    strain: Array
    good: Ranges
    path: Path

    @property
    def good_seconds(self) -> float:
        """Seconds of good data."""
        return sum(stop - start for start, stop in self.good) / self.sample_rate


def read_strain(path: str | Path) -> StrainFile:
    """Read a strain file.

    Two layouts are known. GWOSC HDF5 (https://gwosc.org/techdetails): `strain/Strain` with `quality` masks and
    `meta/Detector`. Plain HDF5: a one-dimensional float dataset, named `data` or the only one in the file, with
    the attributes start_time and delta_t (or Xstart and Xspacing, or x0 and dx) and optionally `detector`.

    Good data are finite, not exactly zero (how gaps are padded), pass GWOSC's CBC vetoes of category 1 to 3 and
    hold no transient hardware injection.

    Raises:
        UserError: the file is missing, no HDF5 file or truncated; holds no strain, no sample rate or no finite
        sample.
    """
    import h5py

    path = Path(path)
    if not path.is_file():
        raise UserError(f"There is no strain file {path}. Check the path; an HDF5 file is expected.")
    try:
        with h5py.File(path, "r") as file:
            return _read(file, path)
    except OSError as error:
        raise UserError(
            f"The strain file {path} cannot be read: it is not an HDF5 file, or it is truncated. Download it "
            f"again or convert it to HDF5. ({error})"
        ) from None


def find_strain_files(places: Iterable[str]) -> list[Path]:
    """The files behind some files, folders (searched to the bottom) and globs: each once, in order of name.

    Raises:
        UserError: one of them leads to no file.
    """
    found: set[Path] = set()
    for given in places:
        place = Path(given).expanduser()
        if place.is_file():
            here = [place]
        elif place.is_dir():
            here = [file for file in place.rglob("*") if file.suffix in SUFFIXES and file.is_file()]
        else:
            # Path.glob takes no absolute pattern.
            names = glob.glob(str(place), recursive=True)  # noqa: PTH207
            here = [Path(name) for name in names if Path(name).is_file()]
        if not here:
            raise UserError(
                f"dataset.path={given} names no strain file: expected an HDF5 file ({', '.join(SUFFIXES)}), a folder "
                "of such files, or a glob in quotes."
            )
        found.update(file.absolute() for file in here)
    return sorted(found, key=lambda file: (file.name, str(file)))


def ranges(mask: Array) -> Ranges:
    """The ranges in which a boolean mask [samples] is true."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False]))))
    return tuple((int(start), int(stop)) for start, stop in edges.reshape(-1, 2))


def _read(file: h5py.File, path: Path) -> StrainFile:
    dataset = _strain_dataset(file, path)
    spacing = _attribute(dataset.attrs, SPACING, path)
    if spacing is None or not spacing > 0:
        raise UserError(
            f"The strain file {path} has no sample rate: {dataset.name} needs an attribute delta_t (or "
            f"{' or '.join(name for name in SPACING if name != 'delta_t')}) above 0, in seconds; found "
            f"{spacing}."
        )
    rate = round(1 / spacing, 6)
    start = _attribute(dataset.attrs, START, path) or 0.0
    strain = np.asarray(dataset[()], dtype=np.float64)
    finite = np.isfinite(strain)
    if not finite.any():
        raise UserError(f"The strain file {path} holds no finite sample in {dataset.name}. Use another file.")
    good = finite & (strain != 0)
    if "quality" in file:
        good &= _passes(file["quality"], "simple/DQ", DATA_QUALITY, start, rate, len(strain))
        good &= _passes(file["quality"], "injections/Inj", NO_INJECTION, start, rate, len(strain))
    return StrainFile(_detector(file, dataset), start, rate, strain, ranges(good), path)


def _strain_dataset(file: h5py.File, path: Path) -> h5py.Dataset:
    import h5py

    series: dict[str, h5py.Dataset] = {}
    found: list[str] = []

    def visit(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            found.append(f"{name} {item.shape} {item.dtype}")
            if item.ndim == 1 and item.dtype.kind == "f":
                series[name] = item

    file.visititems(visit)
    for name in ("strain/Strain", "data"):
        if name in series:
            return series[name]
    if len(series) == 1:
        return next(iter(series.values()))
    raise UserError(
        f"The strain file {path} has no strain: expected strain/Strain, data, or a single one-dimensional "
        f"float dataset; found {'; '.join(found) or 'no dataset'}. Use another file."
    )


def _attribute(attributes: Any, names: Iterable[str], path: Path) -> float | None:
    """The first of these attributes that is there, as a number."""
    for name in names:
        if name in attributes:
            try:
                return float(attributes[name])
            except (TypeError, ValueError):
                raise UserError(
                    f"The strain file {path}: attribute {name}={attributes[name]!r} is not a number."
                ) from None
    return None


def _detector(file: h5py.File, dataset: h5py.Dataset) -> str | None:
    """A name such as "H1", also out of a channel name such as "H1:GWOSC-4KHZ"."""
    said = [dataset.attrs.get(key) for key in ("detector", "channel", "name")] + [file.attrs.get("detector")]
    said += [file[key][()] for key in ("meta/Detector", "detector") if key in file and file[key].ndim == 0]
    for value in said:
        match = re.match(r"([A-Z][0-9])(:|$)", _text(value))
        if match:
            return match.group(1)
    return None


def _passes(quality: h5py.Group, mask: str, required: tuple[str, ...], start: float, rate: float, size: int) -> Array:
    """[size] bool: samples whose second has all required bits; a bit that the file lacks is passed."""
    if f"{mask}mask" not in quality:
        return np.ones(size, dtype=bool)
    dataset = quality[f"{mask}mask"]
    named = quality.get(f"{mask}Shortnames")
    names = DEFAULT_BITS[mask] if named is None else tuple(map(_text, named))
    bits = sum(1 << names.index(name) for name in required if name in names)
    seconds = (np.asarray(dataset[()], dtype=np.int64) & bits) == bits
    first = float(dataset.attrs.get("Xstart", start)) - start
    spacing = float(dataset.attrs.get("Xspacing", 1.0))
    edges = np.rint((first + spacing * np.arange(len(seconds) + 1)) * rate).astype(np.int64).clip(0, size)
    samples = np.zeros(size, dtype=bool)
    samples[edges[0] : edges[-1]] = np.repeat(seconds, np.diff(edges))
    return samples


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
