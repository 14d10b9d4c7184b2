"""Pydantic's complaints in words for a command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pydantic


def reason(error: pydantic.ValidationError) -> str:
    """The first of pydantic's complaints, in words for a command line."""
    first = error.errors()[0]
    if first["type"] == "missing":
        return "a value is missing"
    return first["msg"].replace("Input should", "it should", 1).partition(", unable to parse")[0]
