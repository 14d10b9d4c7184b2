"""The run that another one goes on from, as the other's spec names it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gwbench.utils.models import FrozenModel

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class ExtendedRun(FrozenModel):
    """A finished run, by what it left.

    Attributes:
        run_id: its identity.
        weights: SHA-256 of its encoder's file.
        objective: SHA-256 of its objective's file; None where none was kept, so that the objective starts anew.
        epochs, steps, windows: that it was trained for, with those of the runs that it went on from itself.
    """

    run_id: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    weights: Digest
    objective: Digest | None = None
    epochs: Annotated[int, Field(ge=1)]
    steps: Annotated[int, Field(ge=1)]
    windows: Annotated[int, Field(ge=2)]
