"""Links, storage elsewhere, and what a small file declares."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from gwbench.data.strain_files.reading import read_strain
from gwbench.errors import UserError

RATE = 256
SAYS = {"delta_t": 1 / RATE, "start_time": 1e9, "detector": "H1"}
STRAIN = np.random.default_rng(0).normal(scale=1e-21, size=4 * RATE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a strain file in it, and one beside it."""
    folder = tmp_path / "given"
    folder.mkdir()
    for path in (folder / "strain.h5", tmp_path / "outside.h5"):
        with h5py.File(path, "w") as file:
            file.create_dataset("data", data=STRAIN).attrs.update(SAYS)
    return folder


def external(path: Path, target: str, name: str = "/data") -> Path:
    with h5py.File(path, "w") as file:
        file["data"] = h5py.ExternalLink(target, name)
    return path


def virtual(path: Path, target: str) -> Path:
    layout = h5py.VirtualLayout(STRAIN.shape, "f8")
    layout[:] = h5py.VirtualSource(target, "data", shape=STRAIN.shape)
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("data", layout).attrs.update(SAYS)
    return path


def test_soft_links_are_followed_by_name_and_without(folder: Path) -> None:
    with h5py.File(folder / "x.h5", "w") as file:
        for name in ("raw/H1", "raw/aux"):
            file.create_dataset(name, data=STRAIN).attrs.update(SAYS)
        file["strain"] = h5py.SoftLink("/raw/H1")
        file["gone"] = h5py.SoftLink("/nowhere")
    for channels in ((), ("strain",), ("raw/H1", "strain"), ("H1",)):
        np.testing.assert_array_equal(read_strain(folder / "x.h5", channels).strain, STRAIN)
    with pytest.raises(UserError, match="gone is a link to /nowhere, which is not there"):
        read_strain(folder / "x.h5", ("gone",))


@pytest.mark.parametrize("make", [external, virtual])
def test_other_files_are_read_within_the_folder_alone(folder: Path, make: Any) -> None:
    np.testing.assert_array_equal(read_strain(make(folder / "master.h5", "strain.h5")).strain, STRAIN)
    (folder / "symbolic.h5").symlink_to("../outside.h5")
    os.mkfifo(folder / "pipe")
    for target in ("../outside.h5", str(folder.parent / "outside.h5"), "symbolic.h5", "/etc/passwd"):
        with pytest.raises(UserError, match="out of the folder of the file"):
            read_strain(make(folder / "bad.h5", target))
    for target in ("gone.h5", "pipe"):
        with pytest.raises(UserError, match="which is not there"):
            read_strain(make(folder / "bad.h5", target))


def test_a_soft_link_through_an_external_one_leads_out_no_more(folder: Path) -> None:
    with h5py.File(folder / "x.h5", "w") as file:
        file["there"] = h5py.ExternalLink("../outside.h5", "/")
        file["data"] = h5py.SoftLink("/there/data")
    for channels in ((), ("data",), ("there/data",)):
        with pytest.raises(UserError, match="out of the folder of the file"):
            read_strain(folder / "x.h5", channels)


@pytest.mark.parametrize("kind", ["file", "pipe"])
def test_external_storage_is_refused(folder: Path, kind: str) -> None:
    target = folder / "raw"
    if kind == "pipe":
        os.mkfifo(target)
    else:
        target.write_bytes(STRAIN.tobytes())
    with h5py.File(folder / "x.h5", "w") as file:
        data = file.create_dataset("data", shape=STRAIN.shape, dtype="f8", external=[(str(target), 0, STRAIN.nbytes)])
        data.attrs.update(SAYS)
    with pytest.raises(UserError, match="external storage"):
        read_strain(folder / "x.h5")
    with pytest.raises(UserError, match="external storage"):
        read_strain(virtual(folder / "virtual.h5", "x.h5"))


def test_loops_and_nesting_end(folder: Path) -> None:
    with h5py.File(folder / "loop.h5", "w") as file:
        group = file.create_group("g")
        group["again"], group["up"], file["soft"] = group, h5py.SoftLink("/"), h5py.SoftLink("/soft")
        file["self"] = h5py.ExternalLink("loop.h5", "/self")
        file.create_dataset("H1", data=STRAIN).attrs.update(SAYS)
    for channels in ((), ("g/again/again/up/H1",)):
        np.testing.assert_array_equal(read_strain(folder / "loop.h5", channels).strain, STRAIN)
    with pytest.raises(UserError, match="soft is a link that leads to itself"):
        read_strain(folder / "loop.h5", ("soft",))
    with h5py.File(folder / "deep.h5", "w") as file:
        here: Any = file
        for _ in range(4000):
            here = here.create_group("g")
    with pytest.raises(UserError, match="nested more than 64 deep"):
        read_strain(folder / "deep.h5")


def test_more_than_is_stored_is_refused(folder: Path) -> None:
    with h5py.File(folder / "big.h5", "w") as file:
        data = file.create_dataset("data", shape=(650_000_000,), dtype="f8", chunks=(2**17,), compression="gzip")
        data.attrs.update(SAYS)
    assert (folder / "big.h5").stat().st_size < 50_000
    with pytest.raises(UserError, match=r"declares 4,959 MiB, of which 0\.000 MiB are stored"):
        read_strain(folder / "big.h5")


def gwosc(path: Path, **quality: Any) -> Path:
    with h5py.File(path, "w") as file:
        file.create_dataset("strain/Strain", data=STRAIN).attrs.update({"Xspacing": 1 / RATE, "Xstart": 1000})
        for name, values in quality.items():
            if values is None:
                file.create_group(f"quality/simple/{name}")
            elif isinstance(values, int):
                place = f"quality/simple/{name}"
                file.create_dataset(place, shape=(values,), dtype="u4", chunks=(2**17,), compression="gzip")
            else:
                file[f"quality/simple/{name}"] = values
    return path


ALL = np.full(4, 127, np.uint32)


@pytest.mark.parametrize(
    ("quality", "message"),
    [
        ({"DQmask": 10**9}, "holds 1,000,000,000 values, where at most 1,024 fit"),
        ({"DQmask": None}, "is a group"),
        ({"DQmask": np.array([b"a"] * 4)}, r"has shape \(4,\) and type"),
        ({"DQmask": np.float64(5)}, r"has shape \(\)"),
        ({"DQmask": ALL, "DQShortnames": np.arange(4)}, "is no list of names"),
        ({"DQmask": ALL, "DQShortnames": None}, "is no list of names"),
        ({"DQmask": ALL, "DQShortnames": b"DATA"}, "is no list of names"),
        ({"DQmask": ALL, "DQShortnames": np.array([b"n%d" % bit for bit in range(70)])}, "names 70 bits"),
    ],
)
def test_masks_of_odd_types_are_one_message(folder: Path, quality: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=rf"quality/simple/DQ\w+ {message}"):
        read_strain(gwosc(folder / "x.hdf5", **quality))


@pytest.mark.parametrize(
    ("mask", "seconds"),
    [(np.full(4, 2**64 - 1, np.uint64), 4.0), (np.full(4, -1), 4.0), (np.array([127, np.nan, -1, 1e300]), 1.0)],
)
def test_masks_of_odd_values_are_read(folder: Path, mask: Any, seconds: float) -> None:
    file = read_strain(gwosc(folder / "x.hdf5", DQmask=mask))
    assert (file.good_seconds, file.quality) == (seconds, ("quality/simple/DQmask",))


def test_a_64th_bit_counts(folder: Path) -> None:
    names = np.array([b"n%d" % bit for bit in range(63)] + [b"DATA"])
    mask = np.array([2**63, 0, 2**63, 1], np.uint64)
    assert read_strain(gwosc(folder / "x.hdf5", DQmask=mask, DQShortnames=names)).good_seconds == 2
