"""Strain in HDF5 as other programs write it: what is read, of which detector, from when and how fast."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from gwbench.contracts import Array
from gwbench.data.strain_files.reading import StrainFile, read_strain, read_strain_series, strain_detectors
from gwbench.errors import UserError

# What gwpy's import of astropy 8 says.
pytestmark = pytest.mark.filterwarnings("ignore:COPY_IF_NEEDED is no longer needed:PendingDeprecationWarning")

RATE = 256
GPS = 1126259446.0


def noise(seconds: float = 4, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(scale=1e-21, size=round(seconds * RATE))


def write(path: Path, strain: Any = None, key: str = "data", root: Any = None, **attributes: Any) -> Path:
    with h5py.File(path, "w") as file:
        data = file.create_dataset(key, data=noise() if strain is None else strain)
        data.attrs.update(attributes)
        file.attrs.update(root or {})
    return path


def said(file: StrainFile) -> tuple[str | None, float | None, float]:
    return file.detector, file.gps_start, file.sample_rate


def test_gwpys_dictionary_of_detectors_gives_each(tmp_path: Path) -> None:
    from gwpy.timeseries import TimeSeries, TimeSeriesDict

    series = TimeSeriesDict()
    for seed, name in enumerate(("H1:GDS-CALIB_STRAIN", "L1:GDS-CALIB_STRAIN")):
        series[name] = TimeSeries(noise(seed=seed), t0=GPS, sample_rate=RATE, name=name, channel=name)
    path = tmp_path / "x.h5"
    series.write(str(path), format="hdf5")
    h1, l1 = read_strain_series(path)
    assert [said(h1), said(l1)] == [("H1", GPS, RATE), ("L1", GPS, RATE)]
    np.testing.assert_array_equal(l1.strain, noise(seed=1))
    assert strain_detectors(path) == ["H1", "L1"]
    for asked in ("L1", "L1:GDS-CALIB_STRAIN", "/L1:GDS-CALIB_STRAIN"):
        np.testing.assert_array_equal(read_strain(path, (asked,)).strain, noise(seed=1))
    assert len(read_strain_series(path, ("H1:GDS-CALIB_STRAIN", "L1:GDS-CALIB_STRAIN"))) == 2


def test_gwpys_x0_of_zero_is_no_time(tmp_path: Path) -> None:
    from gwpy.timeseries import TimeSeries

    TimeSeries(noise(), sample_rate=RATE).write(str(tmp_path / "x.h5"), path="strain")
    assert said(read_strain(tmp_path / "x.h5")) == (None, None, RATE)


def test_state_vectors_sensors_and_spectra_are_no_strain(tmp_path: Path) -> None:
    from gwpy.frequencyseries import FrequencySeries
    from gwpy.timeseries import StateVector, TimeSeries

    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        TimeSeries(noise(), t0=GPS, sample_rate=RATE).write(file, path="H1:GDS-CALIB_STRAIN")
        TimeSeries(noise(seed=1), t0=GPS, sample_rate=RATE).write(file, path="H1:PEM-CS_SEIS")
        StateVector(np.ones(4, "u4"), t0=GPS, sample_rate=1, bits=["A"]).write(file, path="H1:DMT-DQ_VECTOR")
        FrequencySeries(np.ones(9), df=1.0).write(file, path="psd")
    (file,) = read_strain_series(path)
    assert file.channel == "/H1:GDS-CALIB_STRAIN"
    FrequencySeries(np.ones(9), df=1.0).write(str(tmp_path / "y.h5"), path="H1")
    with pytest.raises(UserError, match="has no strain"):
        read_strain(tmp_path / "y.h5")


def test_pycbcs_files_and_groups(tmp_path: Path) -> None:
    from pycbc.types import FrequencySeries, TimeSeries

    TimeSeries(noise(), delta_t=1 / RATE, epoch=GPS).save(str(tmp_path / "H1.hdf"))
    assert said(read_strain(tmp_path / "H1.hdf")) == ("H1", GPS, RATE)
    TimeSeries(noise(), delta_t=1 / RATE, epoch=GPS).save(str(tmp_path / "x.hdf"), group="/L1/strain")
    assert said(read_strain(tmp_path / "x.hdf")) == ("L1", GPS, RATE)
    FrequencySeries(np.ones(9), delta_f=1.0, epoch=GPS).save(str(tmp_path / "p.hdf"))
    with pytest.raises(UserError, match="has no strain"):
        read_strain(tmp_path / "p.hdf")


def test_the_mlgwsc_challenge_has_a_dataset_for_every_segment(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.hdf", "w") as file:
        for seed, detector in enumerate(("H1", "L1")):
            for place in range(2):
                data = file.create_dataset(f"{detector}/{1000000000 + 30 * place}", data=noise(seed=2 * seed + place))
                if place:  # the others say it by their names and by the file's attributes
                    data.attrs.update({"delta_t": 1 / RATE, "start_time": 1e9 + 30})
        file.attrs.update({"detectors": ["H1", "L1"], "sample_rate": RATE})
        for detector in ("H1", "L1"):
            file[f"{detector}/1000000000"].attrs["delta_t"] = 1 / RATE
    found = [(one.detector, one.gps_start) for one in read_strain_series(tmp_path / "x.hdf")]
    assert found == [("H1", 1e9), ("H1", 1e9 + 30), ("L1", 1e9), ("L1", 1e9 + 30)]
    assert len(read_strain_series(tmp_path / "x.hdf", ("H1",))) == 2
    assert read_strain(tmp_path / "x.hdf", ("L1/1000000030",)).gps_start == 1e9 + 30


@pytest.mark.parametrize("form", [bytes, lambda text: np.array([text.encode()]), str])
def test_gwosc_in_each_generation(tmp_path: Path, form: Any) -> None:
    path = write(tmp_path / "x.hdf5", key="strain/Strain")  # neither Xstart nor Xspacing
    with h5py.File(path, "a") as file:
        file["meta/Detector"] = b"L1" if form is bytes else form("L1")
        file["meta/GPSstart"] = np.array([int(GPS)]) if form is not str else int(GPS)
        file["meta/Duration"] = 4
        file["quality/simple/other"] = noise(seed=1)
    assert said(read_strain(path)) == ("L1", GPS, RATE)


@pytest.mark.parametrize(
    "attributes",
    [
        {"sample_rate": RATE, "t0": GPS},
        {"fs": "256 Hz", "GPSstart": np.array([int(GPS)])},
        {"Sample_Rate": np.array([256.0]), "epoch": np.array([int(GPS), 0])},  # seconds and nanoseconds
        {"dt": "0.00390625 s", "epoch": "1126259446.000000000"},
        {"DeltaT": b"0.00390625", "gps_start": b"1126259446"},
        {"dx": 1 / RATE, "x0": 0.0, "start_time": GPS},
        {"sampling_frequency": 256.0, "start": int(GPS)},
        {"delta_t": 1 / RATE, "epoch": np.array([(int(GPS), 0)], [("gpsSeconds", "i4"), ("gpsNanoSeconds", "i4")])},
    ],
)
def test_times_and_rates_by_other_names(tmp_path: Path, attributes: dict[str, Any]) -> None:
    assert said(read_strain(write(tmp_path / "x.h5", **attributes))) == (None, GPS, RATE)
    root = write(tmp_path / "y.h5", root={**attributes, "detector": "LIGO Hanford"})
    assert said(read_strain(root)) == ("H1", GPS, RATE)


def test_times_beside_the_strain(tmp_path: Path) -> None:
    times = np.arange(4 * RATE) / RATE
    for start, known in ((GPS, GPS), (0.0, None)):
        path = write(tmp_path / "x.h5", key="strain")
        with h5py.File(path, "a") as file:
            file["times"] = start + times
        assert said(read_strain(path)) == (None, known, RATE)
    with h5py.File(path, "a") as file:
        file["times"][100:] += 3.0
    with pytest.raises(UserError, match="not evenly spaced"):
        read_strain(path)


@pytest.mark.parametrize("start", [0, 0.0, -5, float("nan"), 1e300, np.float32(GPS)])
def test_what_is_no_gps_time_is_unknown(tmp_path: Path, start: Any) -> None:
    assert read_strain(write(tmp_path / "x.h5", delta_t=1 / RATE, start_time=start)).gps_start is None


@pytest.mark.parametrize("detector", ["h1", "H1 ", b"H1", np.array([b"h1"]), "LIGO Hanford", "LHO_4k", "H1:X-Y"])
def test_a_detector_is_understood_however_it_is_written(tmp_path: Path, detector: Any) -> None:
    assert read_strain(write(tmp_path / "x.h5", delta_t=1 / RATE, detector=detector)).detector == "H1"


def test_where_name_and_content_contradict_the_content_counts(tmp_path: Path) -> None:
    file = read_strain(write(tmp_path / "L1_O3.h5", delta_t=1 / RATE, detector="H1"))
    assert file.detector == "H1"
    assert file.notes == ("L1_O3.h5 holds strain of H1, as it says itself, not of L1.",)


def test_the_name_of_the_file_says_the_start_where_the_length_fits(tmp_path: Path) -> None:
    assert said(read_strain(write(tmp_path / "V-V1_X-1126259446-4.h5", dx=1 / RATE))) == ("V1", GPS, RATE)
    assert read_strain(write(tmp_path / "V-V1_X-1126259446-32.h5", dx=1 / RATE)).gps_start is None


@pytest.mark.parametrize(
    ("spacing", "rate"),
    [
        (np.float32(1 / 4000), 4000.0),
        (float(np.float32(1 / 4000)), 4000.0),
        (np.float32(1 / 16384), 16384.0),
        (np.float32(1 / 4000.5), 4000.5),
        (1 / 4000.5, 4000.5),
        (1 / 4000.0000189, 4000.000019),
    ],
)
def test_a_spacing_in_float32_is_rounded_to_a_sensible_rate(tmp_path: Path, spacing: Any, rate: float) -> None:
    assert read_strain(write(tmp_path / "x.h5", delta_t=spacing)).sample_rate == rate


@pytest.mark.parametrize("kind", ["<f8", ">f8", "<f4", ">f4", "<i4", ">i2"])
def test_any_numbers_are_read(tmp_path: Path, kind: str) -> None:
    values = (noise() * 1e23).astype(kind)
    file = read_strain(write(tmp_path / "x.h5", values, delta_t=1 / RATE))
    np.testing.assert_array_equal(file.strain, values.astype(float))


@pytest.mark.parametrize(
    ("values", "kind"),
    [(np.zeros(9, "S3"), "text"), (np.zeros(9, "c8"), "complex"), (np.zeros(9, [("a", "f8")]), "a compound type")],
)
def test_what_is_no_number_is_named(tmp_path: Path, values: Array, kind: str) -> None:
    path = write(tmp_path / "x.h5", values, delta_t=1 / RATE)
    with pytest.raises(UserError, match=r"has no strain: .*found data"):
        read_strain(path)
    with pytest.raises(UserError, match=f"data holds {kind}"):
        read_strain(path, ("data",))
    with pytest.raises(UserError, match=r"data has the shape \(2, 3\)"):
        read_strain(write(tmp_path / "y.h5", np.zeros((2, 3)), delta_t=1 / RATE), ("data",))


def test_two_candidates_of_a_detector_are_listed_with_the_way_to_choose(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for name in ("H1:DCS-CALIB_STRAIN_C01", "H1:DCS-CALIB_STRAIN_C02"):
            file.create_dataset(name, data=noise()).attrs.update({"x0": GPS, "dx": 1 / RATE})
    with pytest.raises(
        UserError, match=r"more than one .* It holds H1:DCS-CALIB_STRAIN_C01, H1:DCS.*_C02 of H1\. Na.*-ch"
    ):
        read_strain(tmp_path / "x.h5")
    assert read_strain(tmp_path / "x.h5", ("H1:DCS-CALIB_STRAIN_C02",)).gps_start == GPS


def test_control_characters_of_a_file_are_not_printed(tmp_path: Path) -> None:
    path = write(tmp_path / "x.h5", np.zeros(9, "S3"), key="bad\x1b[31m\nname")
    with pytest.raises(UserError, match=r"found bad \[31m name") as raised:
        read_strain(path)
    assert str(raised.value).isprintable()


class TestCauses:
    def test_open_elsewhere_not_closed_and_a_filter_that_is_missing(self, tmp_path: Path) -> None:
        import subprocess
        import sys

        path = write(tmp_path / "open.h5", delta_t=1 / RATE)
        with h5py.File(path, "a"), pytest.raises(UserError, match="another program has it open for writing"):
            read_strain(path)
        assert said(read_strain(tmp_path / "open.h5"))[2] == RATE
        program = (
            "import h5py, os, sys; f = h5py.File(sys.argv[1], 'w', libver='latest'); "
            "d = f.create_dataset('data', data=[1., 2.], maxshape=(None,)); f.swmr_mode = True; d.flush(); os._exit(0)"
        )
        subprocess.run([sys.executable, "-c", program, str(tmp_path / "killed.h5")], check=True)
        with pytest.raises(UserError, match="did not close it"):
            read_strain(tmp_path / "killed.h5")

    def test_truncated_and_foreign_files(self, tmp_path: Path) -> None:
        whole = write(tmp_path / "x.h5", noise(64), delta_t=1 / RATE).read_bytes()
        (tmp_path / "cut.h5").write_bytes(whole[: len(whole) // 2])
        (tmp_path / "text.h5").write_text("no strain")
        with pytest.raises(UserError, match="it is truncated"):
            read_strain(tmp_path / "cut.h5")
        with pytest.raises(UserError, match="it is no HDF5 file"):
            read_strain(tmp_path / "text.h5")
