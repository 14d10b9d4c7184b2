"""One thing that was checked of a run."""

from __future__ import annotations

from typing import Literal

from gwbench.utils.models import FrozenModel

Status = Literal["passed", "failed", "not checkable"]


class ProofCheck(FrozenModel):
    """A check.

    Attributes:
        name: of what was checked, such as "identity".
        status: "not checkable" where what it needs is not there.
        detail: what was found, or why it could not be checked.
    """

    name: str
    status: Status
    detail: str
