"""Whether a GWF file is whole: the libraries that read frames crash the process on one that is not.

The layout is that of LIGO-T970130, sections 4.1 and 4.3.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np

from gwbench.utils.untrusted_files import DamagedError

FILE_HEADER, STRUCTURE_HEADER, FILE_END = 40, 14, 26
"""Bytes: of the file's header; of a structure's; of the last structure, up to and with the file's length."""

OLDEST, WITH_CHECKSUM = 6, 8
"""Versions of the format: the oldest that can be read; the first that ends in a checksum of the file."""

PIECE = 1 << 24
"""Bytes in hand at a time."""

REVERSED = np.packbits(np.unpackbits(np.arange(256, dtype=np.uint8)).reshape(256, 8)[:, ::-1], axis=1)[:, 0]
"""[256] every byte with its bits in reverse."""


def check_frame_file(path: Path) -> None:
    """Check that the file's structures lead to its end and that its checksum, where it has one, fits.

    Raises:
        DamagedError: what is wrong.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        header = file.read(FILE_HEADER)
        if len(header) < FILE_HEADER or header[:5] != b"IGWD\0":
            raise DamagedError("it does not start as a frame does")
        version, order = header[5], "<" if header[12:14] == b"\x34\x12" else ">"
        if version < OLDEST:
            raise DamagedError(f"version {version} of the format is older than {OLDEST}")
        place, start = FILE_HEADER, b""
        while place < size:
            file.seek(place)
            start = file.read(FILE_END)
            length = struct.unpack(f"{order}Q", start[:8])[0] if len(start) >= STRUCTURE_HEADER else 0
            if length < STRUCTURE_HEADER:
                break
            place += length
        if place != size or len(start) < FILE_END or struct.unpack(f"{order}Q", start[18:26])[0] != size:
            raise DamagedError(f"it breaks off after {size} bytes")
        file.seek(size - 4)
        said = struct.unpack(f"{order}I", file.read(4))[0]
    if version >= WITH_CHECKSUM and said and said != posix_checksum(path, size - 4):
        raise DamagedError("its checksum does not fit")


def posix_checksum(path: Path, size: int) -> int:
    """What POSIX `cksum` gives for the first `size` bytes of a file.

    It is zlib's CRC with the bits of every byte in reverse, another start, and the length at the end.
    """
    crc, left = 0xFFFFFFFF, size
    with path.open("rb") as file:
        while piece := file.read(min(left, PIECE)):
            crc = zlib.crc32(REVERSED[np.frombuffer(piece, np.uint8)].data, crc)
            left -= len(piece)
    length = size.to_bytes((size.bit_length() + 7) // 8, "little")
    crc = zlib.crc32(REVERSED[np.frombuffer(length, np.uint8)].data, crc) ^ 0xFFFFFFFF
    return int(f"{crc:032b}"[::-1], 2) ^ 0xFFFFFFFF
