"""How pre-training runs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, ValidationInfo, field_validator, model_serializer

from gwbench.utils.models import FrozenModel


class TrainingSettings(FrozenModel):
    """How pre-training runs.

    Attributes:
        epochs: passes over the training split; the most of them where training may stop earlier.
        batch_size: windows per step.
        lr: peak learning rate.
        weight_decay: on weights; biases and normalisation layers are left out.
        optimizer: AdamW, or LARS (arXiv:1708.03888) for very large batches.
        warmup: share of all steps over which the learning rate rises linearly; a cosine follows.
        clip: largest norm of the gradient; 0 for no limit.
        windows: train until so many windows were seen, in whole batches, instead of whole epochs.
        stop: none, or plateau: stop when no unlabelled signal on validation improves any more; the learning rate is
            then constant and decays at the end (arXiv:2405.18392), since a cosine must know its end beforehand.
        patience: epochs without an improvement after which training stops.
        tolerance: what counts as an improvement, as a share of how far a signal has moved so far.
        cooldown: epochs of the decay to zero that ends a training which may stop, as a share of those before it.
    """

    epochs: Annotated[int, Field(ge=1)] = 5
    batch_size: Annotated[int, Field(ge=2)] = 256
    lr: Annotated[float, Field(gt=0, le=1000)] = 2e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    optimizer: Literal["adamw", "lars"] = "adamw"
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.1
    clip: Annotated[float, Field(ge=0)] = 1.0
    windows: Annotated[int, Field(ge=2)] | None = None
    stop: Literal["none", "plateau"] = "none"
    patience: Annotated[int, Field(ge=1)] = 3
    tolerance: Annotated[float, Field(ge=0, lt=1)] = 0.02
    cooldown: Annotated[float, Field(gt=0, le=1)] = 0.2

    @field_validator("windows")
    @classmethod
    def _a_batch_at_least(cls, windows: int | None, info: ValidationInfo) -> int | None:
        batch = info.data.get("batch_size", 2)
        if windows is not None and windows < batch:
            raise ValueError(f"fewer than a batch of {batch}")
        return windows

    @field_validator("stop")
    @classmethod
    def _stop_fits(cls, stop: str, info: ValidationInfo) -> str:
        if stop != "none" and info.data.get("windows") is not None:
            raise ValueError("training.windows says when training ends; leave one of them out")
        if stop != "none" and info.data.get("epochs", 2) < 2:
            raise ValueError("epochs=1 leaves no epoch for the decay of the learning rate; use 2 or more")
        return stop

    @field_validator("patience", "tolerance", "cooldown")
    @classmethod
    def _has_effect(cls, value: float, info: ValidationInfo) -> float:
        default = cls.model_fields[str(info.field_name)].default
        if value != default and info.data.get("stop") == "none":
            raise ValueError("it has no effect without training.stop=plateau")
        return value

    @model_serializer(mode="wrap")
    def _as_before(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Settings that are younger than the first runs are left out where they change nothing about a run."""
        fields: dict[str, Any] = serialize(self)
        if self.windows is None:
            fields.pop("windows", None)
        else:
            fields.pop("epochs", None)  # which then follow
        for name in ("stop", "patience", "tolerance", "cooldown") if self.stop == "none" else ():
            fields.pop(name, None)
        return fields

    def steps(self, batches: int, epochs_before: int = 0) -> int:
        """Steps of the whole training; the most of them where it may stop earlier.

        Args:
            batches: of an epoch.
            epochs_before: of the run that this training goes on from.
        """
        if self.windows is not None:
            return self.windows // self.batch_size
        return (self.epochs - epochs_before) * batches
