"""Does a plugin keep its kind's contract? The checks behind `gwbench check` and the tests.

A check is a function decorated with `check`, in the file of its kind; the first line of its docstring is what the table
says of it. It returns what it found, raises `Failure` where the contract is broken, or `NotApplicable`.
"""

from __future__ import annotations

from gwbench.conformance.case import Case, Finding, cases, load
from gwbench.conformance.subject import Subject
from gwbench.conformance.table import Check, Failure, NotApplicable, check, checks

__all__ = [
    "Case",
    "Check",
    "Failure",
    "Finding",
    "NotApplicable",
    "Subject",
    "cases",
    "check",
    "checks",
    "load",
]
