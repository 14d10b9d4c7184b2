"""A learning curve: the probe on validation while training goes on."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from gwbench.nn.detector_encoder import DetectorEncoder
from gwbench.training.callbacks import History

if TYPE_CHECKING:
    from gwbench.evaluation.statistics import Interval
    from gwbench.utils.progress import Progress

ProbeOnValidation = Callable[[DetectorEncoder], "Interval"]
"""Gives the AUC on validation of an encoder that is frozen."""


class LearningPoint(TypedDict):
    """A point of the curve: epochs, steps and windows before it, and the AUC on validation with its interval."""

    epoch: int
    step: int
    windows: int
    val_auc: float
    low: float
    high: float


class LearningCurve(Callback):
    """Probes a frozen copy of the encoder before training, after every few epochs and after the last one.

    The training does not notice: the copy alone is looked at, in evaluation mode and in fp32, and nothing is drawn from
    a generator that the training uses.

    Args:
        probe: gives the AUC on validation; None in processes that follow rank 0.
        every: epochs between two points.
        epochs: of the whole training, at most.
        batch_size: windows per step.
        before: (epochs, steps, windows) of a run that this training goes on from.
        history: counts the seconds that probing takes.
        progress: where to report and log.

    Attributes:
        points: of the curve.
    """

    def __init__(
        self,
        probe: ProbeOnValidation | None,
        *,
        every: int,
        epochs: int,
        batch_size: int,
        before: tuple[int, int, int],
        history: History,
        progress: Progress,
    ) -> None:
        self._probe, self._every, self._epochs = probe, every, epochs
        self._batch_size, self._before = batch_size, before
        self._history, self._progress = history, progress
        self.points: list[LearningPoint] = []

    def state_dict(self) -> dict[str, Any]:
        """What the checkpoint keeps."""
        return {"points": [dict(point) for point in self.points]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.points = [LearningPoint(**point) for point in state_dict["points"]]  # type: ignore[typeddict-item]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The point before the first step."""
        if trainer.global_step == 0:
            self._add(trainer, pl_module, 0)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A point where one is due; runs after what may stop the training, and before the checkpoint is written."""
        epoch = trainer.current_epoch + 1
        if epoch % self._every == 0 or epoch == self._epochs or trainer.should_stop:
            self._add(trainer, pl_module, epoch)

    def _add(self, trainer: pl.Trainer, pl_module: pl.LightningModule, epoch: int) -> None:
        if self._probe is None:
            return
        begun = time.perf_counter()
        encoder = copy.deepcopy(pl_module.encoder)
        assert isinstance(encoder, DetectorEncoder)
        found = self._probe(encoder.to(pl_module.device))
        self._history.diagnostics_seconds += time.perf_counter() - begun
        epochs, steps, windows = self._before
        step = trainer.global_step
        point = LearningPoint(
            epoch=epochs + epoch,
            step=steps + step,
            windows=windows + step * self._batch_size,
            val_auc=found.value,
            low=found.low,
            high=found.high,
        )
        self.points.append(point)
        figures = {f"validation/probe_{name}": point[name] for name in ("val_auc", "low", "high")}
        self._progress.log({**figures, "validation/windows": point["windows"]}, step)


def check_curve(points: Sequence[Mapping[str, Any]]) -> str:
    """What is wrong with a curve in a checkpoint; empty where nothing is."""
    for point in points:
        if point.keys() != LearningPoint.__annotations__.keys():
            return "its learning curve has points of another kind"
        counts = [point[name] for name in ("epoch", "step", "windows")]
        shares = [point[name] for name in ("low", "val_auc", "high")]
        if not all(type(count) is int and count >= 0 for count in counts) or not all(
            isinstance(share, float) and 0 <= share <= 1 for share in shares
        ):
            return "its learning curve holds what cannot be"
    return ""
