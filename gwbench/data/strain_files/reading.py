"""Strain files: GWOSC HDF5, plain HDF5 and GWF frames, with the segments of good data in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwbench.data.dataset import Array
from gwbench.data.strain_files.finding import GWF
from gwbench.data.strain_files.finding import find_strain_files as find_strain_files
from gwbench.data.strain_files.frames import frame_detector, read_frame
from gwbench.data.strain_files.strain_hdf5 import hdf5_detector, read_hdf5
from gwbench.errors import UserError

Ranges = tuple[tuple[int, int], ...]
"""Half-open sample ranges (start, stop), in order, without overlap."""


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

    def holds(self, time: float, margin: float = 0.0) -> bool:
        """Whether a GPS time lies within the file, or within `margin` seconds of it."""
        return -margin <= time - self.gps_start < len(self.strain) / self.sample_rate + margin


def read_strain(path: str | Path, channels: Sequence[str] = ()) -> StrainFile:
    """Read a strain file.

    Three layouts are known. GWOSC HDF5 (https://gwosc.org/techdetails): `strain/Strain` with `quality` masks and
    `meta/Detector`. Plain HDF5: a one-dimensional float dataset, named `data` or the only one in the file, with
    the attributes start_time and delta_t (or Xstart and Xspacing, or x0 and dx) and optionally `detector`. GWF
    frames: GWOSC's, whose strain and masks are known by name in both generations, or the only channel in the file.

    Good data are finite, not exactly zero (how gaps are padded), pass GWOSC's CBC vetoes of category 1 to 3 and
    hold no transient hardware injection.

    Args:
        path: the file; `.gwf` is a frame, anything else HDF5.
        channels: names of frame channels or HDF5 datasets, of which the file holds one; by default as above.

    Raises:
        UserError: the file is missing, of another format or truncated; holds no strain, several channels or not
        the one asked for, no sample rate or no finite sample.
    """
    path = _existing(path)
    recording = (read_frame if path.suffix in GWF else read_hdf5)(path, channels)
    finite = np.isfinite(recording.strain)
    if not finite.any():
        raise UserError(f"The strain file {path} holds no finite sample in {recording.channel}. Use another file.")
    good = finite & (recording.strain != 0)
    for mask in recording.masks:
        good &= mask.good(recording.gps_start, recording.sample_rate, len(good))
    return StrainFile(
        recording.detector, recording.gps_start, recording.sample_rate, recording.strain, ranges(good), path
    )


def strain_detector(path: str | Path, channels: Sequence[str] = ()) -> str | None:
    """The detector that `read_strain` would find, without reading the strain. Raises `UserError` likewise."""
    path = _existing(path)
    return (frame_detector if path.suffix in GWF else hdf5_detector)(path, channels)


def ranges(mask: Array) -> Ranges:
    """The ranges in which a boolean mask [samples] is true."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False]))))
    return tuple((int(start), int(stop)) for start, stop in edges.reshape(-1, 2))


def _existing(path: str | Path) -> Path:
    path = Path(path)
    if not path.is_file():
        raise UserError(f"There is no strain file {path}. Check the path; an HDF5 file or a GWF frame is expected.")
    return path
