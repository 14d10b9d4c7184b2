"""Settings by their sections: those of plugins, and "training", "evaluation" and "conditioning"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

import pydantic
from pydantic import BaseModel, Field

from gwbench.errors import UserError, did_you_mean
from gwbench.preprocessing.settings import Conditioning
from gwbench.registry import KINDS
from gwbench.training.settings import TrainingSettings
from gwbench.utils.models import FrozenModel
from gwbench.utils.validation_errors import reason

M = TypeVar("M", bound=BaseModel)


class EvaluationSettings(FrozenModel):
    """How the frozen encoder is judged, whatever the task (protocol version 1).

    Attributes:
        label_fraction: share of the training labels that the probe gets, stratified; 0 for no probe, but the score that
            the objective gives by itself, where it has one.
        neighbours: k of the kNN score.
    """

    label_fraction: Annotated[float, Field(ge=0, le=1)] = 0.25
    neighbours: Annotated[int, Field(ge=1)] = 20


OWN_SECTIONS: dict[str, type[BaseModel]] = {
    "training": TrainingSettings,
    "evaluation": EvaluationSettings,
    "conditioning": Conditioning,
}
"""The sections that belong to no plugin."""

SECTIONS = ("dataset", *(kind for kind in KINDS if kind != "dataset"), *OWN_SECTIONS)
"""What dotted settings start with."""


def no_setting(key: str) -> UserError:
    """The error for a dotted setting of no section."""
    hint = did_you_mean(key.partition(".")[0], SECTIONS)
    return UserError(f"There is no setting {key!r}.{hint} Settings start with {', '.join(SECTIONS)} and a dot.")


def read_section(section: str, given: Mapping[str, Any]) -> BaseModel:
    """The settings of a section, "training", "evaluation" or "conditioning", with the defaults of those not given.

    Raises:
        UserError: a setting that the section does not have, or a value that does not fit.
    """
    model = OWN_SECTIONS[section]
    for name in given:
        if name not in model.model_fields:
            known = "; ".join(f"{key} = {field.default!r}" for key, field in model.model_fields.items())
            hint = did_you_mean(name, model.model_fields)
            raise UserError(f"{section} has no setting {name!r}.{hint} It takes: {known}.")
    return validated(model, dict(given), prefix=f"{section}.")


def validated(model: type[M], values: dict[str, Any], prefix: str = "") -> M:
    """A model of these values; raises `UserError` that names the first that is wrong, behind `prefix`."""
    try:
        return model(**values)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        why = reason(error).removeprefix("Value error, ")
        raise UserError(f"{prefix}{field}={first['input']!r} is not valid: {why}.") from None


def sort_settings(
    settings: Mapping[str, Any], chosen: Mapping[str, str | None], augmentations: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Dotted settings by section; those of an augmentation under "augmentation.NAME"."""
    sections: dict[str, dict[str, Any]] = {}
    for key, value in settings.items():
        section, _, name = key.partition(".")
        if section not in SECTIONS or not name:
            raise no_setting(key)
        if section == "augmentation":
            target, _, parameter = name.rpartition(".")
            if not target and len(augmentations) == 1:
                target = augmentations[0]
            if target not in augmentations:
                names = ", ".join(augmentations) or "none"
                raise UserError(
                    f"{key!r} sets an augmentation that this run does not have (it has: {names}). "
                    "Add it, or write augmentation.NAME.PARAMETER."
                )
            sections.setdefault(f"augmentation.{target}", {})[parameter] = value
            continue
        if section in KINDS and chosen.get(section) is None:
            raise UserError(f"{key!r} sets a parameter of the run's {section}, but this run has none.")
        sections.setdefault(section, {})[name] = value
    return sections
