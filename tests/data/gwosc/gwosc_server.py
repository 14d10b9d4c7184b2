"""A small GWOSC on 127.0.0.1, with the failures of a real network to choose from.

It answers the paths that gwosc's client reads (see `gwbench.data.gwosc.api`) in the form of GWOSC's API, version 2, two
results a page, and serves files with ETag, Content-MD5 and ranges.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import struct
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import h5py
import numpy as np

GW150914 = 1126259462.4
PAGE = 2

EVENTS = [
    {"name": "GW150914", "version": 3, "gps": GW150914, "run": "O1"},
    {"name": "GW150914", "version": 2, "gps": 1126259462.1, "run": "O1"},
    {"name": "151008", "version": 1, "gps": 1126258000.5, "run": "O1"},
    {"name": "GW230529_181500", "version": 1, "gps": 1369419318.7, "run": "O4a"},
    {"name": "GW151226", "version": 2, "gps": 1135136350.6, "run": "O1"},
]
RELEASED = [
    *(f"{d}-{d}1_GWOSC_{k}KHZ_R1-1126259447-32.{s}" for d in "HL" for k in (4, 16) for s in ("hdf5", "gwf")),
    *(f"{d}-{d}1_GWOSC_{k}KHZ_R1-1126257415-4096.{s}" for d in "HL" for k in (4, 16) for s in ("hdf5", "gwf")),
]
"""Files of the release of GW150914."""

RUNS = {"O1": (1126051217, 1137254417, ["H1", "L1"]), "O4a": (1368975618, 1389456018, ["H1", "L1"])}
IN_RUNS = {
    "O1": [f"{d}-{d}1_GWOSC_O1_4KHZ_R1-{start}-4096.hdf5" for d in "HL" for start in (1126256640, 1126260736)],
    "O4a": ["L-L1_GWOSC_O4a_4KHZ_R1-1369419776-4096.hdf5", "L-L1_GWOSC_O4a_4KHZ_R1-1369415680-4096.hdf5"],
}


def frame(content: bytes) -> bytes:
    """A frame file with one structure of this content and the last one (LIGO-T970130, 4.3), without checksums."""
    size = 40 + 14 + len(content) + 34
    header = b"IGWD\0\x08".ljust(12, b"\0") + b"\x34\x12"
    end = struct.pack("<Q6xIQ8x", 34, 1, size)
    return b"".join([header.ljust(40, b"\0"), struct.pack("<Q6x", 14 + len(content)), content, end])


@cache
def strain_file(name: str, seed: int = 0) -> bytes:
    """The content of a file: HDF5 of GWOSC's layout (8 s at 4096 Hz, to be small), or what begins like a frame."""
    rng = np.random.default_rng([seed, *name.encode()])
    if name.endswith(".gwf"):
        return frame(rng.bytes(200_000))
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        strain = file.create_dataset(
            "strain/Strain", data=1e-21 * rng.normal(size=8 * 4096), chunks=(2048,), compression="gzip", fletcher32=True
        )
        strain.attrs["Xstart"] = int(name.split("-")[2])
        strain.attrs["Xspacing"] = 1 / 4096
        file["meta/Detector"] = name.split("-")[1][:2]
    return buffer.getvalue()


@dataclass
class Trouble:
    """How one answer goes wrong.

    Attributes:
        path: of the requests that it meets, as a regular expression.
        times: how many of them.
        status, headers, body: the answer instead.
        cut: bytes of the body after which the connection ends.
        stall: bytes after which it hangs until `GwoscServer.release` is set.
    """

    path: str
    times: int = 10**6
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    cut: int | None = None
    stall: int | None = None


class GwoscServer(ThreadingHTTPServer):
    """The server; `files` and `troubles` may be changed while it runs."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.files: dict[str, bytes] = {}
        self.rename: dict[str, str] = {}
        self.troubles: list[Trouble] = []
        self.validators = True
        self.release = threading.Event()
        self.asked: list[tuple[str, dict[str, str]]] = []

    def content(self, name: str) -> bytes:
        return self.files.setdefault(name, strain_file(name))

    def downloads(self) -> list[str]:
        """For every request for a file so far: its name and, in brackets, the range asked for."""
        names = [(path.removeprefix("/data/"), h) for path, h in self.asked if path.startswith("/data/")]
        return [name + (f" [{headers['Range']}]" if "Range" in headers else "") for name, headers in names]

    def trouble(self, path: str) -> Trouble | None:
        for trouble in self.troubles:
            if trouble.times and re.search(trouble.path, path):
                trouble.times -= 1
                return trouble
        return None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is what some tests are about."""


@contextmanager
def serving() -> Iterator[GwoscServer]:
    server = GwoscServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.release.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: GwoscServer

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.server.asked.append((self.path, dict(self.headers)))
        trouble = self.server.trouble(self.path) or Trouble("")
        if trouble.status is not None or trouble.body is not None:
            self._send(trouble.status or 200, trouble.body or b"", trouble.headers, trouble)
        elif self.path.startswith("/data/"):
            self._file(unquote(self.path.removeprefix("/data/")), trouble)
        else:
            found = self._api(
                urlsplit(self.path).path, {k: v[0] for k, v in parse_qs(urlsplit(self.path).query).items()}
            )
            body = json.dumps(found if found is not None else {"detail": "Not found."}).encode()
            self._send(404 if found is None else 200, body, {"Content-Type": "application/json"}, trouble)

    def _send(self, status: int, body: bytes, headers: dict[str, str], trouble: Trouble) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        piece = memoryview(body)
        self.wfile.write(piece[: trouble.cut if trouble.stall is None else trouble.stall])
        if trouble.stall is not None:
            self.server.release.wait(30)

    def _file(self, name: str, trouble: Trouble) -> None:
        content = self.server.content(name)
        tag = f'"{hashlib.sha256(content).hexdigest()[:8]}"'
        headers = {"Content-MD5": b64encode(hashlib.md5(content).digest()).decode(), "ETag": tag}
        headers = (headers if self.server.validators else {}) | trouble.headers
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked is None or self.headers.get("If-Range", tag) != tag:
            self._send(200, content, headers, trouble)
        elif int(asked[1]) >= len(content):
            self._send(416, b"", {"Content-Range": f"bytes */{len(content)}"}, trouble)
        else:
            start = int(asked[1])
            headers = {"ETag": tag, "Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
            self._send(206, content[start:], headers | trouble.headers, trouble)

    def _api(self, path: str, query: dict[str, str]) -> Any:
        """What GWOSC answers; None for 404."""
        place = path.removeprefix("/api/v2/").split("/")
        events = [{**event, "shortName": f"{event['name']}-v{event['version']}"} for event in EVENTS]
        match place:
            case ["event-versions"]:
                low, high = float(query["min-gps-time"]), float(query["max-gps-time"])
                return self._page([event for event in events if low <= float(str(event["gps"])) <= high], query)
            case ["event-versions", name, *rest] if rest in ([], ["strain-files"]):
                found = [event for event in events if name in (event["name"], event["shortName"])]
                if not found or not rest:
                    return max(found, key=lambda event: int(str(event["version"])), default=None)
                names = RELEASED if found[0]["name"] == "GW150914" else []
                suffix = {"hdf": ".hdf5", "gwf": ".gwf"}[query["file-format"]]
                kept = [name for name in names if name.endswith(suffix) and f"_{query['sample-rate']}KHZ" in name]
                return self._page([{"detector": n[2:4], "download_url": self._url(n)} for n in kept], query)
            case ["runs"]:
                runs = [
                    {"name": name, "gps_start": start, "gps_end": end, "detectors": detectors}
                    for name, (start, end, detectors) in RUNS.items()
                ]
                return self._page(runs, query)
            case ["runs", run, "strain-files"]:
                kept = [name for name in IN_RUNS.get(run, []) if f"_{query['sample-rate']}KHZ" in name]
                urls = [{"detector": n[2:4], "hdf5_url": self._url(n), "gwf_url": None} for n in kept]
                return self._page(urls, query)
        return None

    def _url(self, name: str) -> str:
        return f"{self.server.url}/data/{self.server.rename.get(name, name)}"

    def _page(self, results: list[dict[str, Any]], query: dict[str, str]) -> dict[str, Any]:
        page = int(query.get("page", "1"))
        pages = -(-len(results) // PAGE)
        rest = "&".join(f"{key}={value}" for key, value in query.items() if key != "page")
        here = f"{self.server.url}{urlsplit(self.path).path}?{rest}&page={page + 1}"
        part = results[(page - 1) * PAGE : page * PAGE]
        return {"num_pages": pages, "next": here if page < pages else None, "results": part}
