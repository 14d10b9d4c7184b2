"""Approximants whose data files are missing say which, and where they are published."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gwbench.errors import UserError
from gwbench.simulation.waveforms import polarizations

ANGLES = {"inclination": np.array([0.3]), "phase": np.array([0.0])}


def message(approximant: str, mass_1: float = 36.0, mass_2: float = 29.0) -> str:
    params = {"mass_1": np.array([mass_1]), "mass_2": np.array([mass_2]), **ANGLES}
    with pytest.raises(UserError) as raised:
        polarizations(params, approximant=approximant, delta_f=0.25, f_final=1024)
    return str(raised.value)


@pytest.mark.parametrize(
    ("approximant", "file", "published"),
    [
        ("SEOBNRv4_ROM", "SEOBNRv4ROM_v3.0.hdf5", "https://zenodo.org/records/14999310"),
        ("SEOBNRv1_ROM_EffectiveSpin", "SEOBNRv1ROM_SS_Phase_ciall.dat", "https://git.ligo.org/lscsoft/lalsuite-extra"),
        ("NRSur7dq4", "NRSur7dq4_v1.0.h5", "https://zenodo.org/records/14999310"),
    ],
)
def test_the_file_and_where_it_is_published_are_named(
    approximant: str, file: str, published: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("LAL_DATA_PATH", raising=False)
    said = message(approximant)
    assert f"{approximant} needs the data file {file}, which LAL finds in no folder" in said
    assert "LAL_DATA_PATH is not set" in said
    assert published in said
    assert capfd.readouterr() == ("", "")
    assert message(approximant) == said, "LAL looks for some files only once"


def test_a_folder_without_the_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAL_DATA_PATH", str(tmp_path))
    assert f"in no folder of LAL_DATA_PATH ({tmp_path})" in message("SEOBNRv4HM_ROM")


def test_data_without_a_name_are_missing_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAL_DATA_PATH", raising=False)
    assert "EOBNRv2_ROM needs data files, which LAL finds in no folder" in message("EOBNRv2_ROM")


def test_other_refusals_stay_what_they_are() -> None:
    assert "IMRPhenomD gives no waveform for masses 3600 and 0.29" in message("IMRPhenomD", 3600.0, 0.29)
