"""Arrays of numbers from npy and npz files that may be anything: nothing is executed, and sizes are bounded."""

from __future__ import annotations

import io
import lzma
import math
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gwbench.utils.printable import printable
from gwbench.utils.untrusted_files import MIB, UnusableError, open_plain

DAMAGE = (OSError, ValueError, KeyError, RuntimeError, EOFError, IndexError, OverflowError, zipfile.BadZipFile,
          zlib.error, struct.error, lzma.LZMAError, MemoryError)  # fmt: skip
"""What reading a damaged archive may raise."""

HEADER = 4096
"""Bytes that the header of an array may take."""

MEMBERS = 1000
"""Arrays that an archive may hold."""

DEFLATED = 1200
"""Most bytes that one stored byte can stand for (zlib's are 1,032); an archive that declares more is not read."""


class ArrayHeader(NamedTuple):
    """What an npy file says of its array: shape, type, and bytes before the first number."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    start: int


def parse_header(content: bytes, name: str) -> ArrayHeader:
    """The header of an npy file of format 1.0, by the file's first bytes.

    Args:
        content: begins with the header.
        name: of the array, for the message.

    Raises:
        ValueError: it is something else, does not parse, or its array is none of numbers, row by row.
    """
    return _header(content[: 10 + int.from_bytes(content[8:10], "little")], name)


def read_header(member: IO[bytes], name: str) -> ArrayHeader:
    """The header of the npy file opened here, which is read up to its first number; raises as `parse_header`."""
    begin = member.read(10)
    return parse_header(begin + member.read(min(int.from_bytes(begin[8:10], "little"), HEADER)), name)


@lru_cache
def _header(content: bytes, name: str) -> ArrayHeader:
    """As `parse_header`; most arrays have their headers in common."""
    stream = io.BytesIO(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Python's parser, about what the header says
            if np.lib.format.read_magic(stream) != (1, 0) or len(content) > HEADER:
                raise ValueError("it is not of npy format 1.0, or too long")
            shape, by_columns, dtype = np.lib.format.read_array_header_1_0(stream)
    except Exception as error:  # numpy has Python parse the header: whatever that trips over
        cause = f"{type(error).__name__}: {printable(error, 80)}"
        raise ValueError(f"the header of {name} does not parse ({cause})") from None
    if dtype.kind not in "biuf" or not all(0 <= length < 2**48 for length in shape):
        raise ValueError(f"{name} is {printable(dtype)} {list(shape)}, not numbers")
    if by_columns and len(shape) > 1:
        raise ValueError(f"{name} is stored column by column, not row by row")
    return ArrayHeader(shape, dtype, stream.tell())


@contextmanager
def open_archive(path: Path, limit: int | None = None) -> Iterator[zipfile.ZipFile]:
    """An npz opened to be read; whatever is wrong with it is an `UnusableError`.

    Args:
        path: a plain file.
        limit: bytes that it may have.
    """
    with open_plain(path, limit) as stream:
        try:
            with zipfile.ZipFile(stream) as archive:
                yield archive
        except DAMAGE as error:
            raise UnusableError(f"{path.name} cannot be read: {printable(error)}") from None


def read_array(archive: zipfile.ZipFile, name: str, limit: int) -> NDArray[Any]:
    """An array of numbers of at most `limit` bytes.

    Raises:
        ValueError, KeyError and others of `DAMAGE`: it is missing, holds no numbers, or more, or is cut off.
    """
    with archive.open(f"{name}.npy") as member:
        shape, dtype, _ = read_header(member, name)
        size = math.prod(shape) * dtype.itemsize
        if size > limit:
            raise ValueError(f"{name} is {dtype} {list(shape)}, which is too large")
        content = member.read(size + 1)
    if len(content) != size:
        raise ValueError(f"{name} is cut off, or longer than it says")
    return np.frombuffer(content, dtype).reshape(shape)


def read_npz(path: Path, limit: int = 1024 * MIB) -> dict[str, NDArray[Any]]:
    """All arrays of an npz.

    Args:
        path: a plain file.
        limit: bytes that the file, or all arrays together, may have.

    Raises:
        AbsentError: there is no such file.
        UnusableError: it is damaged, holds anything but arrays of numbers, or more than its size can hold.
    """
    with open_archive(path, limit) as archive:
        members = archive.infolist()
        declared = sum(member.file_size for member in members)
        if len(members) > MEMBERS or declared > limit or any(m.file_size > DEFLATED * m.compress_size for m in members):
            raise ValueError(f"it declares {declared:,} bytes in {len(members):,} arrays, more than it can hold")
        names = [member.filename.removesuffix(".npy") for member in members]
        if len(set(names)) < len(names):
            raise ValueError("two arrays have one name")
        return {name: read_array(archive, name, member.file_size) for name, member in zip(names, members, strict=True)}
