"""How pre-training runs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gwbench.utils.models import FrozenModel


class TrainingSettings(FrozenModel):
    """How pre-training runs.

    Attributes:
        epochs: passes over the training split.
        batch_size: windows per step.
        lr: peak learning rate.
        weight_decay: on weights; biases and normalisation layers are left out.
        optimizer: AdamW, or LARS (arXiv:1708.03888) for very large batches.
        warmup: share of all steps over which the learning rate rises linearly; a cosine follows.
        clip: largest norm of the gradient; 0 for no limit.
    """

    epochs: Annotated[int, Field(ge=1)] = 5
    batch_size: Annotated[int, Field(ge=2)] = 256
    lr: Annotated[float, Field(gt=0, le=1000)] = 2e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    optimizer: Literal["adamw", "lars"] = "adamw"
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.1
    clip: Annotated[float, Field(ge=0)] = 1.0
