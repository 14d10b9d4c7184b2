"""The evaluation of a search, anybody's: event files, injections and strain in, a search record out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gwbench.errors import UserError
from gwbench.search.event_files import EventFile, EventList
from gwbench.search.false_alarms import Background, ranked, ranked_anew
from gwbench.search.injection_files import InjectionList
from gwbench.search.reach import RATES, measure_reach
from gwbench.search.reach_record import InjectionsUsed
from gwbench.search.record import RankedTrigger, SearchedStrain, SearchRecord, SearchSettings
from gwbench.search.strain_segments import Segments, duration, strain_segments
from gwbench.search.triggers import Trigger
from gwbench.utils.files import digests_by_name, file_digest
from gwbench.utils.progress import Progress, ProgressTask

KEPT = 10_000
"""Triggers that a record of somebody else's search keeps: the loudest."""


class SearchedTime(NamedTuple):
    """Strain in which events were looked for.

    Attributes:
        segments: (start, stop), GPS s.
        seconds: of them together, or as a search record says it.
        detectors: names; none where nothing says them.
        files: SHA-256 by name.
    """

    segments: Segments
    seconds: float
    detectors: tuple[str, ...]
    files: dict[str, str]


def evaluate_search(
    foreground: Sequence[EventFile],
    injections: tuple[Path, InjectionList],
    *,
    background: Sequence[EventFile] = (),
    foreground_strain: Sequence[Path] = (),
    background_strain: Sequence[Path] = (),
    rates: Sequence[float] = RATES,
    title: str | None = None,
    command: str = "",
    progress: Progress | None = None,
) -> SearchRecord:
    """What a search reaches, as MLGWSC-1 evaluates it.

    Args:
        foreground: what it found in strain with injections. Of a search record, everything it says is kept.
        injections: their file, and what it holds.
        background: what it found in noise alone; none for the time slides of the foreground's search record.
        foreground_strain: files of the strain with injections; none for the segments of the foreground's records.
        background_strain: files of the noise; none for the background's records, or else for as much time as the
            foreground has.
        rates: false alarms a month of 30 days.
        title: the method in words; by default the record's, or the name of the first events file.
        command: how to get the record again.
        progress: shows a bar while files are hashed.

    Raises:
        UserError: the foreground's strain is not known; there is no background; or as `measure_reach`.
    """
    progress = progress or Progress()
    _refuse_repeated(foreground)
    _refuse_repeated(background)
    time = searched_time(foreground, foreground_strain, progress)
    noise = _background(foreground, background, background_strain, time.seconds)
    events = EventList.joined([one.events for one in foreground])
    path, injected = injections
    reach = measure_reach(events, noise, injected, time.segments, rates)
    made = _own_record(foreground) or _somebody_elses(foreground, time)
    triggers, notes = _triggers(foreground, events, noise, renewed=bool(background))
    return made.model_copy(
        update={
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": command,
            "title": title or made.title,
            "strain": made.strain.model_copy(update={"notes": (*made.strain.notes, *notes, *reach.unsupported)}),
            "triggers": triggers,
            "background": noise.used() if background else made.background,
            "reach": reach.points,
            "found": reach.found,
            "injections": InjectionsUsed(
                sha256=file_digest(path), name=path.name, count=reach.count, weighting=reach.weighting
            ),
        }
    )


def _refuse_repeated(files: Sequence[EventFile]) -> None:
    """Refuse search records of one stretch of time: its seconds and its events would count twice."""
    spans = sorted(
        (start, stop, number)
        for number, one in enumerate(files)
        if one.record is not None
        for start, stop in one.record.strain.segments
    )
    for (_, stop, first), (start, _, second) in pairwise(spans):
        if start < stop and first != second:
            raise UserError(
                f"The search records {files[first].path} and {files[second].path} are of the same time, from GPS "
                f"{start:.0f} on, which would count twice. Name one of them."
            )


def searched_time(files: Sequence[EventFile], strain: Sequence[Path], progress: Progress) -> SearchedTime:
    """The strain in which events were looked for.

    Args:
        files: the events.
        strain: its files; none where all events are of search records, which say it.
        progress: shows a bar while files are hashed.

    Raises:
        UserError: nothing says it, or a file of strain cannot be read.
    """
    if strain:
        segments, detectors = strain_segments(strain)
        with progress.task("Hash strain", sum(path.stat().st_size for path in strain), "bytes") as task:
            return SearchedTime(segments, duration(segments), detectors, digests_by_name(_told(strain, task)))
    records = [one.record for one in files if one.record is not None]
    if len(records) < len(files) or not records:
        named = next(one.path for one in files if one.record is None)
        raise UserError(
            f"The events file {named} does not say which strain was searched. Name the strain with --foreground."
        )
    return SearchedTime(
        tuple(sorted({segment for record in records for segment in record.strain.segments})),
        sum(record.livetime for record in records),
        records[0].strain.detectors,
        {name: digest for record in records for name, digest in record.strain.files.items()},
    )


def _background(
    foreground: Sequence[EventFile], background: Sequence[EventFile], strain: Sequence[Path], foreground_seconds: float
) -> Background:
    """The events of noise, and the time in which they were found."""
    if background:
        records = [one.record for one in background if one.record is not None]
        if strain:
            seconds = duration(strain_segments(strain)[0])
        elif len(records) == len(background):
            seconds = sum(record.livetime for record in records)
        else:
            seconds = foreground_seconds
        return Background.of(EventList.joined([one.events for one in background]).stat, seconds)
    slides = [one.record.background for one in foreground if one.record is not None and one.record.background]
    if len(slides) != 1 or len(foreground) != 1:
        raise UserError(
            "There is no background: name the events that the search finds in noise alone with --background-events, "
            "or a single search record of `gwbench scan` with time slides as --foreground-events."
        )
    return Background.recorded(slides[0])


def _triggers(
    foreground: Sequence[EventFile], events: EventList, background: Background, *, renewed: bool
) -> tuple[tuple[RankedTrigger, ...], list[str]]:
    """The foreground's triggers with their rates, and what is to be said of them."""
    records = [one.record for one in foreground if one.record is not None]
    if len(records) == len(foreground):
        triggers = [each for record in records for each in record.triggers]
        return (ranked_anew(triggers, background) if renewed else tuple(triggers)), []
    order = np.lexsort((events.time, -events.stat))[:KEPT]
    rows = zip(events.time[order].tolist(), events.stat[order].tolist(), events.var[order].tolist(), strict=True)
    left = len(events) - len(order)
    notes = [f"Of {len(events):,} events, the record holds the loudest {KEPT:,}."] if left else []
    return ranked((Trigger(*row) for row in rows), background), notes


def _own_record(foreground: Sequence[EventFile]) -> SearchRecord | None:
    """The search record of the foreground; of several by one run, one that covers all; None for other files."""
    records = [one.record for one in foreground if one.record is not None]
    if len(records) < len(foreground) or len({record.run.run_id if record.run else "" for record in records}) > 1:
        return None
    if len(records) == 1:
        return records[0]
    first, files = records[0], [record.strain.files for record in records]
    strain = first.strain.model_copy(
        update={
            "files": {name: digest for each in files for name, digest in each.items()},
            "segments": tuple(sorted({segment for record in records for segment in record.strain.segments})),
            "left_out": tuple(dict.fromkeys(line for record in records for line in record.strain.left_out)),
            "notes": tuple(dict.fromkeys(line for record in records for line in record.strain.notes)),
        }
    )
    livetime = sum(record.livetime for record in records)
    return first.model_copy(update={"strain": strain, "livetime": livetime, "resources": None, "background": None})


def _somebody_elses(foreground: Sequence[EventFile], time: SearchedTime) -> SearchRecord:
    """A record of which only the strain and the events' files are known."""
    first, events = foreground[0], EventList.joined([one.events for one in foreground])
    same = len(events) > 0 and bool((events.var == events.var[0]).all())
    return SearchRecord(
        created="",
        command="",
        title=first.record.title if first.record else first.path.stem,
        strain=SearchedStrain(
            files={**time.files, **digests_by_name(one.path for one in foreground)},
            detectors=time.detectors,
            segments=time.segments,
        ),
        settings=SearchSettings(var=float(events.var[0]) if same else None),
        livetime=time.seconds,
        triggers=(),
    )


def _told(paths: Iterable[Path], task: ProgressTask) -> Iterator[Path]:
    """Files, with a bar that advances when the next one is asked for."""
    for path in paths:
        yield path
        task.advance(path.stat().st_size, path.name)
