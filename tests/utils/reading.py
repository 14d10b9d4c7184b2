"""What `test_reader_process` has the other process do with a file."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import numpy as np

from gwbench.errors import UserError


def content(path: Path, repeated: int) -> bytes:
    return path.read_bytes() * repeated


def process(path: Path) -> tuple[int, str]:
    return os.getpid(), str(path.resolve())


def crash(path: Path) -> None:
    ctypes.string_at(0)


def spin(path: Path) -> None:
    while True:
        pass


def swell(path: Path) -> int:
    return len(np.ones(1 << 33))


def mistake(path: Path) -> None:
    raise UserError(f"{path.name} is of no use.")


def unprintable(path: Path) -> None:
    raise ValueError("\x1b[31mred\x07\n" + "x" * 10_000)
