"""JSON and small files from outside, within bounds of size, depth and numbers."""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path
from typing import Any

from gwbench.utils.printable import printable
from gwbench.utils.untrusted_files import MIB, UnusableError, open_plain

LARGEST = 16 * MIB
"""Bytes of a JSON document, unless its reader says otherwise."""

DEEPEST = 100
"""Lists and objects of a JSON document within each other."""

DIGITS = 1000
"""Digits of a number: Python itself refuses those of 4,300, and not everywhere."""

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def parse_json(content: bytes, *, largest: int = LARGEST, deepest: int = DEEPEST, constants: bool = False) -> Any:
    """A JSON document of bytes that may be anything.

    Args:
        content: the document in UTF-8.
        largest: bytes that it may have.
        deepest: lists and objects that may lie within each other.
        constants: whether NaN and Infinity may be there, which Python writes though they are no JSON.

    Raises:
        ValueError: it is no JSON (RFC 8259), is larger or deeper, has a key twice, a number that is no finite float or
            has more than `DIGITS` digits, or half a surrogate pair.
    """
    if len(content) > largest:
        raise ValueError(f"it has more than {largest:,} bytes")
    if _depth(content) > deepest:
        raise ValueError(f"it is nested more than {deepest} deep")
    text = content.decode("utf-8-sig")
    document = json.loads(
        text,
        object_pairs_hook=_object,
        parse_int=_whole,
        parse_float=_finite,
        parse_constant=float if constants else _no_constant,
    )
    if "\\ud" in text or "\\uD" in text:
        _refuse_surrogates(document)
    return document


def read_json(path: str | Path, *, largest: int = LARGEST) -> Any:
    """The JSON document in a plain file.

    Raises:
        AbsentError: there is no such file.
        UnusableError: it cannot be opened, or `parse_json` refuses it.
    """
    with open_plain(path, largest) as stream:
        content = stream.read(largest + 1)
    try:
        return parse_json(content, largest=largest)
    except ValueError as error:
        raise UnusableError(f"it is no JSON: {printable(error)}") from None


def read_named(path: Path, largest: int = MIB) -> bytes:
    """The content of a small file that a user named; links are followed, nothing is waited for.

    Args:
        path: the file.
        largest: bytes that it may have.

    Raises:
        UnusableError: there is no such file, it is no plain file, it cannot be read, or is larger.
    """
    try:
        with open(path, "rb", opener=_open_at_once) as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise UnusableError("not a plain file")
            content = stream.read(largest + 1)
    except OSError as error:
        raise UnusableError(error.strerror or str(error)) from None
    if len(content) > largest:
        raise UnusableError(f"more than {largest / MIB:g} MiB")
    return content


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def depth_of(document: Any) -> int:
    """How many lists and dictionaries lie within each other, at most; no recursion, whatever the depth."""
    depth, level = 0, [document]
    while level := [each for each in level if isinstance(each, (dict, list))]:
        depth += 1
        level = [part for each in level for part in (each.values() if isinstance(each, dict) else each)]
    return depth


def _depth(content: bytes) -> int:
    """How many brackets are open at once, at most, outside of strings."""
    if content.count(b"[") + content.count(b"{") <= 1:
        return 1
    depth = deepest = 0
    for bracket in _STRING.sub(b"", content).translate(None, _NO_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} comes twice")
    return found


def _whole(digits: str) -> int:
    if len(digits) > DIGITS:
        raise ValueError(f"a number has {len(digits):,} digits")
    return int(digits)


def _finite(digits: str) -> float:
    if len(digits) > DIGITS:
        raise ValueError(f"a number has {len(digits):,} digits")
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"the number {digits[:40]} is too large")
    return value


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def _refuse_surrogates(document: Any) -> None:
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("a text has half a surrogate pair") from None
