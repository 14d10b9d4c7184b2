"""Search records: written and read alike, and refused where they are damaged or cannot be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gwbench.errors import UserError
from gwbench.search.false_alarms import MONTH, Background, ranked
from gwbench.search.reach_record import FoundShare, InjectionsUsed, ReachPoint
from gwbench.search.record import (
    SEARCH,
    SearchedStrain,
    SearchRecord,
    SearchResources,
    SearchSettings,
    load_search_record,
    read_search_record,
    write_search_record,
)
from gwbench.search.triggers import DetectorTrigger, Trigger
from gwbench.utils.untrusted_files import AbsentError, UnusableError


def a_record() -> SearchRecord:
    """A record in which nothing is missing but the run."""
    background = Background.of([1.0, 2.0, 6.0], MONTH, slides=3, zero_lag="removed")
    parts = {"H1": DetectorTrigger(100.0, 4.0), "L1": DetectorTrigger(100.1, 5.0)}
    return SearchRecord(
        created="2026-01-01T00:00:00+00:00",
        command="gwbench scan run strain.hdf5",
        title="a method",
        strain=SearchedStrain(files={"a.hdf5": "0" * 64}, detectors=("H1", "L1"), segments=((0.0, 200.0),)),
        settings=SearchSettings(stride=0.1, window=1.0, threshold=0.0, cluster_window=1.0, var=0.5, slides=3),
        livetime=199.0,
        whitened_variance={"H1": 1.0, "L1": 0.98},
        triggers=ranked([Trigger(100.0, 9.0, 0.5, parts), Trigger(50.0, 1.5, 0.5)], background),
        background=background.used(),
        reach=(
            ReachPoint(
                far=1.0, threshold=2.0, events=1, volume=1e9, volume_error=1e8, distance=620.0, distance_error=20.0,
                found=10, injections=40,
            ),
        ),
        found=(
            FoundShare(
                far=1.0, by="snr", low=3.0, high=9.0, found=1, injections=4, share=0.25, share_low=0.1, share_high=0.6
            ),
        ),
        injections=InjectionsUsed(sha256="1" * 64, name="injections.hdf", count=40, weighting="chirp-distance"),
        resources=SearchResources(seconds=3.0, cpu_seconds=2.0, cpu_seconds_per_hour=36.0),
    )  # fmt: skip


def test_a_record_reads_as_it_was_written(tmp_path: Path) -> None:
    write_search_record(tmp_path, a_record())
    text = (tmp_path / SEARCH).read_text()
    found = read_search_record(tmp_path)
    assert found.folder == str(tmp_path) and found.model_copy(update={"folder": None}) == a_record()
    assert "folder" not in json.loads(text) and json.loads(text)["kind"] == "search"
    write_search_record(tmp_path / "again.json", found)
    assert (tmp_path / "again.json").read_text() == text
    assert read_search_record(tmp_path / "again.json").triggers[0].detectors["L1"].time == 100.1


def test_a_record_that_is_not_there_is_told_from_one_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(AbsentError):
        load_search_record(tmp_path / SEARCH)
    with pytest.raises(UserError, match=r"There is no search record .*search\.json"):
        read_search_record(tmp_path)
    (tmp_path / SEARCH).write_text("{")
    with pytest.raises(UserError, match="cannot be read: it is no JSON"):
        read_search_record(tmp_path)


def set_to(document: Any, place: str, value: object) -> None:
    *way, last = place.split(".")
    for step in way:
        document = document[int(step) if step.isdigit() else step]
    document[int(last) if last.isdigit() else last] = value


@pytest.mark.parametrize(
    ("place", "value", "reason"),
    [
        ("kind", "run", "its kind is not search"),
        ("schema_version", 2, "newer than 1"),
        ("schema_version", "1", "schema_version"),
        ("livetime", -1.0, "livetime"),
        ("livetime", 1e300, "no sensible one"),
        ("triggers.0.time", 1e300, "no sensible one"),
        ("triggers.0.score", "loud", "triggers.0.score"),
        ("triggers.0.score", 1.0, "not in order of score"),
        ("triggers.0.far_low", 9.0, "outside its interval"),
        ("triggers.0.far_high", None, "outside its interval"),
        ("triggers.0.ifar", 0, "ifar"),
        ("triggers.0.rank", 0, "rank"),
        ("triggers.0.probability", 1.5, "probability"),
        ("triggers.0.more", 1, "more"),
        ("strain.segments.0", [200.0, 100.0], "ends before it starts"),
        ("background.counts", [1, 2, 3], "do not fall with the threshold"),
        ("background.counts", [3], "do not fall with the threshold"),
        ("background.zero_lag", "perhaps", "zero_lag"),
        ("reach.0.found", 41, "more injections than there are"),
        ("reach.0.distance", -1, "distance"),
        ("found.0.share", 2, "share"),
        ("found.0.found", 5, "more injections than there are"),
        ("run", {"run_id": "x"}, "run"),
    ],
)
def test_what_no_search_can_give_is_refused(place: str, value: object, reason: str, tmp_path: Path) -> None:
    document = json.loads(a_record().model_dump_json())
    set_to(document, place, value)
    (tmp_path / SEARCH).write_text(json.dumps(document))
    with pytest.raises(UnusableError, match=reason):
        load_search_record(tmp_path / SEARCH)


@pytest.mark.parametrize(
    "text",
    ["[]", "null", "7", '{"kind": "search"}', '{"kind": ["search"]}', '{"kind": "search", "schema_version": {}}'],
)
def test_other_documents_are_no_search_records(text: str, tmp_path: Path) -> None:
    (tmp_path / SEARCH).write_text(text)
    with pytest.raises(UnusableError, match="no search record"):
        load_search_record(tmp_path / SEARCH)


def test_it_is_short_in_words() -> None:
    text = repr(a_record())
    assert text.startswith("<SearchRecord ")
    assert "\n" not in text
    assert len(text) < 250
