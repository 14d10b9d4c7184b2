"""Recorded strain as the noise of continuous strain: the time that all detectors have, read segment by segment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gwbench.data.folder_walk import LeftOut
from gwbench.data.psd import PsdTable
from gwbench.data.strain_files import segments as cutting
from gwbench.data.strain_files.finding import find_strain_files
from gwbench.data.strain_files.known_events import catalogues, check_events, event_files
from gwbench.data.strain_files.reading import StrainFile, read_strain_series
from gwbench.data.strain_files.resample import resampled
from gwbench.data.strain_files.segments import Segment
from gwbench.data.strain_files.tracked_psd import NoiseSegment, tracked
from gwbench.errors import UserError
from gwbench.simulation.injection_notes import event_notes
from gwbench.utils.progress import Progress

AROUND_EVENTS = 4.0
"""Seconds on either side of a known event that are left out."""

SHORTEST = 64
"""Seconds; shorter segments are left out, since no PSD can be measured in them."""

PIECE_SECONDS = 112.0
"""Seconds of strain handed over at a time."""


@dataclass(frozen=True)
class RecordedSegment:
    """Strain that all detectors recorded together.

    Attributes:
        start: GPS seconds.
        samples: of each detector.
        sample_rate: Hz.
        parts: for each detector, where the strain lies; read when it is asked for.
    """

    start: int
    samples: int
    sample_rate: float
    parts: tuple[Segment, ...]

    @property
    def piece(self) -> int:
        """Samples of a piece."""
        return round(PIECE_SECONDS * self.sample_rate)

    def strain(self, number: int) -> NDArray[Any]:
        """[D, piece] piece `number` of the strain."""
        begin = number * self.piece
        return np.stack([part.strain[begin : begin + self.piece] for part in self._noise])

    def rows(self, sample: int) -> NDArray[np.int64]:
        """[D] which row of `psds` holds at a sample."""
        return np.array([part.row(sample) for part in self._noise])

    @property
    def psds(self) -> PsdTable:
        """The PSDs measured along the segment."""
        return self._measured[1]

    @property
    def _noise(self) -> list[NoiseSegment]:
        return [channel[0] for channel in self._measured[0]]

    @cached_property
    def _measured(self) -> tuple[list[list[NoiseSegment]], PsdTable]:
        return tracked([[_with_strain(part)] for part in self.parts], self.sample_rate)


@dataclass(frozen=True)
class RecordedNoise:
    """What some files hold.

    Attributes:
        segments: in order of time; each is read when it is asked for.
        files: that were read.
        notes: what a reader must know, in sentences.
    """

    segments: tuple[RecordedSegment, ...]
    files: tuple[Path, ...]
    notes: tuple[str, ...]


def recorded_noise(
    places: Sequence[str], detectors: Sequence[str], sample_rate: float, hours: float | None, progress: Progress
) -> RecordedNoise:
    """The good time that all detectors have together in some strain files, less known events.

    The files are looked through first, and their strain is read again segment by segment, so that memory holds one
    segment at a time. A segment lies within one file of each detector, and begins and ends at a whole second.

    Args:
        places: files, folders or globs.
        detectors: D names. Where there is one, files that name none are of it.
        sample_rate: Hz, to which strain is resampled.
        hours: of strain, from the first second on; None for all there is.
        progress: of looking through the files.

    Raises:
        UserError: a file cannot be read, a detector has no strain, or there is too little of it.
    """
    left_out = LeftOut()
    paths = find_strain_files(places, left_out, option="--noise")
    files: list[StrainFile] = []
    with progress.task("Look through strain", len(paths), "files") as task:
        for path in paths:
            files += [_without_strain(file) for file in _series(path, sample_rate)]
            task.advance()
    if len(detectors) == 1:
        files = [replace(file, detector=file.detector or detectors[0]) for file in files]
    files = [file for file in files if file.detector in detectors]
    if undated := [file.path.name for file in files if file.gps_start is None]:
        raise UserError(
            f"The strain file {undated[0]} does not say when it begins: its noise cannot be put on a clock."
        )
    check = check_events(files, event_files(paths), AROUND_EVENTS, catalogues().date)
    pools = []
    for name in detectors:
        good = cutting.good_segments([file for file in files if file.detector == name])
        for begin, end in check.spans(AROUND_EVENTS):
            good = cutting.without(good, begin, end)
        if not good:
            raise UserError(
                f"None of the files of --noise has good strain of {name}: name some, or other detectors with "
                "--detectors."
            )
        pools.append(good)
    together = cutting.common(pools, round(SHORTEST * sample_rate))
    found = [segment for parts in zip(*together, strict=True) if (segment := _whole_seconds(parts, sample_rate))]
    segments = _first_hours(found, hours, sample_rate)
    used = {part.file.path for segment in segments for part in segment.parts}
    notes = [
        f"Noise is real strain out of {len(used)} file(s): the good time of {' and '.join(detectors)} in segments of "
        f"{SHORTEST} s or more.",
        *event_notes(AROUND_EVENTS, check),
        *left_out.sentences(),
    ]
    return RecordedNoise(tuple(segments), tuple(sorted(used)), tuple(notes))


def _first_hours(segments: list[RecordedSegment], hours: float | None, sample_rate: float) -> list[RecordedSegment]:
    """As many segments as make up so many hours; the last is cut to fit."""
    there = sum(segment.samples for segment in segments) / sample_rate
    if not segments or (hours is not None and there < round(hours * 3600)):
        asked = f", and --hours {hours:g} asks for {hours * 3600:.0f} s" if hours is not None else ""
        raise UserError(
            f"The files of --noise hold {there:.0f} s that all detectors have together in segments of {SHORTEST} s or "
            f"more{asked}: name more files, or ask for less."
        )
    kept, left = [], np.inf if hours is None else round(hours * 3600) * sample_rate
    for segment in segments:
        samples = int(min(segment.samples, left))
        if samples >= SHORTEST * sample_rate:
            parts = tuple(replace(part, stop=part.start + samples) for part in segment.parts)
            kept.append(replace(segment, samples=samples, parts=parts))
        left -= samples
    if not kept:
        raise UserError(f"--hours {hours:g} is too short: expected {SHORTEST} s at least.")
    return kept


def _whole_seconds(parts: Sequence[Segment], sample_rate: float) -> RecordedSegment | None:
    """What lies between the first and the last whole second of coincident segments; None where that is too short."""
    begin = max(int(np.ceil(part.gps[0] - 1e-6)) for part in parts)
    end = min(int(np.floor(part.gps[1] + 1e-6)) for part in parts)
    if end - begin < SHORTEST:
        return None
    samples = round((end - begin) * sample_rate)
    cut = [part.between(float(begin), float(end)) for part in parts]
    if any(len(part) < samples for part in cut):
        return None  # a series whose samples lie between those of the others
    return RecordedSegment(begin, samples, sample_rate, tuple(replace(part, stop=part.start + samples) for part in cut))


@lru_cache(maxsize=4)
def _series(path: Path, sample_rate: float) -> tuple[StrainFile, ...]:
    """The strain of a file at a lower rate; the last few files are kept."""
    return tuple(resampled(series, sample_rate) for series in read_strain_series(path))


def _without_strain(file: StrainFile) -> StrainFile:
    """A file that says how long its strain is, and takes no memory."""
    return replace(file, strain=np.broadcast_to(np.float32(0.0), len(file.strain)))


def _with_strain(part: Segment) -> Segment:
    """A segment whose file has been read again."""
    file = part.file
    for series in _series(file.path, file.sample_rate):
        if (series.channel, series.gps_start) == (file.channel, file.gps_start):
            if len(series.strain) != len(file.strain) or series.good != file.good:
                break
            return replace(part, file=series)
    raise UserError(f"The strain file {file.path} has changed while it was read: try again.")


__all__ = ["RecordedNoise", "RecordedSegment", "recorded_noise"]
