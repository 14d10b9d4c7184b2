"""PSDs against pycbc's, and their interpolation against curves with a closed form."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray
from pycbc.psd import from_string, from_txt, get_psd_model_list

from gwbench.data.psd import CURATED, check_name, default_psd, psd_files, psd_values, read_psd, resample_psd
from gwbench.errors import UserError

Float = NDArray[np.float64]


@pytest.mark.parametrize("name", sorted({name for names in CURATED.values() for name in names}))
def test_curated_psds_are_pycbcs(name: str) -> None:
    assert name in get_psd_model_list()
    expected = from_string(name, 8194, 0.125, 10.0).numpy()[:8193]
    found = psd_values(name, 2048.0, 16384)
    assert found.shape == (8193,)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert not found[:80].any()
    assert (found[80:] > 0).all()


def test_the_cutoff_masks() -> None:
    psd = psd_values("AdvVirgo", 2048.0, 4096, f_low=20.0)
    assert not psd[:40].any()
    assert psd[40] > 0


def test_psds_cannot_be_changed_by_accident() -> None:
    with pytest.raises(ValueError, match="read-only"):
        psd_values("AdvVirgo", 2048.0, 4096)[0] = 1.0


def test_unknown_names_are_explained() -> None:
    with pytest.raises(UserError, match=r"'AdVirgo'.*Did you mean 'AdvVirgo'"):
        psd_values("AdVirgo", 2048.0, 4096)
    with pytest.raises(UserError, match="Did you mean 'aLIGOThermal'"):
        check_name("aLIGOThermla")
    with pytest.raises(UserError, match=r"'h1'.*Did you mean 'H1'"):
        default_psd("h1")


def test_every_detector_has_a_default() -> None:
    assert default_psd("H1") == "aLIGODesignSensitivityT1800044"
    assert all(default_psd(detector) == names[0] for detector, names in CURATED.items())


def test_exponentials_interpolate_exactly() -> None:
    coarse = np.exp(-0.01 * np.arange(513) * 2.0) * 1e-46
    fine = resample_psd(np.stack([coarse, 2 * coarse]), 2.0, 0.125, 8193)
    expected = np.exp(-0.01 * np.arange(8193) * 0.125) * 1e-46
    np.testing.assert_allclose(fine, [expected, 2 * expected], rtol=1e-12)


def test_a_shared_grid_is_left_alone() -> None:
    psd = psd_values("aLIGOZeroDetHighPower", 2048.0, 16384)
    np.testing.assert_allclose(resample_psd(psd, 0.125, 0.125, 8193), psd, rtol=1e-12)
    np.testing.assert_allclose(resample_psd(psd, 0.125, 0.25, 4097), psd[::2], rtol=1e-12)
    np.testing.assert_allclose(resample_psd(psd, 0.1, 0.3, 2000), psd[:6000:3], rtol=1e-12)


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf, -1.0])
def test_masked_bins_spread_to_the_neighbouring_interval_only(bad: float) -> None:
    psd = np.ones(6)
    psd[3] = bad
    found = resample_psd(psd, 1.0, 0.5, 14)
    assert found.tolist() == [1, 1, 1, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0, 0]


# --- files ---------------------------------------------------------------------------------------------------

FREQUENCIES: Float = np.arange(8.0, 1024.5, 0.5, dtype=np.float64)
PSD: Float = 1e-46 * ((FREQUENCIES / 60.0) ** -4.0 + 1 + (FREQUENCIES / 300.0) ** 2)


def write_text(path: Path, frequencies: Float, values: Float, delimiter: str = " ") -> str:
    rows = [f"{f!r}{delimiter}{v!r}" for f, v in zip(frequencies.tolist(), values.tolist(), strict=True)]
    path.write_text("# frequency, value\n" + "\n".join(rows) + "\n\n")
    return str(path)


def write_hdf5(path: Path, values: Float, name: str = "data", **attributes: object) -> str:
    with h5py.File(path, "a") as file:
        file[name] = values
        file[name].attrs.update(attributes)
    return str(path)


@pytest.mark.parametrize(("power", "delimiter"), [(1.0, " "), (1.0, ","), (0.5, "\t"), (0.5, " , ")])
def test_text_files_hold_a_psd_or_an_asd_as_pycbc_reads_them(tmp_path: Path, power: float, delimiter: str) -> None:
    path = write_text(tmp_path / "curve.txt", FREQUENCIES, PSD**power, delimiter)
    frequencies, values = read_psd(path)
    np.testing.assert_array_equal(frequencies, FREQUENCIES)
    np.testing.assert_allclose(values, PSD, rtol=1e-12)
    found = psd_values(path, 2048.0, 16384)
    peers = write_text(tmp_path / "peer.txt", FREQUENCIES, PSD**power)
    expected = from_txt(peers, 8193, 0.125, 10.0, is_asd_file=power == 0.5).numpy()
    assert not found[:80].any()
    # pycbc interpolates in the logarithm of the frequency too, which differs between the file's points only.
    np.testing.assert_allclose(found[80::4], expected[80::4], rtol=1e-9)
    np.testing.assert_allclose(found[80:], expected[80:], rtol=2e-3)


def test_hdf5_files_are_what_pycbc_saves(tmp_path: Path) -> None:
    saved = from_string("aLIGOZeroDetHighPower", 4097, 0.25, 10.0)
    saved.save(str(tmp_path / "psd.hdf"), group="H1/psds/0")
    found = psd_values(str(tmp_path / "psd.hdf"), 2048.0, 16384)
    # pycbc leaves the last bin at zero, which is how a PSD says that it has no value there.
    np.testing.assert_allclose(found[80:-2:2], saved.numpy()[40:-1], rtol=1e-12)
    np.testing.assert_allclose(found[81:-3:2], np.sqrt(saved.numpy()[40:-2] * saved.numpy()[41:-1]), rtol=1e-12)
    assert not found[:80].any() and not found[-2:].any()


@pytest.mark.parametrize("detector", ["H1", "L1"])
def test_measured_psds_of_o3a_come_out_as_stored(test_data: Path, detector: str) -> None:
    files = sorted((test_data / "o3a-psds" / detector).glob("*.hdf"))
    assert len(files) == 20
    for path in files[::5]:
        with h5py.File(path) as file:
            stored = file["data"][()]
        frequencies, values = read_psd(path)
        np.testing.assert_array_equal(frequencies, np.arange(1025))
        np.testing.assert_array_equal(values, stored)
        found = psd_values(str(path), 2048.0, 2048)
        np.testing.assert_allclose(found[10:], stored[10:], rtol=1e-12)
        assert not found[:10].any()
        np.testing.assert_allclose(psd_values(str(path), 2048.0, 16384), resample_masked(stored), rtol=1e-9)


def resample_masked(stored: Float) -> Float:
    fine = resample_psd(stored, 1.0, 0.125, 8193)
    fine[:80] = 0
    return fine


def test_uneven_frequencies_interpolate_in_the_logarithm(tmp_path: Path) -> None:
    uneven = np.array([1.0, 10.0, 11.0, 30.0, 200.0, 300.5, 700.0])
    path = write_text(tmp_path / "curve.dat", uneven, 1e-44 * np.exp(-0.01 * uneven))
    found = psd_values(path, 2048.0, 4096)
    grid = np.arange(2049) * 0.5
    inside = (grid >= 10) & (grid <= 700)
    np.testing.assert_allclose(found[inside], 1e-44 * np.exp(-0.01 * grid[inside]), rtol=1e-12)
    assert not found[~inside].any()


def test_what_a_file_says_below_ten_hertz_does_no_harm(tmp_path: Path) -> None:
    values = 1e-46 * np.ones(1025)
    values[:9] = [np.inf, 0.0, -1.0, np.nan, 1.0, 0.0, 1e-46, np.nan, 0.0]
    frequencies, found = read_psd(write_hdf5(tmp_path / "psd.h5", values, delta_f=1.0))
    assert frequencies[0] == 9
    assert (found == 1e-46).all()


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    path = write_text(tmp_path / "curve.txt", FREQUENCIES, PSD)
    before = psd_values(path, 2048.0, 4096)
    assert psd_values(path, 2048.0, 4096) is before
    write_text(tmp_path / "curve.txt", FREQUENCIES, 4 * PSD)
    os.utime(path, ns=(1, 1))
    np.testing.assert_allclose(psd_values(path, 2048.0, 4096), 4 * before, rtol=1e-12)


def test_paths_are_told_from_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("bare", "AdvVirgo"):
        write_text(tmp_path / name, FREQUENCIES, PSD)
    names = ["AdvVirgo", "bare", "./AdvVirgo", "missing.txt", "aLIGOThermal", "bear"]
    assert psd_files(names) == [Path("bare"), Path("AdvVirgo"), Path("missing.txt")]
    check_name("bare")
    np.testing.assert_array_equal(psd_values("AdvVirgo", 2048.0, 4096), psd_values("AdvVirgo", 2048.0, 4096, 10.0))
    assert not np.array_equal(psd_values("AdvVirgo", 2048.0, 4096), psd_values("./AdvVirgo", 2048.0, 4096))


def test_a_missing_file_and_an_unknown_name_say_both_that_could_be_meant(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no PSD file .*psd\.txt.*design curve such as AdvVirgo"):
        check_name(str(tmp_path / "psd.txt"))
    with pytest.raises(UserError, match=r"Unknown PSD 'psd'.*path of a PSD file"):
        check_name("psd")
    with pytest.raises(UserError, match="a folder, not a file"):
        check_name(str(tmp_path))


BAD_TEXT = {
    "nothing": ("", "covers nothing"),
    "only remarks": ("# 10 1e-46\n", "covers nothing"),
    "one column": ("10\n20\n", r"line 1: '10'; expected two numbers"),
    "three columns": ("# f asd\n10 1e-23 1e-23\n", "line 2: .*expected two numbers"),
    "a header": ("frequency,asd\n10,1e-23\n", "covers 10 to 10 Hz"),
    "no number in any line": ("frequency,asd\nten,1e-23\n", "line 1: .*Put # before remarks"),
    "a remark among numbers": ("10,1e-23\nfrequency,asd\n", "line 2: .*Put # before remarks"),
    "words": ("10 1e-23\n20 loud\n", "line 2"),
    "a frequency twice": ("10 1e-23\n20 1e-23\n20 1e-23\n", "line 3: frequency 20 Hz after 20 Hz"),
    "frequencies that fall": ("20 1e-23\n10 1e-23\n", "line 2: frequency 10 Hz after 20 Hz"),
    "a negative frequency": ("-1 1e-23\n10 1e-23\n", "line 1: frequency -1 Hz"),
    "no number for a frequency": ("10 1e-23\nnan 1e-23\n", "line 2: frequency nan Hz"),
    "an infinite frequency": ("10 1e-23\ninf 1e-23\n", "line 2: frequency inf Hz"),
    "a late start": ("25 1e-23\n1000 1e-23\n", "covers 25 to 1000 Hz.*expected values from 20 Hz"),
    "an early end": ("5 1e-23\n200 1e-23\n", "covers 200 to 200 Hz"),
    "another unit": ("5 1e-5\n15 1e-5\n1000 1e-5\n", "median value is 1e-05.*DYN_RANGE_FAC"),
    "a tiny unit": ("5 1e-60\n15 1e-60\n1000 1e-60\n", "median value is 1e-60"),
}


@pytest.mark.parametrize("what", BAD_TEXT)
def test_bad_text_is_explained(tmp_path: Path, what: str) -> None:
    content, message = BAD_TEXT[what]
    path = tmp_path / "curve.txt"
    path.write_text(content)
    with pytest.raises(UserError, match=rf"curve\.txt.*{message}"):
        check_name(str(path))


@pytest.mark.parametrize("value", [0.0, -1e-46, np.nan, np.inf])
def test_useless_values_in_the_band_are_named_with_their_place(tmp_path: Path, value: float) -> None:
    values = PSD.copy()
    values[100:103] = value
    with pytest.raises(UserError, match=rf"line 102 \(58 Hz\): {value:g}, the first of 3"):
        check_name(write_text(tmp_path / "curve.txt", FREQUENCIES, values))
    values = 1e-46 * np.ones(1025)
    values[400] = value
    with pytest.raises(UserError, match=rf"bin 400 \(400 Hz\): {value:g}, the first of 1"):
        check_name(write_hdf5(tmp_path / "psd.hdf5", values, delta_f=1.0))


def test_what_is_no_text_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "curve.txt"
    path.write_bytes(b"\x89PNG\r\n\x1a\n\xff\xfe")
    with pytest.raises(UserError, match=r"not text.*\.hdf"):
        check_name(str(path))


def test_bad_hdf5_is_explained(tmp_path: Path) -> None:
    whole = Path(write_hdf5(tmp_path / "whole.hdf", 1e-46 * np.ones(1025), delta_f=1.0))
    truncated = tmp_path / "truncated.hdf"
    truncated.write_bytes(whole.read_bytes()[:-1000])
    with pytest.raises(UserError, match=r"truncated\.hdf cannot be read"):
        check_name(str(truncated))
    text = write_text(tmp_path / "text.h5", FREQUENCIES, PSD)
    with pytest.raises(UserError, match="not HDF5"):
        check_name(text)
    with pytest.raises(UserError, match=r"attribute delta_f.*found /data \(without delta_f\)"):
        check_name(write_hdf5(tmp_path / "bare.hdf", PSD))
    with pytest.raises(UserError, match="no such dataset"):
        check_name(write_hdf5(tmp_path / "flat.hdf", np.ones((2, 1025)), delta_f=1.0))
    for number, wrong in enumerate((0.0, -1.0, np.nan, np.inf, "wide", [1.0, 2.0])):
        with pytest.raises(UserError, match=r"/data has delta_f="):
            check_name(write_hdf5(tmp_path / f"wrong{number}.hdf", 1e-46 * np.ones(1025), delta_f=wrong))
    write_hdf5(tmp_path / "two.hdf", 1e-46 * np.ones(1025), "H1", delta_f=1.0)
    with pytest.raises(UserError, match=r"exactly one.*found /H1 \(with delta_f\), /L1 \(with delta_f\)"):
        check_name(write_hdf5(tmp_path / "two.hdf", 1e-46 * np.ones(1025), "L1", delta_f=1.0))
