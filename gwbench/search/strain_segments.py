"""The segments of strain files, by what the files say of them; no strain is read from HDF5."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from gwbench.data.strain_files.pieces import PieceReader
from gwbench.errors import UserError

Segments = tuple[tuple[float, float], ...]


def strain_segments(files: Iterable[Path]) -> tuple[Segments, tuple[str, ...]]:
    """The segments (start, stop) that all detectors of some strain files hold, GPS s, and the detectors.

    Gaps within a series and its data quality are not looked at: MLGWSC-1 counts a segment from its first to its last
    sample. Segments that touch stay apart, as there; those that one detector has twice count once.

    Raises:
        UserError: a file cannot be read, does not say its detector or its time, or the detectors have no time in
            common.
    """
    reader = PieceReader()
    found: dict[str, set[tuple[float, float]]] = {}
    names = []
    for path in files:
        names.append(path.name)
        for header in reader.headers(path):
            said = header.said
            if said.detector is None or said.gps_start is None:
                lacking = "detector" if said.detector is None else "GPS time"
                raise UserError(f"The strain file {path} does not say the {lacking} of {said.channel}.")
            found.setdefault(said.detector, set()).add((said.gps_start, said.gps_start + header.seconds))
    if not found:
        raise UserError("No strain file was named.")
    common, *others = (_merged(sorted(segments)) for segments in found.values())
    for other in others:
        common = _overlaps(common, other)
    if not common:
        raise UserError(f"{' and '.join(found)} have no time in common in {', '.join(names)}.")
    return tuple(common), tuple(sorted(found))


def duration(segments: Iterable[tuple[float, float]]) -> float:
    """Seconds of some segments together."""
    return sum(stop - start for start, stop in segments)


def _merged(segments: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Segments in order of their start, those that overlap as one."""
    merged: list[tuple[float, float]] = []
    for start, stop in segments:
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], stop))
        else:
            merged.append((start, stop))
    return merged


def _overlaps(one: list[tuple[float, float]], other: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """What two lists of segments, in order, have in common."""
    found, i, j = [], 0, 0
    while i < len(one) and j < len(other):
        start, stop = max(one[i][0], other[j][0]), min(one[i][1], other[j][1])
        if start < stop:
            found.append((start, stop))
        if one[i][1] < other[j][1]:
            i += 1
        else:
            j += 1
    return found
