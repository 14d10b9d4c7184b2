"""One axis of time: unknown times apart, copies once, contradictions said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.signal

from gwbench.contracts import Array
from gwbench.data.strain_files.reading import StrainFile, read_strain
from gwbench.data.strain_files.resample import resampled
from gwbench.data.strain_files.segments import good_segments
from gwbench.data.strain_files.timeline import APART, Timeline, arranged

RATE = 1024


def strain(seconds: float, seed: int = 0) -> Array:
    """Noise as a detector has it: steep below 30 Hz, with a line that outweighs all above."""
    white = np.random.default_rng(seed).normal(size=round(seconds * RATE))
    steep = scipy.signal.lfilter(*scipy.signal.butter(4, 15, fs=RATE), white)
    line = np.sin(2 * np.pi * 60 * np.arange(len(white)) / RATE)
    return np.asarray(1e-21 * (white + 1e3 * steep + 30 * line))


def series(
    values: Array,
    name: str,
    gps: float | None = None,
    detector: str | None = "H1",
    gap: tuple[float, float] | None = None,
) -> StrainFile:
    good: tuple[tuple[int, int], ...] = ((0, len(values)),)
    if gap:
        first, last = (round(time * RATE) for time in gap)
        good = ((0, first), (last, len(values)))
    return StrainFile(detector, gps, RATE, values.astype(np.float32), good, Path(name))


def kept(timeline: Timeline) -> list[list[tuple[float, float]]]:
    return [[(a / RATE, b / RATE) for a, b in one.good] for one in timeline.series]


def test_three_files_of_unknown_time_are_all_used_and_lie_apart() -> None:
    files = [series(strain(40, seed), f"{seed}.h5") for seed in range(3)]
    timeline = arranged(files)
    assert kept(timeline) == [[(0, 40)]] * 3
    assert [one.place for one in timeline.series] == [0.0, 40 + APART, 2 * (40 + APART)]
    assert "The GPS time of 3 series is unknown (0.h5, 1.h5, 2.h5)" in timeline.notes[0]
    assert len(good_segments(timeline.series)) == 3


def test_unknown_times_lie_beside_all_known_ones() -> None:
    timeline = arranged(
        [series(strain(40), "a.h5", 50.0), series(strain(40, 1), "b.h5"), series(strain(9, 2), "c.h5", 1e9)]
    )
    assert [one.start for one in timeline.series] == [50.0, 1e9 + 9 + APART, 1e9]
    timeline = arranged([series(strain(40), "a.h5", 1e9), series(strain(40, 1), "b.h5")])
    assert [one.start for one in timeline.series] == [1e9, 0.0]


@pytest.mark.parametrize("shift", [0, 1, 777])
def test_the_end_of_one_file_that_begins_another_is_used_once(shift: int) -> None:
    whole = strain(100)
    first, second = whole[: 60 * RATE], whole[50 * RATE + shift :]
    timeline = arranged([series(first, "a.h5"), series(second, "b.h5")])
    of_a, of_b = kept(timeline)
    assert of_a == [(0.0, 60.0)]
    assert len(of_b) == 1
    assert 10 - shift / RATE <= of_b[0][0] < 11.5  # ten seconds, and a little for safety
    assert timeline.copies == {1: 0}
    assert timeline.notes[0] == "b.h5 repeats part of its strain from a.h5."


def test_copies_of_another_gain_delay_rate_or_gaps_are_copies() -> None:
    values = strain(40)
    spectrum, frequencies = np.fft.rfft(values), np.fft.rfftfreq(len(values), 1 / RATE)
    response = (1 + 0.08 * np.cos(frequencies / 100)) * np.exp(0.15j * np.sin(frequencies / 50))
    other = np.fft.irfft(spectrum * response)
    for copy in (
        series(values, "b.h5"),
        series(other, "b.h5"),
        series(values[3 * RATE : 30 * RATE], "b.h5"),
        series(values, "b.h5", gap=(17, 18)),
        series(values, "b.h5", detector=None),
    ):
        assert kept(arranged([series(values, "a.h5"), copy]))[1] == []
        assert kept(arranged([series(values, "a.h5", 1e9), copy]))[1] == []
    assert kept(arranged([series(values, "a.h5"), series(values, "b.h5", detector="L1")]))[1] == [(0, 40)]


def test_a_copy_at_another_sample_rate_is_found(test_data: Path) -> None:
    """Real strain of 4096 Hz brought to 1024 Hz, cut at a sample that the lower rate does not have."""
    file = read_strain(next((test_data / "gwosc").glob("H-*.hdf5")))
    late = replace(
        file, strain=file.strain[1001:], good=((0, len(file.strain) - 1001),), gps_start=None, path=Path("b")
    )
    timeline = arranged([resampled(file, RATE), resampled(late, RATE)])
    assert timeline.series[1].good == ()
    halves = [replace(file, strain=part, good=((0, len(part)),), gps_start=None) for part in np.split(file.strain, 2)]
    assert arranged([resampled(half, RATE) for half in halves]).copies == {}


def test_different_strain_at_one_time_is_a_contradiction() -> None:
    timeline = arranged([series(strain(40), "a.h5", 1e9), series(strain(40, 1), "b.h5", 1e9 + 10)])
    assert [one.gps_start for one in timeline.series] == [None, None]
    assert kept(timeline) == [[(0, 40)], [(0, 40)]]
    assert timeline.notes[0].startswith("a.h5 and b.h5 claim the same time of H1 and hold different strain")


def test_equal_strain_at_one_time_is_no_contradiction() -> None:
    values = strain(60)
    for second in (values[20 * RATE :], values[20 * RATE :] * 1.05):
        timeline = arranged([series(values[: 40 * RATE], "a.h5", 1e9), series(second, "b.h5", 1e9 + 20)])
        assert [one.gps_start for one in timeline.series] == [1e9, 1e9 + 20]
        assert timeline.notes == []
        assert [part.gps for part in good_segments(timeline.series)] == [(1e9, 1e9 + 40), (1e9 + 40, 1e9 + 60)]
    other = [series(strain(40), "a.h5", 1e9), series(strain(40, 1), "b.h5", 1e9, "L1")]
    assert [one.gps_start for one in arranged(other).series] == [1e9, 1e9]


def test_a_ramp_is_like_no_other() -> None:
    ramp = np.arange(40.0 * RATE)
    assert arranged([series(ramp, "a.h5"), series(ramp + 40 * RATE, "b.h5")]).copies == {}
    assert arranged([series(ramp, "a.h5"), series(ramp, "b.h5")]).copies == {1: 0}


def test_200_000_gaps_take_seconds() -> None:
    import time

    count = 200_000
    good = tuple((2 * place, 2 * place + 1) for place in range(count))
    values = np.random.default_rng(0).normal(size=2 * count)
    begin = time.process_time()
    files = [
        resampled(StrainFile(detector, 1e9, 2.0 * RATE, values, good, Path(name)), 2.0 * RATE)
        for detector, name in (("H1", "a"), ("H1", "b"), (None, "c"), (None, "d"))
    ]
    assert len(good_segments(arranged(files).series)) == 2 * count
    resampled(StrainFile("H1", 1e9, 2.0 * RATE, values, good, Path("e")), RATE)
    assert time.process_time() - begin < 60
