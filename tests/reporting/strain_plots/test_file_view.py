"""A segment of strain files as it is drawn: GW150914, and files that have too little to show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gwbench.data.strain_files.reading import StrainFile, read_strain
from gwbench.errors import UserError
from gwbench.preprocessing.conditioning import Conditioning
from gwbench.reporting.strain_plots.file_view import file_plot
from gwbench.reporting.strain_plots.q_transform import q_energy

EVENT = 1126259462.42
RATE = 2048.0


def strain_file(seconds: float, start: float = 1000.0, gap: tuple[float, float] | None = None) -> StrainFile:
    """White noise, with a gap (seconds after the start) where one is asked for."""
    samples = round(seconds * RATE)
    strain = 1e-21 * np.random.default_rng(3).standard_normal(samples)
    good: tuple[tuple[int, int], ...] = ((0, samples),)
    if gap:
        first, last = (round(time * RATE) for time in gap)
        strain[first:last] = np.nan
        good = ((0, first), (last, samples))
    return StrainFile("L1", start, RATE, strain, good, Path("noise.hdf5"))


def test_gw150914_is_seen_at_its_time_in_both_detectors(test_data: Path) -> None:
    files = [read_strain(path) for path in sorted((test_data / "gwosc").glob("*.hdf5"))]
    plot = file_plot(files, gps=EVENT, duration=2.0, settings=Conditioning(high=500.0))
    assert [channel.name for channel in plot.channels] == ["H1", "L1"]
    assert plot.facts == ("GPS 1126259462.42", "2015-09-14 09:50:45 UTC")
    frequencies = np.geomspace(*plot.band, 100)
    for file, channel in zip(files, plot.channels, strict=True):
        assert channel.sample_rate == 2048  # half of the file's: the band needs no more
        assert len(channel.strain) == len(channel.whitened) == 4096
        start = round((EVENT - 1 - file.start) * file.sample_rate)
        given = file.strain[start : start + 8192 : 2]
        # The resampled strain differs by what was above 1 kHz, which is little beside the seismic wall.
        assert np.abs(channel.strain - given).max() < 0.05 * np.ptp(given)
        energy = q_energy(channel.whitened, 2048.0, frequencies, q=8.0, band=plot.band)
        row, column = np.unravel_index(np.argmax(energy), energy.shape)
        assert plot.start + column / 2048 == pytest.approx(0, abs=0.03)
        assert 50 < frequencies[row] < 250
        assert energy.max() > 30
        quiet = np.abs(plot.start + np.arange(4096) / 2048) > 0.3
        assert channel.whitened[quiet].var() == pytest.approx(1, abs=0.12)


def test_the_middle_of_the_longest_good_stretch_is_shown_unless_a_time_is_given() -> None:
    settings = Conditioning()
    plot = file_plot([strain_file(40, gap=(25, 26))], gps=None, duration=2.0, settings=settings)
    assert plot.zero == "GPS 1012.5"
    assert plot.facts == ("GPS 1012.5",)  # the file counts from a zero of its own: no date
    both = [strain_file(40), strain_file(40, start=1010.0)]
    assert file_plot(both, gps=None, duration=1.0, settings=settings).zero == "GPS 1025"


def test_what_a_file_does_not_hold_is_refused() -> None:
    settings = Conditioning()
    file = strain_file(40, gap=(25, 26))
    for gps in (24.5, 0.5, 45.0, -1000.0):
        with pytest.raises(UserError, match=r"no 2 s of good data.* Good data: 1000 to 1025, 1026 to 1040\. Choose"):
            file_plot([file], gps=1000 + gps, duration=2.0, settings=settings)
    assert file_plot([file], gps=1002.0, duration=2.0, settings=settings).zero == "GPS 1002"
    for duration in (0.0, 1e-4, -1.0, float("inf"), float("nan")):
        with pytest.raises(UserError, match="--duration"):
            file_plot([file], gps=None, duration=duration, settings=settings)
    with pytest.raises(UserError, match="--gps"):
        file_plot([file], gps=float("nan"), duration=2.0, settings=settings)
    with pytest.raises(UserError, match=r"has 6 s of good data, too few"):
        file_plot([strain_file(6)], gps=None, duration=2.0, settings=settings)
    with pytest.raises(UserError, match="Good data: none"):
        file_plot([strain_file(20), strain_file(20, start=5000.0)], gps=None, duration=2.0, settings=settings)
