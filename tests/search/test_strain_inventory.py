"""What a scan refuses or leaves out, each in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import gwbench
from gwbench.errors import UserError
from gwbench.experiment.scorer import RunScorer
from gwbench.search.record import SearchRecord
from tests.conftest import Heard
from tests.search.energy_run import RATE, energy_run
from tests.search.strain import GPS, noise, write_segments


@pytest.fixture(scope="module")
def run() -> RunScorer:
    return energy_run()


def listen(run: RunScorer, strain: Any, folder: Path, **options: Any) -> SearchRecord:
    return gwbench.scan(run, strain, searches=folder / "searches", stride=0.25, progress=Heard(), **options)


def refused(run: RunScorer, strain: Any, folder: Path, message: str, **options: Any) -> None:
    with pytest.raises(UserError, match=message) as mistake:
        listen(run, strain, folder, **options)
    assert "\n" not in str(mistake.value)


def both(seconds: float = 30, *, rate: float = RATE, start: float = GPS, seed: int = 1) -> dict[str, Any]:
    return {"H1": [(start, noise(seconds, rate, seed))], "L1": [(start, noise(seconds, rate, seed + 100))]}


def test_gaps_are_left_out_and_said(run: RunScorer, tmp_path: Path) -> None:
    strain = both(60)
    strain["H1"][0][1][20 * RATE : 21 * RATE] = np.nan
    strain["L1"][0][1][40 * RATE : 41 * RATE] = 0
    record = listen(run, write_segments(tmp_path / "both.hdf", strain, RATE), tmp_path)
    assert list(record.strain.segments) == [(GPS, GPS + 20), (GPS + 21, GPS + 40), (GPS + 41, GPS + 60)]
    assert "1 s of H1 are gaps or of bad quality." in record.strain.left_out


def test_segments_of_one_file_are_searched_each(run: RunScorer, tmp_path: Path) -> None:
    parts = {name: both(20)[name] + both(25, start=GPS + 50)[name] for name in ("H1", "L1")}
    record = listen(run, write_segments(tmp_path / "both.hdf", parts, RATE), tmp_path)
    assert list(record.strain.segments) == [(GPS, GPS + 20), (GPS + 50, GPS + 75)]
    assert not record.strain.left_out


def test_segments_shorter_than_a_window_are_left_out_or_refused(run: RunScorer, tmp_path: Path) -> None:
    parts = {name: both(20)[name] + both(1.25, start=GPS + 50)[name] for name in ("H1", "L1")}
    record = listen(run, write_segments(tmp_path / "both.hdf", parts, RATE), tmp_path)
    assert list(record.strain.segments) == [(GPS, GPS + 20)]
    assert any("1.25 s of common time lie in segments shorter than a window" in each for each in record.strain.left_out)
    short = write_segments(tmp_path / "short.hdf", both(1.25), RATE)
    refused(run, short, tmp_path, "is 1.25 s, shorter than a window with its margins, 1.5 s")


def test_strain_too_short_to_measure_a_psd_needs_the_runs_own(run: RunScorer, tmp_path: Path) -> None:
    path = write_segments(tmp_path / "both.hdf", both(4), RATE)
    refused(run, path, tmp_path, "measure a PSD: that takes 6.75 s, and the longest has 4 s.* --conditioning run")
    record = listen(run, path, tmp_path, conditioning="run")
    assert record.settings.conditioning == "run"
    assert record.triggers


def test_detectors_that_do_not_overlap_in_time(run: RunScorer, tmp_path: Path) -> None:
    strain = {"H1": both()["H1"], "L1": both(start=GPS + 1000)["L1"]}
    refused(run, write_segments(tmp_path / "both.hdf", strain, RATE), tmp_path, "detectors do not overlap in time")


def test_a_file_of_one_detector_only(run: RunScorer, tmp_path: Path) -> None:
    path = write_segments(tmp_path / "one.hdf", {"H1": both()["H1"]}, RATE)
    refused(run, path, tmp_path, "the strain has no L1; it is of H1")


def test_detectors_that_the_run_does_not_have(run: RunScorer, tmp_path: Path) -> None:
    path = write_segments(tmp_path / "three.hdf", both() | {"V1": [(GPS, noise(30, RATE, 3))]}, RATE)
    record = listen(run, path, tmp_path)
    assert record.strain.detectors == ("H1", "L1")
    assert record.strain.left_out == ("The strain of V1 in three.hdf is not used: the run listens to H1 and L1.",)
    only = write_segments(tmp_path / "virgo.hdf", {"V1": [(GPS, noise(30, RATE, 3))]}, RATE)
    refused(run, only, tmp_path, "the strain has no H1 and no L1; it is of V1")


def test_unequal_and_high_rates_are_brought_to_the_runs(run: RunScorer, tmp_path: Path) -> None:
    write_segments(tmp_path / "h1.hdf", {"H1": [(GPS, noise(30, 16384, 1))]}, 16384)
    write_segments(tmp_path / "l1.hdf", {"L1": [(GPS, noise(30, 4096, 2))]}, 4096)
    record = listen(run, str(tmp_path / "?1.hdf"), tmp_path)
    assert "Strain of 4096, 16384 Hz was resampled to the run's 1024 Hz." in record.strain.notes
    assert record.whitened_variance == pytest.approx({"H1": 1, "L1": 1}, rel=0.1)


def test_a_rate_below_the_runs_and_one_that_does_not_divide(run: RunScorer, tmp_path: Path) -> None:
    low = write_segments(tmp_path / "low.hdf", both(rate=512), 512)
    refused(run, low, tmp_path, "is sampled at 512 Hz, and the run at 1024 Hz: a higher rate cannot be made of it")
    odd = write_segments(tmp_path / "odd.hdf", both(rate=1024.7), 1024.7)
    refused(run, odd, tmp_path, "no fraction of small numbers")


def test_unknown_times_start_at_0_where_that_cannot_be_wrong(run: RunScorer, tmp_path: Path) -> None:
    strain = both()
    path = tmp_path / "both.hdf"
    with h5py.File(path, "w") as file:
        for name, ((_, values),) in strain.items():
            file.create_dataset(f"{name}/strain", data=values).attrs["delta_t"] = 1 / RATE
    record = listen(run, path, tmp_path)
    assert list(record.strain.segments) == [(0, 30)]
    assert any("its GPS time is unknown" in each for each in record.strain.notes)
    for name, ((_, values),) in strain.items():
        with h5py.File(tmp_path / f"{name}-alone.hdf", "w") as file:
            file.create_dataset(f"{name}/strain", data=values).attrs["delta_t"] = 1 / RATE
    refused(run, str(tmp_path / "*-alone.hdf"), tmp_path, "The GPS time of H1-alone.hdf, L1-alone.hdf is unknown")


def test_a_file_and_its_copy_count_once_and_another_at_its_time_is_refused(run: RunScorer, tmp_path: Path) -> None:
    first = write_segments(tmp_path / "a.hdf", both(30), RATE)
    later = {name: [(GPS + 20, np.concatenate([both(30)[name][0][1][20 * RATE :], noise(20, RATE, 9)]))]
             for name in ("H1", "L1")}  # fmt: skip
    second = write_segments(tmp_path / "b.hdf", later, RATE)
    record = listen(run, [first, second], tmp_path)
    assert list(record.strain.segments) == [(GPS, GPS + 50)]
    assert "10 s of H1 in b.hdf are in a.hdf too, which is used." in record.strain.left_out
    third = write_segments(tmp_path / "c.hdf", both(30, seed=7), RATE)
    refused(run, [first, third], tmp_path, "a.hdf and c.hdf claim the same time of H1.*hold different strain")


def test_quality_masks_count_unless_none_is_asked_for(run: RunScorer, tmp_path: Path) -> None:
    for name, ((start, values),) in both(30).items():
        with h5py.File(tmp_path / f"{name}.hdf5", "w") as file:
            strain = file.create_dataset("strain/Strain", data=values)
            strain.attrs["Xstart"], strain.attrs["Xspacing"] = start, 1 / RATE
            file["meta/Detector"] = name
            mask = np.full(30, 127, np.uint32)
            mask[12] = 0
            quality = file.create_dataset("quality/simple/DQmask", data=mask)
            quality.attrs["Xstart"], quality.attrs["Xspacing"] = start, 1.0
            bits = ("DATA", "CBC_CAT1", "CBC_CAT2", "CBC_CAT3", "BURST_CAT1", "BURST_CAT2", "BURST_CAT3")
            file["quality/simple/DQShortnames"] = np.array(bits, "S")
    record = listen(run, tmp_path, tmp_path)
    assert list(record.strain.segments) == [(GPS, GPS + 12), (GPS + 13, GPS + 30)]
    assert any("DQmask" in each for each in record.strain.notes)
    whole = listen(run, tmp_path, tmp_path, quality="none")
    assert list(whole.strain.segments) == [(GPS, GPS + 30)]


def test_nothing_to_scan_and_no_file_there(run: RunScorer, tmp_path: Path) -> None:
    refused(run, [], tmp_path, "There is no strain to scan")
    refused(run, tmp_path / "none.hdf", tmp_path, "names no strain file")
