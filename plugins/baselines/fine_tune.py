"""The pre-trained encoder, unfrozen."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gwbench.contracts import Baseline, RunContext, Scores
from gwbench.registry import register
from gwbench.training.supervised import Settings, train_on_labels


@register(
    "baseline",
    "fine-tune",
    citation="linear probing, then fine-tuning: Kumar et al., arXiv:2202.10054",
    tags=("labels", "trained", "pre-trained"),
)
class FineTune(Baseline):
    """The run's pre-trained encoder and a linear head, both trained on the labels that the probe gets.

    The head starts as the linear probe, and validation may choose to leave it at that (epoch 0). A finished run of the
    same settings without this baseline, in the same folder of runs, gives its encoder; else it is pre-trained here.

    Args:
        epochs: at most; validation is looked at after each.
        epoch_steps: about how many steps an epoch has at least: where labels are few, it goes through them several
            times.
        batch_size: windows per step.
        lr: peak learning rate of the encoder.
        head_lr: peak learning rate of the head.
        weight_decay: on weights.
        warmup: share of the steps over which the learning rates rise; a cosine follows.
        patience: epochs without a better AUC on validation after which training stops.
        flip: draw the sign of every window at random, in all detectors alike; that of a wave is arbitrary.
    """

    needs_encoder = True
    trains = True
    pretrains = True

    def __init__(
        self,
        *,
        epochs: Annotated[int, Field(ge=1)] = 10,
        epoch_steps: Annotated[int, Field(ge=1)] = 30,
        batch_size: Annotated[int, Field(ge=2)] = 64,
        lr: Annotated[float, Field(gt=0)] = 3e-4,
        head_lr: Annotated[float, Field(gt=0)] = 1e-3,
        weight_decay: Annotated[float, Field(ge=0)] = 1e-2,
        warmup: Annotated[float, Field(ge=0, lt=1)] = 0.1,
        patience: Annotated[int, Field(ge=1)] = 5,
        flip: bool = False,
    ) -> None:
        self.settings = Settings(
            epochs=epochs,
            epoch_steps=epoch_steps,
            batch_size=batch_size,
            lr=lr,
            head_lr=head_lr,
            weight_decay=weight_decay,
            warmup=warmup,
            patience=patience,
            flip=flip,
        )

    def scores(self, context: RunContext) -> Scores:
        """Scores of the fine-tuned classifier."""
        return train_on_labels(context, context.pretrained(), context.labelled, self.settings, probe_first=True)
