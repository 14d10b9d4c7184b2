"""Strain files: what counts as good data, and what a bad file says."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from gwbench.data.strain_files.reading import ranges, read_strain, strain_detectors
from gwbench.errors import UserError
from gwbench.utils.files import file_digest

RATE = 256
DQ_ALL, INJ_NONE = 0b1111111, 0b11111


def noise(seconds: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(scale=1e-21, size=seconds * RATE)


def write_gwosc(path: Path, strain: np.ndarray, dq: list[int], inj: list[int], names: bool = True) -> Path:
    with h5py.File(path, "w") as file:
        data = file.create_dataset("strain/Strain", data=strain)
        data.attrs.update({"Xstart": 1000, "Xspacing": 1 / RATE})
        for mask, values, bits in (
            ("simple/DQ", dq, ["DATA", "CBC_CAT1", "CBC_CAT2", "CBC_CAT3", "BURST_CAT1", "BURST_CAT2", "BURST_CAT3"]),
            (
                "injections/Inj",
                inj,
                ["NO_CBC_HW_INJ", "NO_BURST_HW_INJ", "NO_DETCHAR_HW_INJ", "NO_CW_HW_INJ", "NO_STOCH_HW_INJ"],
            ),
        ):
            written = file.create_dataset(f"quality/{mask}mask", data=np.array(values, dtype=np.uint32))
            written.attrs.update({"Xstart": 1000, "Xspacing": 1.0})
            if names:
                file[f"quality/{mask}Shortnames"] = np.array(bits, dtype="S17")
        file["meta/Detector"] = "L1"
    return path


def write_plain(path: Path, strain: np.ndarray, name: str = "data", **attributes: Any) -> Path:
    with h5py.File(path, "w") as file:
        file.create_dataset(name, data=strain).attrs.update(attributes)
    return path


@pytest.mark.parametrize("names", [True, False])
def test_gwosc_seconds_that_fail_a_cbc_veto_or_hold_an_injection_are_left_out(tmp_path: Path, names: bool) -> None:
    dq, inj = [DQ_ALL] * 12, [INJ_NONE] * 12
    dq[1] &= ~1  # no data
    dq[3] &= ~(1 << 3)  # CBC_CAT3
    dq[5] &= ~(1 << 6)  # BURST_CAT3 does not matter
    inj[7] &= ~1  # a CBC injection
    inj[9] &= ~(1 << 3)  # continuous waves do not matter
    file = read_strain(write_gwosc(tmp_path / "x.hdf5", noise(12), dq, inj, names))
    assert file.detector == "L1"
    assert (file.gps_start, file.sample_rate) == (1000.0, RATE)
    seconds = [(0, 1), (2, 3), (4, 7), (8, 12)]
    assert file.good == tuple((a * RATE, b * RATE) for a, b in seconds)
    assert file.good_seconds == 9


def test_a_mask_that_does_not_cover_the_strain_makes_the_rest_bad(tmp_path: Path) -> None:
    file = read_strain(write_gwosc(tmp_path / "x.hdf5", noise(5), [DQ_ALL] * 3, [INJ_NONE] * 5))
    assert file.good == ((0, 3 * RATE),)


def test_nan_inf_and_zero_padding_are_left_out_of_plain_files(tmp_path: Path) -> None:
    strain = noise(4)
    strain[10:20], strain[100], strain[500:600], strain[-3:] = np.nan, np.inf, 0.0, -np.inf
    file = read_strain(write_plain(tmp_path / "x.hdf", strain, start_time=5.5, delta_t=1 / RATE, detector="V1"))
    assert file.good == ((0, 10), (20, 100), (101, 500), (600, 4 * RATE - 3))
    assert (file.detector, file.gps_start) == ("V1", 5.5)
    np.testing.assert_array_equal(file.strain, strain)


@pytest.mark.parametrize(
    "attributes",
    [
        {"start_time": 7.0, "delta_t": 1 / RATE},
        {"Xstart": 7.0, "Xspacing": 1 / RATE},
        {"x0": 7.0, "dx": 1 / RATE, "channel": "H1:GWOSC-4KHZ_R1_STRAIN"},
    ],
)
def test_three_ways_to_name_time(tmp_path: Path, attributes: dict[str, Any]) -> None:
    file = read_strain(write_plain(tmp_path / "x.h5", noise(2), name="anything", **attributes))
    assert (file.gps_start, file.sample_rate) == (7.0, RATE)
    assert file.detector == ("H1" if "channel" in attributes else None)


def test_what_pycbc_saves_can_be_read(tmp_path: Path) -> None:
    from pycbc.types import TimeSeries

    TimeSeries(noise(2), delta_t=1 / RATE, epoch=1126259446).save(str(tmp_path / "x.hdf"))
    file = read_strain(tmp_path / "x.hdf")
    assert (file.gps_start, file.sample_rate, file.detector) == (1126259446.0, RATE, None)
    np.testing.assert_array_equal(file.strain, noise(2))


def test_the_dataset_asked_for_is_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.hdf", "w") as file:
        for name, seed in (("H1:A", 1), ("H1:B", 2)):
            file.create_dataset(name, data=noise(2, seed)).attrs.update({"x0": 7.0, "dx": 1 / RATE, "channel": name})
    found = read_strain(tmp_path / "x.hdf", ("H1:B",))
    np.testing.assert_array_equal(found.strain, noise(2, 2))
    assert strain_detectors(tmp_path / "x.hdf", ("H1:B",)) == ["H1"]
    with pytest.raises(UserError, match=r"none of the channels asked for \(H1:C\). It holds H1:A, H1:B\."):
        read_strain(tmp_path / "x.hdf", ("H1:C",))


def test_the_detector_is_found_without_the_strain(tmp_path: Path) -> None:
    path = write_gwosc(tmp_path / "x.hdf5", noise(3), [DQ_ALL] * 3, [INJ_NONE] * 3)
    assert strain_detectors(path) == ["L1"]
    assert strain_detectors(write_plain(tmp_path / "y.hdf", noise(1), delta_t=1 / RATE)) == [None]


def test_damaged_files_end_in_one_message_or_are_read_as_they_were(tmp_path: Path) -> None:
    """Bits flipped anywhere outside the strain itself: whatever h5py makes of them, it is told to the user."""
    path = write_gwosc(tmp_path / "x.hdf5", noise(1), [DQ_ALL], [INJ_NONE])
    whole, rng, messages = path.read_bytes(), np.random.default_rng(0), []
    for place in rng.integers(len(whole), size=150):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            read_strain(path)
        except UserError as error:
            messages.append(str(error))
    assert len(messages) > 5
    assert all("x.hdf5" in message for message in messages)


def test_a_file_knows_which_times_it_holds(tmp_path: Path) -> None:
    file = read_strain(write_plain(tmp_path / "x.hdf", noise(4), start_time=100.0, delta_t=1 / RATE))
    assert [time for time in (99.9, 100.0, 103.9, 104.0) if file.holds(time)] == [100.0, 103.9]
    assert [time for time in (97.9, 98.0, 105.9, 106.0) if file.holds(time, 2.0)] == [98.0, 105.9]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"There is no strain file .*gone\.hdf"):
        read_strain(tmp_path / "gone.hdf")


def test_text_and_truncated_files_are_named(tmp_path: Path) -> None:
    text = tmp_path / "text.hdf5"
    text.write_text("no strain")
    whole = write_plain(tmp_path / "whole.hdf", noise(64), delta_t=1 / RATE).read_bytes()
    cut = tmp_path / "cut.hdf"
    cut.write_bytes(whole[: len(whole) // 2])
    for path, cause in ((text, "it is no HDF5 file"), (cut, "it is truncated")):
        with pytest.raises(UserError, match=rf"{path.name} cannot be read: {cause}"):
            read_strain(path)


def test_a_file_without_strain_lists_what_it_has(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.hdf", "w") as file:
        file["mass1"] = np.zeros(3)
        file["group/mass2"] = np.zeros(3)
    with pytest.raises(
        UserError,
        match=r"more than one channel that is known as strain. It holds group/mass2, mass1. .*dataset\.channel",
    ):
        read_strain(tmp_path / "x.hdf")
    with h5py.File(tmp_path / "counts.hdf", "w") as file:
        file["counts"] = np.zeros(3, int)
    with pytest.raises(UserError, match=r"has no strain: .*found counts \(3,\) int64"):
        read_strain(tmp_path / "counts.hdf")
    with h5py.File(tmp_path / "empty.hdf", "w"):
        pass
    with pytest.raises(UserError, match="found no dataset"):
        read_strain(tmp_path / "empty.hdf")


@pytest.mark.parametrize("attributes", [{}, {"delta_t": 0.0}, {"delta_t": float("nan")}])
def test_a_file_without_a_sample_rate_is_refused(tmp_path: Path, attributes: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="has no sample rate: /data needs an attribute delta_t"):
        read_strain(write_plain(tmp_path / "x.hdf", noise(1), **attributes))


def test_a_start_that_is_no_time_counts_as_none(tmp_path: Path) -> None:
    path = write_plain(tmp_path / "x.hdf", noise(1), delta_t=1 / RATE, start_time=float("nan"))
    assert read_strain(path).gps_start is None


def test_an_attribute_that_is_no_number_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="delta_t='fast' is not a number"):
        read_strain(write_plain(tmp_path / "x.hdf", noise(1), delta_t="fast"))


def test_all_nan_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no finite sample in /data"):
        read_strain(write_plain(tmp_path / "x.hdf", np.full(RATE, np.nan), delta_t=1 / RATE))


def test_ranges_of_a_mask() -> None:
    assert ranges(np.array([True, True, False, True, False])) == ((0, 2), (3, 4))
    assert ranges(np.zeros(3, dtype=bool)) == ()


def test_file_digest_is_sha256(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"strain" * 100_000)
    assert file_digest(path) == hashlib.sha256(b"strain" * 100_000).hexdigest()
    with pytest.raises(UserError, match="cannot be read: No such file"):
        file_digest(tmp_path / "gone")


@pytest.mark.skipif("GWBENCH_TEST_DATA" not in os.environ, reason="GWBENCH_TEST_DATA names no folder of real data")
def test_real_files() -> None:
    data = Path(os.environ["GWBENCH_TEST_DATA"])
    for detector in ("H1", "L1"):
        file = read_strain(next((data / "gwosc").glob(f"*-{detector}_*.hdf5")))
        assert (file.detector, file.gps_start, file.sample_rate) == (detector, 1126259446.0, 4096.0)
        assert file.good == ((0, 32 * 4096),)
    file = read_strain(data / "o3a-noise" / "real_noise.hdf")
    assert (file.detector, file.sample_rate, file.good_seconds) == (None, 2048.0, 500.0)
