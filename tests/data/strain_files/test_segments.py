"""Sharing out good time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gwbench.data.strain_files.reading import StrainFile
from gwbench.data.strain_files.segments import (
    Segment,
    common,
    cut_times,
    divide,
    good_segments,
    overlapping,
    seconds,
    without,
)

RATE = 64.0


def make_file(
    start: float,
    length: float,
    detector: str | None = "H1",
    good: list[tuple[float, float]] | None = None,
    seed: int = 0,
) -> StrainFile:
    strain = np.random.default_rng(seed).normal(size=int(length * RATE))
    spans = good or [(0.0, length)]
    return StrainFile(
        detector, start, RATE, strain, tuple((int(a * RATE), int(b * RATE)) for a, b in spans), Path(f"{start}-{seed}")
    )


def spans(segments: list[Segment]) -> list[tuple[float, float]]:
    return [segment.gps for segment in segments]


def test_a_file_given_twice_counts_once() -> None:
    segments = good_segments([make_file(100, 10), make_file(100, 10)])
    assert spans(segments) == [(100, 110)]


def test_overlapping_files_of_one_detector_share_no_time() -> None:
    segments = good_segments([make_file(105, 10, seed=1), make_file(100, 10)])
    assert spans(segments) == [(100, 110), (110, 115)]


def test_simultaneous_files_without_a_detector_are_two_detectors_unless_equal() -> None:
    different = good_segments([make_file(0, 10, None), make_file(0, 10, None, seed=1)])
    assert spans(different) == [(0, 10), (0, 10)]
    equal = good_segments([make_file(0, 10, None), make_file(0, 10, None)])
    assert spans(equal) == [(0, 10)]


def test_without_cuts_a_time_out() -> None:
    segments = good_segments([make_file(100, 10, good=[(0, 4), (5, 10)])])
    assert spans(without(segments, 103, 106)) == [(100, 103), (106, 110)]
    assert spans(without(segments, 99, 111)) == []


def test_cut_times_share_out_good_time_whatever_the_gaps() -> None:
    segments = good_segments([make_file(0, 100, good=[(0, 30), (90, 100)]), make_file(1000, 60)])
    assert cut_times(segments, (0.6, 0.2, 0.2)) == pytest.approx([1020, 1040])
    assert cut_times(segments, (1, 3)) == pytest.approx([25])


def test_simultaneous_detectors_are_cut_at_one_time() -> None:
    pair = [Segment(make_file(0, 100), 0, 6400), Segment(make_file(50, 100, "L1"), 0, 6400)]
    # 50 s of one, 50 s of both, 50 s of one: 200 s of good time in all.
    assert cut_times(pair, (0.5, 0.5)) == pytest.approx([75])
    assert cut_times(pair, (0.2, 0.8)) == pytest.approx([40])


def test_divide_keeps_the_guard_and_drops_what_is_short() -> None:
    segments = good_segments([make_file(0, 100, good=[(0, 49), (49.5, 100)])])
    early, late = divide(segments, [50.0], guard=0.5, shortest=int(RATE))
    assert spans(early) == [(0, 49)]
    assert spans(late) == [(50.25, 100)]
    assert seconds(late) == 49.75


def test_overlapping_groups() -> None:
    def pool(start: float, length: float) -> list[Segment]:
        return good_segments([make_file(start, length)])

    assert overlapping({"H1": pool(0, 10), "L1": pool(5, 10), "V1": pool(15, 5), "K1": []}) == [["H1", "L1"], ["V1"]]


def test_common_time_of_three_detectors() -> None:
    h1 = good_segments([make_file(0, 100, good=[(0, 40), (50, 100)])])
    l1 = good_segments([make_file(20, 100, "L1")])
    v1 = good_segments([make_file(10, 20, "V1"), make_file(30, 60, "V1", good=[(0, 30), (31, 60)], seed=1)])
    expected = [(20, 30), (30, 40), (50, 60), (61, 90)]
    for segments in common([h1, l1, v1]):
        assert spans(segments) == expected
    for segments in common([h1, l1, v1], shortest=int(10.5 * RATE)):
        assert spans(segments) == [(61, 90)]
    assert common([h1, good_segments([make_file(500, 10, "L1")])]) == [[], []]


def test_common_time_on_grids_that_do_not_coincide_is_equally_long_in_all() -> None:
    h1, l1 = (good_segments([make_file(start, 10)]) for start in (0.0, 3 + 0.4 / RATE))
    (first,), (second,) = common([h1, l1])
    assert len(first) == len(second) == 7 * RATE - 1
    assert abs(first.gps[0] - second.gps[0]) < 1 / RATE
