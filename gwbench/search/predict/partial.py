"""What has been scored so far, in a folder beside the output: a killed command goes on where it stopped.

Rows of fixed size are appended to one file, in the order of the windows; its length says how many there are. The key
of run and windows lies beside it, and so does why windows are damaged.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from gwbench.data.dataset import Array
from gwbench.errors import UserError
from gwbench.utils.files import atomic, unwritable
from gwbench.utils.locks import HeldError, acquire
from gwbench.utils.untrusted_files import UnusableError
from gwbench.utils.untrusted_text import read_json

SUFFIX = ".partial"
KEY, ROWS, DAMAGED = "key.json", "rows.bin", "damaged.jsonl"

READ = 4096
"""Rows read at once."""


def row_type(width: int, detectors: int) -> np.dtype[Any]:
    """Of a row.

    `score` (log-odds) and `probability`, both NaN where the window is damaged; the `variance` of the whitened strain in
    each of some detectors; and the `embedding`, of `width` values.
    """
    fields = [
        ("score", "<f8"),
        ("probability", "<f8"),
        ("variance", "<f4", (detectors,)),
        ("embedding", "<f4", (width,)),
    ]
    return np.dtype(fields)


class PartialRows:
    """The rows of an output that is not whole yet; one process at a time holds them.

    Args:
        output: the file that they will become.
        key: of run, windows and settings: rows with another key are thrown away.
        rows: type of a row, as `row_type` gives it.

    Raises:
        UserError: another process makes the same output, or the folder cannot be written.
    """

    def __init__(self, output: Path, key: str, rows: np.dtype[Any]) -> None:
        self._folder = output.with_name(f"{output.name}{SUFFIX}")
        self._type = rows
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._release: Callable[[], None] = acquire(self._folder / "lock")
            self._keep_or_begin(key)
            self._truncate()
        except HeldError as error:
            raise UserError(f"Another process{error} writes {output}. Wait for it, or choose another --out.") from None
        except OSError as error:
            raise unwritable(self._folder, error) from error

    def __len__(self) -> int:
        """How many rows there are."""
        path = self._folder / ROWS
        return path.stat().st_size // self._type.itemsize if path.is_file() else 0

    def append(self, rows: Array, damaged: Mapping[str, str]) -> None:
        """Add rows [n] of `row_type`, and why windows among them are damaged, by id.

        Raises:
            UserError: the disk is full.
        """
        first = len(self)
        try:
            if damaged:  # first, so that no damaged row is without its reason
                with (self._folder / DAMAGED).open("a", encoding="utf-8") as stream:
                    stream.writelines(f"{json.dumps([first, *item])}\n" for item in damaged.items())
            with (self._folder / ROWS).open("ab") as stream:
                stream.write(rows.tobytes())
        except OSError as error:
            raise unwritable(self._folder, error) from error

    def blocks(self) -> Iterator[Array]:
        """All rows, a block at a time."""
        with (self._folder / ROWS).open("rb") as stream:
            while content := stream.read(READ * self._type.itemsize):
                yield np.frombuffer(content, self._type)

    def damaged(self) -> dict[str, str]:
        """Why windows are damaged, by id."""
        return {name: reason for _, name, reason in self._reasons()}

    def close(self, *, remove: bool) -> None:
        """Give the rows back; they stay for the next command, or go."""
        if remove:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._release()

    def _keep_or_begin(self, key: str) -> None:
        known = None
        with suppress(UnusableError):
            known = read_json(self._folder / KEY)
        if known != {"key": key}:
            for name in (ROWS, DAMAGED):
                (self._folder / name).unlink(missing_ok=True)
            with atomic(self._folder / KEY) as path:
                path.write_text(json.dumps({"key": key}))

    def _truncate(self) -> None:
        """Cut off a row that was half written, and the reasons of rows that were not written."""
        rows = len(self)
        if (self._folder / ROWS).is_file():
            os.truncate(self._folder / ROWS, rows * self._type.itemsize)
        kept = [line for line in self._reasons() if line[0] < rows]
        with atomic(self._folder / DAMAGED) as path:
            path.write_text("".join(f"{json.dumps(line)}\n" for line in kept), encoding="utf-8")

    def _reasons(self) -> Iterator[list[Any]]:
        path = self._folder / DAMAGED
        if path.is_file():
            for line in path.read_text(encoding="utf-8").splitlines():
                with suppress(ValueError, TypeError):  # the last one may be half written
                    first, name, reason = json.loads(line)
                    yield [int(first), str(name), str(reason)]
