"""Lists of known events beside strain files."""

from __future__ import annotations

import json
from pathlib import Path

import lal
import numpy as np
import pytest

from gwbench.data.strain_files.known_events import (
    KnownEvent,
    catalogues,
    check_events,
    event_files,
    is_dated,
    known_events,
)
from gwbench.data.strain_files.reading import StrainFile
from gwbench.errors import UserError


def write(folder: Path, content: object) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "events.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return folder / "x.hdf5"


def test_events_of_all_folders_come_once_in_order_of_time(tmp_path: Path) -> None:
    first = write(tmp_path / "a", {"events": [{"name": "GW2", "gps": 20.5}, {"name": "GW1", "gps": 10}]})
    second = write(tmp_path / "b", {"events": [{"name": "GW1", "gps": 10.0, "catalog": "GWTC-1"}]})
    files = event_files([first, first.with_name("y.hdf5"), second, tmp_path / "c" / "x.hdf5"])
    assert files == [tmp_path / "a" / "events.json", tmp_path / "b" / "events.json"]
    assert [(event.name, event.gps) for event in known_events(files)] == [("GW1", 10.0), ("GW2", 20.5)]
    assert known_events([]) == []


@pytest.mark.parametrize(
    "content",
    ["", "no JSON", "[]", {"event": []}, {"events": [{"name": "GW1"}]}, '{"events": [{"name": "GW1", "gps": NaN}]}'],
)
def test_a_list_that_cannot_be_read_is_named(tmp_path: Path, content: object) -> None:
    files = event_files([write(tmp_path, content)])
    with pytest.raises(
        UserError, match=r"events\.json cannot be read \(.*expected \{\"events\": .*exclude_events=false"
    ):
        known_events(files)


def test_lists_beside_the_files_that_links_lead_to_count(tmp_path: Path) -> None:
    real = write(tmp_path / "store", {"events": []})
    real.touch()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.hdf5").symlink_to(real)
    (tmp_path / "linked").symlink_to("store")
    assert event_files([tmp_path / "data" / "x.hdf5"]) == [tmp_path / "store" / "events.json"]
    assert event_files([tmp_path / "linked" / "x.hdf5"]) == [tmp_path / "linked" / "events.json"]


# --- the catalogues that come with gwbench ---

UTC = {
    "GW150914": "095045",
    "GW151012": "095443",
    "GW151226": "033853",
    "GW170104": "101158",
    "GW170608": "020116",
    "GW170729": "185629",
    "GW170809": "082821",
    "GW170814": "103043",
    "GW170817": "124104",
    "GW170818": "022509",
    "GW170823": "131358",
}
"""UTC hour, minute and second of the events of O1 and O2, from table III of GWTC-1 (arXiv:1811.12907)."""

PUBLISHED = {
    "GW150914": 1126259462.4,
    "GW151226": 1135136350.6,
    "GW170817": 1187008882.4,
    "GW190412_053044": 1239082262.2,
    "GW190425_081805": 1240215503.0,
    "GW190521_030229": 1242442967.4,
    "GW190814_211039": 1249852257.0,
    "GW200105_162426": 1262276684.1,
    "GW200115_042309": 1263097407.7,
    "GW200129_065458": 1264316116.4,
    "GW230529_181500": 1369419318.7,
    "GW231123_135430": 1384782888.7,
    "GW250114_082203": 1420878141.2,
}
"""GPS times as GWOSC gives them."""


def test_every_name_fits_its_time() -> None:
    """Names hold the UTC second; LAL knows the leap seconds."""
    names = []
    for catalogue in catalogues().catalogues:
        assert [said[1] for said in catalogue.events] == sorted(said[1] for said in catalogue.events)
        for name, gps, *_ in catalogue.events:
            text = name[2:].replace("_", "") + UTC.get(name, "")
            numbers = [int(text[i : i + 2]) for i in range(0, 12, 2)]
            assert len(text) == 12
            second = float(lal.UTCToGPS((2000 + numbers[0], *numbers[1:], 0, 0, 0)))
            assert second <= gps < second + 1, name
            names.append(name)
    assert len(set(names)) == len(names)


def test_times_are_those_that_gwosc_publishes() -> None:
    times = {name: gps for catalogue in catalogues().catalogues for name, gps, *_ in catalogue.events}
    for name, gps in PUBLISHED.items():
        assert times[name] == pytest.approx(gps, abs=0.6), name


def test_catalogues_are_as_long_as_published() -> None:
    """11, 44 and 35 by the abstracts; GWTC-4.0 has 128 of O4a and the run before it, and GWOSC lists one more."""
    lengths = {catalogue.name: len(catalogue.events) for catalogue in catalogues().catalogues}
    assert {name: lengths[name] for name in ("GWTC-1", "GWTC-2.1", "GWTC-3", "GWTC-4.0")} == {
        "GWTC-1": 11,
        "GWTC-2.1": 44,
        "GWTC-3": 35,
        "GWTC-4.0": 129,
    }
    assert catalogues().until == float(lal.UTCToGPS((2024, 1, 16, 16, 0, 0, 0, 0, 0)))


def strain(start: float, seconds: int = 4096, name: str = "x.gwf") -> StrainFile:
    return StrainFile("H1", start, 1.0, np.ones(seconds), ((0, seconds),), Path(name))


def test_strain_is_checked_against_lists_and_catalogues(tmp_path: Path) -> None:
    files = [
        strain(1126257415, name="gw150914"),
        strain(1242442967 + 3, 64, name="just after GW190521"),
        strain(1249852000, 200, name="before GW190814"),  # which passes 20 Hz ten seconds before 1249852257
        strain(0, name="undated"),
        strain(1420878000, name="late"),
    ]
    lists = event_files([write(tmp_path, {"events": [{"name": "mine", "gps": 1126259462.9}]})])
    check = check_events(files, lists, 4.0, catalogues().date)
    assert check.listed == (KnownEvent(name="mine", gps=1126259462.9),)
    assert check.names == (["mine"], {"GWTC-2.1": ["GW190521_030229"], "GWTC-5.0": ["GW250114_082203"]})
    assert [event.gps for event in check.events] == [1126259462.9, 1242442967.5, 1420878141.5]
    assert (check.undated, check.late) == ((Path("undated"),), (Path("late"),))
    assert [is_dated(file) for file in files] == [True, True, True, False, True]
    assert check_events(files, [], 4.0, catalogues().date).names[1]["GWTC-1"] == ["GW150914"]
    with pytest.raises(ValueError, match="asked for 2020-01-01"):
        check_events(files, [], 4.0, "2020-01-01")


def test_a_long_inspiral_is_left_out_from_20_hz_on(tmp_path: Path) -> None:
    """GW170817: chirp mass 1.1977 solar masses in the detector's frame (arXiv:1805.11579)."""
    from pycbc.waveform.spa_tmplt import findchirp_chirptime

    mass = 1.1977 * 2**0.2
    seconds = findchirp_chirptime(mass, mass, 20.0, 7)
    early = strain(1187008882 - 150, 60)
    check = check_events([early], [], 4.0, catalogues().date)
    ((begin, end),) = check.spans(4.0)
    assert check.names[1] == {"GWTC-1": ["GW170817"]}
    assert begin == pytest.approx(1187008882.4 - 4 - seconds, abs=5)  # to 3.5 PN, it takes 165 s
    assert end == 1187008886.4
    lists = event_files([write(tmp_path, {"events": [{"name": "mine", "gps": 1187008882.4}]})])
    assert check_events([early], lists, 4.0, catalogues().date).spans(4.0) == [(begin, end)]
    assert not check_events([strain(1187008882 - 300, 60)], [], 4.0, catalogues().date).events
