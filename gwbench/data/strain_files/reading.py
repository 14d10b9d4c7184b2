"""Strain files of any format, with the segments of good data in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gwbench.data.dataset import Array
from gwbench.data.hdf5_files import SIGNATURE
from gwbench.data.strain_files.finding import find_strain_files as find_strain_files
from gwbench.data.strain_files.frames import frame_detectors, read_frame
from gwbench.data.strain_files.quality import NO_MASK
from gwbench.data.strain_files.recording import LISTED, Recording
from gwbench.data.strain_files.strain_hdf5 import hdf5_detectors, read_hdf5
from gwbench.data.strain_files.strain_text import read_text, text_detectors
from gwbench.data.strain_files.strain_xml import read_xml, xml_detectors
from gwbench.errors import UserError
from gwbench.utils.untrusted_files import UnusableError, open_plain

Ranges = tuple[tuple[int, int], ...]
"""Half-open sample ranges (start, stop), in order, without overlap."""


Reader = Callable[[Path, Sequence[str]], list[Recording]]
DetectorReader = Callable[[Path, Sequence[str]], list[str | None]]


FORMATS: tuple[tuple[bytes, tuple[str, ...], Reader, DetectorReader], ...] = (
    (b"IGWD\0", ("gwf",), read_frame, frame_detectors),
    (b"<", ("xml",), read_xml, xml_detectors),
    (b"\x93NUMPY", ("npy",), read_text, text_detectors),
    (b"# ", ("txt", "dat", "csv", "asc", "ascii"), read_text, text_detectors),
)
"""How a file begins, its suffixes without .gz, and what reads it. All others are HDF5."""


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

    docs/how-to/files.md lists the layouts. GWOSC HDF5 (https://gwosc.org/techdetails): `strain/Strain` with
    `quality` masks and `meta/Detector`. Other HDF5: one-dimensional datasets of numbers that are strain by their
    names, with a start and a spacing or rate by whatever names. GWF frames: GWOSC's, whose strain and masks are
    known by name in both generations, or the only channel in the file.

    Good data are finite, not exactly zero (how gaps are padded), pass GWOSC's CBC vetoes of category 1 to 3 and
    hold no transient hardware injection.

    Args:
        path: the file. Its format is told by how it begins, or else by its suffix.
        channels: names of frame channels, or of HDF5 datasets, groups or detectors, of which the file holds at least
            one; by default as above.
        quality: of frames, the quality channels and bits to ask for, as `quality.chosen_rules` takes them; ("none",)
            for no mask, in HDF5 too.

    Raises:
        UserError: the file is missing, of another format or truncated; holds no strain, several channels that may be
            meant or none of those asked for, no sample rate or no finite sample.
    """
    path = _existing(path)
    recordings = read_recordings(path, channels, quality)
    if not any(np.isfinite(recording.strain).any() for recording in recordings):
        named = ", ".join(recording.channel for recording in recordings[:LISTED])
        raise UserError(f"The strain file {path} holds no finite sample in {named}. Use another file.")
    return [_with_good_ranges(path, recording) for recording in recordings]


def read_recordings(path: Path, channels: Sequence[str], quality: Sequence[str]) -> list[Recording]:
    """Every series of a strain file as the file holds it. Raises `UserError` as `read_strain_series`."""
    read, _ = _readers(path)
    recordings = read_frame(path, channels, quality) if read is read_frame else read(path, channels)
    return [without_masks(recording) for recording in recordings] if tuple(quality) == (NO_MASK,) else recordings


def without_masks(recording: Recording) -> Recording:
    """What `quality=none` leaves of a series: its masks are not applied."""
    return replace(recording, masks=(), quality=())


def is_read_in_pieces(path: Path) -> bool:
    """Whether a file's format is one that need not be read as a whole: HDF5."""
    return _readers(path)[0] is read_hdf5


def good_samples(recording: Recording, strain: Array, first: int = 0) -> Array:
    """[samples] bool: which samples of a series are data of good quality.

    Args:
        recording: what is said of the series.
        strain: [samples] of it.
        first: which sample of the series they begin with.
    """
    good: Array = np.isfinite(strain) & (strain != 0)
    for mask in recording.masks:
        start = (recording.gps_start or 0.0) + first / recording.sample_rate
        good &= mask.good(start, recording.sample_rate, len(good))
    return good


def _with_good_ranges(path: Path, recording: Recording) -> StrainFile:
    good = good_samples(recording, recording.strain)
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
    return _readers(path)[1](path, channels)


def strain_detector(path: str | Path, channels: Sequence[str] = ()) -> str | None:
    """The detector of a file that holds one series, as plugins written before asked for it."""
    return strain_detectors(path, channels)[0]


def ranges(mask: Array) -> Ranges:
    """The ranges in which a boolean mask [samples] is true."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False]))))
    return tuple((int(start), int(stop)) for start, stop in edges.reshape(-1, 2))


def _readers(path: Path) -> tuple[Reader, DetectorReader]:
    """The functions that read a file's strain and its detectors, by how it begins, or else by its suffix."""
    begin = b""
    with suppress(OSError, UnusableError), open_plain(path.resolve()) as file:
        begin = file.read(64).lstrip(b"\xef\xbb\xbf \r\n\t")
    if begin.startswith(SIGNATURE):
        return read_hdf5, hdf5_detectors
    ending = path.name.lower().removesuffix(".gz").rpartition(".")[2]
    by_content = [format_ for format_ in FORMATS if begin.startswith(format_[0])]
    by_suffix = [format_ for format_ in FORMATS if ending in format_[1]]
    for _, _, read, detectors in (*by_content, *by_suffix):
        return read, detectors
    return read_hdf5, hdf5_detectors


def _existing(path: str | Path) -> Path:
    path = Path(path)
    there = True  # also where a folder above may not be searched; what the file is, its reader says
    with suppress(OSError):
        there = path.exists() or path.is_symlink()
    if not there:
        raise UserError(f"There is no strain file {path}. Check the path; an HDF5 file or a GWF frame is expected.")
    return path
