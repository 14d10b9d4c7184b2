"""PSDs in HDF5, as pycbc, gwpy, bilby, PESummary and others write them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gwbench.data.hdf5_files import number, text
from gwbench.data.hdf5_tree import Found, Tree
from gwbench.data.psd_files.checks import ADVICE
from gwbench.data.psd_files.columns import as_columns, is_frequency
from gwbench.data.psd_files.numpy_files import SPACINGS, STARTS, structured
from gwbench.data.psd_files.spectra import Candidate, Spectrum, chosen, detector_in
from gwbench.errors import UserError
from gwbench.utils.printable import few, printable

if TYPE_CHECKING:
    import h5py

WHAT = "PSD file"

MOST_VALUES = 2**24
"""Of one dataset; a PSD of 2048 s of strain at 16384 Hz has as many."""

SCALES = ("dynamic_range_factor",)
"""What pycbc multiplied the strain by."""

OF_A_FILE = ("delta_f", "df", "frequency_resolution", "delta_frequency")
"""Spacings that a group or the file may name for the datasets in it."""


def read_hdf5(path: Path, detector: str | None, part: str | None) -> Spectrum:
    """The PSD of a file that is meant, in the process that reads files.

    A PSD is a one-dimensional float dataset with the spacing of its bins in an attribute (delta_f, dx ...; the first
    bin in f0 or x0, otherwise 0 Hz), one beside a dataset of frequencies in the same group, a dataset [N, 2] of
    frequency and value, or a table with named columns.

    Raises:
        UserError: there is none, or as `chosen`.
    """
    with Tree(path, WHAT) as tree:
        found = tree.datasets()
        candidates = [candidate for each in found for candidate in _candidates(tree, each)]
        candidates += _beside_frequencies(tree, [each for each in found if not _has_spacing(each.dataset)])
        if not candidates:
            raise UserError(_nothing(tree, found))
        return chosen(path, candidates, detector, part)


def _candidates(tree: Tree, found: Found) -> Iterator[Candidate]:
    """What a dataset holds by itself."""
    names, dataset = _absolute(found), found.dataset
    name = names[0]
    whose = _detector(name, dataset)
    if dataset.dtype.names:
        if dataset.ndim == 1 and any(map(is_frequency, dataset.dtype.names)):
            yield from structured(_values(tree, dataset), f"{name}/")
    elif dataset.ndim == 1 and dataset.dtype.kind == "f" and _has_spacing(dataset):
        remark = f"with {_spacing(dataset)[0]}"
        yield Candidate(name, partial(_even, tree, name, dataset), whose, names, remark)
    elif dataset.ndim == 2 and dataset.dtype.kind == "f" and 2 in dataset.shape:
        table = as_columns(_values(tree, dataset))
        if table is not None:
            series = _series(dataset, table[:, 0], table[:, 1])
            yield Candidate(name, lambda: series, whose, names)


def _beside_frequencies(tree: Tree, entries: Sequence[Found]) -> Iterator[Candidate]:
    """One-dimensional datasets with one of frequencies, of the same length, in the same group."""
    flat = [(_absolute(each), each.dataset) for each in entries if _is_flat(each.dataset)]
    axes = {}
    for (name, *_), dataset in flat:
        group, _, last = name.rpartition("/")
        if is_frequency(last):
            axes[group, len(dataset)] = dataset

    def load(axis: h5py.Dataset, dataset: h5py.Dataset) -> Spectrum:
        return _series(dataset, _values(tree, axis), _values(tree, dataset))

    for names, dataset in flat:
        name = names[0]
        group, _, last = name.rpartition("/")
        axis = axes.get((group, len(dataset)))
        if axis is not None and not is_frequency(last):
            yield Candidate(name, partial(load, axis, dataset), _detector(name, dataset), names)


def _even(tree: Tree, name: str, dataset: h5py.Dataset) -> Spectrum:
    """A series with even bins."""
    path, shown = tree.path, printable(name)
    spacing, said = _spacing(dataset)
    delta_f = number({spacing: said}, (spacing,))
    if delta_f is None or not 0 < delta_f < np.inf:
        raise UserError(
            f"The PSD file {path}: {shown} has {spacing}={printable(repr(said), 60)}; expected the Hz between bins, "
            f"above 0. {ADVICE}"
        )
    start = number(dataset.attrs, STARTS)
    if start is not None and not 0 <= start < np.inf:
        raise UserError(f"The PSD file {path}: {shown} begins at {start:g} Hz; expected 0 Hz or above. {ADVICE}")
    unit = text(dataset.attrs, ("xunit",))
    if unit.casefold() not in ("", "hz", "1 / s", "s^-1", "s-1"):
        raise UserError(f"The PSD file {path}: the bins of {shown} are in {unit!r}; expected Hz. {ADVICE}")
    values = _values(tree, dataset)
    return _series(dataset, (start or 0.0) + np.arange(len(values), dtype=np.float64) * delta_f, values)


def _absolute(found: Found) -> tuple[str, ...]:
    """The paths to a dataset, from the file's root."""
    return tuple(f"/{name}" for name in found.names)


def _is_flat(dataset: h5py.Dataset) -> bool:
    return bool(dataset.ndim == 1 and dataset.dtype.kind == "f")


def _values(tree: Tree, dataset: h5py.Dataset) -> Any:
    return np.asarray(tree.read(dataset, MOST_VALUES))


def _series(dataset: h5py.Dataset, frequencies: Any, values: Any) -> Spectrum:
    scale = number(dataset.attrs, SCALES)
    if scale is None:
        scale = number(dataset.file.attrs, SCALES)
    unit = text(dataset.attrs, ("unit", "units"))
    axis, spectrum = np.asarray(frequencies, np.float64), np.asarray(values, np.float64)
    return Spectrum(axis, spectrum, unit, scale=1.0 if scale is None else scale)


def _spacing(dataset: h5py.Dataset) -> tuple[str, Any]:
    """How the spacing of the bins is called, and its value; of the dataset, its group or the file. Raises KeyError."""
    around = (dataset.parent.attrs, dataset.file.attrs)
    for attributes, names in ((dataset.attrs, SPACINGS), *((each, OF_A_FILE) for each in around)):
        for name in names:
            if name in attributes:
                return name, attributes[name]
    raise KeyError("delta_f")


def _has_spacing(dataset: h5py.Dataset) -> bool:
    """Whether bins are said to be evenly spaced; gwpy's time series, whose unit is s, have no frequencies."""
    if text(dataset.attrs, ("xunit",)) == "s" or "delta_t" in dataset.attrs:
        return False
    try:
        return bool(_spacing(dataset))
    except KeyError:
        return False


def _detector(name: str, dataset: h5py.Dataset) -> str | None:
    said = text(dataset.attrs, ("detector", "ifo", "instrument", "channel", "name"))
    if said and (found := detector_in(said)):
        return found
    return detector_in(name)


def _nothing(tree: Tree, found: Iterable[Found]) -> str:
    flat = [f"{printable(_absolute(each)[0], 80)} (without delta_f)" for each in found if _is_flat(each.dataset)]
    refused = "".join(f" {printable(name, 80)} {printable(why)}." for name, why in list(tree.refused.items())[:6])
    return (
        f"The PSD file {tree.path}: expected a one-dimensional float dataset with the attribute delta_f (or dx) in Hz, "
        "one beside a dataset of frequencies, or one [N, 2] of frequency and PSD; found "
        f"{few(flat, 6) or 'no such dataset'}.{refused} {ADVICE}"
    )


__all__ = ["read_hdf5"]
