"""Strain as text, as a NumPy array and as LIGO_LW XML, written by the programs that people use."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gwbench.data.strain_files.reading import read_strain, read_strain_series, strain_detectors
from gwbench.errors import UserError

pytestmark = [
    pytest.mark.filterwarnings("ignore:COPY_IF_NEEDED is no longer needed:PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:pycbc"),
]

RATE, GPS = 4096, 1126259446
STRAIN = np.random.default_rng(0).normal(scale=1e-21, size=2 * RATE)


@pytest.mark.parametrize("suffix", [".txt", ".txt.gz"])
def test_gwoscs_text_says_rate_and_start_in_its_remarks(tmp_path: Path, suffix: str) -> None:
    remarks = [
        "# Gravitational wave strain for GW150914 for L1 (see http://losc.ligo.org)",
        "# This file has 4096 samples per second",
        f"# starting GPS {GPS} duration 2",
    ]
    text = "\n".join([*remarks, *map(repr, STRAIN.tolist())]) + "\n"
    path = tmp_path / f"strain{suffix}"
    path.write_bytes(gzip.compress(text.encode()) if suffix.endswith("gz") else text.encode())
    file = read_strain(path)
    assert (file.detector, file.gps_start, file.sample_rate) == ("L1", GPS, RATE)
    np.testing.assert_array_equal(file.strain, STRAIN)


@pytest.mark.parametrize("suffix", ["txt", "csv"])
def test_gwpys_text_has_two_columns(tmp_path: Path, suffix: str) -> None:
    from gwpy.timeseries import TimeSeries

    path = tmp_path / f"H-H1_X-{GPS}-2.{suffix}"
    TimeSeries(STRAIN, t0=GPS, sample_rate=RATE).write(str(path))
    file = read_strain(path)
    assert (file.detector, file.gps_start, file.sample_rate) == ("H1", GPS, RATE)
    np.testing.assert_allclose(file.strain, STRAIN, rtol=1e-12)


@pytest.mark.parametrize("suffix", ["txt", "npy"])
def test_pycbcs_table_of_time_and_strain(tmp_path: Path, suffix: str) -> None:
    from pycbc.types import TimeSeries

    path = tmp_path / f"V1.{suffix}"
    TimeSeries(STRAIN, delta_t=1 / RATE, epoch=GPS).save(str(path))
    file = read_strain(path)
    assert (file.detector, file.gps_start, file.sample_rate) == ("V1", GPS, RATE)
    np.testing.assert_allclose(file.strain, STRAIN, rtol=1e-12)


def test_times_from_zero_do_not_say_when(tmp_path: Path) -> None:
    np.savetxt(tmp_path / "x.txt", np.c_[np.arange(64) / 16, np.ones(64)])
    file = read_strain(tmp_path / "x.txt")
    assert (file.gps_start, file.sample_rate, file.detector) == (None, 16, None)


def write_xml(path: Path, series: dict[str, Any], compress: bool = False) -> Path:
    import lal
    import lal.series
    from igwn_ligolw import ligolw, utils

    document = ligolw.Document()
    root = document.appendChild(ligolw.LIGO_LW())
    for name, values in series.items():
        made = lal.CreateREAL8TimeSeries(name, lal.LIGOTimeGPS(GPS), 0.0, 1 / RATE, lal.Unit("strain"), len(values))
        made.data.data = values
        root.appendChild(lal.series.build_REAL8TimeSeries(made))
    utils.write_filename(document, str(path), compress="gz" if compress else None)
    return path


@pytest.mark.parametrize("compress", [False, True])
def test_lals_xml_holds_series_of_several_detectors(tmp_path: Path, compress: bool) -> None:
    path = write_xml(
        tmp_path / ("x.xml.gz" if compress else "x.xml"), {"H1:STRAIN": STRAIN, "L1:STRAIN": -STRAIN}, compress
    )
    first, second = read_strain_series(path)
    assert [first.detector, second.detector] == ["H1", "L1"] == strain_detectors(path)
    assert (first.gps_start, first.sample_rate) == (GPS, RATE)
    np.testing.assert_allclose(second.strain, -STRAIN, rtol=1e-12)
    (only,) = read_strain_series(path, ("L1",))
    assert only.detector == "L1"
    with pytest.raises(UserError, match="without the series asked for"):
        read_strain_series(path, ("V1",))


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"1e-21\n2e-21\n", "one column and no sample rate"),
        (b"# a\n" * 60, "its first 50 lines hold no number"),
        (b"# nothing\n", "it holds no number"),
        (b"0 1\n1 2\n5 3\n", "not evenly spaced"),
        (b"3 1\n2 2\n1 3\n", "no time that increases"),
        (b"0 1 1\n1 2 1\n", "expected two columns"),
        (b"0 1\n1 2 3\n", "no table of strain"),
        (b"\xff\xfe\x00", "no table of strain"),
        (gzip.compress(b"0 1\n1 2\n" * 999, mtime=0)[:-30], "breaks off"),
        (gzip.compress(bytes(3 * 2**30 // 2), 1, mtime=0)[: 2**20], "breaks off|more memory"),
        (b"<xml", "LIGO_LW"),
        (b"<?xml version='1.0'?><LIGO_LW></LIGO_LW>", "XML without a time series"),
    ],
)
def test_what_is_no_table_of_strain_is_named(tmp_path: Path, content: bytes, cause: str) -> None:
    path = tmp_path / ("x.xml" if content.startswith(b"<") else "x.txt.gz" if content[:1] == b"\x1f" else "x.txt")
    path.write_bytes(content)
    with pytest.raises(UserError, match=cause):
        read_strain(path)


def test_a_format_is_told_by_how_a_file_begins(tmp_path: Path) -> None:
    import h5py

    with h5py.File(tmp_path / "H1.txt", "w") as file:
        dataset = file.create_dataset("data", data=STRAIN)
        dataset.attrs.update(delta_t=1 / RATE, start_time=GPS)
    assert read_strain(tmp_path / "H1.txt").detector == "H1"
