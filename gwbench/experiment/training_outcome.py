"""What a record says of pre-training."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from gwbench.utils.models import FrozenModel

Count = Annotated[int, Field(ge=0, lt=2**63)]
Share = Annotated[float, Field(ge=0, le=1)]


class CurvePoint(FrozenModel):
    """A point of a learning curve.

    Attributes:
        epoch, step, windows: that the encoder had been trained for.
        val_auc, low, high: ROC-AUC of the run's probe on validation, with its interval.
    """

    epoch: Count
    step: Count
    windows: Count
    val_auc: Share
    low: Share
    high: Share

    @model_validator(mode="after")
    def _in_order(self) -> CurvePoint:
        if not self.low <= self.val_auc <= self.high:
            raise ValueError("an interval needs low <= value <= high")
        return self


class StopReason(FrozenModel):
    """Why a training ended that may stop by itself.

    Attributes:
        reason: "plateau" where no unlabelled signal improved any more, "overfit" where the loss improved on the
            training windows alone, "cap" where its epochs were used up.
        epoch, step: of this training after which it ended.
        decay_from_step: the step at which the learning rate began to decay to zero.
    """

    reason: Literal["plateau", "overfit", "cap"]
    epoch: Count
    step: Count
    decay_from_step: Count


class Continuation(FrozenModel):
    """How a training went on from another run.

    Attributes:
        restored: what was taken from that run.
        anew: what started anew.
    """

    restored: tuple[str, ...]
    anew: tuple[str, ...]


class TrainingOutcome(FrozenModel):
    """What came of pre-training.

    Attributes:
        loss, collapse: mean loss and the collapse monitor's figures, per epoch.
        warning: of a representation that has collapsed.
        resumed_from: the epoch after which an interrupted training went on.
        signals: what was measured on validation without labels, per epoch, where training may stop by it.
        stopped: why it ended, where it may stop.
        continued: how it went on from another run, where it did.
    """

    loss: list[float]
    collapse: list[dict[str, float]]
    warning: str | None
    resumed_from: int
    signals: list[dict[str, float]] | None = None
    stopped: StopReason | None = None
    continued: Continuation | None = None

    @property
    def is_whole(self) -> bool:
        """Whether there are figures of every epoch; the oldest records may lack those of the collapse monitor."""
        return 0 < len(self.collapse) == len(self.loss) and len(self.signals or self.loss) == len(self.loss)

    @model_serializer(mode="wrap")
    def _without_absent(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Ordinary trainings read as they did before there were others."""
        fields: dict[str, Any] = serialize(self)
        for name in ("signals", "stopped", "continued"):
            if getattr(self, name) is None:
                fields.pop(name, None)
        return fields
