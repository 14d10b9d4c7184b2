"""Events that are known to lie in some strain files.

`events.json` beside the files lists them, as a fetch from GWOSC writes it; and `known_events.toml`, which comes with
gwbench, lists those of the catalogues, for strain that came another way.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydantic import BaseModel, Field, FiniteFloat, ValidationError

from gwbench.data.strain_files.reading import StrainFile
from gwbench.errors import UserError

EVENTS = "events.json"
CATALOGUES = Path(__file__).with_name("known_events.toml")

SAME = 1.0
"""Seconds; two lists that name an event within it mean the same one."""

FIRST_GPS = 6e8
"""No interferometer observed before: a smaller GPS time says nothing of when strain was recorded."""


class KnownEvent(BaseModel):
    """One event: its name, the GPS time of its coalescence, and for how many seconds before that it is heard."""

    name: str
    gps: FiniteFloat
    before: float = Field(default=0.0, ge=0, exclude=True)


class KnownEvents(BaseModel):
    """The content of `events.json`."""

    events: tuple[KnownEvent, ...]


def event_files(strain_files: Iterable[Path]) -> list[Path]:
    """The `events.json` in the folders of some strain files and of those they link to, where there is one."""
    paths = list(strain_files)
    folders = dict.fromkeys(path.parent for path in paths)
    given = {folder.resolve() for folder in folders}
    linked = dict.fromkeys(path.resolve().parent for path in paths)
    folders |= dict.fromkeys(folder for folder in linked if folder not in given)
    return [folder / EVENTS for folder in folders if (folder / EVENTS).is_file()]


def known_events(files: Iterable[Path]) -> list[KnownEvent]:
    """The events of some `events.json`, each name and time once, in order of time.

    Raises:
        UserError: a file that is not as expected.
    """
    events: dict[tuple[float, str], KnownEvent] = {}
    for path in files:
        try:
            listed = KnownEvents.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error.strerror
            raise UserError(
                f"The list of events {path} cannot be read ({reason}): expected "
                '{"events": [{"name": "GW150914", "gps": 1126259462.4}]}. Mend or remove it, or set '
                "dataset.exclude_events=false."
            ) from None
        events |= {(event.gps, event.name): event for event in listed.events}
    return [events[key] for key in sorted(events)]


class Catalogue(BaseModel):
    """One list of `known_events.toml`: its events, in order of time."""

    name: str
    source: str
    events: tuple[tuple[str, FiniteFloat] | tuple[str, FiniteFloat, float], ...]


class Catalogues(BaseModel):
    """The content of `known_events.toml`.

    Attributes:
        date: of the lists.
        until, until_date: GPS time up to which they name every candidate, and its UTC date.
        catalogues: one after the other in time, but for the less certain events of O3.
    """

    date: str
    until: FiniteFloat
    until_date: str
    catalogues: tuple[Catalogue, ...]


@cache
def catalogues() -> Catalogues:
    """The catalogues of events that come with gwbench."""
    return Catalogues.model_validate(tomllib.loads(CATALOGUES.read_text()))


@dataclass(frozen=True)
class EventCheck:
    """Which known events lie in some strain, and of which strain that cannot be told.

    Attributes:
        listed: those of `events.json`.
        catalogued: those of the catalogues that are not listed, by the catalogue's name.
        undated: files that do not say when they were recorded.
        late: files that reach beyond the time up to which the catalogues are complete.
    """

    listed: tuple[KnownEvent, ...]
    catalogued: dict[str, list[KnownEvent]]
    undated: tuple[Path, ...]
    late: tuple[Path, ...]

    @property
    def names(self) -> tuple[list[str], dict[str, list[str]]]:
        """The names of the listed events, and of the others by catalogue."""
        others = {name: [event.name for event in events] for name, events in self.catalogued.items()}
        return [event.name for event in self.listed], others

    @property
    def events(self) -> list[KnownEvent]:
        """All events."""
        return [event for events in (self.listed, *self.catalogued.values()) for event in events]

    def spans(self, reach: float) -> list[tuple[float, float]]:
        """The GPS times from and to which the events are left out, with `reach` seconds on either side."""
        return [(event.gps - event.before - reach, event.gps + reach) for event in self.events]


def check_events(files: Sequence[StrainFile], lists: Iterable[Path], reach: float, date: str) -> EventCheck:
    """The known events within some strain, or near enough to reach into it.

    Args:
        files: the strain.
        lists: `events.json` files, which count beside the catalogues.
        reach: seconds beyond a file's ends.
        date: of the catalogues that the caller's identity counts on.
    """
    if date != catalogues().date:
        raise ValueError(f"catalogues of {catalogues().date}, asked for {date}")
    timed = [file for file in files if file.gps_start is not None]
    dated = [file for file in timed if is_dated(file)]

    known = {catalogue.name: [_event(*said) for said in catalogue.events] for catalogue in catalogues().catalogues}
    listed = [_with_length(event, known) for event in known_events(lists)]
    listed = [event for event in listed if any(_heard(event, file, reach) for file in timed)]
    catalogued: dict[str, list[KnownEvent]] = {}
    for catalogue, events in known.items():
        for event in events:
            inside = any(_heard(event, file, reach) for file in dated)
            if inside and not any(abs(event.gps - other.gps) < SAME for other in listed):
                catalogued.setdefault(catalogue, []).append(event)
    until = catalogues().until
    return EventCheck(
        tuple(listed),
        catalogued,
        tuple(dict.fromkeys(file.path for file in files if not is_dated(file))),
        tuple(dict.fromkeys(file.path for file in dated if file.holds(until) or file.start > until)),
    )


def _event(name: str, gps: float, before: float = 0.0) -> KnownEvent:
    return KnownEvent(name=name, gps=gps, before=before)


def _with_length(event: KnownEvent, known: Mapping[str, Sequence[KnownEvent]]) -> KnownEvent:
    """A listed event with what the catalogues say of its length."""
    same = (other for events in known.values() for other in events if abs(other.gps - event.gps) < SAME)
    return event.model_copy(update={"before": max((other.before for other in same), default=0.0)})


def _heard(event: KnownEvent, file: StrainFile, reach: float) -> bool:
    """Whether an event lies in strain, or within `reach` seconds of it."""
    end = file.start + len(file.strain) / file.sample_rate
    return file.start - reach <= event.gps and event.gps - event.before < end + reach


def is_dated(file: StrainFile) -> bool:
    """Whether strain says when it was recorded."""
    return file.gps_start is not None and file.gps_start >= FIRST_GPS
