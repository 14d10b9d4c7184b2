"""A known event: when it was, its open strain, and where it ranks among the triggers of a scan."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gwbench.data.gwosc.api import HOST
from gwbench.data.strain_files.known_events import KnownEvent, catalogues, event_files, known_events
from gwbench.errors import UserError, did_you_mean
from gwbench.search.record import RankedTrigger, SearchedEvent

if TYPE_CHECKING:
    from gwbench.search.false_alarms import Background
    from gwbench.utils.progress import Progress

NEAR = 0.5
"""Seconds from an event, at least, within which a trigger is taken for it."""


def find_event(name: str, files: Sequence[Path], host: str, progress: Progress) -> KnownEvent:
    """An event by its name: from `events.json` beside the files, gwbench's catalogues, or else from GWOSC.

    Args:
        name: such as GW150914 or GW190425_081805; the day alone where one event is of that day.
        files: strain.
        host: address of the GWOSC server.
        progress: shows messages.

    Raises:
        UserError: there is no such event, several of that day, or GWOSC cannot be asked.
    """
    listed = [*known_events(event_files(files)), *_catalogued()]
    same = {event.name: event for event in reversed(listed) if event.name.lower() == name.lower()}
    of_day = {event.name: event for event in reversed(listed) if event.name.lower().startswith(f"{name.lower()}_")}
    found = same or of_day
    if len(found) > 1:
        raise UserError(f"Several events are of that day: {', '.join(sorted(found))}. Name one of them with --event.")
    if found:
        return next(iter(found.values()))
    from gwbench.data.gwosc.api import Gwosc
    from gwbench.data.gwosc.web import Web

    try:
        return KnownEvent(name=name, gps=Gwosc(host, Web(progress)).gps(name))
    except UserError as error:
        names = [event.name for event in listed]
        raise UserError(
            f"gwbench's catalogues do not know the event {name!r}.{did_you_mean(name, names)} {error}"
        ) from None


def fetch_event(
    name: str, detectors: Sequence[str], duration: float | None, host: str, progress: Progress
) -> list[Path]:
    """The strain files of an event, fetched where they are not here already (`gwbench data fetch`).

    Args:
        name: of the event.
        detectors: whose.
        duration: seconds around it; by default one file per detector, usually of 4096 s.
        host: address of the GWOSC server.
        progress: shows bars and messages.

    Raises:
        UserError: as of `gwbench.data.gwosc.fetch.fetch`.
    """
    from gwbench.data.gwosc.fetch import fetch

    return [file.path for file in fetch(name, detectors, duration=duration, host=host, progress=progress).files]


def rank_event(event: KnownEvent, triggers: Sequence[RankedTrigger], background: Background | None) -> SearchedEvent:
    """Where an event ranks: by the loudest trigger near it.

    Args:
        event: it.
        triggers: loudest first.
        background: of time slides; None where there are none.
    """
    near = [each for each in triggers if abs(each.time - event.gps) <= max(NEAR, each.var)]
    if not near:
        return SearchedEvent(name=event.name, time=event.gps)
    loudest = near[0]
    louder = None if background is None else int(background.count(loudest.score))
    return SearchedEvent(name=event.name, time=event.gps, rank=loudest.rank, louder_in_background=louder)


def _catalogued() -> list[KnownEvent]:
    return [
        KnownEvent(name=name, gps=gps) for catalogue in catalogues().catalogues for name, gps, *_ in catalogue.events
    ]


__all__ = ["HOST", "fetch_event", "find_event", "rank_event"]
