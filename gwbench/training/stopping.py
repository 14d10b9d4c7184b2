"""Training that ends when its own unlabelled signals no longer improve.

The learning rate rises, stays, and decays to zero once the end is known (warm-up, stable, decay: arXiv:2405.18392,
whose decay is one minus a square root). A cosine cut off in its middle would leave weights at a high rate: the result
would be that of an unfinished training.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from gwbench.training.callbacks import History, diverged
from gwbench.training.signals import BETTER

if TYPE_CHECKING:
    from gwbench.training.settings import TrainingSettings

PLATEAU, OVERFIT, CAP = "plateau", "overfit", "cap"
"""Why a training ended: no signal improved any more; the loss improved on the training windows alone; or its epochs
were used up."""


@dataclass
class DecaySchedule:
    """The learning rate as a share of its peak, step by step; where it decays is told when it is known.

    Attributes:
        warmup: steps of the linear rise.
        decay_from, end: steps between which it falls to zero; None until they are known.
    """

    warmup: int
    decay_from: int | None = None
    end: int | None = None

    def __call__(self, step: int) -> float:
        """The share at a step, counted from 0."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        if self.decay_from is None or self.end is None or step <= self.decay_from:
            return 1.0
        return max(1 - math.sqrt((step - self.decay_from) / (self.end - self.decay_from)), 0.0)

    def scheduled(self, optimizer: Optimizer) -> dict[str, Any]:
        """What `configure_optimizers` returns."""
        rate = LambdaLR(optimizer, lambda step: self(step))  # a function, whose state no checkpoint holds
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": rate, "interval": "step"}}


def epochs_of_decay(stable: int, settings: TrainingSettings) -> int:
    """Epochs of decay after so many others, within the epochs that there are in all."""
    return min(math.ceil(settings.cooldown * stable), settings.epochs - stable)


def has_room(stable: int, settings: TrainingSettings) -> bool:
    """Whether one more epoch at the full rate leaves room for its decay."""
    return stable + 1 + math.ceil(settings.cooldown * (stable + 1)) <= settings.epochs


def on_plateau(history: Sequence[Mapping[str, float]], patience: int, tolerance: float) -> bool:
    """Whether no signal has improved for some epochs.

    A signal improves where it is better than it ever was by more than a share of how far it has moved so far: losses
    and ranks of any size are judged alike.

    Args:
        history: the signals of every epoch so far (`gwbench.training.signals`).
        patience: how many epochs.
        tolerance: the share.
    """
    return len(history) > patience and all(
        len(history) - 1 - last_improvement([sign * each[name] for each in history], tolerance) >= patience
        for name, sign in BETTER.items()
        if all(name in each for each in history)
    )


def overfits(training: Sequence[float], held_out: Sequence[float], patience: int, tolerance: float) -> bool:
    """Whether the loss has improved on the training windows and not on held-out ones for some epochs.

    The training loss is below the held-out one then, and has improved since the held-out one last did. At the first
    plateau of a loss, where nothing is learnt yet, neither of them improves.

    Args:
        training, held_out: the loss of every epoch so far.
        patience: how many epochs.
        tolerance: what counts as an improvement, as of `on_plateau`.
    """
    since = last_improvement([-loss for loss in held_out], tolerance)
    learnt = training[since] - training[-1] > tolerance * (max(training) - min(training))
    return len(held_out) - 1 - since >= patience and learnt and training[-1] < held_out[-1]


def last_improvement(values: Sequence[float], tolerance: float) -> int:
    """Where a signal, of which more is better, was last better than ever before by more than the tolerance."""
    last, best = 0, values[0]
    low = high = values[0]
    for position, value in enumerate(values):
        low, high = min(low, value), max(high, value)
        if value - best > tolerance * (high - low):
            last, best = position, value
    return last


class PlateauStopper(Callback):
    """Measures the signals after every epoch, has the rate decay once they stand still, and ends the training then.

    Args:
        settings: of the training, its epochs without those of a run that it goes on from.
        batches: of an epoch.
        schedule: of the learning rate.
        measure: gives the signals.
        history: has the loss of every epoch, and counts the seconds that measuring takes.

    Attributes:
        signals: of every epoch.
        reason: why the decay began; empty before.
    """

    def __init__(
        self,
        settings: TrainingSettings,
        batches: int,
        schedule: DecaySchedule,
        measure: Callable[[], dict[str, float]],
        history: History,
    ) -> None:
        self._settings, self._batches, self._schedule = settings, batches, schedule
        self._measure, self._history = measure, history
        self.signals: list[dict[str, float]] = []
        self.reason = ""

    def state_dict(self) -> dict[str, Any]:
        """What the checkpoint keeps."""
        return {"signals": self.signals, "reason": self.reason, "decay_epoch": self._decay_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.signals = [dict(each) for each in state_dict["signals"]]
        if state_dict["reason"]:
            self._decay(int(state_dict["decay_epoch"]), state_dict["reason"])

    @property
    def _decay_epoch(self) -> int:
        return (self._schedule.decay_from or 0) // self._batches

    @property
    def outcome(self) -> dict[str, Any]:
        """Why the training ended, after how many epochs and steps, and at which step the decay began."""
        end = self._schedule.end or 0
        return {
            "reason": self.reason,
            "epoch": end // self._batches,
            "step": end,
            "decay_from_step": self._schedule.decay_from or 0,
        }

    def last(self) -> dict[str, float]:
        """The signals of the last epoch, for loggers."""
        return {f"validation_{name}": value for name, value in self.signals[-1].items()} if self.signals else {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Train no further where a checkpoint is of the end."""
        self._stop_at_end(trainer, trainer.current_epoch)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measure, and decide; runs before the checkpoint is written."""
        begun = time.perf_counter()
        # Rank 0 looks for all processes, which also decide alike.
        own = (self._measure(), self._history.loss) if trainer.is_global_zero else None
        agreed: Any = trainer.strategy.broadcast(own)
        figures, losses = agreed
        self._history.diagnostics_seconds += time.perf_counter() - begun
        if not all(math.isfinite(value) for value in figures.values()):
            raise diverged("The signals on validation are not finite", trainer.global_step)
        self.signals.append(figures)
        epoch, settings = trainer.current_epoch + 1, self._settings
        if not self.reason:
            held_out = [each["ssl_loss"] for each in self.signals]
            if on_plateau(self.signals, settings.patience, settings.tolerance):
                self._decay(epoch, PLATEAU)
            elif overfits(losses, held_out, settings.patience, settings.tolerance):
                self._decay(epoch, OVERFIT)
            elif not has_room(epoch, settings):
                self._decay(epoch, CAP)
        self._stop_at_end(trainer, epoch)

    def _decay(self, epoch: int, reason: str) -> None:
        self.reason = reason
        self._schedule.decay_from = epoch * self._batches
        self._schedule.end = (epoch + epochs_of_decay(epoch, self._settings)) * self._batches

    def _stop_at_end(self, trainer: pl.Trainer, epoch: int) -> None:
        if self.reason and epoch * self._batches == self._schedule.end:
            trainer.should_stop = True


def check_stopper(state: Mapping[str, Any], epochs: int, done: int) -> str:
    """What is wrong with a stopper's state in a checkpoint; empty where nothing is.

    Args:
        state: as `PlateauStopper.state_dict` gives it.
        epochs: of the whole training, at most.
        done: of them.
    """
    signals, reason, begun = state["signals"], state["reason"], state["decay_epoch"]
    numbers = [value for each in signals for value in each.values()]
    if len(signals) != done or not all(isinstance(value, float) and math.isfinite(value) for value in numbers):
        return "its signals are not those of its epochs"
    begins = type(begun) is int and 0 < begun <= min(done, epochs - 1)
    if reason not in ("", PLATEAU, OVERFIT, CAP) or (reason and not begins):
        return "it does not say where its learning rate decays"
    return ""
