"""The checks of every kind."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

from gwbench.conformance.subject import Subject
from gwbench.registry import get_kind

SHARED = {"pairing": "views", "augmentation": "views"}
"""The module of `gwbench.conformance` that holds a kind's checks where it is not named after the kind alone."""

GENERAL = "any kind"
"""The checks of a kind that has none of its own stand under this name."""

Function = Callable[[Subject], str]


class Failure(Exception):
    """The contract is broken; the message says what was found."""


class NotApplicable(Exception):
    """The check makes no sense for this plugin; the message says why."""


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        name: of its function.
        summary: what a plugin that passes does.
        function: takes the plugin, says what it found.
    """

    name: str
    summary: str
    function: Function


_TABLE: dict[str, list[Check]] = {}


def check(*kinds: str) -> Callable[[Function], Function]:
    """Add a function to the checks of these kinds."""

    def add(function: Function) -> Function:
        summary = (inspect.getdoc(function) or "").split("\n", 1)[0].rstrip(".")
        for kind in kinds:
            _TABLE.setdefault(kind, []).append(Check(function.__name__, summary, function))
        return function

    return add


def checks(kind: str) -> list[Check]:
    """The checks of a kind, in the order of its file; the general ones where it has no file.

    Raises:
        UserError: there is no such kind.
    """
    module = f"gwbench.conformance.{SHARED.get(kind, get_kind(kind).plural)}"
    if find_spec(module) is None:
        module, kind = "gwbench.conformance.general", GENERAL
    import_module(module)
    return list(_TABLE[kind])


def require(condition: bool, otherwise: str) -> None:
    """Raise `Failure` unless the condition holds."""
    if not condition:
        raise Failure(otherwise)
