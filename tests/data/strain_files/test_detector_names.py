"""Which detector a text or a file's name is of."""

from __future__ import annotations

from pathlib import Path

import pytest

from gwbench.data.strain_files.detector_names import detector_named, detector_of_file, detector_of_path


@pytest.mark.parametrize(
    ("text", "detector"),
    [
        ("h1", "H1"), (" L1 ", "L1"), ("V1:Hrec_hoft", "V1"), ("LIGO Livingston", "L1"), ("LHO_4k", "H1"),
        ("LHO_2k", "H2"), ("H", "H1"), ("Virgo", "V1"), ("KAGRA", "K1"), ("GEO_600", "G1"), ("E1", "E1"),
        ("H1L1", None), ("LIGO", None), ("", None), ("Hanford and Livingston", None), ("DARM", None),
    ],
)  # fmt: skip
def test_attributes(text: str, detector: str | None) -> None:
    assert detector_named(text) == detector


@pytest.mark.parametrize(
    ("name", "detector"),
    [
        ("H-H1_LOSC_4_V1-815411200-4096.hdf5", "H1"), ("H1.hdf", "H1"), ("L1_O3a.h5", "L1"), ("h1.h5", "H1"),
        ("noise-V1-1000-64.h5", "V1"), ("strain_v1.h5", None), ("H1_L1.h5", None), ("H1L1.h5", None),
        ("noise.h5", None), ("run2_H1.hdf", "H1"),
    ],
)  # fmt: skip
def test_files(name: str, detector: str | None) -> None:
    assert detector_of_file(Path("L1") / name) == detector


def test_datasets_and_groups() -> None:
    assert detector_of_path(["H1"]) == "H1"
    assert detector_of_path(["1000000000", "l1"]) == "L1"
    assert detector_of_path(["strain_h1", "data"]) == "H1"
    assert detector_of_path(["H1:GDS-CALIB_STRAIN"]) == "H1"
    assert detector_of_path(["Strain", "strain"]) is None
