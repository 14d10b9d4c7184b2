"""What the Gravitational Wave Open Science Center (https://gwosc.org) offers: events, strain files, times.

All is asked through gwosc's client, which reads these paths of GWOSC's API (version 2):

    /api/v2/event-versions/EVENT               GPS time of an event
    /api/v2/event-versions/EVENT/strain-files  files released with it: 32 s and 4096 s around it
    /api/v2/runs                               observing runs and their times
    /api/v2/runs/RUN/strain-files              files of a whole run, mostly 4096 s each
    /api/v2/event-versions                     the catalogues, by GPS time
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from gwbench.errors import UserError

if TYPE_CHECKING:
    from gwbench.data.gwosc.web import Web
    from gwbench.data.strain_files.known_events import KnownEvent

HOST = "https://gwosc.org"

EVENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
"""Names of events, such as GW150914, GW150914-v3, GW190425_081805 or 151008."""

GPS = re.compile(r"\d{8,}(\.\d*)?|\d+\.\d*", re.ASCII)
"""GPS times. Short whole numbers are names: 151008 is an event."""

FILE_NAME = re.compile(r"[A-Z]+-[A-Za-z0-9_]+-(\d+)-(\d+)(\.[a-z0-9]+)", re.ASCII)
"""Names of strain files by LIGO-T050017: observatory, content, GPS start, seconds."""

NOT_FOUND = 404

NEAR = 16.0
"""Seconds beyond a file's ends at which an event still counts as within: a long signal reaches into the file."""


@dataclass(frozen=True)
class RemoteFile:
    """A strain file that GWOSC offers.

    Attributes:
        name: its file name; no path.
        url: where it is.
        detector: such as "H1".
        start, end: GPS times that it covers.
    """

    name: str
    url: str
    detector: str
    start: int
    end: int

    @property
    def seconds(self) -> int:
        """Its length."""
        return self.end - self.start


def file_span(name: str) -> tuple[int, int] | None:
    """GPS start and end of a strain file by its name; None where the name does not tell."""
    match = FILE_NAME.fullmatch(name)
    return (int(match[1]), int(match[1]) + int(match[2])) if match else None


class Gwosc:
    """One GWOSC server.

    Args:
        host: such as "https://gwosc.org".
        web: makes the requests.
    """

    def __init__(self, host: str, web: Web) -> None:
        if not re.match(r"https?://[^/]", host):
            raise UserError(f"--host {host!r} is no address: expected one such as https://gwosc.org.")
        self.host, self.web = host.rstrip("/"), web

    def gps(self, target: str) -> float:
        """The GPS time of an event, or the number itself.

        Raises:
            UserError: neither a known event nor a GPS time; GWOSC cannot be asked.
        """
        if GPS.fullmatch(target):
            return float(target)
        if not EVENT.fullmatch(target):
            raise UserError(f"{target!r} is neither an event, such as GW150914, nor a GPS time, such as 1126259462.4.")
        from gwosc.api import v2

        with self._understood(f"There is no event {target!r} at {self.host}. Expected a name such as GW150914."):
            gps = float(v2.fetch_event_version(target, host=self.host, session=self.web)["gps"])
            if not math.isfinite(gps):
                raise ValueError(gps)
        return gps

    def strain_files(
        self, target: str, gps: float, detectors: Sequence[str], duration: float | None, rate: int, suffix: str
    ) -> list[RemoteFile]:
        """The files to fetch, in order of detector and time.

        For an event: the file of its release that holds its time and is the longest or, with a duration, the
        shortest of at least that many seconds. Else, and for detectors without such a file: all files of the run
        that overlap the time, give and take half the duration.

        Raises:
            UserError: GWOSC cannot be asked, or answers what cannot be understood.
        """
        chosen: dict[str, list[RemoteFile]] = {}
        released = [] if GPS.fullmatch(target) else self._event_files(target, rate, suffix)
        for file in sorted(released, key=lambda file: (file.seconds, file.name), reverse=duration is None):
            if file.detector in detectors and file.start <= gps < file.end and file.seconds >= (duration or 0):
                chosen.setdefault(file.detector, [file])
        lacking = [detector for detector in detectors if detector not in chosen]
        half = (duration or 0) / 2
        start, end = math.floor(gps - half), max(math.ceil(gps + half), math.floor(gps) + 1)
        for file in self._run_files(start, end, rate, suffix) if lacking else []:
            if file.detector in lacking and file.start < end and file.end > start:
                chosen.setdefault(file.detector, []).append(file)
        files = {file.name: file for detector in detectors for file in chosen.get(detector, [])}
        return sorted(files.values(), key=lambda file: (detectors.index(file.detector), file.start))

    def events(self, spans: Sequence[tuple[int, int]]) -> list[KnownEvent]:
        """The catalogues' events within these times or near them, in order of time.

        Raises:
            UserError: GWOSC cannot be asked, or answers what cannot be understood.
        """
        from gwosc.api import v2

        from gwbench.data.strain_files.known_events import KnownEvent

        whole = (min(start for start, _ in spans) - NEAR, max(end for _, end in spans) + NEAR)
        newest: dict[str, tuple[int, float]] = {}
        with self._understood(f"{self.host} has no list of events. Check --host."):
            for event in v2.fetch_event_versions(segment=whole, host=self.host, session=self.web):
                name, version, gps = str(event["name"]), int(event["version"]), float(event["gps"])
                if any(start - NEAR <= gps < end + NEAR for start, end in spans):
                    newest[name] = max(newest.get(name, (version, gps)), (version, gps))
            known = [KnownEvent(name=name, gps=gps) for name, (_, gps) in newest.items()]
        return sorted(known, key=lambda event: event.gps)

    def _event_files(self, event: str, rate: int, suffix: str) -> list[RemoteFile]:
        from gwosc.api import v2

        with self._understood(f"{self.host} has no strain files of {event}. Give its GPS time instead."):
            items = v2.fetch_event_strain_data(
                event, sample_rate=rate, format=suffix[1:], host=self.host, session=self.web
            )
            return list(self._remote(items, "download_url", suffix))

    def _run_files(self, start: int, end: int, rate: int, suffix: str) -> list[RemoteFile]:
        from gwosc.api import v2

        files: list[RemoteFile] = []
        with self._understood(f"{self.host} has no list of runs. Check --host."):
            runs = list(v2.fetch_runs(host=self.host, session=self.web))
            for name in [run["name"] for run in runs if run["gps_start"] < end and run["gps_end"] > start]:
                items = v2.fetch_run_strain_files(
                    name, start=start, end=end, sample_rate=rate, host=self.host, session=self.web
                )
                files += self._remote(items, f"{suffix[1:]}_url", suffix)
        return files

    def _remote(self, items: Iterable[Mapping[str, Any]], key: str, suffix: str) -> Iterator[RemoteFile]:
        """The files of a listing that are of this format.

        Raises:
            UserError: a file's name is not one; it could lead out of the folder.
        """
        for item in items:
            if not item[key]:
                continue
            name = unquote(urlsplit(str(item[key])).path.rpartition("/")[2])
            span = file_span(name)
            if span is None:
                raise UserError(
                    f"{self.host} offers a strain file under the name {name!r}; expected one such as "
                    "H-H1_GWOSC_4KHZ_R1-1126257415-4096.hdf5. Nothing was fetched; check --host."
                )
            if name.endswith(suffix):
                yield RemoteFile(name, str(item[key]), str(item["detector"]), *span)

    @contextmanager
    def _understood(self, absent: str) -> Iterator[None]:
        """Turn answers that are no GWOSC answers into a `UserError`; 404 into one that says `absent`."""
        import requests

        try:
            yield
        except requests.HTTPError as error:
            if error.response is not None and error.response.status_code == NOT_FOUND:
                raise UserError(absent) from error
            raise UserError(f"{self.host} refuses: {error}. Check --host.") from error
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{self.host} does not answer as GWOSC's API does ({type(error).__name__}). Check --host, and that no "
                "proxy or login page answers instead."
            ) from error
