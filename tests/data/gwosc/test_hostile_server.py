"""Whatever a server answers, a fetch ends soon, in files or in one message."""

from __future__ import annotations

import gc
import gzip
import itertools
import json
import time
from pathlib import Path
from typing import Any

import pytest

from gwbench.data.gwosc.fetch import fetch
from gwbench.errors import UserError
from tests.conftest import Heard
from tests.data.gwosc.gwosc_server import GwoscServer, Trouble, strain_file

H1 = "H-H1_GWOSC_4KHZ_R1-1126257415-4096.hdf5"
EVENT, FILES, LIST = r"event-versions/GW150914$", "strain-files", r"event-versions\?"


@pytest.fixture(autouse=True)
def pauses_of_the_client(monkeypatch: pytest.MonkeyPatch, pauses: list[float]) -> None:
    """What gwosc's client would have waited joins the others."""
    monkeypatch.setattr("tenacity.nap.time.sleep", pauses.append)


def page(results: list[Any], following: str | None, pages: int = 1) -> bytes:
    return json.dumps({"num_pages": pages, "next": following, "results": results}).encode()


def refused(server: GwoscServer, folder: Path, *troubles: Trouble) -> str:
    """The one message in which a fetch ends."""
    server.troubles = list(troubles)
    begun = time.monotonic()
    with pytest.raises(UserError) as caught:
        fetch("GW150914", ["H1"], out=folder, host=server.url, progress=Heard())
    assert time.monotonic() - begun < 30
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1500
    assert not list(folder.glob("*.hdf5"))
    said = str(caught.value)
    del caught
    gc.collect()  # a connection that stays open is a warning, and so an error
    return said


@pytest.mark.parametrize("path", [FILES, LIST])
@pytest.mark.parametrize(
    "results", [[], [{"detector": "H1", "download_url": None, "name": "x", "version": 1, "gps": 1}]]
)
def test_a_listing_that_leads_to_itself_ends(
    server: GwoscServer, tmp_path: Path, path: str, results: list[Any]
) -> None:
    here = f"{server.url}/api/v2/strain-files/again"
    troubles = [Trouble(path, times=1, body=page(results, here)), Trouble("again", body=page(results, here))]
    said = refused(server, tmp_path, *troubles)
    assert "does not end" in said
    assert len(server.asked) < 20


def test_a_listing_that_grows_for_ever_ends(
    server: GwoscServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gwbench.data.gwosc.api.MOST_PAGES", 30)

    pages = itertools.count(1)

    def growing(path: str) -> Trouble | None:
        here = f"{server.url}/strain-files?page={next(pages)}"
        return Trouble("", body=page([], here, 10**9)) if "strain-files" in path else None

    monkeypatch.setattr(server, "trouble", growing)
    assert "does not end" in refused(server, tmp_path)
    assert len([path for path, _ in server.asked if "strain-files" in path]) == 30


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 304])
@pytest.mark.parametrize("path", [EVENT, FILES, "/data/"])
def test_a_redirect_that_leads_nowhere_is_not_waited_for(
    server: GwoscServer, tmp_path: Path, pauses: list[float], status: int, path: str
) -> None:
    refused(server, tmp_path, Trouble(path, status=status, headers={"Retry-After": "86400"}))
    assert sum(pauses) < 60


@pytest.mark.parametrize("location", ["file:///etc/passwd", "http://[::bad", "//", "\x80\xff", "ftp://127.0.0.1/x"])
def test_a_redirect_to_no_address(server: GwoscServer, tmp_path: Path, location: str) -> None:
    refused(server, tmp_path, Trouble("", status=302, headers={"Location": location}))


def test_a_redirect_in_a_circle(server: GwoscServer, tmp_path: Path) -> None:
    refused(server, tmp_path, Trouble("", status=302, headers={"Location": f"{server.url}/round"}))


@pytest.mark.parametrize("asked", ["86400", "9" * 5000, "1e400", "Fri, 31 Dec 9999 23:59:59 GMT", "-5", "nan",
                                   "Fri, 99 Foo 12345678901234567890 99:99:99 GMT"])  # fmt: skip
@pytest.mark.parametrize("path", [EVENT, "/data/"])
def test_a_wait_of_a_day_is_a_message(
    server: GwoscServer, tmp_path: Path, pauses: list[float], asked: str, path: str
) -> None:
    refused(server, tmp_path, Trouble(path, status=503, headers={"Retry-After": asked}))
    assert sum(pauses) < 60


@pytest.mark.parametrize(
    "gps", ["1e400", "1e300", "-1", "-1e9", "NaN", "Infinity", '"x"', "[]", "{}", "null", "9" * 5000, "[" * 100_000]
)
def test_a_time_that_is_none(server: GwoscServer, tmp_path: Path, gps: str) -> None:
    assert "does not answer as GWOSC" in refused(server, tmp_path, Trouble(EVENT, body=f'{{"gps": {gps}}}'.encode()))


@pytest.mark.parametrize(
    "event",
    [
        {"name": "GW1", "version": 1, "gps": 1e300},
        {"name": "GW1", "version": "x", "gps": 1126259462.0},
        {"name": "GW1", "version": [1], "gps": 1126259462.0},
        {"version": 1, "gps": 1126259462.0},
        ["GW1", 1, 1126259462.0],
        None,
        "text",
    ],
)
def test_events_of_other_types(server: GwoscServer, tmp_path: Path, event: Any) -> None:
    assert "does not answer as GWOSC" in refused(server, tmp_path, Trouble(LIST, body=page([event], None)))


def test_half_a_surrogate_pair_in_a_name(server: GwoscServer, tmp_path: Path) -> None:
    body = b'{"num_pages": 1, "next": null, "results": [{"name": "GW\\ud800", "version": 1, "gps": 1126259462.0}]}'
    assert "does not answer as GWOSC" in refused(server, tmp_path, Trouble(LIST, body=body))


def test_a_name_with_escape_sequences_moves_no_cursor(server: GwoscServer, tmp_path: Path) -> None:
    event = {"name": "GW\x1b[2J\u202e" + "x" * 500, "version": 1, "gps": 1126259462.0}
    server.troubles = [Trouble(LIST, body=page([event], None))]
    (known,) = fetch("GW150914", ["H1"], out=tmp_path, host=server.url).events
    assert known.name.isprintable()
    assert len(known.name) < 100


@pytest.mark.parametrize(
    "listed",
    [
        {"detector": "H1", "download_url": 3},
        {"detector": "H1", "download_url": "http://[::bad/" + H1},
        {"detector": "H1", "download_url": "http://127.0.0.1:99999/" + H1},
        {"detector": "H1", "download_url": "\x1b[2J"},
        {"detector": "H1", "download_url": "http://127.0.0.1/H-H1_GWOSC_4KHZ_R1-" + "9" * 5000 + "-4096.hdf5"},
        {"detector": [], "download_url": []},
        None,
    ],
)
def test_files_at_no_address(server: GwoscServer, tmp_path: Path, listed: Any) -> None:
    later = Trouble("/runs", body=page([], None))
    refused(server, tmp_path, Trouble(FILES, body=page([listed], None)), later)


@pytest.mark.parametrize(
    "body", [b"<html><body>Log in</body></html>", b"", b"\xff\xfe", b"[]", b"3", b'{"num_pages": {}}', b'"text"']
)
@pytest.mark.parametrize("path", [EVENT, FILES])
def test_what_is_no_answer_of_gwosc(server: GwoscServer, tmp_path: Path, path: str, body: bytes) -> None:
    assert "does not answer as GWOSC" in refused(server, tmp_path, Trouble(path, body=body))


def test_an_answer_that_inflates_is_not_inflated(server: GwoscServer, tmp_path: Path) -> None:
    body = gzip.compress(bytes(64 * 2**20))
    said = refused(server, tmp_path, Trouble(EVENT, body=body, headers={"Content-Encoding": "gzip"}))
    assert "16 MiB" in said


@pytest.mark.parametrize("length", ["-1", "9" * 5000, "x", "1e9", "٣"])
def test_a_length_that_is_none(server: GwoscServer, tmp_path: Path, length: str) -> None:
    """Without a length the file is read to the end of the connection."""
    body = strain_file(H1)
    server.troubles = [Trouble("/data/", body=body, headers={"Content-Length": length.encode().decode("latin-1")})]
    said, found = "", None
    try:
        found = fetch("GW150914", ["H1"], out=tmp_path, host=server.url)
    except UserError as error:
        said = str(error)
    assert said.isprintable()
    assert said or (found and found.files[0].path.read_bytes() == body)


def test_a_file_without_end_is_cut_off(server: GwoscServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gwbench.data.gwosc.download.LARGEST", 100_000)
    said = refused(server, tmp_path, Trouble("/data/", body=bytes(10**6), headers={"Content-Length": ""}))
    assert "more than 100,000 bytes" in said


def test_a_body_longer_than_announced_is_no_strain_file(server: GwoscServer, tmp_path: Path) -> None:
    body = strain_file(H1)
    refused(server, tmp_path, Trouble("/data/", body=body, headers={"Content-Length": str(len(body) // 2)}))


@pytest.mark.parametrize(
    "said",
    [b"[" * 100_000, b'{"files": {}, "files": {}}', b'{"parts": {"a": {"url": 3}}}', b"\xff", b'{"files": 1e400}',
     b'{"parts": {"' + H1.encode() + b'": {"url": "x", "size": -5, "md5": "\\u001b"}}}'],
)  # fmt: skip
def test_a_manifest_that_is_none_is_named_and_the_files_are_fetched(
    server: GwoscServer, tmp_path: Path, said: bytes
) -> None:
    (tmp_path / "fetched.json").write_bytes(said)
    heard = Heard()
    fetch("GW150914", ["H1"], out=tmp_path, host=server.url, progress=heard)
    assert list(json.loads((tmp_path / "fetched.json").read_text())["files"]) == [H1]


def test_what_killed_fetches_left_is_swept(server: GwoscServer, tmp_path: Path) -> None:
    for name in (".fetched.json.ab12cd34", ".events.json.x_yz1234", ".events.json.ab12cd34.gwbench"):
        (tmp_path / name).write_text("half")
    fetch("GW150914", ["H1"], out=tmp_path, host=server.url)
    names = {path.name for path in tmp_path.iterdir()} - {".fetch.lock"}
    assert names == {H1, "events.json", "fetched.json"}
