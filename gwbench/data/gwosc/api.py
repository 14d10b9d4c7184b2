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
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from gwbench.errors import UserError
from gwbench.utils.printable import printable
from gwbench.utils.untrusted_text import parse_json

if TYPE_CHECKING:
    import requests

    from gwbench.data.gwosc.web import Web
    from gwbench.data.strain_files.known_events import KnownEvent

HOST = "https://gwosc.org"

EVENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
"""Names of events, such as GW150914, GW150914-v3, GW190425_081805 or 151008."""

RUN = re.compile(r"[A-Za-z0-9_.-]{1,64}")
"""Names of observing runs, such as O3a or O4a_16KHZ_R1."""

GPS = re.compile(r"\d{8,}(\.\d*)?|\d+\.\d*", re.ASCII)
"""GPS times. Short whole numbers are names: 151008 is an event."""

FILE_NAME = re.compile(r"[A-Z]{1,9}-[A-Za-z0-9_]{1,80}-(\d{1,10})-(\d{1,8})(\.[a-z0-9]{1,8})", re.ASCII)
"""Names of strain files by LIGO-T050017: observatory, content, GPS start, seconds."""

NOT_FOUND = 404

GPS_END = 1e10
"""Seconds; GPS times lie between 0 and this, in the year 2297."""

MOST_RUNS = 20
"""Observing runs and their engineering runs that can overlap one stretch of strain."""

MOST, MOST_PAGES = 100_000, 1000
"""Entries of a listing, and pages of it."""

LONGEST_NAME = 64
"""Characters of an event's name that are kept."""

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


class Questions:
    """Asks for one listing, page by page; gwosc's client takes it where it takes a `requests.Session`.

    Args:
        host: that is asked, for messages.
        web: makes the requests.
    """

    def __init__(self, host: str, web: Web) -> None:
        self._host, self._web = host, web
        self._asked: set[str] = set()

    def get(self, url: str, **options: Any) -> requests.Response:
        """An answer, whose JSON is read within bounds.

        Raises:
            UserError: the listing leads back to a page of it, or does not end; as `Web.get`.
        """
        if url in self._asked or len(self._asked) >= MOST_PAGES:
            raise UserError(
                f"The listing of {self._host} does not end: page {len(self._asked) + 1} is {printable(url)}. "
                "Check --host, and try again later."
            )
        self._asked.add(url)
        response = self._web.get(url, **options)
        if response.is_redirect or 300 <= response.status_code < 400:  # the client would wait for another, for days
            raise UserError(f"{self._host} answers {response.status_code} without saying where it leads. Check --host.")
        response.json = lambda **_: parse_json(response.content)  # type: ignore[method-assign]
        return response


class _Uncached(dict[str, Any]):
    """Keeps nothing."""

    def setdefault(self, key: str, default: Any = None) -> Any:
        return default


def _client() -> Any:
    """Gwosc's client, without its cache: with it, a listing that leads to itself would go round without a question."""
    from gwosc.api import v2

    if not isinstance(v2.JSON_CACHE, _Uncached):
        v2.JSON_CACHE = _Uncached()
    return v2


def _gps(value: Any) -> float:
    """A GPS time; raises `ValueError` where it is none."""
    gps = float(value)
    if not 0 <= gps < GPS_END:
        raise ValueError("no GPS time")
    return gps


def _bounded(items: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The entries of a listing; raises `ValueError` where there are more than any listing has."""
    for number, item in enumerate(items):
        if number >= MOST:
            raise ValueError("a listing without end")
        yield item


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
            if float(target) >= GPS_END:
                raise UserError(f"{target[:40]!r} is no GPS time: expected seconds such as 1126259462.4.")
            return float(target)
        if not EVENT.fullmatch(target):
            raise UserError(f"{target!r} is neither an event, such as GW150914, nor a GPS time, such as 1126259462.4.")
        v2 = _client()

        with self._understood(f"There is no event {target!r} at {self.host}. Expected a name such as GW150914."):
            return _gps(v2.fetch_event_version(target, host=self.host, session=self._asking())["gps"])

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
        v2 = _client()

        from gwbench.data.strain_files.known_events import KnownEvent

        whole = (min(start for start, _ in spans) - NEAR, max(end for _, end in spans) + NEAR)
        newest: dict[str, tuple[int, float]] = {}
        with self._understood(f"{self.host} has no list of events. Check --host."):
            listed = v2.fetch_event_versions(segment=whole, host=self.host, session=self._asking())
            for event in _bounded(listed):
                name, version = printable(event["name"], LONGEST_NAME), int(event["version"])
                gps = _gps(event["gps"])
                if any(start - NEAR <= gps < end + NEAR for start, end in spans):
                    newest[name] = max(newest.get(name, (version, gps)), (version, gps))
            known = [KnownEvent(name=name, gps=gps) for name, (_, gps) in newest.items()]
        return sorted(known, key=lambda event: event.gps)

    def _asking(self) -> Questions:
        """The session for one listing."""
        return Questions(self.host, self.web)

    def _event_files(self, event: str, rate: int, suffix: str) -> list[RemoteFile]:
        v2 = _client()

        with self._understood(f"{self.host} has no strain files of {event}. Give its GPS time instead."):
            items = v2.fetch_event_strain_data(
                event, sample_rate=rate, format=suffix[1:], host=self.host, session=self._asking()
            )
            return list(self._remote(_bounded(items), "download_url", suffix))

    def _run_files(self, start: int, end: int, rate: int, suffix: str) -> list[RemoteFile]:
        v2 = _client()

        files: list[RemoteFile] = []
        with self._understood(f"{self.host} has no list of runs. Check --host."):
            runs = list(_bounded(v2.fetch_runs(host=self.host, session=self._asking())))
            names = dict.fromkeys(run["name"] for run in runs if run["gps_start"] < end and run["gps_end"] > start)
            if len(names) > MOST_RUNS:
                raise ValueError(f"{len(names)} runs at one time")
            for name in names:
                if not RUN.fullmatch(name):
                    raise ValueError(name)
                items = v2.fetch_run_strain_files(
                    name, start=start, end=end, sample_rate=rate, host=self.host, session=self._asking()
                )
                files += self._remote(_bounded(items), f"{suffix[1:]}_url", suffix)
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
                    f"{self.host} offers a strain file under the name {printable(repr(name))}; expected one such as "
                    "H-H1_GWOSC_4KHZ_R1-1126257415-4096.hdf5. Nothing was fetched; check --host."
                )
            if name.endswith(suffix):
                yield RemoteFile(name, str(item[key]), printable(item["detector"], 8), *span)

    @contextmanager
    def _understood(self, absent: str) -> Iterator[None]:
        """Turn answers that are no GWOSC answers into a `UserError`; 404 into one that says `absent`."""
        import requests

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of many pages, which are counted here
                yield
        except requests.HTTPError as error:
            if error.response is not None and error.response.status_code == NOT_FOUND:
                raise UserError(absent) from error
            raise UserError(f"{self.host} refuses: {printable(error)}. Check --host.") from error
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
            raise UserError(
                f"{self.host} does not answer as GWOSC's API does ({type(error).__name__}). Check --host, and that no "
                "proxy or login page answers instead."
            ) from error
