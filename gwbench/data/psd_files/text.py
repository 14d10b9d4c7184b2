"""PSDs in text: columns of frequency and values, with or without a header."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

import numpy as np

from gwbench.data.psd_files.checks import ADVICE
from gwbench.data.psd_files.columns import candidates_of, names_of
from gwbench.data.psd_files.spectra import Candidate
from gwbench.errors import UserError

COMMENT = re.compile(r"[#%].*|^\s*(//|;|!).*")

HEADER_LINES = 200
"""Lines in front of the numbers that are taken for a header at most."""

TWO_NUMBERS = "expected two numbers, frequency in Hz and PSD in 1/Hz or ASD in 1/sqrt(Hz)"

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_CONTROL = re.compile("[\x00-\x08\x0e-\x1b\x7f]")
_FORTRAN = re.compile(r"(?<=[\d.])[dD](?=[-+]?\d)")


def read_text(path: Path, content: bytes, part: str | None = None) -> list[Candidate]:
    """The PSDs in a text.

    Columns are separated by blanks, tabs, commas, semicolons or bars. What stands in front of the numbers, and what
    follows # or % in front of them, is a header: its last line with as many names as there are columns, or with as
    many detectors as there are PSDs, names them.

    Args:
        path: for messages.
        content: of the file: UTF-8, UTF-16 with a byte order mark, or Latin-1.
        part: what the user asked for; the number of a column serves where columns have no name.

    Raises:
        UserError: it is no text, a line holds something else than numbers, or nothing tells its columns apart.
    """
    rows: list[list[float]] = []
    numbers: list[int] = []
    header: list[str] = []
    first_words: tuple[int, str] | None = None
    lines = _decoded(path, content).splitlines()
    for number, line in enumerate(lines, start=1):
        row = _numbers(COMMENT.sub("", line))
        if not rows and (row is None or not row) and len(header) < HEADER_LINES:
            header.append(line.lstrip("#%! ").translate(_NO_QUOTES))
            if row is None and first_words is None:
                first_words = number, line
        elif row is None or len(row) == 1 or (row and rows and len(row) != len(rows[0])):
            raise _not_two(path, number, line)
        elif row:
            rows.append(row)
            numbers.append(number)
    if not rows and first_words:
        raise _not_two(path, *first_words)
    table = np.array(rows, np.float64).reshape(len(rows), -1) if rows else np.empty((0, 2))
    columns = table.shape[1]
    names = names_of(header, columns)
    if names is None and columns > 2:
        if part is None or not part.isdecimal() or not 1 < int(part[:9]) <= columns:
            raise _not_two(path, numbers[0], lines[numbers[0] - 1], columns)
        names = ["frequency", *map(str, range(2, columns + 1))]
    return candidates_of(table, names or ["frequency", "values"], np.array(numbers, np.int64))


_NO_QUOTES = str.maketrans("", "", "\"'")


def _decoded(path: Path, content: bytes) -> str:
    try:
        text = content.decode("utf-16" if content.startswith(_UTF_16) else "utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")  # a remark with a degree sign or an umlaut
    if _CONTROL.search(text):
        raise UserError(
            f"The PSD file {path} is not text: expected two columns, frequency and PSD or ASD, or a file of NumPy "
            "(.npy, .npz), HDF5 (.hdf5, .hdf, .h5) or LAL (.xml). Convert it, or name another."
        )
    return text


def _numbers(line: str) -> list[float] | None:
    """The numbers of a line; none of an empty one; None where the line begins with a word or holds one."""
    line = _FORTRAN.sub("e", line.translate(_NO_QUOTES))
    if ";" in line:  # as where the comma is the decimal point
        line = line.replace(",", ".").replace(";", " ")
    try:
        return [float(field) for field in re.split(r"[\s,|]+", line) if field]
    except ValueError:
        return None


def _not_two(path: Path, number: int, line: str, columns: int = 2) -> UserError:
    found = f"The PSD file {path}, line {number}: {line.strip()[:60]!r}; {TWO_NUMBERS}"
    if columns == 2:
        return UserError(f"{found}. Put # before remarks. {ADVICE}")
    return UserError(
        f"{found}, or a header that names the detectors of {columns} columns, such as # Hz H1 L1. Choose a column by "
        f"its number after a #, such as {path.name}#2."
    )


__all__ = ["read_text"]
