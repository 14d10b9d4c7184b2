"""Pydantic's complaints in words for a command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from gwbench.utils.printable import printable

if TYPE_CHECKING:
    import pydantic


def reason(error: pydantic.ValidationError) -> str:
    """The first of pydantic's complaints, in words for a command line."""
    first = error.errors()[0]
    if first["type"] == "missing":
        return "a value is missing"
    return first["msg"].replace("Input should", "it should", 1).partition(", unable to parse")[0]


def refusal(error: pydantic.ValidationError) -> str:
    """The first of pydantic's complaints about a file as a sentence, with the value as the file has it."""
    given = error.errors()[0]["input"]
    written = json.dumps(given) if given is None or isinstance(given, bool) else repr(given)
    return f"{written} is not valid: {reason(error).removeprefix('Value error, ')}."


def first_problem(error: Exception) -> str:
    """Why a document that may be anything is no record: the first field that does not fit, or what an error says."""
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        first = error.errors(include_input=False, include_url=False)[0]
        return printable(f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
    return printable(error)
