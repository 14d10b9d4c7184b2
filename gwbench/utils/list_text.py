"""Lists as text, as `--set NAME=VALUE` takes them and as commands are recorded.

Items stand between commas: H1,L1. One that holds a comma, or spaces at its ends, stands in double quotes, in which a
quote is written twice, as in CSV: "noise, O3a/H1.hdf",L1.hdf. A JSON list is understood too: ["noise, O3a/H1.hdf"].
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def names_of(value: str | Path | Iterable[Any]) -> tuple[str, ...]:
    """The names or paths of a list; a single one stands for a list of one."""
    several = (value,) if isinstance(value, (str, Path)) else value
    return tuple(map(str, several))


def list_from_text(text: str) -> list[Any]:
    """The items of a list that is written as text.

    A text that starts as a JSON list or an item in quotes does, and is none, is split at its commas as it stands.
    """
    stripped = text.strip()
    if stripped.startswith("["):
        try:
            items = json.loads(stripped)
        except (ValueError, RecursionError):
            items = None
        if isinstance(items, list):
            return items
    quoted = _split_quoted(text)
    if quoted is not None:
        return quoted
    return [part.strip() for part in text.split(",") if part.strip()]


def list_to_text(items: Iterable[Any]) -> str:
    """A text that `list_from_text` reads as these items."""
    items = list(items)
    if all(_is_plain(item) for item in items):
        return ",".join(map(str, items))
    return json.dumps(items, ensure_ascii=False, default=str)


def _is_plain(item: Any) -> bool:
    """Whether an item may stand between commas as it is."""
    if isinstance(item, (list, tuple, dict)):
        return False
    text = str(item)
    words = text.lower() in ("none", "null") and isinstance(item, str)  # which may stand for no list at all
    return text == text.strip() != "" and not words and not set(text) & set(',"\n\r') and not text.startswith("[")


def _split_quoted(text: str) -> list[str] | None:
    """Items of which some stand in double quotes; None where none does, or a quote is not closed."""
    items: list[str] = []
    place, any_quoted = 0, False
    while place <= len(text):
        start = place + len(text[place:]) - len(text[place:].lstrip())
        if text[start : start + 1] == '"':
            item, end = _quoted(text, start + 1)
            rest = text[end:].lstrip()
            if end < 0 or (rest and not rest.startswith(",")):
                return None
            any_quoted = True
            items.append(item)
            place = len(text) - len(rest) + 1
        else:
            end = text.find(",", place)
            end = len(text) if end < 0 else end
            items += [part] if (part := text[place:end].strip()) else []
            place = end + 1
    return items if any_quoted else None


def _quoted(text: str, place: int) -> tuple[str, int]:
    """The item whose opening quote stands before `place`, and where its closing one ends; -1 for none."""
    letters = ""
    while place < len(text):
        if text[place] != '"':
            letters += text[place]
        elif text[place + 1 : place + 2] == '"':
            letters += '"'
            place += 1
        else:
            return letters, place + 1
        place += 1
    return "", -1
