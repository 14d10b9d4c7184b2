"""Pre-training: two views of unlabelled strain, an encoder, an objective; run by Lightning.

Every random draw is keyed by (seed, role, epoch, step) and none depends on a generator's history, so a run that is
killed and resumed from its last epoch ends in the same numbers as one left alone.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning.callbacks import Callback
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from gwbench import seeds
from gwbench.collapse import collapse
from gwbench.contracts import Augmentation, Objective, Pairing, View
from gwbench.data.conditioned import ConditionedStrain
from gwbench.encoding import DetectorEncoder, frozen_embedding
from gwbench.errors import UserError
from gwbench.files import atomic

if TYPE_CHECKING:
    from gwbench.progress import Progress, Task
    from gwbench.spec import Training

CHECKPOINT = "last.ckpt"
MONITORED = 512
"""Training windows whose embeddings the collapse monitor looks at."""

CHUNK = 64
"""Windows that the monitor embeds at once."""


@dataclass(frozen=True)
class Method:
    """What is trained."""

    encoder: DetectorEncoder
    pairing: Pairing
    augmentations: Sequence[Augmentation]
    objective: Objective

    def views(self, strain: Tensor, generator: torch.Generator) -> tuple[View, View]:
        """Two augmented views of conditioned strain [B, D, T]."""
        a, b = self.pairing.pair(strain, generator)
        for augmentation in self.augmentations:
            a, b = augmentation.augment(a, generator), augmentation.augment(b, generator)
        return a, b


@dataclass(frozen=True)
class Trained:
    """What came of pre-training.

    Attributes:
        loss: mean loss of every epoch.
        collapse: the monitor's numbers after every epoch.
        seconds: of training, over all sittings.
        windows_per_second: training windows, over all sittings.
        resumed_from: the epoch that this sitting went on from, or 0.
    """

    loss: list[float]
    collapse: list[dict[str, float]]
    seconds: float
    windows_per_second: float
    resumed_from: int


def pretrain(
    method: Method,
    strain: ConditionedStrain,
    settings: Training,
    *,
    seed: int,
    precision: str,
    device: str,
    folder: Path,
    progress: Progress,
) -> Trained:
    """Train the method's encoder in place.

    Args:
        method: encoder, pairing, augmentations and objective.
        strain: the conditioned training split; labels are not seen.
        settings: epochs, batch size, optimiser.
        seed: the run's seed.
        precision: "fp32" or "bf16".
        device: "cpu", "cuda", "cuda:1" or "mps".
        folder: holds the checkpoint; a run found there is resumed.
        progress: where to report.

    Raises:
        UserError: the batch is larger than the data, or the loss is no longer finite.
    """
    batches = EpochBatches(len(strain), settings.batch_size, seed)
    if len(batches) == 0:
        raise UserError(
            f"A batch of {settings.batch_size} windows is larger than the training split of {len(strain)}. "
            "Lower --batch-size or use more data."
        )
    if settings.batch_size < method.objective.min_batch:
        raise UserError(f"This objective needs a batch of at least {method.objective.min_batch}; raise --batch-size.")
    module = Pretraining(method, settings, seed, total_steps=settings.epochs * len(batches))
    history = History(strain[torch.linspace(0, len(strain) - 1, min(MONITORED, len(strain))).long()])
    reporter = Reporter(progress, settings.epochs * len(batches) * settings.batch_size, settings.batch_size)
    checkpoint = folder / CHECKPOINT
    with _quiet():
        trainer = pl.Trainer(
            max_epochs=settings.epochs,
            accelerator="gpu" if device.startswith("cuda") else device.split(":")[0],
            devices=[int(device.split(":")[1])] if ":" in device else 1,
            precision="bf16-mixed" if precision == "bf16" else "32-true",
            gradient_clip_val=settings.clip or None,
            callbacks=[history, reporter, Saver(checkpoint)],
            enable_checkpointing=False,
            plugins=[LightningEnvironment()],  # a run is one process, inside a cluster's job too
            default_root_dir=folder,
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
        )
        loader = DataLoader(
            _Batches(strain),
            sampler=batches,
            batch_size=None,
            pin_memory=device.startswith("cuda"),
            generator=seeds.torch_generator(seed, "batch"),  # else it draws from the global one
        )
        try:
            trainer.fit(module, loader, ckpt_path=_usable(checkpoint, progress), weights_only=True)
        except SystemExit as stop:
            raise KeyboardInterrupt from stop  # Lightning turns Ctrl-C into an exit; the caller decides about that
    return Trained(
        loss=history.loss,
        collapse=history.collapse,
        seconds=history.seconds,
        windows_per_second=history.steps * settings.batch_size / history.seconds,
        resumed_from=history.resumed_from,
    )


class EpochBatches(Sampler[Tensor]):
    """Positions of every batch: a fresh permutation each epoch; the rest that fills no batch is left for another."""

    def __init__(self, size: int, batch_size: int, seed: int) -> None:
        self._size, self._batch_size, self._seed, self._epoch = size, batch_size, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning at the start of every epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._size // self._batch_size

    def __iter__(self) -> Iterator[Tensor]:
        order = torch.randperm(self._size, generator=seeds.torch_generator(self._seed, "batch", self._epoch))
        yield from order[: len(self) * self._batch_size].split(self._batch_size)


class _Batches(torch.utils.data.Dataset[Tensor]):
    """Whole batches by their positions."""

    def __init__(self, strain: ConditionedStrain) -> None:
        self._strain = strain

    def __getitem__(self, positions: Tensor) -> Tensor:
        return self._strain[positions]


class Pretraining(pl.LightningModule):
    """The training step, the optimiser and its schedule."""

    def __init__(self, method: Method, settings: Training, seed: int, total_steps: int) -> None:
        super().__init__()
        self.method = method
        self.encoder = method.encoder
        self.objective = method.objective
        self.settings = settings
        self.seed = seed
        self.total_steps = total_steps
        self.objective.attach(self.encoder)

    def training_step(self, strain: Tensor, batch_index: int) -> Tensor:
        """Loss of one batch of conditioned strain [B, D, T]."""
        step = self.global_step
        generator = seeds.torch_generator(self.seed, "pairing", step, device=strain.device)
        a, b = self.method.views(strain, generator)
        with seeds.torch_global(self.seed, "noise", step):  # dropout takes no generator
            loss: Tensor = self.objective(a, b, self.encoder)
        if not torch.isfinite(loss):
            raise _diverged(f"The loss is {loss.item()}", step)
        return loss

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """After a step has been taken: the objective moves its target, if it has one."""
        self.objective.after_step(self.global_step, self.total_steps)

    def configure_optimizers(self) -> Any:
        """The optimiser, and a linear warm-up followed by a cosine, per step."""
        from lightly.utils.lars import LARS
        from lightly.utils.scheduler import CosineWarmupScheduler

        trained = [p for p in self.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in trained if p.ndim > 1], "weight_decay": self.settings.weight_decay},
            {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
        ]
        optimizer = (
            torch.optim.AdamW(groups, lr=self.settings.lr)
            if self.settings.optimizer == "adamw"
            else LARS(groups, lr=self.settings.lr, momentum=0.9)
        )
        scheduler = CosineWarmupScheduler(
            optimizer,
            int(self.settings.warmup * self.total_steps),
            self.total_steps + 1,  # the rate reaches 0 one step after the last
            end_value=0.0,
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


class History(Callback):
    """Losses, collapse and training seconds; saved in the checkpoint, so that resuming forgets nothing."""

    def __init__(self, monitored: Tensor) -> None:
        self._monitored = monitored
        self._sum, self._steps = 0.0, 0
        self._started = 0.0
        self.steps = 0
        self.resumed_from = 0
        self.loss: list[float] = []
        self.collapse: list[dict[str, float]] = []
        self.seconds = 0.0

    def state_dict(self) -> dict[str, Any]:
        """What the checkpoint keeps."""
        return {"loss": self.loss, "collapse": self.collapse, "seconds": self.seconds, "steps": self.steps}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.loss, self.collapse = list(state_dict["loss"]), list(state_dict["collapse"])
        self.seconds, self.steps = float(state_dict["seconds"]), int(state_dict["steps"])
        self.resumed_from = len(self.loss)

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
        encoder = pl_module.encoder
        assert isinstance(encoder, DetectorEncoder)
        parts = self._monitored.split(CHUNK)
        embedding = torch.cat([frozen_embedding(encoder, part.to(pl_module.device)).cpu() for part in parts])
        if not torch.isfinite(embedding).all():
            raise _diverged("The embeddings are not finite", trainer.global_step)
        self.collapse.append(collapse(embedding))


class Saver(Callback):
    """Writes the checkpoint after every epoch, so that there is always a whole one."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The last of the callbacks, when all others have closed the epoch."""
        with atomic(self._path) as temporary:
            trainer.save_checkpoint(temporary)


class Reporter(Callback):
    """Progress with loss and throughput; one task for the whole training."""

    def __init__(self, progress: Progress, total: int, batch_size: int) -> None:
        self._progress, self._total, self._batch_size = progress, total, batch_size
        self._context: Any = None
        self._task: Task | None = None

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


def _diverged(what: str, step: int) -> UserError:
    return UserError(f"{what} at step {step}: training diverged. Lower --lr, or use --precision fp32.")


def _usable(checkpoint: Path, progress: Progress) -> str | None:
    """The checkpoint to resume from, if there is one that opens."""
    if not checkpoint.exists():
        return None
    try:
        torch.load(checkpoint, map_location="cpu", weights_only=True)
    except Exception as error:
        progress.say(f"The checkpoint {checkpoint} cannot be read ({type(error).__name__}): starting over.")
        checkpoint.unlink()
        return None
    return str(checkpoint)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning's adverts and hints to itself for the block."""
    loggers = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"pytorch_lightning|lightning_fabric|torch\.utils\.data")
            warnings.filterwarnings("ignore", message=r".*(num_workers|pin_memory|LeafSpec).*")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
