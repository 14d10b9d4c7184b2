"""The checks of every kind."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from gwbench.conformance.subject import Subject
from gwbench.registry import get_kind

MODULES = {
    "encoder": "encoders",
    "pairing": "views",
    "augmentation": "views",
    "objective": "objectives",
    "baseline": "baselines",
    "dataset": "datasets",
}
"""The module of `gwbench.conformance` that holds a kind's checks."""

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
    """The checks of a kind, in the order of its file.

    Raises:
        UserError: there is no such kind.
    """
    import_module(f"gwbench.conformance.{MODULES[get_kind(kind).name]}")
    return list(_TABLE[kind])


def require(condition: bool, found: str) -> None:
    """Raise `Failure` unless the condition holds."""
    if not condition:
        raise Failure(found)
