"""How a run is carried out, which is no part of what it is: its weights and scores are the same."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gwbench.errors import UserError

if TYPE_CHECKING:
    from gwbench.experiment.record import RunRecord
    from gwbench.experiment.spec import RunSpec


@dataclass(frozen=True)
class RunMode:
    """How a run is carried out.

    Attributes:
        probe_every: epochs between two points of a learning curve; 0 for none.
        deterministic: whether only algorithms are used that give the same bits again.
        extended_from: folder of the run that the spec goes on from, if it does.
    """

    probe_every: int = 0
    deterministic: bool = False
    extended_from: Path | None = None

    def check(self, spec: RunSpec) -> None:
        """Raise `UserError` where something of it would have no effect on a run."""
        if self.probe_every < 0:
            raise UserError(f"--probe-every {self.probe_every} is no number of epochs: use 1 or more.")
        if not self.probe_every:
            return
        if not spec.training:
            assert spec.baseline
            raise UserError(
                f"--probe-every has no effect: the baseline {spec.baseline.name!r} pre-trains nothing. Leave it out."
            )
        if not spec.build_task().ranks_signals:
            assert spec.task
            raise UserError(
                f"--probe-every draws a curve of the ROC-AUC, which the task {spec.task.name!r} does not have. Leave "
                "it out."
            )

    def missing_in(self, done: RunRecord) -> str:
        """What a finished run does not have of what is asked for, in a sentence; empty where nothing is missing."""
        return " It has no learning curve." if self.probe_every and done.learning_curve is None else ""


ORDINARY = RunMode()
"""As a run is carried out where nothing is asked for."""
