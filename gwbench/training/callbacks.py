"""What happens around the training loop: history, checkpoints, progress."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from gwbench.contracts import View
from gwbench.errors import UserError
from gwbench.nn.detector_encoder import DetectorEncoder, embed_in_chunks
from gwbench.training.collapse import collapse
from gwbench.utils.files import atomic

if TYPE_CHECKING:
    from gwbench.utils.progress import Progress, ProgressTask

MONITOR_CHUNK = 64
"""Windows that the monitor embeds at once."""


class History(Callback):
    """Losses, collapse, seconds of training and of looking, kept in the checkpoint: resuming forgets nothing."""

    def __init__(self, monitored: Tensor) -> None:
        self._monitored = monitored
        self._views: dict[int, list[View]] = {}
        self._sum, self._steps = 0.0, 0
        self._started = 0.0
        self.steps = 0
        self.resumed_from = 0
        self.begun = False
        self.loss: list[float] = []
        self.collapse: list[dict[str, float]] = []
        self.seconds = self.diagnostics_seconds = 0.0

    def state_dict(self) -> dict[str, Any]:
        """What the checkpoint keeps."""
        return {
            "loss": self.loss,
            "collapse": self.collapse,
            "seconds": self.seconds,
            "looking": self.diagnostics_seconds,
            "steps": self.steps,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.loss, self.collapse = list(state_dict["loss"]), list(state_dict["collapse"])
        self.seconds, self.steps = float(state_dict["seconds"]), int(state_dict["steps"])
        self.diagnostics_seconds = float(state_dict.get("looking", 0.0))  # which older checkpoints do not have
        self.resumed_from = len(self.loss)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note that all is restored that a checkpoint held."""
        self.begun = True

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the epoch's clock and sums."""
        self._started, self._sum, self._steps = time.perf_counter(), 0.0, 0

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *_: Any) -> None:
        """Add a step's loss."""
        self._sum += float(outputs["loss"])
        self._steps += 1

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close the epoch; runs before the checkpoint is written."""
        self.seconds += time.perf_counter() - self._started
        self.steps += self._steps
        self.loss.append(self._sum / max(self._steps, 1))
        # Rank 0 looks for all processes, which also end together.
        begun = time.perf_counter()
        figures = trainer.strategy.broadcast(self._look(pl_module) if trainer.is_global_zero else None)
        self.diagnostics_seconds += time.perf_counter() - begun
        if figures is None:
            raise diverged("The embeddings are not finite", trainer.global_step)
        self.collapse.append(figures)

    def _look(self, pl_module: pl.LightningModule) -> dict[str, float] | None:
        """The monitor's numbers; None where embeddings are not finite."""
        encoder = pl_module.encoder
        assert isinstance(encoder, DetectorEncoder)

        def read(part: slice) -> list[View]:
            if part.start not in self._views:  # the same every epoch, so that a fixed front end sees them once
                self._views[part.start] = encoder.views(self._monitored[part].to(pl_module.device))
            return self._views[part.start]

        embedding = embed_in_chunks(encoder, len(self._monitored), read, chunk=MONITOR_CHUNK)
        return collapse(embedding) if torch.isfinite(embedding).all() else None


class CheckpointSaver(Callback):
    """Writes the checkpoint after every epoch, so that there is always a whole one."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The last of the callbacks, when all others have closed the epoch; all processes call it, rank 0 writes."""
        if not trainer.is_global_zero:
            trainer.save_checkpoint(self._path)
            return
        with atomic(self._path) as temporary:
            trainer.save_checkpoint(temporary)


class ProgressReporter(Callback):
    """Progress with loss, throughput and the last epoch's effective rank; one task for the whole training."""

    def __init__(self, progress: Progress, history: History, total: int, batch_size: int) -> None:
        self._progress, self._history, self._total, self._batch_size = progress, history, total, batch_size
        self._context: Any = None
        self._task: ProgressTask | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open the task, advanced to where a resumed run stands."""
        self._context = self._progress.task("Pre-train", self._total, "windows")
        self._task = self._context.__enter__()
        if trainer.global_step:
            self._progress.say(f"Resuming after epoch {trainer.current_epoch}.")
            self._task.advance(trainer.global_step * self._batch_size)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """One step further."""
        assert self._task is not None
        note = f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs} loss {float(outputs['loss']):.4g}"
        if self._history.collapse:
            note += f" rank {self._history.collapse[-1]['effective_rank']:.0f}"
        self._task.advance(self._batch_size, note)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close the task."""
        self._close()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Leave the terminal as it was."""
        self._close()

    def _close(self) -> None:
        if self._context is not None:
            self._context.__exit__(None, None, None)
            self._context = None


class MetricLogger(Callback):
    """Hands loss and learning rate of every step, and the figures of every epoch, to the run's loggers.

    Args:
        progress: the run's.
        name: what the figures' names begin with.
        epoch: the figures of the last epoch, once the callbacks before this one have closed it.
    """

    def __init__(self, progress: Progress, name: str, epoch: Callable[[], Mapping[str, float]]) -> None:
        self._progress, self._name, self._epoch = progress, name, epoch
        self._rate = 0.0

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        """Note the learning rate, which at the end of the step is the next one's."""
        self._rate = trainer.optimizers[0].param_groups[0]["lr"]

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *_: Any) -> None:
        """One step further."""
        self._log({"loss": outputs["loss"].detach(), "learning_rate": self._rate}, trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """One epoch further."""
        self._log({"epoch": trainer.current_epoch + 1, **self._epoch()}, trainer)

    def _log(self, figures: Mapping[str, Any], trainer: pl.Trainer) -> None:
        named = {f"{self._name}/{name}": value for name, value in figures.items()}
        self._progress.log(named, trainer.global_step)


def diverged(what: str, step: int) -> UserError:
    """The error for numbers that are no longer finite."""
    return UserError(
        f"{what} at step {step}: training diverged. Lower the learning rate (--lr, or training.lr in a file), or use "
        "precision fp32."
    )
