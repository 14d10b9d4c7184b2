"""Strain from a GWOSC on 127.0.0.1."""

from __future__ import annotations

import hashlib
import json
import resource
import socket
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gwosc.api import v2

from gwbench.data.gwosc.fetch import Fetched, fetch, strain_folder
from gwbench.data.strain_files.reading import read_strain
from gwbench.errors import UserError
from gwbench.utils.progress import Progress
from tests.data.gwosc.gwosc_server import GW150914, GwoscServer, Trouble, frame, serving, strain_file

H1, L1 = "H-H1_GWOSC_4KHZ_R1-1126257415-4096.hdf5", "L-L1_GWOSC_4KHZ_R1-1126257415-4096.hdf5"
FILE = "/data/H-"


class Told(Progress):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.lines.append(message)


def bring(server: GwoscServer, folder: Path, target: str = "GW150914", **options: Any) -> Fetched:
    return fetch(target, **{"detectors": ["H1"], "out": folder, "host": server.url, **options})


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != ".fetch.lock")


def manifest(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "fetched.json").read_text())
    return found


def test_an_event_gives_its_files_their_digests_the_events_in_them_and_who_is_missing(
    server: GwoscServer, tmp_path: Path
) -> None:
    found = bring(server, tmp_path, detectors=["H1", "L1", "V1"])
    assert (found.target, found.gps, found.folder) == ("GW150914", GW150914, tmp_path)
    assert [file.path.name for file in found.files] == [H1, L1]
    assert [(file.start, file.end) for file in found.files] == [(1126257415, 1126261511)] * 2
    assert found.missing == ("V1",)
    assert names(tmp_path) == sorted([H1, L1, "events.json", "fetched.json"])
    for file in found.files:
        content = strain_file(file.path.name)
        assert file.path.read_bytes() == content
        assert (
            file.sha256 == hashlib.sha256(content).hexdigest() == manifest(tmp_path)["files"][file.path.name]["sha256"]
        )
        assert read_strain(file.path).detector == file.detector
    # the newest version of an event, and no event beyond the files
    expected = [{"name": "151008", "gps": 1126258000.5}, {"name": "GW150914", "gps": GW150914}]
    assert json.loads((tmp_path / "events.json").read_text()) == {"events": expected}
    assert [event.model_dump() for event in found.events] == expected


def test_the_second_time_nothing_is_downloaded(server: GwoscServer, tmp_path: Path) -> None:
    first = bring(server, tmp_path)
    second = bring(server, tmp_path)
    assert server.downloads() == [H1]
    assert [file.downloaded for file in (*first.files, *second.files)] == [True, False]
    assert first.files[0].sha256 == second.files[0].sha256


@pytest.mark.parametrize("harm", ["flip", "truncate", "remove", "forget", "garble"])
def test_a_file_that_is_not_as_it_was_fetched_is_fetched_again(server: GwoscServer, tmp_path: Path, harm: str) -> None:
    bring(server, tmp_path)
    path, content = tmp_path / H1, strain_file(H1)
    if harm == "flip":
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif harm == "truncate":
        path.write_bytes(content[:-1])
    elif harm == "remove":
        path.unlink()
    elif harm == "forget":
        (tmp_path / "fetched.json").unlink()
    else:
        (tmp_path / "fetched.json").write_text('{"files": 3}')
    assert bring(server, tmp_path).files[0].downloaded
    assert server.downloads() == [H1, H1]
    assert path.read_bytes() == content
    assert list(manifest(tmp_path)["files"]) == [H1]


def test_a_changed_file_does_not_stay_where_it_cannot_be_fetched_again(server: GwoscServer, tmp_path: Path) -> None:
    bring(server, tmp_path)
    (tmp_path / H1).write_bytes(b"changed")
    server.troubles = [Trouble(FILE, status=404)]
    with pytest.raises(UserError, match="404"):
        bring(server, tmp_path)
    assert names(tmp_path) == ["events.json", "fetched.json"]


def test_a_file_of_the_same_name_from_elsewhere_is_not_taken_for_it(server: GwoscServer, tmp_path: Path) -> None:
    bring(server, tmp_path)
    with serving() as other:
        other.files[H1] = strain_file(H1, seed=1)
        bring(other, tmp_path)
    assert (tmp_path / H1).read_bytes() == strain_file(H1, seed=1) != strain_file(H1)


@pytest.mark.parametrize("validators", [True, False])
def test_a_broken_connection_is_taken_up_where_it_broke(
    server: GwoscServer, tmp_path: Path, pauses: list[float], validators: bool
) -> None:
    server.validators = validators
    server.troubles = [Trouble(FILE, times=1, cut=len(strain_file(H1)) // 2)]
    told = Told()
    bring(server, tmp_path, progress=told)
    whole, rest = server.downloads()
    start = int(rest.removeprefix(f"{H1} [bytes=").removesuffix("-]"))
    assert whole == H1
    assert len(strain_file(H1)) // 4 < start <= len(strain_file(H1)) // 2
    assert ("If-Range" in server.asked[-1][1]) == validators
    assert (tmp_path / H1).read_bytes() == strain_file(H1)
    assert pauses == [1.0]
    assert "the connection broke off; trying again in 1 s" in told.lines[0]


def test_the_next_command_takes_up_what_the_last_one_left(server: GwoscServer, tmp_path: Path) -> None:
    server.troubles = [Trouble(FILE, times=1, cut=150_000), Trouble(FILE, status=503)]
    with pytest.raises(UserError, match=r"503 Service Unavailable, 4 times in a row.*goes on where this one stopped"):
        bring(server, tmp_path)
    assert names(tmp_path) == sorted([f".{H1}.part", "events.json", "fetched.json"])
    server.troubles.clear()
    bring(server, tmp_path)
    assert server.downloads()[-1] == f"{H1} [bytes=131072-]"  # 150,000 less a piece of 64 KiB begun
    assert (tmp_path / H1).read_bytes() == strain_file(H1)
    assert manifest(tmp_path)["parts"] == {}


def test_a_part_that_is_whole_already_needs_no_request(server: GwoscServer, tmp_path: Path) -> None:
    server.troubles = [Trouble(FILE, times=1, cut=150_000), Trouble(FILE, status=404)]
    with pytest.raises(UserError):
        bring(server, tmp_path)
    (tmp_path / f".{H1}.part").write_bytes(strain_file(H1))
    asked = len(server.downloads())
    assert bring(server, tmp_path).files[0].downloaded
    assert len(server.downloads()) == asked
    assert (tmp_path / H1).read_bytes() == strain_file(H1)


def test_a_file_that_changed_on_the_server_is_not_continued(server: GwoscServer, tmp_path: Path) -> None:
    server.troubles = [Trouble(FILE, times=1, cut=150_000), Trouble(FILE, times=4, status=503)]
    with pytest.raises(UserError):
        bring(server, tmp_path)
    server.files[H1] = strain_file(H1, seed=1)
    bring(server, tmp_path)
    assert (tmp_path / H1).read_bytes() == strain_file(H1, seed=1) != strain_file(H1)


def test_a_part_from_elsewhere_is_not_continued(server: GwoscServer, tmp_path: Path) -> None:
    server.validators = False
    server.troubles = [Trouble(FILE, times=1, cut=150_000), Trouble(FILE, status=404)]
    with pytest.raises(UserError, match="404"):
        bring(server, tmp_path)
    with serving() as other:
        other.files[H1] = strain_file(H1, seed=1)
        bring(other, tmp_path)
        assert other.downloads() == [H1]
    assert (tmp_path / H1).read_bytes() == strain_file(H1, seed=1)


@pytest.mark.parametrize("answer", ["other total", "other start", "no range", "out of range"])
def test_an_answer_that_is_no_continuation_starts_the_file_anew(
    server: GwoscServer, tmp_path: Path, answer: str
) -> None:
    size = len(strain_file(H1))
    wrong = {
        "other total": Trouble(FILE, times=1, headers={"Content-Range": f"bytes 131072-{size}/{size + 1}"}),
        "other start": Trouble(FILE, times=1, headers={"Content-Range": f"bytes 0-{size - 1}/{size}"}),
        "no range": Trouble(FILE, times=1, headers={"Content-Range": ""}),
        "out of range": Trouble(FILE, times=1, status=416),
    }[answer]
    server.troubles = [Trouble(FILE, times=1, cut=150_000), wrong]
    bring(server, tmp_path)
    assert server.downloads() == [H1, f"{H1} [bytes=131072-]", H1]
    assert (tmp_path / H1).read_bytes() == strain_file(H1)


def test_a_server_that_always_sends_less_than_it_announces_ends_in_a_message(
    server: GwoscServer, tmp_path: Path
) -> None:
    server.troubles = [Trouble("/data/", headers={"Content-Length": str(10**6), "Content-Range": "", "ETag": ""})]
    with pytest.raises(UserError, match=r"the connection broke off, 4 times in a row|no continuation"):
        bring(server, tmp_path)
    assert H1 not in names(tmp_path)


def test_a_server_that_sends_a_file_in_shorter_ranges_is_asked_for_the_rest(
    server: GwoscServer, tmp_path: Path
) -> None:
    short = {"Content-Range": f"bytes 131072-199999/{len(strain_file(H1))}", "Content-Length": "68928"}
    server.troubles = [Trouble(FILE, times=1, cut=150_000), Trouble(FILE, times=1, headers=short, cut=68928)]
    bring(server, tmp_path)
    assert server.downloads() == [H1, f"{H1} [bytes=131072-]", f"{H1} [bytes=200000-]"]
    assert (tmp_path / H1).read_bytes() == strain_file(H1)


BIG = "H-H1_GWOSC_4KHZ_R1-1126257415-4096.gwf"


def test_a_connection_that_breaks_again_and_again_gets_there_as_long_as_it_gets_on(
    server: GwoscServer, tmp_path: Path, pauses: list[float]
) -> None:
    server.files[BIG] = frame(np.random.default_rng(0).bytes(12_000_000))
    server.troubles = [Trouble(FILE, cut=2_000_000)]
    bring(server, tmp_path, file_format="gwf")
    assert (tmp_path / BIG).read_bytes() == server.files[BIG]
    assert pauses == [1.0] * 6


def test_a_connection_that_always_breaks_at_one_place_is_given_up(
    server: GwoscServer, tmp_path: Path, pauses: list[float]
) -> None:
    server.troubles = [Trouble(FILE, body=b"IGWD" + bytes(12_000_000), cut=2_000_000)]
    with pytest.raises(UserError, match="the connection broke off, 4 times in a row"):
        bring(server, tmp_path, file_format="gwf")
    assert pauses == [1.0, 2.0, 4.0]
    assert len(server.downloads()) == 4


def test_waiting_grows_and_is_as_long_as_the_server_asks(
    server: GwoscServer, tmp_path: Path, pauses: list[float]
) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=30))
    server.troubles = [
        Trouble(FILE, times=1, status=500),
        Trouble(FILE, times=1, status=429, headers={"Retry-After": "7"}),
        Trouble(FILE, times=1, status=503, headers={"Retry-After": later}),
    ]
    bring(server, tmp_path)
    assert pauses[:2] == [1.0, 7.0]
    assert 25 < pauses[2] <= 30
    assert (tmp_path / H1).read_bytes() == strain_file(H1)


def test_an_unreadable_retry_after_is_no_wait(server: GwoscServer, tmp_path: Path, pauses: list[float]) -> None:
    server.troubles = [Trouble(FILE, times=2, status=503, headers={"Retry-After": "soon"})]
    bring(server, tmp_path)
    assert pauses == [1.0, 2.0]
    assert (tmp_path / H1).read_bytes() == strain_file(H1)


def test_a_broken_answer_counts_with_the_failures_before_it(
    server: GwoscServer, tmp_path: Path, pauses: list[float]
) -> None:
    server.troubles = [Trouble("/api/", times=2, status=503), Trouble("/api/", cut=5)]
    with pytest.raises(UserError, match="the connection broke off, 4 times in a row"):
        bring(server, tmp_path)
    assert pauses == [1.0, 2.0, 4.0]
    assert len(server.asked) == 4


def test_a_server_without_a_certificate_is_not_tried_again(
    server: GwoscServer, tmp_path: Path, pauses: list[float]
) -> None:
    with pytest.raises(UserError, match="its certificate is not accepted"):
        bring(server, tmp_path, host=server.url.replace("http:", "https:"))
    assert pauses == []


def test_a_server_that_asks_for_an_hour_is_not_waited_for(
    server: GwoscServer, tmp_path: Path, pauses: list[float]
) -> None:
    server.troubles = [Trouble("/api/", status=503, headers={"Retry-After": "3600"})]
    with pytest.raises(UserError, match="asks to wait 3600 s"):
        bring(server, tmp_path)
    assert pauses == []


def test_the_api_is_asked_again_as_often_as_a_file(server: GwoscServer, tmp_path: Path, pauses: list[float]) -> None:
    server.troubles = [Trouble("/api/", times=3, status=502)]
    bring(server, tmp_path)
    assert pauses == [1.0, 2.0, 4.0]
    server.troubles = [Trouble("/api/", status=502)]
    v2.JSON_CACHE.clear()
    with pytest.raises(UserError, match="502 Bad Gateway, 4 times in a row"):
        bring(server, tmp_path)


def broken_file(name: str) -> bytes:
    """One bit of a strain sample changed, so that only the checksum inside tells."""
    content = bytearray(strain_file(name))
    content[len(content) // 2] ^= 1
    return bytes(content)


@pytest.mark.parametrize(
    ("body", "headers", "message"),
    [
        (b"<!DOCTYPE html><title>Log in</title>", {}, r"no HDF5 file but begins with '<!DOCTYPE html>"),
        (b"", {}, "no HDF5 file but begins with ''"),
        (strain_file(H1)[:-1000], {}, "it is damaged .*truncated"),
        (broken_file(H1), {}, "it is damaged"),
        (strain_file(H1), {"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="}, "its MD5 is not"),
        (strain_file(H1), {"Content-Encoding": "br"}, "compressed although"),
    ],
    ids=["HTML", "nothing", "truncated", "one bit", "MD5", "compressed"],
)
def test_what_is_no_strain_file_is_neither_kept_nor_continued(
    server: GwoscServer, tmp_path: Path, body: bytes, headers: dict[str, str], message: str
) -> None:
    server.troubles = [Trouble(FILE, times=1, body=body, headers=headers)]
    with pytest.raises(UserError, match=message):
        bring(server, tmp_path)
    assert set(names(tmp_path)) <= {"events.json", "fetched.json"}
    bring(server, tmp_path)
    assert server.downloads() == [H1, H1]
    assert (tmp_path / H1).read_bytes() == strain_file(H1)


def test_a_broken_frame_is_refused(server: GwoscServer, tmp_path: Path) -> None:
    server.files[BIG] = strain_file(BIG)[:-1]
    with pytest.raises(UserError, match=r"it is damaged \(it breaks off"):
        bring(server, tmp_path, file_format="gwf")
    assert names(tmp_path) == ["events.json", "fetched.json"]


def test_hdf5_without_strain_is_refused(server: GwoscServer, tmp_path: Path) -> None:
    import io

    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.create_group("strain/Strain")
    server.files[H1] = buffer.getvalue()
    with pytest.raises(UserError, match="it holds no strain/Strain"):
        bring(server, tmp_path)
    assert names(tmp_path) == ["events.json", "fetched.json"]


@pytest.mark.parametrize("name", ["..%2F..%2Fx.hdf5", "x.hdf5", "%2e%2e", "H-H1_GWOSC-1-2.hdf5%2F..%2F..%2Fx", ""])
def test_a_name_that_could_lead_out_of_the_folder_is_refused(server: GwoscServer, tmp_path: Path, name: str) -> None:
    server.rename[H1] = name
    with pytest.raises(UserError, match="offers a strain file under the name"):
        bring(server, tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []


def test_a_file_may_lie_on_another_host(server: GwoscServer, tmp_path: Path) -> None:
    with serving() as other:
        place = f"{other.url.replace('127.0.0.1', 'localhost')}/data/{H1}"
        server.troubles = [Trouble(FILE, status=302, headers={"Location": place})]
        bring(server, tmp_path)
        assert other.downloads() == [H1]
    assert (tmp_path / H1).read_bytes() == strain_file(H1)


@pytest.mark.parametrize(
    ("place", "status", "message"),
    [
        ("file:///etc/passwd", 302, "Cannot fetch http://127.*No connection adapters"),
        (f"/data/{H1}", 302, "Cannot fetch .*redirects"),
        ("", 403, "403 Forbidden"),
        ("", 404, "404 Not Found"),
    ],
)
def test_what_will_not_pass_is_not_tried_again(
    server: GwoscServer, tmp_path: Path, pauses: list[float], place: str, status: int, message: str
) -> None:
    server.troubles = [Trouble(FILE, status=status, headers={"Location": place})]
    with pytest.raises(UserError, match=message):
        bring(server, tmp_path)
    assert pauses == []


@pytest.mark.parametrize(
    ("trouble", "message"),
    [
        (Trouble("/api/", body=b"<html>Log in</html>"), "does not answer as GWOSC's API does"),
        (Trouble("/api/", body=b"{}"), "does not answer as GWOSC's API does"),
        (Trouble("/api/", body=b"[1, 2]"), "does not answer as GWOSC's API does"),
        (Trouble("/api/", body=b'{"gps": NaN}'), "does not answer as GWOSC's API does"),
        (Trouble("strain-files", body=b'{"num_pages": 1, "results": [{}]}'), "does not answer as GWOSC's API does"),
        (Trouble("/api/", status=403), "refuses: 403"),
        (Trouble("strain-files", status=404), "has no strain files of GW150914"),
        (Trouble("min-gps", status=404), "has no list of events"),
        (Trouble("/api/", cut=5), "the connection broke off, 4 times in a row"),
    ],
)
def test_an_api_that_answers_something_else_ends_in_one_message(
    server: GwoscServer, tmp_path: Path, trouble: Trouble, message: str
) -> None:
    server.troubles = [trouble]
    with pytest.raises(UserError, match=message) as caught:
        bring(server, tmp_path)
    assert "\n" not in str(caught.value)
    assert server.downloads() == []


def test_no_server_no_name_and_no_answer_are_told_apart(
    server: GwoscServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        closed = f"http://127.0.0.1:{listening.getsockname()[1]}"
    with pytest.raises(UserError, match="no connection, 4 times"):
        bring(server, tmp_path, host=closed)
    with pytest.raises(UserError, match="its name is not known"):
        bring(server, tmp_path, host="http://gwosc.invalid")
    monkeypatch.setattr("gwbench.data.gwosc.web.TIMEOUT", (0.1, 0.1))
    server.troubles = [Trouble("/api/", stall=0)]
    with pytest.raises(UserError, match="no answer in time, 4 times"):
        bring(server, tmp_path)
    server.troubles = [Trouble(FILE, stall=1000)]
    with pytest.raises(UserError, match="no answer in time, 4 times"):
        bring(server, tmp_path)
    server.troubles = []
    bring(server, tmp_path)
    assert (tmp_path / H1).read_bytes() == strain_file(H1)


def test_a_folder_that_cannot_be_made_is_named(server: GwoscServer, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(UserError, match=r"Cannot write .*taken/strain: Not a directory.*another folder with --out"):
        bring(server, tmp_path / "taken" / "strain")
    (tmp_path / H1).mkdir()
    with pytest.raises(UserError, match=r"Cannot write .*directory"):
        bring(server, tmp_path)


def test_a_full_disk_ends_in_a_message_and_the_next_command_goes_on(server: GwoscServer, tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(UserError, match=r"Cannot write .*File too large.*Free some space"):
            bring(server, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert H1 not in names(tmp_path)
    bring(server, tmp_path)
    assert "[bytes=" in server.downloads()[-1]
    assert (tmp_path / H1).read_bytes() == strain_file(H1)


def test_two_at_once_download_once(server: GwoscServer, tmp_path: Path) -> None:
    told = Told()
    with ThreadPoolExecutor() as pool:
        server.troubles = [Trouble(FILE, times=1, stall=100_000)]
        both = [pool.submit(bring, server, tmp_path, progress=told) for _ in range(2)]
        while not told.lines and not any(each.done() for each in both):
            server.release.wait(0.01)
        server.release.set()
        found = [each.result(timeout=30) for each in both]
    assert "Another process fetches into" in told.lines[0]
    assert [name for name in server.downloads() if "[" not in name] == [H1]
    assert sorted(each.files[0].downloaded for each in found) == [False, True]
    assert (tmp_path / H1).read_bytes() == strain_file(H1)


@pytest.mark.parametrize(
    ("target", "options", "expected"),
    [
        ("GW150914-v3", {"duration": 32}, ["H-H1_GWOSC_4KHZ_R1-1126259447-32.hdf5"]),
        ("GW150914", {"duration": 33}, [H1]),
        ("GW150914", {"sample_rate": 16384, "duration": 8}, ["H-H1_GWOSC_16KHZ_R1-1126259447-32.hdf5"]),
        ("GW150914", {"file_format": "gwf", "duration": 8}, ["H-H1_GWOSC_4KHZ_R1-1126259447-32.gwf"]),
        ("1126259462.4", {}, ["H-H1_GWOSC_O1_4KHZ_R1-1126256640-4096.hdf5"]),
        (
            "1126259462",
            {"duration": 4096},
            [f"H-H1_GWOSC_O1_4KHZ_R1-{start}-4096.hdf5" for start in (1126256640, 1126260736)],
        ),
        ("GW150914", {"duration": 6000},
         [f"H-H1_GWOSC_O1_4KHZ_R1-{start}-4096.hdf5" for start in (1126256640, 1126260736)]),
        ("151008", {}, ["H-H1_GWOSC_O1_4KHZ_R1-1126256640-4096.hdf5"]),
        ("GW230529_181500", {"detectors": ["h1", "l1"]}, ["L-L1_GWOSC_O4a_4KHZ_R1-1369415680-4096.hdf5"]),
    ],
)  # fmt: skip
def test_the_files_chosen_are_those_that_hold_the_time(
    server: GwoscServer, tmp_path: Path, target: str, options: dict[str, Any], expected: list[str]
) -> None:
    found = bring(server, tmp_path, target, **options)
    assert [file.path.name for file in found.files] == expected
    assert all(file.path.read_bytes() == strain_file(file.path.name) for file in found.files)


def test_events_cover_all_that_lies_in_the_folder(server: GwoscServer, tmp_path: Path) -> None:
    bring(server, tmp_path)
    found = bring(server, tmp_path, "GW230529_181500", detectors=["L1"])
    assert [event.name for event in found.events] == ["151008", "GW150914", "GW230529_181500"]


@pytest.mark.parametrize(
    ("target", "options", "message"),
    [
        ("GW999999", {}, "There is no event 'GW999999'"),
        ("../x", {}, "neither an event"),
        ("", {}, "neither an event"),
        ("-5", {}, "neither an event"),
        ("nan", {}, "There is no event 'nan'"),
        ("1e9", {}, "There is no event '1e9'"),
        ("815000000", {}, "has no 4096 Hz strain of H1 at GPS 815000000"),
        ("GW150914", {"detectors": ["V1", "K1"]}, "has no 4096 Hz strain of V1, K1"),
        ("GW150914", {"detectors": ["HH"]}, r"No detector 'HH'\. Did you mean 'H2'|No detector 'HH'"),
        ("GW150914", {"detectors": []}, "No detector is named"),
        ("GW150914", {"duration": 0}, "--duration 0: expected seconds"),
        ("GW150914", {"duration": np.nan}, "--duration nan: expected seconds"),
        ("GW150914", {"sample_rate": 2048}, "--sample-rate 2048"),
        ("GW150914", {"file_format": "txt"}, "--format 'txt': expected hdf5 or gwf"),
        ("GW150914", {"host": "gwosc.org"}, "--host 'gwosc.org' is no address"),
    ],
)
def test_a_mistake_is_answered_with_one_message_and_no_download(
    server: GwoscServer, tmp_path: Path, target: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        bring(server, tmp_path, target, **options)
    assert server.downloads() == []
    assert list(tmp_path.iterdir()) == []


def test_memory_is_bounded(server: GwoscServer, tmp_path: Path) -> None:
    server.files[BIG] = frame(bytes(32_000_000))
    server.validators = False
    bring(server, tmp_path / "first", duration=32, file_format="gwf")  # imports
    tracemalloc.start()
    bring(server, tmp_path, file_format="gwf")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (tmp_path / BIG).stat().st_size > 32_000_000
    assert peak < 4e6


def test_files_go_into_the_cache_by_default(
    server: GwoscServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GWBENCH_CACHE", str(tmp_path))
    assert bring(server, tmp_path, out=None, duration=32).folder == tmp_path / "strain" / "GW150914"
    monkeypatch.delenv("GWBENCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert strain_folder() == tmp_path / "gwbench" / "strain"
