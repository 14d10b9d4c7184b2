from __future__ import annotations

from pathlib import Path

import pytest

from gwbench.data.strain_files.known_events import KnownEvent
from gwbench.errors import UserError
from gwbench.search.event_strain import find_event, rank_event
from gwbench.search.false_alarms import Background
from gwbench.search.record import RankedTrigger
from gwbench.utils.progress import Progress

NOWHERE = "http://127.0.0.1:1"


def trigger(time: float, score: float, rank: int) -> RankedTrigger:
    return RankedTrigger(time=time, score=score, var=0.5, rank=rank)


def test_catalogued_events_need_no_network() -> None:
    assert find_event("GW150914", [], NOWHERE, Progress()).gps == pytest.approx(1126259462.4, abs=0.1)
    assert find_event("gw170817", [], NOWHERE, Progress()).gps == pytest.approx(1187008882.4, abs=0.1)


def test_the_day_serves_where_one_event_is_of_it() -> None:
    assert find_event("GW190425", [], NOWHERE, Progress()).name == "GW190425_081805"
    with pytest.raises(UserError, match="Several events are of that day: GW190828_063405, GW190828_065509"):
        find_event("GW190828", [], NOWHERE, Progress())


def test_the_list_beside_the_files_comes_first(tmp_path: Path) -> None:
    (tmp_path / "events.json").write_text('{"events": [{"name": "GW150914", "gps": 5.0}]}')
    assert find_event("GW150914", [tmp_path / "H1.hdf5"], NOWHERE, Progress()).gps == 5.0


def test_an_event_is_its_loudest_trigger_nearby() -> None:
    triggers = [trigger(50.0, 9.0, 1), trigger(10.4, 7.0, 2), trigger(9.8, 6.0, 3)]
    event = KnownEvent(name="GW1", gps=10.0)
    found = rank_event(event, triggers, Background.of([6.5, 7.0, 8.0], 1000.0, slides=3, zero_lag="removed"))
    assert (found.rank, found.louder_in_background) == (2, 2)
    assert rank_event(event, triggers, None).louder_in_background is None
    assert rank_event(event, triggers[:1], None).rank is None
