"""Pre-training: two views of unlabelled strain, an encoder, an objective; run by Lightning.

Every random draw is keyed by (seed, role, epoch, step) and none depends on a generator's history, so a run that is
killed and resumed from its last epoch ends in the same numbers as one left alone.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from gwbench import seeds
from gwbench.contracts import Array
from gwbench.dataloading.conditioned_split import ConditionedStrain
from gwbench.dataloading.prefetch import Batches
from gwbench.errors import UserError
from gwbench.training.callbacks import CheckpointSaver, History, MetricLogger, ProgressReporter, diverged
from gwbench.training.checkpoint_file import agree_on_checkpoint, set_aside
from gwbench.training.contention import ContentionWatch
from gwbench.training.distributed import ProcessGroup
from gwbench.training.distributed.global_batch import GlobalBatchEncoder, GlobalBatchView, disable_gathering
from gwbench.training.epoch_batches import EpochBatches, IndexedBatches
from gwbench.training.front_end_cache import FrontEndCache
from gwbench.training.learning_curve import LearningPoint
from gwbench.training.method import SslMethod
from gwbench.training.stopping import DecaySchedule
from gwbench.training.trainer import adamw, fit, scheduled, weight_groups
from gwbench.training.validation_watch import TrainingReports, TrainingStart, Validation

if TYPE_CHECKING:
    from gwbench.training.settings import TrainingSettings
    from gwbench.utils.progress import Progress

CHECKPOINT = "last.ckpt"
MONITORED = 512
"""Training windows whose embeddings the collapse monitor looks at, at most."""


@dataclass(frozen=True)
class Trained:
    """What came of pre-training.

    Attributes:
        loss: mean loss of every epoch.
        collapse: the monitor's numbers after every epoch.
        seconds: of training, over all sessions.
        diagnostics_seconds: seconds that went into looking at embeddings and projections besides, over all sessions.
        windows_per_second: training windows, over all sessions.
        resumed_from: the epoch that this session went on from, or 0.
        steps: of the optimiser, over all sessions; 0 where another run took them.
        diagnostics: arrays to look at afterwards (`gwbench.training.diagnostics`), where there are any.
        learning_curve: the probe on validation while training went on; empty where it was not asked for.
        signals: the unlabelled signals after every epoch, where training may stop by them.
        stopped: why it ended, where it may stop (`PlateauStopper.outcome`).
    """

    loss: list[float]
    collapse: list[dict[str, float]]
    seconds: float
    windows_per_second: float
    resumed_from: int
    diagnostics_seconds: float = 0.0
    steps: int = 0
    diagnostics: Mapping[str, Array] = field(default_factory=dict, compare=False)
    learning_curve: list[LearningPoint] = field(default_factory=list)
    signals: list[dict[str, float]] = field(default_factory=list)
    stopped: dict[str, Any] | None = None


def monitored(strain: ConditionedStrain) -> Tensor:
    """The training windows [N, D, T] whose embeddings are looked at: evenly spaced, the same all through a run."""
    return strain[torch.linspace(0, len(strain) - 1, min(MONITORED, len(strain))).long()]


def pretrain(
    method: SslMethod,
    strain: ConditionedStrain,
    settings: TrainingSettings,
    *,
    seed: int,
    precision: str,
    device: str,
    folder: Path,
    progress: Progress,
    process_group: ProcessGroup | None = None,
    validation: Validation | None = None,
    start: TrainingStart | None = None,
) -> Trained:
    """Train the method's encoder in place.

    Several processes that train together end in the weights of one process, up to rounding, but for random views: each
    draws those of its own share of a batch.

    Args:
        method: encoder, pairing, augmentations and objective.
        strain: the conditioned training split; labels are not seen.
        settings: epochs, batch size, optimiser.
        seed: the run's seed.
        precision: "fp32" or "bf16".
        device: "cpu", "cuda", "cuda:1" or "mps".
        folder: holds the checkpoint; a run found there is resumed.
        progress: where to report.
        process_group: the processes that train together, which are connected, and whose number divides the batch; by
            default this one alone.
        validation: looked at by rank 0 for a learning curve, and for when to stop.
        start: where training goes on from; by default it begins anew.

    Raises:
        UserError: the batch is larger than the data, or the loss is no longer finite.
    """
    process_group, start = process_group or ProcessGroup(), start or TrainingStart()
    batches = _batches(method, len(strain), settings, seed, process_group, start.epochs)
    steps = settings.steps(len(batches), start.epochs)
    epochs = -(-steps // len(batches))
    settings = settings.model_copy(update={"epochs": epochs})
    watched = monitored(strain)
    front_end_cache = FrontEndCache(len(strain), watched.shape[1], device, progress) if method.unchanging else None
    if process_group.size > 1:
        method = replace(method, encoder=GlobalBatchEncoder(method.encoder))
        disable_gathering(method.objective)
    checkpoint = folder / CHECKPOINT

    def module() -> Pretraining:
        made = Pretraining(
            method,
            settings,
            seed,
            steps,
            front_end_cache=front_end_cache,
            process_group=process_group,
            first_step=start.steps,
            schedule=_decay_schedule(settings, steps, len(batches)),
        )
        start.restore(made.objective)
        return made

    def train(trained: Pretraining, history: History, resumed: str | None) -> TrainingReports:
        reports = TrainingReports(
            method,
            settings,
            len(batches),
            trained.schedule,
            history,
            start,
            validation,
            seed=seed,
            device=device,
            progress=progress,
        )
        shown = [
            ProgressReporter(progress, history, steps * settings.batch_size, settings.batch_size),
            MetricLogger(progress, "pretrain", lambda: _last_epoch(history, settings) | reports.last()),
            *([ContentionWatch(progress)] if device == "cpu" else []),
        ]
        fit(
            trained,
            IndexedBatches(Batches(strain, batches, device)),
            epochs=epochs,
            max_steps=steps if settings.windows else -1,
            device=device,
            precision=precision,
            clip=settings.clip,
            callbacks=[
                history,
                *reports.callbacks,
                *(shown if process_group.is_main else ()),
                CheckpointSaver(checkpoint),
            ],
            folder=folder,
            checkpoint=resumed,
            process_group=process_group,
        )
        return reports

    first, history = module(), History(watched)
    resumed = agree_on_checkpoint(checkpoint, first, epochs, len(batches), progress, process_group)
    fresh = copy.deepcopy(first.state_dict()) if resumed and process_group.size == 1 else None
    try:
        reports = train(first, history, resumed)
    except Exception as error:
        if fresh is None or history.begun:
            raise
        set_aside(checkpoint, type(error).__name__, progress)  # it could not be restored
        first.load_state_dict(fresh)
        history = History(watched)
        reports = train(module(), history, None)
    return Trained(
        loss=history.loss,
        collapse=history.collapse,
        seconds=history.seconds,
        diagnostics_seconds=history.diagnostics_seconds,
        windows_per_second=_windows_per_second(history, settings),
        resumed_from=history.resumed_from,
        steps=history.steps,
        learning_curve=reports.curve.points if reports.curve else [],
        signals=reports.stopper.signals if reports.stopper else [],
        stopped=reports.stopper.outcome if reports.stopper else None,
    )


def _decay_schedule(settings: TrainingSettings, steps: int, batches: int) -> DecaySchedule | None:
    """The learning rate of a training that may stop, which rises for an epoch at most; None for any other."""
    if settings.stop == "none":
        return None
    return DecaySchedule(warmup=min(int(settings.warmup * steps), batches))


def _batches(
    method: SslMethod,
    windows: int,
    settings: TrainingSettings,
    seed: int,
    process_group: ProcessGroup,
    first_epoch: int,
) -> EpochBatches:
    """The positions of every batch.

    Raises:
        UserError: the batch is larger than the data, or smaller than the objective needs.
    """
    require_batch(windows, settings, method.objective.min_batch)
    return EpochBatches(windows, settings.batch_size, seed, process_group, first_epoch)


def require_batch(windows: int, settings: TrainingSettings, least: int) -> None:
    """Raise `UserError` where a batch is larger than the data, or smaller than the objective needs.

    Args:
        windows: of the training split.
        settings: of pre-training.
        least: windows in a batch that the objective needs.
    """
    if windows < settings.batch_size:
        raise UserError(
            f"A batch of {settings.batch_size} windows is larger than the training split of {windows}. "
            "Lower --batch-size or use more data."
        )
    if settings.batch_size < least:
        raise UserError(f"This objective needs a batch of at least {least}; raise --batch-size.")


def _windows_per_second(history: History, settings: TrainingSettings) -> float:
    return history.steps * settings.batch_size / history.seconds


def _last_epoch(history: History, settings: TrainingSettings) -> dict[str, float]:
    """The metrics of the last epoch, for loggers."""
    metrics = {"epoch_loss": history.loss[-1], "samples_per_second": _windows_per_second(history, settings)}
    return metrics | history.collapse[-1]


class Pretraining(pl.LightningModule):
    """The training step, the optimiser and its schedule.

    Args:
        method: what is trained.
        settings: how.
        seed: the run's.
        total_steps: of the whole training.
        front_end_cache: where views that do not change find what the encoder's fixed front end makes of them.
        process_group: the processes that train together; where they are several, the encoder is a `GlobalBatchEncoder`.
        first_step: steps of the run that this training goes on from, so that it draws other views than that one.
        schedule: of the learning rate where training may stop; by default a warm-up and a cosine.
    """

    def __init__(
        self,
        method: SslMethod,
        settings: TrainingSettings,
        seed: int,
        total_steps: int,
        front_end_cache: FrontEndCache | None = None,
        process_group: ProcessGroup | None = None,
        first_step: int = 0,
        schedule: DecaySchedule | None = None,
    ) -> None:
        super().__init__()
        self.first_step, self.schedule = first_step, schedule
        self.method = method
        self.encoder = method.encoder
        self.objective = method.objective
        self.settings = settings
        self.seed = seed
        self.total_steps = total_steps
        self.front_end_cache = front_end_cache
        self.process_group = process_group or ProcessGroup()
        self.objective.attach(self.encoder)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        """Loss of one batch: conditioned strain [B, D, T] and the positions [B] of its windows."""
        (strain, windows), step = batch, self.first_step + self.global_step
        key = (step, self.process_group.rank) if self.process_group.size > 1 else (step,)
        generator = seeds.torch_generator(self.seed, "pairing", *key, device=strain.device)
        a, b = self.method.views(strain, generator)
        if self.front_end_cache:
            same = b is a  # then both go through the front end at once
            a = self.front_end_cache.serve(a, windows)
            b = a if same else self.front_end_cache.serve(b, windows)
        if self.process_group.size > 1:
            a, b = GlobalBatchView(own=a), GlobalBatchView(own=b)
        with seeds.torch_global(self.seed, "noise", step):  # dropout takes no generator
            loss: Tensor = self.objective(a, b, self.encoder)
        if not torch.isfinite(loss):
            raise diverged(f"The loss is {loss.item()}", step)
        return loss

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """After a step has been taken: the objective moves its target, if it has one."""
        self.objective.after_step(self.global_step, self.total_steps)

    def configure_optimizers(self) -> Any:
        """The optimiser and the schedule of its learning rate, per step."""
        from lightly.utils.lars import LARS

        groups = weight_groups(self, self.settings.weight_decay)
        optimizer = (
            adamw(groups, lr=self.settings.lr)
            if self.settings.optimizer == "adamw"
            else LARS(groups, lr=self.settings.lr, momentum=0.9)
        )
        if self.schedule:
            return self.schedule.scheduled(optimizer)
        return scheduled(optimizer, self.settings.warmup, self.total_steps)
