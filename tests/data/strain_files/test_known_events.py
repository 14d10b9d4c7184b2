"""Lists of known events beside strain files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gwbench.data.strain_files.known_events import event_files, known_events
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
