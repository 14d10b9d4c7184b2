"""Where the encoder of a run is from that pre-trains none of its own: a finished run, on other data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from gwbench.experiment.choice import Choice
from gwbench.experiment.settings import dotted
from gwbench.training.settings import TrainingSettings
from gwbench.utils.models import FrozenModel

RunId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
Digest = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")]

Whose = Literal["refit", "run"]
"""Whose conditioner: one measured on the new data's training split, without labels, or the source run's own."""


class EncoderSource(FrozenModel):
    """The run that pre-trained an encoder. Encoder, pairing, augmentations and objective are those of the spec itself.

    Attributes:
        run_id: its identity.
        weights: SHA-256 of its file of weights; empty for a run that a suite has still to make.
        conditioner: whose.
        dataset: that it was pre-trained on.
        data_seed, seed: of the pre-training.
        training: its settings.
        precision: of the pre-training.
        detectors, sample_rate, window: of its data: names in channel order, Hz, samples.
        folder: where it was found, which is no part of the run's identity.
    """

    run_id: RunId
    weights: Digest = ""
    conditioner: Whose = "refit"
    dataset: Choice
    data_seed: Annotated[int, Field(ge=0)]
    seed: Annotated[int, Field(ge=0)]
    training: TrainingSettings
    precision: Literal["fp32", "bf16"]
    detectors: tuple[str, ...] = ()
    sample_rate: Annotated[float, Field(ge=0)] = 0.0
    window: Annotated[int, Field(ge=0)] = 0
    folder: str

    @property
    def pending(self) -> bool:
        """Whether a suite has still to make it."""
        return not self.weights

    def parameters(self) -> Mapping[str, Any]:
        """What a leaderboard tells methods apart by: seeds and the weights they give are left out."""
        values = {"from.dataset": self.dataset.name, **dict(dotted(self.dataset.parameters, "from.dataset."))}
        values |= dict(dotted(self.training.model_dump(), "from.training."))
        return {**values, "from.precision": self.precision, "from.conditioner": self.conditioner}

    def words(self) -> list[str]:
        """The options of the command line."""
        return ["--encoder-from", self.run_id, *(["--conditioner", "run"] if self.conditioner == "run" else [])]


__all__ = ["EncoderSource", "Whose"]
