"""GWF frames: which channel is read, what its masks say, and what a bad frame says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gwbench.contracts import Array
from gwbench.data.strain_files.finding import find_strain_files
from gwbench.data.strain_files.reading import read_strain, strain_detectors
from gwbench.errors import UserError

# What gwpy's import of astropy 8 says.
pytestmark = pytest.mark.filterwarnings("ignore:COPY_IF_NEEDED is no longer needed:PendingDeprecationWarning")

RATE = 256
DQ_ALL, INJ_NONE = 0b1111111, 0b11111


def noise(seconds: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(scale=1e-21, size=seconds * RATE)


def write_frame(path: Path, channels: Mapping[str, tuple[Array, float]], start: float = 1000.0) -> Path:
    """A frame of channels, each of values and a sample rate."""
    from gwpy.timeseries import TimeSeries, TimeSeriesDict

    series = TimeSeriesDict()
    for name, (values, rate) in channels.items():
        series[name] = TimeSeries(values, t0=start, sample_rate=rate, name=name, channel=name)
    series.write(str(path), format="gwf")
    return path


def gwosc(prefix: str, dq: list[int], inj: list[int]) -> dict[str, tuple[Array, float]]:
    return {
        f"{prefix}STRAIN": (noise(len(dq)), RATE),
        f"{prefix}DQMASK": (np.array(dq, np.int32), 1),
        f"{prefix}INJMASK": (np.array(inj, np.int32), 1),
    }


@pytest.mark.parametrize("prefix", ["L1:LOSC-", "L1:GWOSC-4KHZ_R1_", "L1:GWOSC-16KHZ_R2_"])
def test_gwosc_frames_of_both_generations_are_read_with_their_masks(tmp_path: Path, prefix: str) -> None:
    dq, inj = [DQ_ALL] * 12, [INJ_NONE] * 12
    dq[1] &= ~1  # no data
    dq[3] &= ~(1 << 3)  # CBC_CAT3
    dq[5] &= ~(1 << 6)  # BURST_CAT3 does not matter
    inj[7] &= ~1  # a CBC injection
    inj[9] &= ~(1 << 3)  # continuous waves do not matter
    path = write_frame(tmp_path / "x.gwf", gwosc(prefix, dq, inj))
    file = read_strain(path)
    assert (file.detector, file.gps_start, file.sample_rate) == ("L1", 1000.0, RATE)
    np.testing.assert_array_equal(file.strain, noise(12))
    assert file.good == tuple((a * RATE, b * RATE) for a, b in [(0, 1), (2, 3), (4, 7), (8, 12)])
    assert strain_detectors(path) == ["L1"]


def test_a_frame_with_one_channel_needs_no_name(tmp_path: Path) -> None:
    file = read_strain(write_frame(tmp_path / "x.gwf", {"V1:Hrec_hoft_16384Hz": (noise(4), RATE)}))
    assert (file.detector, file.good) == ("V1", ((0, 4 * RATE),))


def test_the_channel_asked_for_is_read(tmp_path: Path) -> None:
    channels = {f"H1:DCS-CALIB_STRAIN_C0{i}": (noise(2, i), RATE) for i in range(3)}
    path = write_frame(tmp_path / "x.gwf", channels)
    file = read_strain(path, ("L1:DCS-CALIB_STRAIN_C01", "H1:DCS-CALIB_STRAIN_C01"))
    np.testing.assert_array_equal(file.strain, noise(2, 1))
    assert file.detector == "H1"


def test_a_wrong_channel_lists_what_is_there_and_not_too_much(tmp_path: Path) -> None:
    path = write_frame(tmp_path / "x.gwf", {f"H1:AUX-{i:02d}": (noise(1), RATE) for i in range(11)})
    eight = ", ".join(f"H1:AUX-{i:02d}" for i in range(8))
    with pytest.raises(
        UserError,
        match=rf"x\.gwf has none of the channels asked for \(H1:NO\). It holds {eight} and 3 more. Name one of them "
        r"with dataset\.channel\.$",
    ):
        read_strain(path, ("H1:NO",))
    with pytest.raises(UserError, match=r"x\.gwf has no channel that is known as strain. It holds H1:AUX-00, "):
        read_strain(path)
    with pytest.raises(UserError, match=r"more than one of the channels asked for \(H1:AUX-01, H1:AUX-02\)"):
        strain_detectors(path, ("H1:AUX-01", "H1:AUX-02"))


def test_two_strain_channels_are_not_guessed_between(tmp_path: Path) -> None:
    both = {f"H1:GWOSC-{rate}KHZ_R1_STRAIN": (noise(1), RATE) for rate in (4, 16)}
    path = write_frame(tmp_path / "x.gwf", both)
    with pytest.raises(UserError, match="has more than one channel that is known as strain"):
        read_strain(path)
    assert read_strain(path, ("H1:GWOSC-4KHZ_R1_STRAIN",)).good_seconds == 1


@pytest.mark.parametrize(("seconds", "good"), [(4, 4), (8, 6)])
def test_a_mask_and_a_strain_may_last_unequally_long(tmp_path: Path, seconds: int, good: int) -> None:
    channels = gwosc("H1:LOSC-", [DQ_ALL] * 6, [INJ_NONE] * 6)
    channels["H1:LOSC-STRAIN"] = (noise(seconds), RATE)
    file = read_strain(write_frame(tmp_path / "x.gwf", channels))
    np.testing.assert_array_equal(file.strain, noise(seconds))
    assert file.good == ((0, good * RATE),)  # what no mask covers is not known to be good


def test_nan_gaps_and_zero_padding_are_left_out(tmp_path: Path) -> None:
    strain = noise(4)
    strain[10:20], strain[500:600] = np.nan, 0.0
    file = read_strain(write_frame(tmp_path / "x.gwf", {"H1:X": (strain, RATE)}))
    assert file.good == ((0, 10), (20, 500), (600, 4 * RATE))


def test_the_time_between_two_frames_of_a_file_is_a_gap(tmp_path: Path) -> None:
    from gwpy.io.gwf.lalframe import create_frame, write_frames
    from gwpy.timeseries import TimeSeries
    from lalframe import FrameAddREAL8TimeSeriesProcData

    frames: list[Any] = []
    for start, seconds, seed in ((1000, 4, 0), (1004, 4, 1), (1010, 2, 2)):
        frame = create_frame(start, seconds, ifos=["H1"])
        series = TimeSeries(noise(seconds, seed), t0=start, sample_rate=RATE, name="H1:X")
        FrameAddREAL8TimeSeriesProcData(frame, series.to_lal())
        frames.append(frame)
    write_frames(str(tmp_path / "x.gwf"), frames)
    file = read_strain(tmp_path / "x.gwf")
    assert (file.gps_start, len(file.strain)) == (1000, 12 * RATE)
    assert file.good == ((0, 8 * RATE), (10 * RATE, 12 * RATE))
    np.testing.assert_array_equal(file.strain[4 * RATE : 8 * RATE], noise(4, 1))
    np.testing.assert_array_equal(file.strain[10 * RATE :], noise(2, 2))


def test_truncated_damaged_and_foreign_files_end_in_one_message(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = write_frame(tmp_path / "whole.gwf", {"H1:X": (noise(8), RATE)}).read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    old = bytearray(whole)
    old[5] = 4
    capfd.readouterr()
    for content, reason in (
        (b"", "does not start as a frame"),
        (b"no strain" * 99, "does not start as a frame"),
        (b"IGWD\0" + bytes(200), "version 0 of the format is older than 6"),
        (bytes(old), "version 4 of the format is older than 6"),
        (whole[:40], "breaks off after 40 bytes"),
        *((whole[:keep], f"breaks off after {keep} bytes") for keep in range(41, len(whole), 997)),
        (whole + bytes(30), "breaks off"),
        (bytes(flipped), "checksum does not fit"),
    ):
        bad = tmp_path / "bad.gwf"
        bad.write_bytes(content)
        for read in (read_strain, strain_detectors):
            with pytest.raises(
                UserError, match=rf"bad\.gwf cannot be read: it is no GWF frame, or it is damaged: .*{reason}"
            ):
                read(bad)
    assert capfd.readouterr() == ("", "")


def test_an_unknown_channel_leaves_nothing_on_stderr(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = write_frame(tmp_path / "x.gwf", {"H1:X": (noise(2), RATE)})
    capfd.readouterr()
    with pytest.raises(UserError, match="It holds H1:X"):
        read_strain(path, ("H1:Y",))
    read_strain(path)
    assert capfd.readouterr() == ("", "")


def test_a_folder_gives_its_frames_too(tmp_path: Path) -> None:
    for name in ("b.gwf", "a.hdf5", "c.txt"):
        (tmp_path / name).write_text("strain")
    assert [path.name for path in find_strain_files([str(tmp_path)])] == ["a.hdf5", "b.gwf"]
