"""Training a classifier on labels, for the baselines that do: an encoder, a linear head, the best epoch kept.

The head sees exactly what the probe sees (`embed_in_chunks`), so that the only difference to a
probed encoder is what the labels may move. Every random draw is keyed by the run's seed, as in pre-training.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor, nn
from torch.nn import functional as F

from gwbench import seeds
from gwbench.contracts import Array, RunContext, Scores, View
from gwbench.dataloading.prefetch import ahead
from gwbench.evaluation.labelled import known_rows
from gwbench.evaluation.linear_probe import Standardiser, labelled_rows, linear_probe
from gwbench.evaluation.statistics import auc
from gwbench.nn.detector_encoder import DetectorEncoder, embed_in_chunks
from gwbench.nn.encoder_scorer import EncoderScorer
from gwbench.nn.linear_head import LinearHead
from gwbench.training.callbacks import MetricLogger, diverged
from gwbench.training.epoch_batches import EpochBatches
from gwbench.training.front_end_cache import FrontEndCache
from gwbench.training.trainer import adamw, fit, scheduled, weight_groups

if TYPE_CHECKING:
    from gwbench.utils.progress import ProgressTask

EMBED_CHUNK = 256
"""Windows embedded at once."""

CLIP = 1.0
"""Largest norm of the gradient."""


@dataclass(frozen=True)
class Settings:
    """How a classifier is trained.

    Attributes:
        epochs: at most; validation is looked at after each.
        epoch_steps: about how many steps an epoch has at least: where labels are few, it goes through them several
            times.
        batch_size: windows per step; all of them where there are fewer.
        lr: peak learning rate of the encoder.
        head_lr: peak learning rate of the head.
        weight_decay: on weights; biases and normalisation layers are left out.
        warmup: share of all steps over which the learning rates rise linearly; a cosine follows.
        patience: epochs without a better AUC on validation after which training stops.
        flip: whether the sign of a window, in all detectors alike, is drawn at random at every step.
    """

    epochs: int
    epoch_steps: int
    batch_size: int
    lr: float
    head_lr: float
    weight_decay: float
    warmup: float
    patience: int
    flip: bool


class Classifier(nn.Module):
    """An encoder and a linear head on the detectors' embeddings side by side."""

    def __init__(self, encoder: DetectorEncoder, features: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(features, 1)

    def forward(self, strain: Tensor | Sequence[View]) -> Tensor:
        """Log-odds of "signal", [B] float32, of conditioned strain [B, D, T], or of its views."""
        embedding = self.encoder.embed(strain)
        with torch.autocast(embedding.device.type, enabled=False):
            return self.head(embedding.float()).squeeze(1)  # type: ignore[no-any-return]


def train_on_labels(
    context: RunContext, encoder: nn.Module, positions: Array, settings: Settings, *, probe_first: bool = False
) -> Scores:
    """Train an encoder, in place, and a linear head with binary cross-entropy, and score the test split once.

    The AUC on the labelled validation windows is measured before training (epoch 0) and after every epoch; the
    weights of the best epoch, the first of those that tie, give the scores, in full fp32.

    Args:
        context: the data, the seed, the device and the precision.
        encoder: as `RunContext.new_encoder` or `RunContext.pretrained` gives it.
        positions: the windows of the training split that are trained on; both classes are among them.
        settings: how.
        probe_first: whether the head starts as the linear probe of the encoder (Kumar et al., arXiv:2202.10054)
            rather than at random.

    Returns:
        Scores with, in `details`: "labelled", how many windows; "training_loss" per epoch; "training_val_auc" from
        epoch 0 on; "best_epoch"; and "val_auc", the best epoch's.

    Raises:
        UserError: the validation split lacks a class, or the training diverged.
    """
    encoder = cast(DetectorEncoder, encoder).to(context.device)
    validation = context.splits.val.label
    features = _embed(context, encoder, "val", np.arange(1)).shape[1]
    with seeds.torch_global(context.seed, "init", 2):
        classifier = Classifier(encoder, features).to(context.device)
    if probe_first:
        _probe_head(context, classifier, positions)

    best = BestEpoch(context, classifier, known_rows(validation), settings.patience)
    best.measure()
    labels = torch.from_numpy(context.splits.train.label[positions].astype(np.float32))
    batches = LabelledBatches(context, positions, labels, settings)
    front_end_cache = None if settings.flip else _front_end_cache(context, len(positions))
    module = ClassifierTraining(
        classifier, settings, context.seed, total_steps=settings.epochs * len(batches), front_end_cache=front_end_cache
    )
    with context.progress.task("Train", settings.epochs * batches.windows, "windows") as task:
        best.task, best.windows = task, batches.windows // len(batches)
        fit(
            module,
            batches,
            epochs=settings.epochs,
            device=context.device,
            precision=context.precision,
            clip=CLIP,
            callbacks=[best, MetricLogger(context.progress, "train", best.last)],
        )
    best.restore()

    classifier.to(context.device)  # Lightning may have brought it home
    with context.progress.task("Embed", len(context.splits.test), "windows") as task:
        embedding = _embed(context, encoder, "test", np.arange(len(context.splits.test)), task)
    head = classifier.head
    return Scores(
        test=_log_odds(classifier, embedding),
        details={
            "labelled": len(positions),
            "training_loss": best.loss,
            "training_val_auc": best.val_auc,
            "best_epoch": best.epoch,
            "val_auc": best.val_auc[best.epoch],
        },
        embeddings=embedding,
        parameters=sum(parameter.numel() for parameter in classifier.parameters()),
        val=best.val_scores(),
        scorer=EncoderScorer(encoder, LinearHead.plain(head.weight[0], head.bias[0]).to(context.device)),
    )


class LabelledBatches:
    """An epoch's batches of conditioned strain [B, D, T], labels [B] and rows [B]; a loader as Lightning takes it.

    Attributes:
        sampler: tells the rows of every batch.
        windows: of an epoch; the rest that fills no batch is left for another.
    """

    def __init__(self, context: RunContext, positions: Array, labels: Tensor, settings: Settings) -> None:
        self._job, self._positions, self._labels = context, positions, labels
        size = min(settings.batch_size, len(positions))
        passes = max(1, round(settings.epoch_steps * size / len(positions)))
        self.sampler = EpochBatches(passes * len(positions), size, context.seed)
        self.windows = len(self.sampler) * size

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        # on a CPU, conditioning ahead would only take the cores from the training
        return map(self._batch, self.sampler) if self._job.device == "cpu" else ahead(self._batch, self.sampler)

    def _batch(self, drawn: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        rows = drawn % len(self._positions)
        strain = self._job.conditioned("train", self._positions[rows.numpy()])
        return strain.pin_memory() if self._job.device.startswith("cuda") else strain, self._labels[rows], rows


class ClassifierTraining(pl.LightningModule):
    """The training step, the optimiser and its schedule.

    Args:
        classifier: what is trained.
        settings: how.
        seed: the run's.
        total_steps: of the whole training.
        front_end_cache: of the labelled windows, unless they change from step to step.
    """

    def __init__(
        self,
        classifier: Classifier,
        settings: Settings,
        seed: int,
        total_steps: int,
        front_end_cache: FrontEndCache | None = None,
    ) -> None:
        super().__init__()
        self.classifier = classifier.train()  # Lightning leaves the mode as it finds it
        self.settings, self.seed, self.total_steps = settings, seed, total_steps
        self.front_end_cache = front_end_cache

    def training_step(self, batch: tuple[Tensor, Tensor, Tensor], batch_index: int) -> Tensor:
        """Binary cross-entropy of one batch."""
        (strain, label, rows), step = batch, self.global_step
        if self.settings.flip:
            generator = seeds.torch_generator(self.seed, "pairing", step, device=strain.device)
            sign = torch.randint(0, 2, (len(strain), 1, 1), generator=generator, device=strain.device)
            strain = strain * (2 * sign - 1)
        views = self.classifier.encoder.views(strain)
        if self.front_end_cache:
            views = [self.front_end_cache.serve(view, rows) for view in views]
        with seeds.torch_global(self.seed, "noise", step):  # dropout takes no generator
            loss = F.binary_cross_entropy_with_logits(self.classifier(views), label)
        if not torch.isfinite(loss):
            raise diverged(f"The loss is {loss.item()}", step)
        return loss

    def configure_optimizers(self) -> Any:
        """AdamW, with rates of their own for encoder and head; a linear warm-up followed by a cosine, per step."""
        decay = self.settings.weight_decay
        encoder = weight_groups(self.classifier.encoder, decay, lr=self.settings.lr)
        optimizer = adamw([*encoder, *weight_groups(self.classifier.head, decay, lr=self.settings.head_lr)])
        return scheduled(optimizer, self.settings.warmup, self.total_steps)


class BestEpoch(Callback):
    """Measures the AUC on validation after every epoch, keeps the best weights, stops when it no longer rises.

    Attributes:
        loss: mean of every epoch.
        val_auc: before training and after every epoch.
        epoch: the best one, counted from 1; 0 for the weights before training.
        task: told of every step, of `windows` each.
    """

    def __init__(self, context: RunContext, classifier: Classifier, rows: Array, patience: int) -> None:
        self._job, self._classifier, self._rows, self._patience = context, classifier, rows, patience
        self._cache = _front_end_cache(context, len(context.splits.val))
        self._steps: list[Tensor] = []
        self._best: dict[str, Tensor] = {}
        self._best_scores: Array = np.empty(0)
        self.loss: list[float] = []
        self.val_auc: list[float] = []
        self.epoch = 0
        self.windows = 0
        self.task: ProgressTask | None = None

    def measure(self) -> None:
        """The AUC on validation as the weights are now."""
        labels = self._job.splits.val.label[self._rows]
        embedding = _embed(self._job, self._classifier.encoder, "val", self._rows, front_end_cache=self._cache)
        labelled_rows(embedding, labels, "validation")  # both classes, and finite
        scores = _log_odds(self._classifier, embedding)
        val_auc = auc(labels, scores)
        if not self.val_auc or val_auc > self.val_auc[self.epoch]:
            self.epoch = len(self.val_auc)
            self._best, self._best_scores = copy.deepcopy(self._classifier.state_dict()), scores
        self.val_auc.append(val_auc)

    def last(self) -> dict[str, float]:
        """The figures of the last epoch."""
        return {"epoch_loss": self.loss[-1], "validation_auc": self.val_auc[-1]}

    def val_scores(self) -> Array:
        """The best epoch's scores of the validation split [N_val]; NaN for windows without a label."""
        scores: Array = np.full(len(self._job.splits.val), np.nan)
        scores[self._rows] = self._best_scores
        return scores

    def restore(self) -> None:
        """Give the classifier the best epoch's weights."""
        self._classifier.load_state_dict(self._best)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *_: Any) -> None:
        """One step further."""
        self._steps.append(outputs["loss"].detach())
        assert self.task is not None
        note = f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs} validation AUC {max(self.val_auc):.4f}"
        self.task.advance(self.windows, note)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close the epoch."""
        self.loss.append(float(torch.stack(self._steps).mean()))
        self._steps.clear()
        self.measure()
        trainer.should_stop = len(self.val_auc) - 1 - self.epoch >= self._patience


def _probe_head(context: RunContext, classifier: Classifier, positions: Array) -> None:
    """Give the head the weights of the linear probe, which are those on standardised embeddings, undone."""
    from sklearn.linear_model import LogisticRegression

    every = np.arange(len(context.splits.val))
    train_x, val_x = (
        _embed(context, classifier.encoder, name, rows) for name, rows in (("train", positions), ("val", every))
    )
    train_y = context.splits.train.label[positions]
    strength = linear_probe(train_x, train_y, val_x, context.splits.val.label, val_x[:1]).strength
    standardiser = Standardiser.fit(train_x)
    probe = LogisticRegression(C=1 / strength, max_iter=1000).fit(standardiser.transform(train_x), train_y)
    weight = probe.coef_[0] * standardiser.inverse_std
    with torch.no_grad():
        classifier.head.weight.copy_(torch.from_numpy(weight)[None])
        classifier.head.bias.fill_(float(probe.intercept_[0] - weight @ standardiser.mean))


def _front_end_cache(context: RunContext, windows: int) -> FrontEndCache:
    return FrontEndCache(windows, len(context.splits.detectors), context.device, context.progress)


def _embed(
    context: RunContext,
    encoder: DetectorEncoder,
    split: str,
    rows: Array,
    task: ProgressTask | None = None,
    front_end_cache: FrontEndCache | None = None,
) -> Array:
    """What the probe would see, [n, F]; the `front_end_cache` is the split's."""

    def read(part: slice) -> list[View]:
        views = encoder.views(context.conditioned(split, rows[part]).to(context.device))
        if front_end_cache is None:
            return views
        windows = torch.from_numpy(rows[part]).to(context.device)
        return [front_end_cache.serve(view, windows) for view in views]

    advance = task.advance if task else None
    return embed_in_chunks(encoder, len(rows), read, chunk=EMBED_CHUNK, advance=advance).numpy()


def _log_odds(classifier: Classifier, embedding: Array) -> Array:
    """The head on embeddings [N, F], in float64: [N]."""
    weight = classifier.head.weight.detach().cpu().double().numpy()[0]
    scores: Array = embedding.astype(np.float64) @ weight + float(classifier.head.bias.detach())
    return scores
