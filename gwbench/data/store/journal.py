"""The journal of a data file that is being written: which blocks it has, so that writing can be resumed.

A text file beside the data file: a line that says what is being made, then one line per block, in order. A line is
written after its block. The line has the
block's checksum, and whoever resumes reads the block again to compare.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gwbench.data.store.layout import SPLITS, canonical_json
from gwbench.utils.untrusted_files import MIB, AbsentError, UnusableError, open_plain
from gwbench.utils.untrusted_text import parse_json

LONGEST_LINE = 64 * MIB
"""Bytes of a line: one with the reasons of every window of a block is far shorter."""


@dataclass(frozen=True)
class Arrived:
    """One block that is in the file.

    Attributes:
        split, start: as in `contracts.Block`.
        rows: windows it holds.
        left_out: as in `contracts.Block`.
        checksum: of its numbers.
    """

    split: str
    start: int
    rows: int
    checksum: int
    left_out: Mapping[int, str] = field(default_factory=dict)

    @property
    def windows(self) -> int:
        """Windows that it accounts for, those left out included."""
        return self.rows + len(self.left_out)

    def line(self) -> str:
        """As a line of the journal."""
        return canonical_json([self.split, self.start, self.rows, self.checksum, sorted(self.left_out.items())])

    @classmethod
    def of(cls, line: str) -> Arrived:
        """From a line of the journal.

        Raises:
            ValueError, TypeError: the line is garbled.
        """
        split, start, rows, checksum, left_out = parse_json(line.encode(errors="surrogatepass"), largest=LONGEST_LINE)
        reasons = dict(left_out)
        numbers = (start, rows, checksum, *reasons)
        if split not in SPLITS or not all(type(number) is int and 0 <= number < 2**63 for number in numbers):
            raise ValueError("a line of the journal holds what is no count")
        if not all(start <= at < start + rows + len(reasons) for at in reasons):
            raise ValueError("a line of the journal leaves out windows of another block")
        return cls(split, start, rows, checksum, {at: str(why) for at, why in reasons.items()})


@dataclass(frozen=True)
class Journal:
    """The file; `path` is the data file's."""

    path: Path

    @property
    def file(self) -> Path:
        """The journal."""
        return self.path.with_name(f".{self.path.name}.journal")

    @property
    def partial(self) -> Path:
        """The data file while it is being written."""
        return self.path.with_name(f".{self.path.name}.partial")

    def begin(self, header: Mapping[str, Any]) -> None:
        """Replace the journal by one without blocks.

        Raises:
            OSError: it cannot be written.
        """
        self.file.write_bytes(canonical_json(header).encode() + b"\n")

    def add(self, block: Arrived) -> None:
        """Note a block.

        Raises:
            OSError: it cannot be written.
        """
        with self.file.open("ab", buffering=0) as file:
            file.write(block.line().encode() + b"\n")

    def read(self) -> tuple[dict[str, Any], list[Arrived]]:
        """What is being made, and the blocks before the first line that is garbled or cut off.

        Raises:
            OSError: there is no journal, or the disk fails.
            ValueError: it cannot be opened, or does not say what is being made.
        """
        lines = self._lines()
        header = parse_json(next(lines, "").encode(errors="surrogatepass"), largest=LONGEST_LINE, constants=True)
        if not isinstance(header, dict):
            raise ValueError(f"{self.file} is no journal")
        blocks = []
        for line in lines:
            try:
                blocks.append(Arrived.of(line))
            except (ValueError, TypeError):
                break
        return header, blocks

    def count(self) -> tuple[int, int]:
        """The windows that are there and those there will be; zero where the journal does not say."""
        try:
            header, blocks = self.read()
            return sum(block.windows for block in blocks), int(sum(header["layout"]["sizes"].values()))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return 0, 0

    def shorten(self, blocks: int) -> None:
        """Forget all but the first blocks.

        Raises:
            OSError: it cannot be written.
        """
        with self.file.open("r+b") as file:
            for _ in range(1 + blocks):
                file.readline()
            file.truncate(file.tell())

    def remove(self) -> None:
        """Remove the journal and the unfinished data file."""
        self.partial.unlink(missing_ok=True)
        self.file.unlink(missing_ok=True)

    def _lines(self) -> Iterator[str]:
        """The whole lines; one that is cut off, or is no text, is empty."""
        try:
            stream = open_plain(self.file)
        except AbsentError:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self.file)) from None
        except UnusableError as error:
            raise ValueError(f"{self.file}: {error}") from None
        with stream:
            while line := stream.readline(LONGEST_LINE):
                yield line.decode(errors="replace") if line.endswith(b"\n") else ""


__all__ = ["Arrived", "Journal"]
