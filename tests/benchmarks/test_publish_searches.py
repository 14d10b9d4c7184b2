"""The published searches give their table, and reach what the issue of searches is judged by."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import publish_searches
from gwbench.search.record import SearchRecord, load_search_record

ROOT = Path(__file__).parents[2]
PUBLISHED = sorted(path.parent.name for path in (ROOT / publish_searches.RESULTS).glob("*/searches"))


def records(name: str) -> list[SearchRecord]:
    folder = ROOT / publish_searches.RESULTS / name / "searches"
    return [load_search_record(path) for path in sorted(folder.glob("*/search.json"))]


def test_searches_of_gaussian_noise_are_published() -> None:
    assert "search-gaussian" in PUBLISHED


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_table_is_that_of_the_records(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for path, text in publish_searches.tables(name).items():
        assert path.read_text() == text, f"{path}: `python benchmarks/publish_searches.py --tables` makes it again"


@pytest.mark.parametrize("name", PUBLISHED)
def test_all_searches_have_the_same_injections_and_strain(name: str) -> None:
    found = records(name)
    assert found
    assert len({record.injections.sha256 for record in found if record.injections}) == 1
    assert len({(record.strain.segments, tuple(record.strain.files.items())) for record in found}) == 1


@pytest.mark.parametrize("name", PUBLISHED)
def test_distances_are_those_of_their_volumes_and_fall_with_the_rate(name: str) -> None:
    for record in records(name):
        points = record.reach or ()
        assert [point.far for point in points] == sorted((point.far for point in points), reverse=True)
        for point in points:
            assert point.distance == pytest.approx((3 * point.volume / (4 * 3.141592653589793)) ** (1 / 3), rel=1e-9)
        volumes = [point.volume for point in points]
        assert volumes == sorted(volumes, reverse=True)
