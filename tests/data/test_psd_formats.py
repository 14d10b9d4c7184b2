"""PSD files as other programs write them: pycbc, gwpy, LAL, PESummary, bilby, the catalogues, pandas, spreadsheets."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from gwbench.data.psd import check_name, psd_values
from gwbench.data.psd_files import read_psd
from gwbench.errors import UserError

Float = NDArray[np.float64]

F: Float = np.arange(0, 1024.5, 0.5, dtype=np.float64)
PSD: Float = 1e-46 * (1 + (60 / np.maximum(F, 5)) ** 8)


def same(path: Path, expected: Float = PSD, detector: str | None = None, part: str | None = None) -> None:
    """The file's PSD at its own frequencies."""
    frequencies, values = read_psd(path, detector, part)
    np.testing.assert_allclose(frequencies, F, rtol=1e-12)
    np.testing.assert_allclose(values, expected, rtol=1e-12)


# --- what programs write ---

GWPY = pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyPendingDeprecationWarning")


@pytest.mark.parametrize("name", ["psd.npy", "psd.hdf", "psd.txt", "psd.xml", "psd.xml.gz"])
def test_all_that_pycbc_saves(tmp_path: Path, name: str) -> None:
    from pycbc.types import FrequencySeries

    FrequencySeries(PSD, delta_f=0.5, epoch=1e9).save(str(tmp_path / name))
    same(tmp_path / name)


@GWPY
@pytest.mark.parametrize("name", ["psd.hdf5", "psd.txt", "psd.csv"])
@pytest.mark.parametrize("power", [1, 0.5])
def test_all_that_gwpy_writes_a_psd_or_an_asd(tmp_path: Path, name: str, power: float) -> None:
    from gwpy.frequencyseries import FrequencySeries

    series = FrequencySeries(PSD, df=0.5, f0=0, name="H1 psd", channel="H1:GDS-CALIB_STRAIN", unit="strain^2/Hz")
    options = {"path": "psd"} if name.endswith("hdf5") else {}
    (series**power).write(tmp_path / name, **options)
    same(tmp_path / name)


@GWPY
def test_a_cropped_series_begins_where_it_says(tmp_path: Path) -> None:
    from gwpy.frequencyseries import FrequencySeries

    FrequencySeries(PSD, df=0.5, f0=0, name="psd").crop(20, 512).write(tmp_path / "crop.hdf5")
    frequencies, values = read_psd(tmp_path / "crop.hdf5")
    np.testing.assert_allclose(frequencies, F[40:1024])
    np.testing.assert_allclose(values, PSD[40:1024])


@pytest.mark.parametrize("start", ["f0", "x0"])
def test_the_first_bin_is_not_always_at_zero(tmp_path: Path, start: str) -> None:
    with h5py.File(tmp_path / "psd.hdf", "w") as file:
        file["psd"] = PSD[40:]
        file["psd"].attrs.update({"delta_f": 0.5, start: 20.0})
    frequencies, values = read_psd(tmp_path / "psd.hdf")
    np.testing.assert_allclose(frequencies, F[40:])
    np.testing.assert_allclose(values, PSD[40:])


def write_lal(path: Path, **series: tuple[float, Float]) -> None:
    import lal
    import lal.series
    from igwn_ligolw import utils

    psds = {}
    for detector, (f0, values) in series.items():
        psds[detector] = lal.CreateREAL8FrequencySeries(
            "psd", lal.LIGOTimeGPS(1126259446), f0, 0.5, lal.Unit("strain^2 s"), len(values)
        )
        psds[detector].data.data = values
    utils.write_filename(lal.series.make_psd_xmldoc(psds), str(path))


def test_lal_xml_of_several_detectors(tmp_path: Path) -> None:
    write_lal(tmp_path / "psd.xml", H1=(0.0, PSD), L1=(0.0, 2 * PSD), V1=(20.0, 3 * PSD[40:]))
    same(tmp_path / "psd.xml", detector="H1")
    same(tmp_path / "psd.xml", 2 * PSD, detector="L1")
    frequencies, values = read_psd(tmp_path / "psd.xml", "V1")
    np.testing.assert_allclose(frequencies, F[40:])
    np.testing.assert_allclose(values, 3 * PSD[40:])
    with pytest.raises(UserError, match=r"found H1, L1, V1\. Choose one by its name after a #, such as psd\.xml#H1"):
        read_psd(tmp_path / "psd.xml")
    with pytest.raises(UserError, match=r"holds no PSD of K1: found H1, L1, V1"):
        read_psd(tmp_path / "psd.xml", "K1")


def test_pesummary_repeats_a_detectors_psd_for_every_analysis(tmp_path: Path) -> None:
    path = tmp_path / "GW190412.h5"
    with h5py.File(path, "w") as file:
        for analysis in ("C01:IMRPhenomXPHM", "C01:Mixed"):
            file[f"{analysis}/psds/H1"] = np.c_[F, PSD]
            file[f"{analysis}/psds/L1"] = np.c_[F, (2 if "Mixed" in analysis else 3) * PSD]
            file[f"{analysis}/calibration_envelope/H1"] = np.ones((20, 7))
            file[f"{analysis}/posterior_samples"] = np.zeros(5, [("mass_1", "f8"), ("mass_2", "f8")])
    same(path, detector="H1")
    with pytest.raises(UserError, match=r"exactly one.*found /C01:IMRPhenomXPHM/psds/L1, /C01:Mixed/psds/L1"):
        read_psd(path, "L1")
    same(path, 2 * PSD, "L1", "C01:Mixed")
    same(path, 3 * PSD, None, "C01:IMRPhenomXPHM/psds/L1")


@pytest.mark.parametrize("header", ["Freq (Hz)  H1 PSD  L1 PSD", "Frequency Hanford Livingston", "f, h1, l1"])
def test_columns_of_several_detectors(tmp_path: Path, header: str) -> None:
    np.savetxt(tmp_path / "three.dat", np.c_[F, PSD, 2 * PSD], header=header)
    same(tmp_path / "three.dat", detector="H1")
    same(tmp_path / "three.dat", 2 * PSD, detector="L1")
    same(tmp_path / "three.dat", 2 * PSD, "H1", "l1")


def test_columns_without_a_name_are_chosen_by_number(tmp_path: Path) -> None:
    np.savetxt(tmp_path / "three.dat", np.c_[F, PSD, 2 * PSD])
    with pytest.raises(UserError, match=r"line 1: .*expected two numbers.*such as # Hz H1 L1.*three\.dat#2"):
        read_psd(tmp_path / "three.dat", "H1")
    same(tmp_path / "three.dat", 2 * PSD, part="3")


def hdf5(**datasets: object) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with h5py.File(path, "w") as file:
            for name, value in datasets.items():
                file[name.replace("__", "/")] = value

    return write


TABLE = np.array(list(zip(F, PSD, strict=True)), [("frequency", "f8"), ("psd", "f8")])


@pytest.mark.parametrize(
    "write",
    [
        hdf5(H1=np.c_[F, PSD]),
        hdf5(H1=np.stack([F, PSD])),
        hdf5(frequencies=F, psd=PSD),
        hdf5(H1__frequency_array=F, H1__psd_array=PSD, H1__asd_array=PSD**0.5),
        hdf5(table=TABLE),
        hdf5(df=np.c_[F, PSD**0.5]),
    ],
)
def test_hdf5_with_frequencies_beside_the_values(tmp_path: Path, write: Callable[[Path], None]) -> None:
    write(tmp_path / "psd.h5")
    same(tmp_path / "psd.h5", detector="H1")


def test_a_spacing_that_the_file_gives_for_all(tmp_path: Path) -> None:
    hdf5(H1=PSD, L1=2 * PSD)(tmp_path / "psd.h5")
    with h5py.File(tmp_path / "psd.h5", "a") as file:
        file.attrs["delta_f"] = 0.5
    same(tmp_path / "psd.h5", 2 * PSD, "L1")
    same(tmp_path / "psd.h5", 2 * PSD, "l1")


def test_pycbcs_factor_of_dynamic_range_is_undone_where_the_file_says_it(tmp_path: Path) -> None:
    from pycbc import DYN_RANGE_FAC

    hdf5(H1__psds__0=PSD * DYN_RANGE_FAC**2)(tmp_path / "psd.h5")
    with h5py.File(tmp_path / "psd.h5", "a") as file:
        file.attrs["dynamic_range_factor"] = DYN_RANGE_FAC
        file["H1/psds/0"].attrs["delta_f"] = 0.5
    same(tmp_path / "psd.h5")


def test_links_within_the_folder_are_followed(tmp_path: Path) -> None:
    hdf5(raw__H1=np.c_[F, PSD], raw__aux=np.c_[F, 2 * PSD])(tmp_path / "raw.h5")
    with h5py.File(tmp_path / "raw.h5", "a") as file:
        file["best"] = h5py.SoftLink("/raw/H1")
    same(tmp_path / "raw.h5", part="best")
    with h5py.File(tmp_path / "all.h5", "w") as file:
        file["psd"] = h5py.ExternalLink("raw.h5", "/raw/H1")
    same(tmp_path / "all.h5")
    with h5py.File(tmp_path / "outside.h5", "w") as file:
        file["psd"] = h5py.ExternalLink("/etc/passwd", "/raw/H1")
    with pytest.raises(UserError, match=r"psd is a link to '/etc/passwd', out of the folder of the file"):
        read_psd(tmp_path / "outside.h5")


@pytest.mark.parametrize("arrays", [{"freq": F, "psd": PSD}, {"f": F, "H1": PSD}, {"psd": PSD, "delta_f": 0.5}])
def test_npz(tmp_path: Path, arrays: dict[str, Float]) -> None:
    np.savez(tmp_path / "psd.npz", **arrays)  # type: ignore[arg-type]
    same(tmp_path / "psd.npz")


@pytest.mark.parametrize("array", [np.c_[F, PSD], np.stack([F, PSD]), np.c_[F, PSD**0.5], TABLE])
def test_npy(tmp_path: Path, array: Float) -> None:
    np.save(tmp_path / "psd.npy", array)
    same(tmp_path / "psd.npy")


# --- text as people have it ---


def rows(line: str = "{} {}", values: Float = PSD) -> str:
    return "\n".join(line.format(f, v) for f, v in zip(F.tolist(), values.tolist(), strict=True))


TEXTS = {
    "header without a mark": "frequency psd\n" + rows(),
    "several lines of header": "O3 sensitivity\nmeasured 2019\n\nfrequency [Hz], ASD\n" + rows("{},{}", PSD**0.5),
    "comma": rows("{}, {}"),
    "tab": rows("{}\t{}"),
    "semicolon": "Hz;PSD\n" + rows("{};{}"),
    "windows": rows().replace("\n", "\r\n"),
    "byte order mark": "\ufeff" + rows(),
    "pandas index": ",frequency,psd\n" + "\n".join(f"{n},{f},{p}" for n, (f, p) in enumerate(zip(F, PSD, strict=True))),
    "reversed columns": "psd,frequency\n" + rows("{1},{0}"),
    "quotes": '"frequency","psd"\n' + rows('"{}","{}"'),
    "percent": "% frequency psd\n" + rows(),
    "psd beside asd": "f,asd,psd\n" + "\n".join(f"{f},{p**0.5},{p}" for f, p in zip(F, PSD, strict=True)),
    "decimal comma": "Hz;PSD\n" + rows("{};{}").replace(".", ","),
    "remarks behind": rows("{} {} # bin"),
    "fortran": rows().replace("e-", "D-"),
}


@pytest.mark.parametrize("what", TEXTS)
def test_text_as_programs_and_people_write_it(tmp_path: Path, what: str) -> None:
    (tmp_path / "psd.txt").write_bytes(TEXTS[what].encode())
    same(tmp_path / "psd.txt")


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_text_in_other_encodings(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "psd.txt").write_bytes(f"# Empfindlichkeit für H1\n{rows()}".encode(encoding))
    same(tmp_path / "psd.txt")


@pytest.mark.parametrize(("suffix", "module"), [(".gz", gzip), (".bz2", bz2), (".xz", lzma)])
def test_compressed_text(tmp_path: Path, suffix: str, module: object) -> None:
    content = module.compress(rows().encode())  # type: ignore[attr-defined]
    (tmp_path / f"psd.txt{suffix}").write_bytes(content)
    same(tmp_path / f"psd.txt{suffix}")
    (tmp_path / f"cut.txt{suffix}").write_bytes(content[:-200])
    with pytest.raises(UserError, match=r"cut\.txt.* cannot be read: it is truncated"):
        read_psd(tmp_path / f"cut.txt{suffix}")


@pytest.mark.parametrize("value", [0.0, np.inf, np.nan])
def test_ends_without_values_are_cut_off(tmp_path: Path, value: float) -> None:
    values = PSD.copy()
    values[:40] = values[-10:] = value
    for path in (tmp_path / "psd.txt", tmp_path / "psd.npy"):
        (np.savetxt if path.suffix == ".txt" else np.save)(path, np.c_[F, values])
        frequencies, found = read_psd(path)
        np.testing.assert_array_equal(frequencies, F[40:-10])
        np.testing.assert_allclose(found, PSD[40:-10])


# --- which detector ---


def test_a_dataset_takes_each_detectors_own_psd(tmp_path: Path) -> None:
    hdf5(psds__H1=np.c_[F, PSD], psds__L1=np.c_[F, 2 * PSD])(tmp_path / "psds.h5")
    name = str(tmp_path / "psds.h5")
    h1, l1 = (psd_values(name, 1024.0, 2048, detector=detector) for detector in ("H1", "L1"))
    np.testing.assert_allclose(h1[40:], PSD[40:1025])
    np.testing.assert_allclose(l1, 2 * h1)
    np.testing.assert_array_equal(psd_values(f"{name}#L1", 1024.0, 2048, detector="H1"), l1)
    check_name(f"{name}#h1")
    with pytest.raises(UserError, match=r"holds no PSD 'V1': found /psds/H1, /psds/L1"):
        check_name(f"{name}#V1")
    with pytest.raises(UserError, match=r"holds no PSD of V1"):
        check_name(name, "V1")


def test_one_psd_serves_for_any_detector(tmp_path: Path) -> None:
    hdf5(psds__H1=np.c_[F, PSD])(tmp_path / "psds.h5")
    same(tmp_path / "psds.h5", detector="V1")


def test_a_hash_in_a_files_name_is_no_mark(tmp_path: Path) -> None:
    (tmp_path / "psd#1.txt").write_text(rows())
    check_name(str(tmp_path / "psd#1.txt"))


# --- what is refused, and why ---


@pytest.mark.parametrize(
    ("attributes", "values", "message"),
    [
        ({"dx": 0.5, "xunit": "kHz"}, PSD, "bins of /psd are in 'kHz'; expected Hz"),
        ({"dx": 0.5, "unit": "m / Hz(1/2)"}, PSD**0.5, "its unit is 'm / Hz.*expected strain"),
        ({"dx": 0.5, "unit": "1 / Hz"}, PSD**0.5, "is that of a PSD, and its values .* are those of an ASD"),
        ({"dx": 0.5, "unit": "strain / Hz(1/2)"}, PSD, "is that of an ASD, and its values .* are those of a PSD"),
        ({"delta_f": 0.5, "f0": -1.0}, PSD, "begins at -1 Hz"),
        ({"dx": 1 / 4096, "xunit": "s"}, PSD, "found /psd .without delta_f"),
    ],
)
def test_hdf5_that_says_something_else(
    tmp_path: Path, attributes: dict[str, object], values: Float, message: str
) -> None:
    hdf5(psd=values)(tmp_path / "psd.h5")
    with h5py.File(tmp_path / "psd.h5", "a") as file:
        file["psd"].attrs.update(attributes)
    with pytest.raises(UserError, match=message):
        read_psd(tmp_path / "psd.h5")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x80\x04\x95", "a Python pickle, which is not loaded"),
        (b"IGWD\x00\x08", "a GWF frame"),
        (b"<?xml version='1.0'?><html/>", "XML without a frequency series"),
        (b"<?xml version='1.0'?><LIGO_LW>", "psd cannot be read"),
        (b"\x93NUMPY\x01\x00", "psd cannot be read"),
        (b"PK\x03\x04\x00", "psd cannot be read"),
        (b"<!DOCTYPE html><p>404", "line 1: .*expected two numbers"),
    ],
)
def test_what_is_another_format_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "psd").write_bytes(content)
    with pytest.raises(UserError, match=message) as raised:
        read_psd(tmp_path / "psd")
    assert str(raised.value).isprintable()


def test_pickled_objects_and_lies_about_sizes_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "objects.npy", np.array([{}, {}], object), allow_pickle=True)
    with pytest.raises(UserError, match="Python objects, which are not loaded"):
        read_psd(tmp_path / "objects.npy")
    content = bytearray()
    np.save(tmp_path / "psd.npy", np.c_[F, PSD])
    content[:] = (tmp_path / "psd.npy").read_bytes()
    (tmp_path / "psd.npy").write_bytes(content.replace(b"(2049, 2), } ", b"(99999999, 2), }"))
    with pytest.raises(UserError, match="truncated: it declares"):
        read_psd(tmp_path / "psd.npy")


def test_hdf5_that_declares_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "psd.h5", "w") as file:
        file.create_dataset("psd", (10**13,), "f8", chunks=(10**6,)).attrs["delta_f"] = 1e-9
    with pytest.raises(UserError, match=r"/psd holds 10,000,000,000,000 values, where at most"):
        read_psd(tmp_path / "psd.h5")


def test_values_in_other_files_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "psd.h5", "w") as file:
        dataset = file.create_dataset("psd", (8,), "f8", external=[("/etc/hostname", 0, 64)])
        dataset.attrs["delta_f"] = 0.5
    with pytest.raises(UserError, match="values of /psd are stored in another file"):
        read_psd(tmp_path / "psd.h5")


def test_deep_groups_and_loops_come_to_an_end(tmp_path: Path) -> None:
    hdf5(psd=np.c_[F, PSD])(tmp_path / "loop.h5")
    with h5py.File(tmp_path / "loop.h5", "a") as file:
        file["again"] = file["/"]
        group = file.create_group("a")
        for _ in range(500):
            group = group.create_group("a")
    with pytest.raises(UserError, match="groups are nested more than 64 deep"):
        read_psd(tmp_path / "loop.h5")
    with h5py.File(tmp_path / "loop.h5", "a") as file:
        del file["a"]
    same(tmp_path / "loop.h5")


def test_a_bomb_of_compressed_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "psd.txt.gz").write_bytes(gzip.compress(b" " * (80 * 2**20), 9))
    with pytest.raises(UserError, match="over 64 MiB"):
        read_psd(tmp_path / "psd.txt.gz")


def test_entities_of_xml_are_not_expanded(tmp_path: Path) -> None:
    levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    (tmp_path / "bomb.xml").write_text(f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e0 "ha">{levels}]><x>&e11;</x>')
    with pytest.raises(UserError, match=r"bomb\.xml"):
        read_psd(tmp_path / "bomb.xml")


@pytest.mark.parametrize("name", ["x" * 5000 + ".txt", "~nobody-here/psd.txt", "psd\0.txt"])
def test_odd_paths_are_one_message(name: str) -> None:
    with pytest.raises(UserError, match=r"PSD file|there is no user 'nobody-here'"):
        check_name(name)
