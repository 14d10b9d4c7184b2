from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import signal

from gwbench.data.strain_files.pieces import PieceReader
from gwbench.search.detector_track import DetectorTrack, common_intervals
from gwbench.search.strain_inventory import StrainInventory, take_inventory
from gwbench.utils.progress import Progress
from tests.search.strain import GPS, noise, write_segments


def inventory(paths: list[Path], detectors: tuple[str, ...], rate: float) -> tuple[StrainInventory, PieceReader]:
    reader = PieceReader()
    return take_inventory(paths, detectors, rate, reader, Progress()), reader


def test_any_part_is_what_scipy_makes_of_the_whole(tmp_path: Path) -> None:
    strain = noise(20, 4096, 1)
    path = write_segments(tmp_path / "H1.hdf", {"H1": [(GPS, strain)]}, 4096)
    found, reader = inventory([path], ("H1",), 2048)
    track = found.tracks[0]
    ((start, stop),) = track.intervals
    # the same filter by itself: a Kaiser window of 100 dB between 0.9 and 1 of the new Nyquist frequency
    size, beta = signal.kaiserord(100, 0.1 * 1024 / 2048)
    taps = signal.firwin(size | 1, 0.95 * 1024, window=("kaiser", beta), fs=4096)
    whole = signal.resample_poly(strain, 1, 2, window=taps)
    for first, last in ((start, stop), (start + 1, start + 2), (start + 4001, start + 9000), (stop - 7, stop)):
        part = track.read(reader, first, last)
        expected = whole[first - GPS * 2048 : last - GPS * 2048]
        assert len(part) == last - first
        np.testing.assert_allclose(part, expected, rtol=0, atol=2e-5 * 1e-21)


def test_files_that_follow_on_each_other_are_one_stretch(tmp_path: Path) -> None:
    strain = noise(30, 4096, 2)
    whole = write_segments(tmp_path / "whole-H1.hdf", {"H1": [(GPS, strain)]}, 4096)
    first = write_segments(tmp_path / "a-H1.hdf", {"H1": [(GPS, strain[: 10 * 4096])]}, 4096)
    second = write_segments(tmp_path / "b-H1.hdf", {"H1": [(GPS + 10, strain[10 * 4096 :])]}, 4096)
    one, reader = inventory([whole], ("H1",), 2048)
    two, other = inventory([first, second], ("H1",), 2048)
    assert one.tracks[0].intervals == two.tracks[0].intervals
    start, stop = one.tracks[0].intervals[0]
    np.testing.assert_array_equal(one.tracks[0].read(reader, start, stop), two.tracks[0].read(other, start, stop))


@pytest.mark.parametrize("rates", [(4096.0, 16384.0), (2048.0, 4096.0)])
def test_detectors_of_unequal_rates_stay_together_in_time(tmp_path: Path, rates: tuple[float, float]) -> None:
    seconds = np.arange(12 * 16384) / 16384
    sine = np.sin(2 * np.pi * 40 * seconds + 0.3)
    for name, rate in zip(("H1", "L1"), rates, strict=True):
        write_segments(tmp_path / f"{name}.hdf", {name: [(GPS, sine[:: round(16384 / rate)])]}, rate)
    found, reader = inventory(sorted(tmp_path.glob("*.hdf")), ("H1", "L1"), 2048)
    ((start, stop),) = common_intervals(found.tracks)
    expected = np.sin(2 * np.pi * 40 * (np.arange(start, stop) / 2048 - GPS) + 0.3)
    for track in found.tracks:
        np.testing.assert_allclose(track.read(reader, start, stop), expected, atol=1e-4)


def test_a_gap_splits_the_common_time(tmp_path: Path) -> None:
    first, second = noise(40, 2048, 3), noise(40, 2048, 4)
    first[10 * 2048 : 12 * 2048] = np.nan
    second[30 * 2048 : 31 * 2048] = 0.0
    path = write_segments(tmp_path / "both.hdf", {"H1": [(GPS, first)], "L1": [(GPS + 1, second)]}, 2048)
    found, _ = inventory([path], ("H1", "L1"), 2048)
    seconds = [(start / 2048 - GPS, stop / 2048 - GPS) for start, stop in common_intervals(found.tracks)]
    assert seconds == [(1, 10), (12, 31), (32, 40)]
    assert found.left_out == ("2 s of H1 are gaps or of bad quality.", "1 s of L1 are gaps or of bad quality.")


def test_reading_outside_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    path = write_segments(tmp_path / "H1.hdf", {"H1": [(GPS, noise(5, 2048, 5))]}, 2048)
    found, reader = inventory([path], ("H1",), 2048)
    assert isinstance(found.tracks[0], DetectorTrack)
    with pytest.raises(ValueError, match="has no strain"):
        found.tracks[0].read(reader, GPS * 2048, (GPS + 6) * 2048)
