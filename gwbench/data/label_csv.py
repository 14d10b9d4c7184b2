"""A CSV file of labels, as people and programs write it: the target, 0 or 1, of every id."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

from gwbench.data.folder_walk import printable
from gwbench.errors import UserError
from gwbench.utils.untrusted_files import MIB, file_size

ID = re.compile(r"[0-9a-zA-Z]{3,64}")
"""An id, which is a file's name without suffix."""

LARGEST = 256 * MIB
"""Bytes; a label of each of G2Net's 560,000 files takes 7 MB."""

DELIMITERS = ",;\t"

TARGETS = {"true": 1, "false": 0}
NO_LABEL = ("", "nan", "na", "n/a", "<na>", "none", "null")
"""How programs write a target that is not known; in any case."""

WIDE = (b"\xff\xfe", b"\xfe\xff")
"""How UTF-16 begins."""


def read_labels(path: Path) -> dict[str, int]:
    """The target of every id in a CSV file with columns id and target: 1, 0, or -1 where there is none.

    Columns are separated by commas, semicolons or tabs, come in any order beside others, and are named in any case.
    A target is written as a number (1, 1.0) or as True or False; an empty one, nan and the like are no label.

    Raises:
        UserError: the file is missing, empty, no text or lacks a column; an id is malformed or there twice; a target
            is anything else. The message names the line.
    """
    text = _text(path)
    lines = io.StringIO(text, newline="")
    if re.match(r"sep=.\r?\n", text, re.IGNORECASE):  # a spreadsheet's hint
        lines.readline()
    start = lines.tell()
    head = lines.readline()
    lines.seek(start)
    delimiter = max(DELIMITERS, key=head.count)  # a comma where there is none
    rows = csv.reader(lines, strict=True, delimiter=delimiter, skipinitialspace=delimiter != "\t")
    labels: dict[str, int] = {}
    try:
        header = [column.strip() for column in next(rows, [])]
        names = [column.lower() for column in header]
        if "id" not in names or "target" not in names:
            found = _short(header) or "an empty line"
            raise UserError(f"{path}, line 1: expected columns id,target; found {found}. Mend its first line.")
        where_id, where_target = names.index("id"), names.index("target")
        for row in rows:
            cells = [cell.strip() for cell in row]
            while len(cells) > len(header) and not cells[-1]:
                cells.pop()
            if not any(cells):
                continue
            name, target = ([*cells, "", ""][where] for where in (where_id, where_target))
            label = _label(target, delimiter)
            if len(cells) != len(header) or not ID.fullmatch(name) or label is None:
                raise UserError(
                    f"{path}, line {rows.line_num}: {_short(row)!r} is not {_short(header)} with an id of "
                    "three or more letters and digits and a target of 0 or 1, or an empty one for no label."
                )
            if name in labels:
                raise UserError(f"{path}, line {rows.line_num}: id {name} is there twice. Keep one of the lines.")
            labels[name] = label
    except csv.Error as error:
        raise UserError(f"{path}, line {rows.line_num}: not valid CSV ({printable(str(error))}).") from None
    if not labels:
        raise UserError(f"{path} has a header but no line after it. Expected id,target of every file.")
    return labels


def _text(path: Path) -> str:
    """The content of a file.

    Raises:
        UserError: it cannot be read, is too large or no text.
    """
    if file_size(path, "labels file") > LARGEST:
        raise UserError(f"{path} has more than {LARGEST // MIB} MiB, which labels do not take. Check the file.")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}. Mend its permissions.") from None
    try:
        return data.decode("utf-16") if data.startswith(WIDE) else data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}, line {line}: not UTF-8 text. Expected a CSV file with columns id,target.") from None


def _label(target: str, delimiter: str) -> int | None:
    """1, 0, or -1 for no label; None for anything else."""
    word = target.lower()
    if word in NO_LABEL:
        return -1
    if word in TARGETS:
        return TARGETS[word]
    try:
        number = float(word if delimiter == "," else word.replace(",", "."))
    except ValueError:
        return None
    return int(number) if number in (0, 1) else None


def _short(row: list[str]) -> str:
    """A line as a message can show it."""
    text = printable(",".join(row))
    return text if len(text) <= 80 else f"{text[:80]}..."
