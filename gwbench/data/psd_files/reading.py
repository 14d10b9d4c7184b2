"""A PSD out of a file of any format that is known by its content."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
from pathlib import Path
from typing import Any

from gwbench.data.hdf5_files import SUFFIXES, is_hdf5
from gwbench.data.psd_files import xml
from gwbench.data.psd_files.checks import checked
from gwbench.data.psd_files.hdf5 import read_hdf5
from gwbench.data.psd_files.numpy_files import read_npy, read_npz
from gwbench.data.psd_files.spectra import Float, Spectrum, chosen
from gwbench.data.psd_files.text import read_text
from gwbench.errors import UserError
from gwbench.utils.reader_process import read_in_process
from gwbench.utils.untrusted_files import MIB, file_size, guarded

WHAT = "PSD file"

MOST_BYTES = 64 * MIB
"""Of a file that is not HDF5, after decompression."""

COMPRESSED = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
"""By what a compressed file begins with."""

NPY, ZIP = b"\x93NUMPY", b"PK\x03\x04"

OTHERS = {
    b"IGWD": "a GWF frame, which holds strain rather than a PSD",
    b"\x80": "a Python pickle, which is not loaded, because it can run code",
    b"MATLAB": "a MATLAB file",
    b"SIMPLE  =": "a FITS file",
    b"%PDF": "a PDF document",
    b"\x28\xb5\x2f\xfd": "compressed by zstd",
}
"""What else files begin with."""


def read_psd(path: str | Path, detector: str | None = None, part: str | None = None) -> tuple[Float, Float]:
    """A one-sided PSD out of a file, which is known by its content.

    - Text: columns of frequency in Hz and PSD in 1/Hz or ASD in 1/sqrt(Hz), as `read_text` has them.
    - NumPy: .npy of [N, 2] or named columns, .npz of such or of named arrays.
    - HDF5: as `read_hdf5` has it: pycbc, gwpy, bilby, PESummary and others.
    - LIGO_LW XML of LAL and pycbc.

    Text, NumPy and XML may be compressed by gzip, bzip2 or xz. A PSD is told from an ASD by its magnitude: ASDs of
    ground-based detectors lie around 1e-23, PSDs around 1e-46, so values whose median above 10 Hz is over 1e-35 are
    taken for an ASD and squared.

    Args:
        path: the file.
        detector: whose PSD it is to be, where the file has several.
        part: which PSD of the file, by its detector or its name in the file.

    Returns:
        frequencies [F] in Hz, increasing, and the PSD [F] in 1/Hz.

    Raises:
        UserError: no file; a file that is not as above, or does not reach from 20 to 256 Hz; several PSDs that can be
            meant.
    """
    path = Path(path)
    try:
        here = path.exists()
    except OSError:
        here = True  # `file_size` says why it cannot be read
    if not here:
        raise UserError(
            f"There is no PSD file {path}: expected text of frequency and PSD or ASD, HDF5 with delta_f, .npy or .xml, "
            "or, without a slash or a dot, the name of a design curve such as AdvVirgo."
        )
    size = file_size(path, WHAT)
    with guarded(path, WHAT, "PSD file"):
        beginning = _beginning(path)
        hdf5 = is_hdf5(path)
    if hdf5:
        series = read_in_process(read_hdf5, path, detector, part, what=WHAT, kind="HDF5 file", modules=("h5py",))
        return checked(path, series)
    if path.suffix.lower() in SUFFIXES:
        raise UserError(
            f"The PSD file {path} is not HDF5, though its name says so. Mend its name, or name another file."
        )
    if size > MOST_BYTES:
        raise UserError(
            f"The PSD file {path} has {size / MIB:,.0f} MiB; {MOST_BYTES // MIB} MiB are read. Use a smaller one."
        )
    if any(map(beginning.startswith, COMPRESSED)) or _is_xml(beginning):
        kind = "compressed file" if not _is_xml(beginning) else "LIGO_LW XML"
        series = read_in_process(read_other, path, detector, part, what=WHAT, kind=kind, modules=xml.MODULES)
    else:
        with guarded(path, WHAT, "NumPy file" if beginning.startswith((NPY, ZIP)) else "text"):
            series = read_other(path, detector, part)
    return checked(path, series)


def read_other(path: Path, detector: str | None, part: str | None) -> Spectrum:
    """The PSD of a file that is not HDF5 that is meant. Raises `UserError`, and whatever a parser raises."""
    content = _content(path)
    for beginning, other in OTHERS.items():
        if content.startswith(beginning):
            raise UserError(f"The PSD file {path} is {other}. Convert it to text, .npy, HDF5 or XML.")
    if content.startswith(NPY):
        candidates = read_npy(path, content)
    elif content.startswith(ZIP):
        candidates = read_npz(path, content)
    elif _is_xml(content[:1024]):
        candidates = xml.read_xml(path, content)
    else:
        candidates = read_text(path, content, part)
    return chosen(path, candidates, detector, part)


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(1024)


def _is_xml(beginning: bytes) -> bool:
    return re.match(rb"(\xef\xbb\xbf)?\s*<(\?xml|!DOCTYPE LIGO_LW|LIGO_LW)", beginning) is not None


def _content(path: Path) -> bytes:
    """The bytes of a file, decompressed."""
    beginning = _beginning(path)
    opened: Any = next((each for magic, each in COMPRESSED.items() if beginning.startswith(magic)), open)
    with opened(path, "rb") as file:
        content: bytes = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise UserError(f"The PSD file {path} holds over {MOST_BYTES // MIB} MiB. Use a smaller one.")
    return content


__all__ = ["read_psd"]
