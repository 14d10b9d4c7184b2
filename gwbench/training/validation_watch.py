"""What looks at the validation split while training goes on, as far as it is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from gwbench.dataloading.conditioned_split import ConditionedStrain
from gwbench.training.callbacks import History
from gwbench.training.learning_curve import LearningCurve, ProbeOnValidation
from gwbench.training.signals import WATCHED, unlabelled_signals
from gwbench.training.stopping import DecaySchedule, PlateauStopper

if TYPE_CHECKING:
    from collections.abc import Callable

    from gwbench.contracts import Objective
    from gwbench.training.method import SslMethod
    from gwbench.training.settings import TrainingSettings
    from gwbench.utils.progress import Progress


@dataclass(frozen=True)
class TrainingStart:
    """Where a training goes on from that another run has ended.

    Attributes:
        epochs, steps, windows: that were trained before, which say what is drawn next.
        restore: gives an objective its weights, once it is attached to the encoder.
    """

    epochs: int = 0
    steps: int = 0
    windows: int = 0
    restore: Callable[[Objective], object] = lambda objective: None


@dataclass(frozen=True)
class Validation:
    """What of the validation split is looked at while training goes on.

    Attributes:
        strain: conditioned; its labels are not among it.
        paired: whether the objective compares two views of the same windows.
        probe: gives the AUC of a frozen encoder; None where no learning curve is asked for.
        probe_every: epochs between two points of the curve.
    """

    strain: ConditionedStrain
    paired: bool = True
    probe: ProbeOnValidation | None = None
    probe_every: int = 0


class TrainingReports:
    """The callbacks that look at the validation split.

    Args:
        method: what is trained.
        settings: of the training, its epochs without those of a run that it goes on from.
        batches: of an epoch.
        schedule: of the learning rate where training may stop.
        history: counts the seconds that looking takes.
        start: where training goes on from.
        validation: what is looked at; None in a training that is told of no validation split.
        seed: the run's.
        device: where the networks are.
        progress: where to report and log.

    Attributes:
        curve: the learning curve; None without.
        stopper: ends the training; None without.
    """

    def __init__(
        self,
        method: SslMethod,
        settings: TrainingSettings,
        batches: int,
        schedule: DecaySchedule | None,
        history: History,
        start: TrainingStart,
        validation: Validation | None,
        *,
        seed: int,
        device: str,
        progress: Progress,
    ) -> None:
        self.curve: LearningCurve | None = None
        self.stopper: PlateauStopper | None = None

        watched: list[Tensor] = []  # read once

        def measure() -> dict[str, float]:
            assert validation
            if not watched:
                strain = validation.strain
                watched.append(strain[torch.linspace(0, len(strain) - 1, min(WATCHED, len(strain))).long()])
            return unlabelled_signals(
                method,
                watched[0],
                batch_size=settings.batch_size,
                seed=seed,
                device=device,
                paired=validation.paired,
            )

        if schedule:
            self.stopper = PlateauStopper(settings, batches, schedule, measure, history)
        if validation and validation.probe_every:
            self.curve = LearningCurve(
                validation.probe,
                every=validation.probe_every,
                epochs=settings.epochs,
                batch_size=settings.batch_size,
                before=(start.epochs, start.steps, start.windows),
                history=history,
                progress=progress,
            )

    @property
    def callbacks(self) -> list[Callback]:
        """In the order in which they are called: what may stop the training, then what looks at its last epoch."""
        return [each for each in (self.stopper, self.curve) if each]

    def last(self) -> dict[str, float]:
        """The signals of the last epoch, for loggers."""
        return self.stopper.last() if self.stopper else {}
