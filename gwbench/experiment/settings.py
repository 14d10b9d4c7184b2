"""Settings by the dotted names that the command line has for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gwbench.utils.list_text import list_to_text


def dotted(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested mappings as dotted names and values: {"training": {"lr": 0.1}} gives ("training.lr", 0.1)."""
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from dotted(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def as_argument(value: Any) -> str:
    """A value as `--set NAME=VALUE` takes it."""
    return list_to_text(value) if isinstance(value, (tuple, list)) else str(value)
