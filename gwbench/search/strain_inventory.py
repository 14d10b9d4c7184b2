"""What strain some files hold for the detectors of a run: which good time of whom, and why the rest is left out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gwbench.data.strain_files.pieces import PIECE, PieceReader, SeriesHeader
from gwbench.data.strain_files.quality import quality_note
from gwbench.data.strain_files.reading import StrainFile
from gwbench.data.strain_files.resample import resampled
from gwbench.data.strain_files.timeline import arranged
from gwbench.errors import UserError
from gwbench.search.detector_track import DetectorTrack, Grid, NativeSpan
from gwbench.utils.printable import few
from gwbench.utils.progress import Progress

COMPARED = 64.0
"""Seconds, about, of the time that two files hold in which their strain is compared."""

LISTED = 5
"""Files that a message or a note names."""


@dataclass(frozen=True)
class StrainInventory:
    """The strain of a scan.

    Attributes:
        tracks: one per detector of the run, in its order.
        left_out: sentences on strain that is not used.
        notes: what a reader of the record must know of the strain.
    """

    tracks: tuple[DetectorTrack, ...]
    left_out: tuple[str, ...]
    notes: tuple[str, ...]


def take_inventory(
    files: Sequence[Path], detectors: Sequence[str], rate: float, reader: PieceReader, progress: Progress
) -> StrainInventory:
    """Look through strain files for the good time of some detectors.

    Every sample is read once, a piece at a time. Where two files hold the same time of one detector, the first one
    is used, by its start and then its name, and the other's strain is compared with it.

    Args:
        files: strain files of any format.
        detectors: of the run, in its order.
        rate: of the run, Hz.
        reader: reads them.
        progress: shows a bar.

    Raises:
        UserError: a file cannot be read, its rate is too low, its time is unknown, two files contradict each other,
            or a detector has no good strain.
    """
    headers = [header for path in files for header in reader.headers(path)]
    left_out = _not_of_run(headers, detectors)
    used = _timed([header for header in headers if header.said.detector in detectors])
    _check_present(headers, used, detectors)
    for header in used:
        _grid(header, rate)
    spans = _spans(used, reader, progress)
    left_out += _bad_seconds(detectors, used, spans)
    notes = [quality_note((header.path.name, header.said.quality) for header in used)]
    notes += dict.fromkeys(note for header in used for note in header.said.notes)
    notes += _resampling_notes(used, rate)
    tracks = []
    for detector in detectors:
        own = [span for span in spans if span.header.said.detector == detector]
        alone, repeated = _each_time_once(own, rate, reader)
        left_out += repeated
        if not alone:
            raise UserError(f"The strain of {detector} holds no good second: all of it is gaps or of bad quality.")
        tracks.append(DetectorTrack.of(detector, alone, rate))
    return StrainInventory(tuple(tracks), tuple(left_out), tuple(filter(None, notes)))


def _not_of_run(headers: Iterable[SeriesHeader], detectors: Sequence[str]) -> list[str]:
    """Sentences on strain of detectors that the run does not have."""
    others: dict[str, dict[str, None]] = {}
    for header in headers:
        if header.said.detector not in detectors:
            others.setdefault(header.said.detector or "no named detector", {})[header.path.name] = None
    return [
        f"The strain of {detector} in {few(list(names), LISTED)} is not used: the run listens to "
        f"{' and '.join(detectors)}."
        for detector, names in others.items()
    ]


def _timed(headers: Sequence[SeriesHeader]) -> list[SeriesHeader]:
    """The series, those of unknown time from 0 s on where that cannot be wrong: one per detector, in one file.

    Raises:
        UserError: whose time is unknown otherwise.
    """
    unknown = [header for header in headers if header.said.gps_start is None]
    alone = len({header.path for header in unknown}) == 1
    alone = alone and len({header.said.detector for header in unknown}) == len(unknown)
    longest = max((header.seconds for header in unknown), default=0.0)
    starts = [header.said.gps_start for header in headers if header.said.gps_start is not None]
    if unknown and not (alone and min(starts, default=longest) >= longest):
        raise UserError(
            f"The GPS time of {few(sorted({header.path.name for header in unknown}), LISTED)} is unknown. Give each "
            "dataset an attribute start_time, in GPS seconds, or leave the files out."
        )
    note = "its GPS time is unknown: times are seconds from its start."
    return [
        replace(
            header, said=replace(header.said, gps_start=0.0, notes=(*header.said.notes, f"{header.path.name}: {note}"))
        )
        if header.said.gps_start is None
        else header
        for header in headers
    ]


def _check_present(headers: Sequence[SeriesHeader], used: Sequence[SeriesHeader], detectors: Sequence[str]) -> None:
    """Refuse strain that lacks a detector of the run."""
    found = {header.said.detector for header in used}
    missing = [name for name in detectors if name not in found]
    if not missing:
        return
    there = " and ".join(sorted({header.said.detector for header in headers if header.said.detector})) or "none"
    unnamed = sorted({header.path.name for header in headers if header.said.detector is None})
    hint = (
        f" {few(unnamed, LISTED)} names no detector: put it into the file's name, as in H1_{unnamed[0]}, or into an "
        "attribute detector of the dataset."
        if unnamed
        else ""
    )
    raise UserError(
        f"The run listens to {' and '.join(detectors)}, and the strain has no {' and no '.join(missing)}; it is of "
        f"{there}.{hint} Add strain of {' and '.join(missing)}, or scan with a run on the detectors that you have."
    )


def _grid(header: SeriesHeader, rate: float) -> Grid:
    try:
        return Grid.between(header.sample_rate, rate)
    except UserError:
        raise UserError(
            f"The strain file {header.path} is sampled at {header.sample_rate:g} Hz, and the run at {rate:g} Hz: "
            + (
                "a higher rate cannot be made of it. Use strain of at least the run's rate, or a run on lower one."
                if header.sample_rate < rate
                else "their ratio is no fraction of small numbers. Resample the file first."
            )
        ) from None


def _spans(headers: Sequence[SeriesHeader], reader: PieceReader, progress: Progress) -> list[NativeSpan]:
    """The good spans of all series, in order of time."""
    spans: list[NativeSpan] = []
    with progress.task("Look at strain", sum(header.seconds for header in headers), "s") as task:
        for header in headers:
            origin = round((header.said.gps_start or 0.0) * header.sample_rate)
            own: list[tuple[int, int]] = []
            for good in reader.good_ranges(header):
                for start, stop in good:
                    if own and own[-1][1] == start:
                        own[-1] = own[-1][0], stop
                    else:
                        own.append((start, stop))
                task.advance(min(PIECE / header.sample_rate, header.seconds), header.path.name)
            spans += [NativeSpan(header, origin, origin + start, origin + stop) for start, stop in own]
    return sorted(spans, key=lambda span: (span.start / span.header.sample_rate, str(span.header.path)))


def _bad_seconds(detectors: Sequence[str], headers: Sequence[SeriesHeader], spans: Sequence[NativeSpan]) -> list[str]:
    """Sentences on the seconds of each detector that are gaps or of bad quality."""
    sentences = []
    for detector in detectors:
        whole = sum(header.seconds for header in headers if header.said.detector == detector)
        good = sum(span.seconds for span in spans if span.header.said.detector == detector)
        if whole - good > 1e-6:
            sentences.append(f"{whole - good:.6g} s of {detector} are gaps or of bad quality.")
    return sentences


def _resampling_notes(headers: Sequence[SeriesHeader], rate: float) -> list[str]:
    rates = sorted({header.sample_rate for header in headers} - {rate})
    if not rates:
        return []
    return [f"Strain of {', '.join(f'{each:g}' for each in rates)} Hz was resampled to the run's {rate:g} Hz."]


def _each_time_once(
    spans: Sequence[NativeSpan], rate: float, reader: PieceReader
) -> tuple[list[NativeSpan], list[str]]:
    """The spans of one detector, the later ones less what they repeat; and sentences on that."""
    kept: list[NativeSpan] = []
    repeats: dict[tuple[str, str], float] = {}
    for span in spans:
        left = span
        if kept:
            last, native = kept[-1], span.header.sample_rate
            end = -(-last.stop * native // last.header.sample_rate)
            begin = max(span.start, min(int(end), span.stop))
            if begin > span.start:
                pair = (span.header.path.name, last.header.path.name)
                if repeats.get(pair, 0.0) < COMPARED:
                    _compare(last, span, begin, rate, reader)
                repeats[pair] = repeats.get(pair, 0.0) + (begin - span.start) / native
            left = replace(span, start=begin)
        if left.start < left.stop:
            kept.append(left)
    return kept, [
        f"{seconds:.6g} s of {spans[0].header.said.detector} in {one} are in {other} too, which is used."
        for (one, other), seconds in repeats.items()
    ]


def _compare(kept: NativeSpan, other: NativeSpan, end: int, rate: float, reader: PieceReader) -> None:
    """Refuse two files that claim one time and hold different strain then.

    Args:
        kept, other: the spans.
        end: of the time that both hold, on the grid of `other`.
        rate: Hz at which they are compared.
    """
    begin = other.start / other.header.sample_rate
    stop = min(end / other.header.sample_rate, begin + COMPARED)
    pieces = [resampled(_piece(span, begin, stop, reader), rate) for span in (kept, other)]
    if all(piece.good for piece in pieces) and arranged(pieces).series[0].gps_start is None:
        names = [span.header.path.name for span in (kept, other)]
        raise UserError(
            f"{names[0]} and {names[1]} claim the same time of {kept.header.said.detector}, GPS {begin:.10g} on, and "
            "hold different strain. Leave one of them out."
        )


def _piece(span: NativeSpan, begin: float, end: float, reader: PieceReader) -> StrainFile:
    """What a span holds between two GPS times."""
    header = span.header
    first = max(span.start, round(begin * header.sample_rate))
    last = min(span.stop, round(end * header.sample_rate))
    strain = reader.read(header, first - span.origin, last - span.origin)
    good = ((0, len(strain)),)
    return StrainFile(header.said.detector, first / header.sample_rate, header.sample_rate, strain, good, header.path)


def span_seconds(intervals: Iterable[tuple[int, int]], rate: float) -> float:
    """The length of some ranges of samples, s."""
    return sum(stop - start for start, stop in intervals) / rate


__all__ = ["StrainInventory", "span_seconds", "take_inventory"]
