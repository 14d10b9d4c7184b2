"""One window of strain in a .npy file that may be anything: its size and header are compared, nothing is unpickled."""

from __future__ import annotations

import errno
import io
import os
import stat
import warnings
from functools import lru_cache
from math import prod
from pathlib import Path

import numpy as np

from gwbench.data.dataset import Array
from gwbench.data.folder_walk import escaped
from gwbench.errors import UserError

HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
USUAL = {"<f8": 8, "<f4": 4}
"""Types that are known by a file's size, and the bytes of a number."""

LONGEST_HEADER, WIDEST = 1 << 16, 16
"""Bytes: of a header that is read at all; of a number."""

OF_THE_FILE = (errno.ENOENT, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENXIO)
"""Errors that mean that one file cannot be read; any other may mean that the disk has gone."""

SHOWN_LETTERS = 120
"""Of what a header says."""

AGAIN = "Download it again or delete it"
CONVERT = "Save it as float64 or float32 of that shape"


class BadFileError(Exception):
    """A file does not hold the strain that it should; the message says why, without the file's name.

    Args:
        reason: the message.
        advice: what the user can do about it.
    """

    def __init__(self, reason: str, advice: str = CONVERT) -> None:
        super().__init__(reason)
        self.advice = advice


def file_bytes(shape: tuple[int, int], descr: str = "<f8") -> int:
    """Size of a file that holds numbers of this shape and type behind numpy's usual header."""
    return len(_usual_header(shape, descr)) + USUAL[descr] * prod(shape)


def read_window(path: Path, shape: tuple[int, int]) -> Array:
    """The strain in a file: float32 of `shape`, from float32 or wider in any byte order and memory layout.

    Raises:
        BadFileError: there is no such regular file, it may not be read, or it is not of the expected size, shape and
            type, or holds a number that is not finite in float32.
        UserError: the disk fails, or the folder around the file has gone.
    """
    content, size = _content(path, LONGEST_HEADER + WIDEST * prod(shape))
    for descr in USUAL:
        header = _usual_header(shape, descr)
        if size == file_bytes(shape, descr) and content.startswith(header):
            window: Array = np.frombuffer(content, descr, offset=len(header)).reshape(shape)
            break
    else:
        dtype, fortran, start = _checked_header(content, size, shape)
        window = np.frombuffer(content, dtype, offset=start).reshape(shape, order="F" if fortran else "C")
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite then is refused
        strain: Array = window.astype(np.float32, order="C")
    if not np.isfinite(strain).all():
        raise BadFileError("holds NaN or infinite strain", "Replace it, or delete it")
    return strain


def check_window(path: Path, shape: tuple[int, int]) -> None:
    """Check a file by its header and size; raises as `read_window`."""
    content, size = _content(path, LONGEST_HEADER)
    _checked_header(content, size, shape)


def _content(path: Path, most: int) -> tuple[bytes, int]:
    """At most so many bytes of a file, and its size."""
    try:
        # Without O_NONBLOCK, opening a pipe would wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise BadFileError("is not a regular file", "Remove it")
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                return file.read(min(most, status.st_size)), status.st_size
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno in OF_THE_FILE and os.path.isdir(path.parent):  # noqa: PTH112 - False where the disk has gone
            closed = error.errno in (errno.EACCES, errno.EPERM)
            advice = "Mend its permissions" if closed else "Mend the link, or remove it"
            raise BadFileError(f"cannot be read: {os.strerror(error.errno)}", advice) from None
        raise UserError(
            f"{path} cannot be read: {error.strerror or error}. Make sure that its disk is there and whole, "
            "then run the same command again."
        ) from None


@lru_cache
def _usual_header(shape: tuple[int, int], descr: str = "<f8") -> bytes:
    """What `numpy.save` writes before numbers in C order."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": descr, "fortran_order": False, "shape": shape})
    return stream.getvalue()


def _checked_header(content: bytes, size: int, shape: tuple[int, int]) -> tuple[np.dtype[np.floating], bool, int]:
    """Type, Fortran order and start of the strain, as any other header that means `shape` says."""
    magic = np.lib.format.MAGIC_PREFIX
    cut = BadFileError(
        f"is truncated or of another shape: it has {size} bytes, expected {file_bytes(shape)} bytes of float64 or "
        f"{file_bytes(shape, '<f4')} bytes of float32",
        AGAIN,
    )
    if content[: len(magic)] == magic[: len(content)] and len(content) < _header_end(content):
        raise cut
    stream = io.BytesIO(content)
    try:
        with warnings.catch_warnings():  # numpy warns of headers that Python 2 wrote
            warnings.simplefilter("ignore")
            given, fortran, dtype = HEADERS[np.lib.format.read_magic(stream)](stream)
    except Exception as error:  # numpy evaluates the header: whatever that trips over
        text = _short(" ".join(str(error).split()))
        raise BadFileError(
            f"cannot be read as .npy: it is truncated, pickled or no .npy file ({text})", "Check what it is"
        ) from None
    if dtype.hasobject:
        raise BadFileError("cannot be read as .npy: it holds pickled objects, no numbers")
    expected = f"expected float64 or float32 of shape {shape}"
    if given != shape or dtype.kind != "f":
        raise BadFileError(f"holds {_short(dtype)} of shape {_short(given)}; {expected}")
    if dtype.itemsize < 4:
        raise BadFileError(f"holds {dtype}, in which strain of 1e-21 is zero; {expected}")
    if size - stream.tell() != dtype.itemsize * prod(shape):
        raise cut
    return dtype, fortran, stream.tell()


def _short(value: object) -> str:
    """What a header says, as a message can show it."""
    try:
        text = escaped(str(value))
    except ValueError:  # a whole number of more digits than Python writes
        return "a vast size"
    return text if len(text) <= SHOWN_LETTERS else f"{text[:SHOWN_LETTERS]}..."


def _header_end(content: bytes) -> int:
    """Where the header of a .npy file ends by its own word; at least its first ten bytes are needed to tell."""
    if len(content) < 12:
        return 12
    if content[6] == 1:
        return 10 + int.from_bytes(content[8:10], "little")
    # A longer one than is read at all is numpy's to refuse.
    return min(12 + int.from_bytes(content[8:12], "little"), len(content))
