"""Strain in HDF5, as GWOSC, pycbc, gwpy, bilby, aframe and the MLGWSC-1 challenge write it, and most others."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from gwbench.data.dataset import Array
from gwbench.data.hdf5_tree import Found, Tree
from gwbench.data.strain_files.detector_names import KNOWN, detector_of_file
from gwbench.data.strain_files.hdf5_facts import Facts
from gwbench.data.strain_files.hdf5_masks import masks_of
from gwbench.data.strain_files.hdf5_time_axis import time_axis
from gwbench.data.strain_files.recording import LISTED, Recording
from gwbench.data.strain_files.strain_choice import CHOOSE, chosen, listed, only
from gwbench.errors import UserError
from gwbench.utils.printable import printable
from gwbench.utils.reader_process import read_in_process

RATES = (1.0, 1e8)
"""Hz between which a sample rate lies."""

TYPES = {"S": "text", "U": "text", "O": "objects or text", "V": "a compound type", "c": "complex numbers", "b": "flags"}
"""What a dataset holds that is no strain, by numpy's kind of its type."""

LONGEST = 2000
"""Letters of a message."""

SPAN = re.compile(r".*-(\d{9,10})-(\d+)\.\w+")
"""GPS start and seconds in the names of LIGO-T050017."""


def read_hdf5(path: Path, channels: Sequence[str]) -> list[Recording]:
    """Read all strain of an HDF5 file, or the datasets, groups or detectors among `channels`.

    Without `channels`, `strain/Strain`, `data`, or whatever is strain by its name: of every detector one series, or
    several that follow on each other. The file is read in a process of its own.

    Raises:
        UserError: no such dataset, several that may be meant, no sample rate, or a file that cannot be read.
    """
    recordings: list[Recording] = read_in_process(
        recordings_in, path, tuple(channels), what="strain file", kind="HDF5 file", modules=("h5py",)
    )
    return recordings


def hdf5_detectors(path: Path, channels: Sequence[str]) -> list[str | None]:
    """The detector of every series that `read_hdf5` gives. Raises `UserError` likewise."""
    detectors: list[str | None] = read_in_process(
        detectors_in, path, tuple(channels), what="strain file", kind="HDF5 file", modules=("h5py",)
    )
    return detectors


def recordings_in(path: Path, channels: Sequence[str]) -> list[Recording]:
    """What `read_hdf5` gives, read in this process."""
    with _printable(), Tree(path, "strain file") as tree:
        return [_recording(one) for one in _series(tree, channels)]


def detectors_in(path: Path, channels: Sequence[str]) -> list[str | None]:
    """What `hdf5_detectors` gives, read in this process."""
    with _printable(), Tree(path, "strain file") as tree:
        return [_detector(one)[0] for one in _series(tree, channels)]


@contextmanager
def _printable() -> Iterator[None]:
    """Messages without the control characters that names in a file may hold."""
    try:
        yield
    except UserError as error:
        raise UserError(printable(str(error), LONGEST)) from None


def headers_in(path: Path, channels: Sequence[str]) -> list[tuple[str, int, Recording]]:
    """Of every series its name in the file, its samples, and what `read_hdf5` gives without them."""
    with _printable(), Tree(path, "strain file") as tree:
        series = _series(tree, channels)
        return [(one.found.names[0], int(one.found.dataset.size), _header(one)) for one in series]


def samples_in(path: Path, name: str, start: int, stop: int) -> tuple[Array, float]:
    """Some samples [stop - start] of a series, as float64, and the processor seconds that this took.

    Raises:
        UserError: it is not there any more.
    """
    begun = time.process_time()
    with _printable(), Tree(path, "strain file") as tree:
        found = tree.find(name)
        if len(found) != 1 or not _is_series(found[0]) or found[0].dataset.size < stop:
            raise UserError(f"The strain file {path} has changed while it was read: {name} is not what it was.")
        samples = np.asarray(tree.read_part(found[0].dataset, start, stop), dtype=np.float64)
    return samples, time.process_time() - begun


def _recording(facts: Facts) -> Recording:
    header = _header(facts)
    return replace(header, strain=np.asarray(facts.tree.read(facts.found.dataset), dtype=np.float64).reshape(-1))


def _header(facts: Facts) -> Recording:
    """What is said of a series, without its samples."""
    tree, dataset = facts.tree, facts.found.dataset
    name = dataset.name
    rate, start = facts.sample_rate, facts.start
    if (rate is None or start is None) and (axis := time_axis(facts)) is not None:
        start, rate = start or axis[0], rate or axis[1]
    if rate is None or not RATES[0] <= rate <= RATES[1]:
        raise UserError(
            f"The strain file {tree.path} has no sample rate: {name} needs an attribute delta_t (or Xspacing or dx) "
            f"above 0, in seconds, or sample_rate, in Hz; found {facts.spacing_said}."
        )
    samples = int(dataset.size)
    if start is None:
        start = _start_of_file(tree.path, samples / rate)
    masks, quality = masks_of(facts, start, samples)
    detector, notes = _detector(facts)
    return Recording(detector, start, rate, np.empty(0), masks, printable(name), quality, notes)


def _detector(facts: Facts) -> tuple[str | None, tuple[str, ...]]:
    """The detector by what the file holds, or else by its name; and a note where the two differ."""
    said, named = facts.detector, detector_of_file(facts.tree.path)
    if said is None or named is None or said == named:
        return said or named, ()
    return said, (f"{facts.tree.path.name} holds strain of {said}, as it says itself, not of {named}.",)


def _start_of_file(path: Path, seconds: float) -> float | None:
    """The start in a file's name, where the length in it fits."""
    span = SPAN.fullmatch(path.name)
    return float(span[1]) if span and abs(float(span[2]) - seconds) < 1 / 16 else None


def _series(tree: Tree, channels: Sequence[str]) -> list[Facts]:
    if channels:
        return _asked_for(tree, channels)
    found = tree.datasets()
    series = [one for one in (Facts(tree, one) for one in found if _is_series(one)) if not one.is_no_time_series]
    floats = [one for one in series if one.found.dataset.dtype.kind == "f"]
    series = floats or [one for one in series if one.has_own_rate]
    if not series:
        raise UserError(
            f"The strain file {tree.path} has no strain: expected strain/Strain, data, or a one-dimensional float "
            f"dataset; found {_contents(found)}. {_refused(tree)}Use another file."
        )
    return chosen(tree.path, series)


def _asked_for(tree: Tree, channels: Sequence[str]) -> list[Facts]:
    """The datasets of these names, all strain in groups of these names, or that of these detectors."""
    series: dict[object, Facts] = {}
    for channel in channels:
        found = tree.find(channel)
        if len(found) == 1 and found[0].names == [channel.strip("/")]:
            named = [Facts(tree, found[0])]
            _check_type(tree, found[0])
        else:
            inside = [Facts(tree, one) for one in found if _is_series(one)]
            named = chosen(tree.path, inside) if inside else []
        series |= {one.found.dataset.id: one for one in named}
    if series:
        return list(series.values())
    present = [Facts(tree, one) for one in tree.datasets() if _is_series(one)]
    detectors = [name.upper() for name in channels if name.upper() in KNOWN]
    if named := only(tree.path, present, detectors):
        return named
    if detectors and len(detectors) == len(channels) and present and detector_of_file(tree.path) in detectors:
        return chosen(tree.path, present)
    raise UserError(
        f"The strain file {tree.path} has none of the channels asked for ({', '.join(channels)}). It holds "
        f"{listed(present)}. {CHOOSE}"
    )


def _is_series(found: Found) -> bool:
    """Whether a dataset is one-dimensional and of numbers."""
    dataset = found.dataset
    if dataset.shape is None or dataset.dtype.kind not in "fiu":
        return False
    return bool(dataset.ndim >= 1 and dataset.size == max(dataset.shape) and dataset.size > 1)


def _check_type(tree: Tree, found: Found) -> None:
    """Refuse a dataset that a user named and that is no series."""
    if not _is_series(found):
        dataset = found.dataset
        kind = TYPES.get(dataset.dtype.kind)
        what = f"holds {kind} ({dataset.dtype})" if kind else f"has the shape {dataset.shape}"
        raise UserError(
            f"The strain file {tree.path}: {found.names[0]} {what}, where one-dimensional numbers are expected. "
            "Name another dataset."
        )


def _contents(found: Sequence[Found]) -> str:
    named = [f"{one.names[0]} {one.dataset.shape} {one.dataset.dtype}" for one in found]
    return "; ".join(named[:LISTED]) or "no dataset"


def _refused(tree: Tree) -> str:
    """What is said of links that were not followed."""
    return "".join(f"{name} {why}. " for name, why in list(tree.refused.items())[:LISTED])


__all__ = ["detectors_in", "hdf5_detectors", "headers_in", "read_hdf5", "recordings_in", "samples_in"]
