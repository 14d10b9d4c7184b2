"""Strain files: GWOSC HDF5, plain HDF5 and GWF frames, with the segments of good data in them."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gwbench.data.dataset import Array
from gwbench.data.strain_files.frames import frame_detectors, read_frame
from gwbench.data.strain_files.quality import NO_MASK
from gwbench.data.strain_files.recording import LISTED, Recording
from gwbench.data.strain_files.strain_hdf5 import hdf5_detectors, read_hdf5
from gwbench.errors import UserError
from gwbench.utils.paths import user_path

Ranges = tuple[tuple[int, int], ...]
"""Half-open sample ranges (start, stop), in order, without overlap."""

HDF5, GWF = (".hdf5", ".hdf", ".h5"), (".gwf",)
"""What is read of a folder; a file of any other suffix is taken for HDF5."""


@dataclass(frozen=True)
class StrainFile:
    """One series of strain of one detector.

    Attributes:
        detector: its name, such as "H1"; None where the file does not say.
        gps_start: GPS time of the first sample; None where the file does not say.
        sample_rate: Hz.
        strain: [samples] float64 as `read_strain` gives it.
        good: the ranges that hold data of good quality.
        path: where it was read.
        quality: names of the masks that were applied; empty for none.
        channel: what it is called in the file.
        notes: what a reader of a record must know about it, in sentences.
        place: for a series of unknown time, where `timeline.arranged` lays its first sample on an axis of seconds.
    """

    detector: str | None
    gps_start: float | None
    sample_rate: float
    strain: Array
    good: Ranges
    path: Path
    quality: tuple[str, ...] = ()
    channel: str = ""
    notes: tuple[str, ...] = ()
    place: float = 0.0

    @property
    def start(self) -> float:
        """Its GPS start; where that is unknown, its place."""
        return self.place if self.gps_start is None else self.gps_start

    @property
    def good_seconds(self) -> float:
        """Seconds of good data."""
        return sum(stop - start for start, stop in self.good) / self.sample_rate

    def holds(self, time: float, margin: float = 0.0) -> bool:
        """Whether a time lies within the series, or within `margin` seconds of it."""
        return -margin <= time - self.start < len(self.strain) / self.sample_rate + margin


def read_strain(path: str | Path, channels: Sequence[str] = (), quality: Sequence[str] = ()) -> StrainFile:
    """Read a strain file that holds one series.

    Raises:
        UserError: as `read_strain_series`, or the file holds several series.
    """
    series = read_strain_series(path, channels, quality)
    if len(series) > 1:
        listed = ", ".join(file.channel for file in series[:LISTED])
        raise UserError(f"The strain file {path} holds {len(series)} series where one is expected: {listed}.")
    return series[0]


def read_strain_series(path: str | Path, channels: Sequence[str] = (), quality: Sequence[str] = ()) -> list[StrainFile]:
    """Read every series of a strain file: one per detector and segment.

    Three layouts are known. GWOSC HDF5 (https://gwosc.org/techdetails): `strain/Strain` with `quality` masks and
    `meta/Detector`. Plain HDF5: a one-dimensional float dataset, named `data` or the only one in the file, with
    the attributes start_time and delta_t (or Xstart and Xspacing, or x0 and dx) and optionally `detector`. GWF
    frames: GWOSC's, whose strain and masks are known by name in both generations, or the only channel in the file.

    Good data are finite, not exactly zero (how gaps are padded), pass GWOSC's CBC vetoes of category 1 to 3 and
    hold no transient hardware injection.

    Args:
        path: the file; `.gwf` is a frame, anything else HDF5.
        channels: names of frame channels or HDF5 datasets, of which the file holds one; by default as above.
        quality: of frames, the quality channels and bits to ask for, as `quality.chosen_rules` takes them; ("none",)
            for no mask, in HDF5 too.

    Raises:
        UserError: the file is missing, of another format or truncated; holds no strain, several channels or not
        the one asked for, no sample rate or no finite sample.
    """
    path = _existing(path)
    recordings = read_frame(path, channels, quality) if path.suffix in GWF else read_hdf5(path, channels)
    if tuple(quality) == (NO_MASK,):
        recordings = [replace(recording, masks=(), quality=()) for recording in recordings]
    return [_with_good_ranges(path, recording) for recording in recordings]


def _with_good_ranges(path: Path, recording: Recording) -> StrainFile:
    finite = np.isfinite(recording.strain)
    if not finite.any():
        raise UserError(f"The strain file {path} holds no finite sample in {recording.channel}. Use another file.")
    good = finite & (recording.strain != 0)
    for mask in recording.masks:
        good &= mask.good(recording.gps_start or 0.0, recording.sample_rate, len(good))
    return StrainFile(
        recording.detector,
        recording.gps_start,
        recording.sample_rate,
        recording.strain,
        ranges(good),
        path,
        recording.quality,
        recording.channel,
        recording.notes,
    )


def strain_detectors(path: str | Path, channels: Sequence[str] = ()) -> list[str | None]:
    """The detector of each series, without reading the strain. Raises `UserError` as `read_strain_series`."""
    path = _existing(path)
    return (frame_detectors if path.suffix in GWF else hdf5_detectors)(path, channels)


def strain_detector(path: str | Path, channels: Sequence[str] = ()) -> str | None:
    """The detector of a file that holds one series, as plugins written before asked for it."""
    return strain_detectors(path, channels)[0]


def find_strain_files(places: Iterable[str]) -> list[Path]:
    """The files behind some files, folders (searched to the bottom) and globs: each once, in order of name.

    Raises:
        UserError: one of them leads to no file.
    """
    paths: set[Path] = set()
    for given in places:
        place = user_path(given)
        if place.is_file():
            here = [place]
        elif place.is_dir():
            here = [file for file in place.rglob("*") if file.suffix in HDF5 + GWF and file.is_file()]
        else:
            # Path.glob takes no absolute pattern.
            names = glob.glob(str(place), recursive=True)  # noqa: PTH207
            here = [Path(name) for name in names if Path(name).is_file()]
        if not here:
            raise UserError(
                f"dataset.path={given} names no strain file: expected a file ({', '.join(HDF5 + GWF)}), a folder of "
                "such files, or a glob in quotes."
            )
        paths.update(file.absolute() for file in here)
    return sorted(paths, key=lambda file: (file.name, str(file)))


def ranges(mask: Array) -> Ranges:
    """The ranges in which a boolean mask [samples] is true."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False]))))
    return tuple((int(start), int(stop)) for start, stop in edges.reshape(-1, 2))


def _existing(path: str | Path) -> Path:
    path = Path(path)
    if not path.is_file():
        raise UserError(f"There is no strain file {path}. Check the path; an HDF5 file or a GWF frame is expected.")
    return path
