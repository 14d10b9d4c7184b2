"""What a plugin of any kind promises, for kinds that have no checks of their own."""

from __future__ import annotations

import pydantic_core

from gwbench.conformance.subject import Subject
from gwbench.conformance.table import GENERAL, NotApplicable, check, require
from gwbench.conformance.watch import printed, quoted, random_state_touched
from gwbench.contracts import Parts
from gwbench.registry import KINDS
from gwbench.registry.parameters import parameters, validate


@check(GENERAL)
def defaults(subject: Subject) -> str:
    """Every parameter has a default that its own type accepts and that a record can hold."""
    values = validate(subject.plugin, subject.parameters)
    pydantic_core.to_json(values)
    return f"{len(parameters(subject.plugin))} parameters"


@check(GENERAL)
def combines(subject: Subject) -> str:
    """Says with which plugins it makes no sense by text, empty where it does."""
    skip = getattr(subject.target, "skip", None)
    if skip is None:
        raise NotApplicable("its contract has no skip")
    reason = skip(Parts())
    require(isinstance(reason, str), f"skip gives {type(reason).__name__}")
    return reason or "no objection"


@check(GENERAL)
def builds_quietly(subject: Subject) -> str:
    """Is constructed without printing, and without touching global random state."""
    if KINDS[subject.plugin.kind].positional:
        raise NotApplicable("its constructor takes more than parameters")
    text = printed(subject.build)
    require(not text, f"it prints {quoted(text)}")
    touched = random_state_touched(subject.build)
    require(not touched, f"it touches the global generator of {', '.join(touched)}")
    return "nothing printed, no generator touched"
