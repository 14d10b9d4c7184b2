"""What parameters and settings mean, read from the docstring of their class."""

from __future__ import annotations

import re
import typing
from dataclasses import dataclass
from typing import Any

from gwbench.registry.class_contract import docstring
from gwbench.registry.parameters import Parameter, type_in_words

HEADINGS = ("Args:", "Attributes:")
ENTRY = re.compile(r"^(\w+(?:, \w+)*): *(.*)$")
"""`name: meaning`, or several names of one meaning."""


@dataclass(frozen=True)
class SettingMeaning:
    """A setting of a section that belongs to no plugin.

    Attributes:
        parameter: its name, type and default.
        meaning: in a sentence.
    """

    parameter: Parameter
    meaning: str


def meanings(cls: type) -> dict[str, str]:
    """The meaning of every parameter of a class that its docstring explains, or that of where it inherits them."""
    owners = [cls, *(each for each in cls.__mro__[1:] if "__init__" in vars(each))]
    found: dict[str, str] = {}
    for owner in reversed(owners):
        found |= _entries(docstring(owner))
    return found


def settings_of(model: type) -> list[SettingMeaning]:
    """The fields of a pydantic model of settings, in order."""
    hints = typing.get_type_hints(model, include_extras=True)
    said = _entries(docstring(model))
    fields: dict[str, Any] = getattr(model, "model_fields")  # noqa: B009 - pydantic's, which type knows nothing of
    return [
        SettingMeaning(Parameter(name, type_in_words(hints[name]), field.default), said.get(name, ""))
        for name, field in fields.items()
    ]


def _entries(text: str) -> dict[str, str]:
    """The lines `name: meaning` below a heading of arguments or attributes, each with the lines that go on with it."""
    found: dict[str, str] = {}
    names: list[str] = []
    inside, indent = False, 0
    for line in text.splitlines():
        stripped = line.strip()
        if stripped in HEADINGS:
            inside, names, indent = True, [], len(line) - len(line.lstrip()) + 4
            continue
        if not inside or not stripped:
            inside = inside and not stripped
            continue
        depth = len(line) - len(line.lstrip())
        if depth < indent:
            inside = False
        elif depth == indent and (match := ENTRY.match(stripped)):
            names = match[1].split(", ")
            found |= dict.fromkeys(names, match[2])
        else:
            found |= {name: f"{found[name]} {stripped}" for name in names}
    return found
