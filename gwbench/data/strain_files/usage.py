"""Which strain files a dataset used, and why it did not use the others."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from gwbench.data.strain_files.reading import StrainFile
from gwbench.data.strain_files.segments import Segment
from gwbench.data.strain_files.timeline import Timeline, unknown_times
from gwbench.errors import UserError

LISTED, NAMED = 20, 5
"""Files that are named in notes and in a message."""


def used_files(shares: Mapping[str, Sequence[Sequence[Segment]]]) -> set[Path]:
    """The files that some segments lie in.

    Args:
        shares: segments of every channel, by split.
    """
    return {part.file.path for channels in shares.values() for segments in channels for part in segments}


def unused_notes(timeline: Timeline, used: Collection[Path], sources: Collection[str], shortest: float) -> list[str]:
    """A sentence on every file that is not used.

    Args:
        timeline: all series.
        used: the files that are.
        sources: the detectors whose strain is used; "" for one that the files do not name.
        shortest: seconds of one window with its margins.
    """
    notes = []
    for path in dict.fromkeys(file.path for file in timeline.series):
        if path not in used:
            places = [place for place, file in enumerate(timeline.series) if file.path == path]
            notes.append(f"{path.name} is not used: {_reason(timeline, places, sources, shortest)}.")
    if len(notes) > LISTED:
        notes = [*notes[:LISTED], f"{len(notes) - LISTED} more files are not used, for such reasons."]
    return notes


def check_coincident(channels: Sequence[str], series: Sequence[StrainFile]) -> None:
    """Check that all channels have strain of their own at known times.

    Raises:
        UserError: which have none, and which files say too little.
    """
    found = {file.detector for file in series}
    if missing := [name for name in channels if name not in found]:
        unnamed = sorted({file.path.name for file in series if file.detector is None})
        hint = (
            f"These name no detector: {', '.join(unnamed[:NAMED])}. Put it into the file's name, as in "
            f"H1_{unnamed[0]}, or into an attribute detector of the dataset. "
            if unnamed
            else ""
        )
        raise UserError(
            f"dataset.background=coincident: no file in dataset.path is of {', '.join(missing)}. {hint}Add strain "
            "of every channel's own detector, name those you have in dataset.detectors, or set "
            "dataset.background=time-slid."
        )
    used = [file for file in series if file.detector in channels and file.good]
    if unknown := unknown_times(used):
        raise UserError(
            f"dataset.background=coincident: the GPS time of {unknown} is unknown, or other files contradict it. "
            "Give the datasets an attribute start_time, leave the files out, or set dataset.background=time-slid."
        )


def _reason(timeline: Timeline, places: Sequence[int], sources: Collection[str], shortest: float) -> str:
    series = [timeline.series[place] for place in places]
    strange = sorted({file.detector or "no named detector" for file in series if (file.detector or "") not in sources})
    if len(strange) == len({file.detector for file in series}):
        return f"it is of {' and '.join(strange)}, which no channel takes"
    copies = sorted({timeline.series[timeline.copies[place]].path.name for place in places if place in timeline.copies})
    if copies and not any(file.good for file in series):
        return f"it repeats {' and '.join(copies)}"
    longest = max((_longest(file) for file in series), default=0.0)
    if not longest:
        return "it holds no good strain"
    if longest < shortest:
        return f"its longest good stretch of {longest:.3g} s is shorter than a window with its margins, {shortest:g} s"
    return "its times are in other files too, or are left out"


def _longest(file: StrainFile) -> float:
    return max((stop - start for start, stop in file.good), default=0) / file.sample_rate


__all__ = ["check_coincident", "unused_notes", "used_files"]
