"""How long the methods of a suite are trained, so that they can be compared.

    budget: equal                # all see as many windows: the most passes of any method over the training split
    budget: {equal: 160000}      # all see so many windows, in whole batches
    budget: converged            # each trains until its own unlabelled signals stand still, 100 epochs at most
    budget: {converged: 40}      # 40 epochs at most

Pre-training is meant. A baseline that trains on labels keeps its own epochs: it stops by its AUC on validation.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from gwbench.errors import UserError
from gwbench.training.settings import TrainingSettings
from gwbench.utils.models import FrozenModel

if TYPE_CHECKING:
    from gwbench.experiment.spec import RunSpec

CAP = 100
"""Epochs of a training that may stop earlier, at most, where the file does not say."""


class TrainingBudget(FrozenModel):
    """What a suite's file says under `budget`.

    Attributes:
        kind: "equal" or "converged".
        amount: windows of an equal budget, epochs at most of a converged one; None where the file does not say.
    """

    kind: Literal["equal", "converged"]
    amount: Annotated[int, Field(ge=2)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_yaml(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"kind": value}
        if isinstance(value, dict) and len(value) == 1 and next(iter(value)) in ("equal", "converged"):
            ((kind, amount),) = value.items()
            return {"kind": kind, "amount": amount}
        if isinstance(value, TrainingBudget) or (isinstance(value, dict) and "kind" in value):
            return value
        raise ValueError("expected equal, {equal: WINDOWS}, converged or {converged: EPOCHS}")

    def settings(self, training: Mapping[str, Any]) -> dict[str, Any]:
        """Dotted settings of every method's pre-training.

        Args:
            training: what the file gives under `training`.

        Raises:
            UserError: it says itself how long training is.
        """
        self.require_alone([f"training.{name}" for name in training])
        if self.kind == "equal":
            return {}
        return {"training.stop": "plateau", "training.epochs": self.amount or training.get("epochs", CAP)}

    def require_alone(self, settings: Collection[str]) -> None:
        """Raise `UserError` where a dotted setting says how long training is, too."""
        for name in ("training.windows", "training.stop", *(["training.epochs"] if self.amount else [])):
            if name in settings:
                raise UserError(f"budget and {name} both say how long training is: leave one of them out.")

    def applied(self, specs: Sequence[RunSpec]) -> list[RunSpec]:
        """The suite's runs with an equal budget of windows, where it is one.

        Raises:
            UserError: how many windows is not known, or it is less than a batch.
        """
        if self.kind != "equal":
            return list(specs)
        longest: dict[str, RunSpec] = {}  # by data
        for spec in specs:
            if spec.training and spec.training.epochs > _epochs(longest.get(_data(spec))):
                longest[_data(spec)] = spec
        windows = {key: self.amount or _epochs(spec) * _training_windows(spec) for key, spec in longest.items()}
        return [_with_windows(spec, windows.get(_data(spec))) for spec in specs]


def _data(spec: RunSpec) -> str:
    return spec.dataset.model_dump_json()


def _epochs(spec: RunSpec | None) -> int:
    return spec.training.epochs if spec and spec.training else 0


def _training_windows(spec: RunSpec) -> int:
    """Windows of the training split, of a dataset that tells before it is read."""
    sizes = getattr(spec.dataset.build("dataset"), "sizes", None)
    if not isinstance(sizes, Mapping) or not isinstance(sizes.get("train"), int):
        raise UserError(
            f"the dataset {spec.dataset.name!r} does not tell beforehand how many windows it has. Say how many "
            "every method shall see, such as `budget: {equal: 160000}`."
        )
    return int(sizes["train"])


def _with_windows(spec: RunSpec, windows: int | None) -> RunSpec:
    if spec.training is None or windows is None:
        return spec
    if windows < spec.training.batch_size:
        raise UserError(
            f"{windows} windows are less than the batch of {spec.training.batch_size} of {spec.title}. Raise "
            "it, or lower the batch size."
        )
    # as `gwbench run --set training.windows=N` has it, so that it is the same run
    epochs = TrainingSettings().epochs
    return spec.model_copy(update={"training": spec.training.model_copy(update={"windows": windows, "epochs": epochs})})
