"""Event and injection files: read as anybody writes them, written as MLGWSC-1 reads them, refused with one sentence."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gwbench.errors import UserError
from gwbench.search.event_files import EventList, read_events, write_events
from gwbench.search.injection_files import read_injections
from gwbench.search.record import write_search_record
from tests.search.challenge_files import injection_columns, write_columns
from tests.search.test_search_record import a_record

EVENTS = {"time": [3.5, 1.5], "stat": [1.0, 2.0], "var": [0.2, 0.3]}


def columns_of(events: EventList) -> list[list[float]]:
    return [events.time.tolist(), events.stat.tolist(), events.var.tolist()]


def test_events_of_the_challenge_are_read_in_any_order(tmp_path: Path) -> None:
    found = read_events(write_columns(tmp_path / "events.hdf", EVENTS))
    assert columns_of(found.events) == [[3.5, 1.5], [1.0, 2.0], [0.2, 0.3]] and found.record is None


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"var": 0.25}, [0.25, 0.25]),
        ({"var": [1]}, [1.0, 1.0]),
        ({"var": np.array([1, 2], np.uint8), "other": [b"a"]}, [1.0, 2.0]),
    ],
)
def test_one_var_may_stand_for_all_and_any_number_type_is_read(
    more: dict[str, Any], expected: list[float], tmp_path: Path
) -> None:
    assert read_events(write_columns(tmp_path / "e.h5", {**EVENTS, **more})).events.var.tolist() == expected


def test_an_empty_list_of_events_is_one(tmp_path: Path) -> None:
    empty = {name: np.empty(0) for name in EVENTS}
    assert len(read_events(write_columns(tmp_path / "e.hdf", empty)).events) == 0
    (tmp_path / "e.csv").write_text("time,stat,var\n")
    assert len(read_events(tmp_path / "e.csv").events) == 0


@pytest.mark.parametrize(
    "text",
    [
        "time,stat,var\n3.5,1,0.2\n1.5,2,0.3\n",
        '\ufeff"name","var","stat","time"\r\n"a, b",0.2,1,3.5\r\n"c",0.3,2e0,1.5',
        "time, stat, var\n3.5, 1, 0.2\n1.5, 2, 0.3\n",
    ],
)
def test_csv_has_its_columns_in_any_order_beside_others(text: str, tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text(text, newline="")
    assert columns_of(read_events(tmp_path / "events.csv").events) == [[3.5, 1.5], [1.0, 2.0], [0.2, 0.3]]


def test_a_search_record_gives_its_triggers(tmp_path: Path) -> None:
    write_search_record(tmp_path, a_record())
    for path in (tmp_path, tmp_path / "search.json"):
        found = read_events(path)
        assert columns_of(found.events) == [[100.0, 50.0], [9.0, 1.5], [0.5, 0.5]]
        assert found.record is not None and found.record.title == "a method"


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"time": [1.0], "stat": [1.0]}, r"has no var: expected time, stat, var; it has stat, time"),
        ({**EVENTS, "stat": [1.0, np.nan]}, "stat is not finite in every row"),
        ({**EVENTS, "time": [np.inf, 0]}, "time is not finite in every row"),
        ({**EVENTS, "var": [-1.0, 1.0]}, "var, in seconds, is negative in 1 rows"),
        ({**EVENTS, "stat": [1.0, 2.0, 3.0]}, "columns of different lengths: time 2, stat 3, var 2"),
        ({**EVENTS, "stat": [b"a", b"b"]}, "its stat holds .* no numbers"),
        ({}, "has no time and no stat and no var"),
    ],
)
def test_what_is_no_list_of_events_is_refused_in_one_sentence(
    columns: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=reason) as refused:
        read_events(write_columns(tmp_path / "events.hdf", columns))
    assert "events.hdf" in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "has no time and no stat and no var"),
        (b"time,stat\n1,2\n", "has no var"),
        (b"time,stat,var\n1,2,x\n", "it is no HDF5 or CSV file"),
        (b"time,stat,var\n1,2,nan\n", "var is not finite"),
        (b"time,stat,var\n1,2\n", "it is no HDF5 or CSV file"),
        (b"\x89HDF\r\n\x1a\n broken", "cannot be read"),
        (b"\x00\x01\x02", "holds no text"),
        (b"{}", "its kind is not search"),
    ],
)
def test_damaged_files_are_refused_in_one_sentence(content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "events.any").write_bytes(content)
    with pytest.raises(UserError, match=reason) as refused:
        read_events(tmp_path / "events.any")
    assert "events.any" in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"The events file .*gone.hdf: there is no such file"):
        read_events(tmp_path / "gone.hdf")


def test_events_are_written_as_the_challenge_reads_them(tmp_path: Path) -> None:
    import h5py

    write_events(tmp_path / "events.hdf", a_record().triggers)
    with h5py.File(tmp_path / "events.hdf") as file:
        assert sorted(file) == ["stat", "time", "var"]
        assert [file[name][()].tolist() for name in ("time", "stat", "var")] == [[50, 100], [1.5, 9], [0.5, 0.5]]
    assert columns_of(read_events(tmp_path / "events.hdf").events) == [[50, 100], [1.5, 9], [0.5, 0.5]]


def test_events_as_csv_have_all_that_is_known_and_read_back(tmp_path: Path) -> None:
    write_events(tmp_path / "events.csv", a_record().triggers)
    with (tmp_path / "events.csv").open(newline="") as stream:
        first, second = csv.DictReader(stream)
    assert (first["rank"], first["far"], first["ifar"], first["L1_time"], first["L1_score"]) == (
        "1", "0.0", "", "100.1", "5.0",
    )  # fmt: skip
    assert (second["rank"], second["far"], second["H1_time"]) == ("2", "2.0", "")
    assert columns_of(read_events(tmp_path / "events.csv").events) == [[100, 50], [9, 1.5], [0.5, 0.5]]


def test_events_are_written_in_no_other_format(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Events are written as \.hdf5, \.hdf, \.h5, \.csv, not as events\.txt"):
        write_events(tmp_path / "events.txt", a_record().triggers)


def test_injections_of_the_challenge_are_read(tmp_path: Path) -> None:
    columns = injection_columns(chirp=True)
    found = read_injections(write_columns(tmp_path / "i.hdf", {**columns, "spin1x": 0.0, "name": b"x"}))
    assert found.tc.tolist() == columns["tc"].tolist() and found.optimal_snr is None
    assert found.chirp_distance is not None
    m1, m2 = columns["mass1"][0], columns["mass2"][0]
    assert found.chirp_mass[0] == pytest.approx((m1 * m2) ** (3 / 5) / (m1 + m2) ** (1 / 5))
    some = found.only(found.tc < 1_000_000_100)
    assert 0 < len(some) < len(found) and some.chirp_distance is not None and some.optimal_snr is None


@pytest.mark.parametrize(("column", "value"), [("distance", 0.0), ("mass1", -1.0), ("mass2", 0.0)])
def test_injections_that_cannot_be_are_refused(column: str, value: float, tmp_path: Path) -> None:
    columns = injection_columns()
    columns[column][3] = value
    with pytest.raises(UserError, match=rf"injections file .*: {column} is not positive in every row"):
        read_injections(write_columns(tmp_path / "i.hdf", columns))


def test_long_lists_are_read_from_hdf5_and_csv(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    n = 300_000
    columns = {"time": rng.uniform(0, 1e6, n), "stat": rng.normal(size=n), "var": np.full(n, 0.3)}
    found = read_events(write_columns(tmp_path / "events.hdf", columns)).events
    assert found.stat.tolist() == columns["stat"].tolist()
    np.savetxt(
        tmp_path / "events.csv", np.stack(list(columns.values()), 1), "%.6f", ",", header="time,stat,var", comments=""
    )
    assert np.allclose(read_events(tmp_path / "events.csv").events.stat, columns["stat"], atol=1e-6)
