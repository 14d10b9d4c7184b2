"""Text for a terminal: from outside, nothing moves a cursor, changes a colour or hides a letter; lists are short."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence

LONGEST = 300
"""Characters of a text that are shown."""

LONGEST_MESSAGE = 4000
"""Characters of a message of several lines that are shown."""


def printable(text: object, longest: int = LONGEST) -> str:
    """One line that moves no cursor and hides nothing: control and direction characters are written as escapes.

    Args:
        text: whatever `str` takes.
        longest: characters that are kept.
    """
    shown = _shown(str(text)[: longest + 1])
    return shown if len(shown) <= longest else shown[:longest] + "..."


def printable_lines(text: object, longest: int | None = LONGEST_MESSAGE) -> str:
    """As `printable`, but line breaks and tabs stay: for text of several lines; None for any length."""
    whole = str(text)
    kept = whole if longest is None else whole[: longest + 1]
    lines = (line.split("\t") for line in kept.split("\n"))
    shown = "\n".join("\t".join(map(_shown, line)) for line in lines)
    return shown if longest is None or len(shown) <= longest else shown[:longest] + "..."


def printable_json(text: str) -> str:
    """A JSON document with the control and direction characters of its strings escaped, as JSON has it."""
    if all(line.isprintable() for line in text.split("\n")):
        return text
    return "".join(c if c == "\n" or _visible(c) == c else json.dumps(c)[1:-1] for c in text)


def few(names: Sequence[str], most: int) -> str:
    """The first of some names, and how many more there are; empty for none."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _shown(text: str) -> str:
    return text if text.isprintable() else "".join(map(_visible, text))


def _visible(character: str) -> str:
    if unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"):
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
