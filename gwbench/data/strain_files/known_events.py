"""Events that are known to lie in some strain files: `events.json` beside them, as a fetch from GWOSC writes it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, FiniteFloat, ValidationError

from gwbench.errors import UserError

EVENTS = "events.json"


class KnownEvent(BaseModel):
    """One event: its name and the GPS time of its coalescence."""

    name: str
    gps: FiniteFloat


class KnownEvents(BaseModel):
    """The content of `events.json`."""

    events: tuple[KnownEvent, ...]


def event_files(strain_files: Iterable[Path]) -> list[Path]:
    """The `events.json` in the folders of some strain files, where there is one."""
    folders = dict.fromkeys(path.parent for path in strain_files)
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
