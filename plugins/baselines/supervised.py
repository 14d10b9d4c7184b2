"""Training from scratch on the probe's labels."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gwbench.contracts import Array, Baseline, RunContext, Scores
from gwbench.registry import register
from gwbench.training.supervised import Settings, train_on_labels


@register(
    "baseline",
    "supervised",
    citation="a network trained on labels from scratch; AdamW: Loshchilov & Hutter, arXiv:1711.05101",
    tags=("labels", "trained"),
)
class Supervised(Baseline):
    """The encoder and a linear head trained from scratch on exactly the labels that the probe gets.

    The head sees what the probe sees, the detectors' embeddings side by side. Of all epochs, the one with the highest
    AUC on the validation split is scored.

    Args:
        epochs: at most; validation is looked at after each.
        epoch_steps: about how many steps an epoch has at least: where labels are few, it goes through them several
            times.
        batch_size: windows per step.
        lr: peak learning rate.
        weight_decay: on weights.
        warmup: share of the steps over which the learning rate rises; a cosine follows.
        patience: epochs without a better AUC on validation after which training stops.
        flip: draw the sign of every window at random, in all detectors alike; that of a wave is arbitrary.
    """

    needs_encoder = True
    trains = True

    def __init__(
        self,
        *,
        epochs: Annotated[int, Field(ge=1)] = 12,
        epoch_steps: Annotated[int, Field(ge=1)] = 30,
        batch_size: Annotated[int, Field(ge=2)] = 64,
        lr: Annotated[float, Field(gt=0)] = 2e-3,
        weight_decay: Annotated[float, Field(ge=0)] = 1e-2,
        warmup: Annotated[float, Field(ge=0, lt=1)] = 0.1,
        patience: Annotated[int, Field(ge=1)] = 5,
        flip: bool = True,
    ) -> None:
        self.settings = Settings(
            epochs=epochs,
            epoch_steps=epoch_steps,
            batch_size=batch_size,
            lr=lr,
            head_lr=lr,
            weight_decay=weight_decay,
            warmup=warmup,
            patience=patience,
            flip=flip,
        )

    def scores(self, context: RunContext) -> Scores:
        """Scores of the trained classifier."""
        return train_on_labels(context, context.new_encoder(), self.positions(context), self.settings)

    def positions(self, context: RunContext) -> Array:
        """The training windows whose labels are used."""
        return context.labelled
