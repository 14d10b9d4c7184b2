"""Series of strain files on one axis of time: copies once, contradictions and unknown times apart from all others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np

from gwbench.data.dataset import Array
from gwbench.data.strain_files.copies import Whitened, alike, copied
from gwbench.data.strain_files.reading import Ranges, StrainFile, ranges
from gwbench.utils.printable import few

APART = 100.0
"""Seconds between two series of unknown time: more than a PSD is measured across."""

LISTED = 10
"""Files that a note names."""


@dataclass(frozen=True)
class Timeline:
    """Series that may be cut into segments.

    Attributes:
        series: those that were given, in the same order: less what repeats another, and with a place where the time
            is unknown.
        notes: what a reader of a record must know about their times and copies, in sentences.
        copies: by number of a series that repeats another in part or whole, the number of the other.
    """

    series: list[StrainFile]
    notes: list[str]
    copies: dict[int, int]


def arranged(series: Sequence[StrainFile]) -> Timeline:
    """Lay series on one axis of time.

    Series of one detector that claim the same time and hold different strain contradict each other: the time of
    both is unknown. Series of unknown time are compared with all others of their detector, and with those of no
    named detector, sample by sample at any shift; what repeats another is left out. The rest are laid one after
    another, `APART` seconds apart, beside all known times.

    Args:
        series: of one sample rate where they are to be compared.
    """
    known, notes = _without_contradictions(series)
    compared = [_Compared(file) for file in known]
    copies: dict[int, int] = {}
    order = sorted(range(len(known)), key=lambda place: (known[place].gps_start is None, str(known[place].path), place))
    for rank, place in enumerate(order):
        if known[place].gps_start is not None:
            continue
        for earlier in order[:rank]:
            if _same_detector(known[earlier], known[place]):
                left = compared[place].without_copies_of(compared[earlier])
                if left != compared[place].file.good:
                    copies[place] = earlier
                    compared[place].use(left)
    for place, earlier in sorted(copies.items()):
        whole = "all" if not compared[place].file.good else "part"
        notes.append(f"{known[place].path.name} repeats {whole} of its strain from {known[earlier].path.name}.")
    placed = _placed([one.file for one in compared])
    unknown = [file for file in placed if file.gps_start is None and file.good]
    if unknown:
        names = sorted({file.path.name for file in unknown})
        notes.append(
            f"The GPS time of {len(unknown)} series is unknown ({few(names, LISTED)}): they lie one after another from "
            f"{min(file.place for file in unknown):g} s on, and known events in them are not left out."
        )
    return Timeline(placed, notes, copies)


def unknown_times(series: Sequence[StrainFile]) -> str:
    """The names of the files whose time is unknown."""
    return few(sorted({file.path.name for file in series if file.gps_start is None}), LISTED)


class _Compared:
    """A series whose samples are compared with others'."""

    def __init__(self, file: StrainFile) -> None:
        self.file = file
        self._given = file

    @cached_property
    def white(self) -> Whitened:
        return Whitened.of(self._given)

    def use(self, good: Ranges) -> None:
        """Leave out all but these ranges."""
        self.file = replace(self.file, good=good)

    def without_copies_of(self, other: _Compared) -> Ranges:
        """The good ranges less what repeats another series."""
        mine, theirs = self._given, other._given
        if mine.sample_rate == theirs.sample_rate and _equal(mine, theirs):
            return ()
        spans = copied(other.white, self.white)
        return _less(self.file.good, [(a * mine.sample_rate, b * mine.sample_rate) for a, b in spans])


def _same_detector(first: StrainFile, second: StrainFile) -> bool:
    """Whether two series may be of one detector."""
    return first.detector is None or second.detector is None or first.detector == second.detector


def _equal(first: StrainFile, second: StrainFile) -> bool:
    return (
        first.good == second.good
        and len(first.strain) == len(second.strain)
        and all(np.array_equal(first.strain[a:b], second.strain[a:b]) for a, b in first.good)
    )


def _without_contradictions(series: Sequence[StrainFile]) -> tuple[list[StrainFile], list[str]]:
    """The series, without times at which two of one detector hold different strain; and notes on them."""
    timed = sorted((file.start, place) for place, file in enumerate(series) if file.gps_start is not None)
    white: dict[int, Whitened] = {}
    wrong: set[int] = set()
    notes = []
    open_until: list[tuple[float, int]] = []
    for start, place in timed:
        open_until = [(end, other) for end, other in open_until if end > start]
        for _, other in open_until:
            first, second = series[other], series[place]
            if first.detector == second.detector is not None and not _agree(first, second, white, other, place):
                wrong |= {other, place}
                notes.append(
                    f"{first.path.name} and {second.path.name} claim the same time of {first.detector} and hold "
                    "different strain: the time of both is taken as unknown."
                )
        open_until.append((start + len(series[place].strain) / series[place].sample_rate, place))
    if len(notes) > LISTED:
        notes = [*notes[:LISTED], f"{len(notes) - LISTED} more pairs of files contradict each other in this way."]
    return [replace(file, gps_start=None) if place in wrong else file for place, file in enumerate(series)], notes


def _agree(first: StrainFile, second: StrainFile, white: dict[int, Whitened], one: int, two: int) -> bool:
    """Whether two series of one detector hold the same strain where they overlap, or too little of it to tell."""
    if first.sample_rate != second.sample_rate:
        return True
    rate = first.sample_rate
    shift = (second.start - first.start) * rate
    if abs(shift - round(shift)) < 1e-2:
        begin = round(shift)
        here = first.strain[begin : begin + len(second.strain)]
        there = second.strain[: len(here)]
        both = _good(first)[begin : begin + len(here)] & _good(second)[: len(here)]
        if not both.any() or np.array_equal(here[both], there[both]):
            return True
    for place, file in ((one, first), (two, second)):
        if place not in white:
            white[place] = Whitened.of(file)
    lag = round((first.start - second.start) * white[one].rate)
    tried = [alike(white[one], white[two], lag + step) for step in (-2, -1, 0, 1, 2)]
    best = max(tried, key=lambda one: one.same)
    return best.same >= best.compared / 2


def _good(file: StrainFile) -> Array:
    """[samples] bool: the good ones."""
    mask = np.zeros(len(file.strain), dtype=bool)
    for start, stop in file.good:
        mask[start:stop] = True
    return mask


def _less(good: Ranges, spans: Sequence[tuple[float, float]]) -> Ranges:
    """Ranges of samples less some spans of samples."""
    if not spans or not good:
        return good
    size = good[-1][1]
    mask = np.zeros(size, dtype=bool)
    for start, stop in good:
        mask[start:stop] = True
    for begin, end in spans:
        mask[max(0, int(begin)) : max(0, int(np.ceil(end)))] = False
    return ranges(mask)


def _placed(series: Sequence[StrainFile]) -> list[StrainFile]:
    """The series; those of unknown time one after another, by detector and name, from 0 s or after all known times."""
    unknown = [place for place, file in enumerate(series) if file.gps_start is None]
    unknown.sort(key=lambda place: (series[place].detector or "", str(series[place].path), place))
    lengths = [len(series[place].strain) / series[place].sample_rate + APART for place in unknown]
    known = [
        (file.start, file.start + len(file.strain) / file.sample_rate) for file in series if file.gps_start is not None
    ]
    begin = 0.0
    if known and min(start for start, _ in known) < sum(lengths):
        begin = float(np.ceil(max(end for _, end in known) + APART))
    edges = [begin, *(begin + float(total) for total in np.cumsum(lengths))]
    places = {place: edge for place, (edge, _) in zip(unknown, pairwise(edges), strict=True)}
    return [replace(file, place=places[place]) if place in places else file for place, file in enumerate(series)]


__all__ = ["Timeline", "arranged", "unknown_times"]
