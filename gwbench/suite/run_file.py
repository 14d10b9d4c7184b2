"""A run described in YAML, as `gwbench run --print-config` writes it and `gwbench run --config` reads it.

    dataset: {name: NAME, train: 4000}     # a plugin's name, or its name and some of its parameters
    encoder: NAME
    encoder_groups: shared
    pairing: NAME
    augmentations: [NAME, {name: NAME, probability: 0.5}]
    objective: NAME
    baseline: NAME                         # instead of a probed encoder
    task: NAME
    conditioning: {low: 30}
    training: {epochs: 20}
    evaluation: {label_fraction: 0.1}
    precision: auto
    seed: 0
    data_seed: 0
    limit: 100                             # a small try
    plugins: [my_encoder.py]
    out: runs                              # and the other options of `gwbench run`, with underscores

Nothing must be there: what is not, has the defaults of `gwbench run`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import pydantic
from pydantic import BeforeValidator, Field

from gwbench.errors import did_you_mean
from gwbench.experiment.choice import Choice
from gwbench.experiment.sections import OWN_SECTIONS, read_section
from gwbench.experiment.spec import PLUGIN_FIELDS
from gwbench.registry import KINDS, REGISTRY
from gwbench.suite.schema import MatrixEntry, Seed, blamed
from gwbench.suite.yaml_file import Document, YamlPosition, read_yaml
from gwbench.utils.models import FrozenModel
from gwbench.utils.validation_errors import refusal


def _one_or_several(value: Any) -> Any:
    return [value] if isinstance(value, (str, dict)) else value


Names = Annotated[list[str], BeforeValidator(_one_or_several)]
Count = Annotated[int, Field(ge=1, strict=True)]


class RunFile(FrozenModel):
    """What the file may say; None where it says nothing."""

    dataset: MatrixEntry | None = None
    encoder: MatrixEntry | None = None
    encoder_groups: str | None = None
    pairing: MatrixEntry | None = None
    augmentations: Annotated[list[MatrixEntry], BeforeValidator(_one_or_several)] | None = None
    objective: MatrixEntry | None = None
    baseline: MatrixEntry | None = None
    task: MatrixEntry | None = None
    conditioning: dict[str, Any] = Field(default_factory=dict)
    training: dict[str, Any] = Field(default_factory=dict)
    evaluation: dict[str, Any] = Field(default_factory=dict)
    precision: str | None = None
    seed: Seed | None = None
    data_seed: Seed | None = None
    limit: Annotated[int, Field(ge=2)] | None = None
    plugins: Names | None = None
    device: str | None = None
    devices: Count | None = None
    num_nodes: Count | None = None
    workers: Count | None = None
    out: str | None = None
    cache_dir: str | None = None
    loggers: Names | None = None


@dataclass(frozen=True)
class RunDescription:
    """A file that has been checked.

    Attributes:
        options: what it gives of the keyword arguments of `gwbench.run`, plugins by name; `cache_dir` as the command
            line calls it.
        settings: dotted settings, as of `gwbench.run`.
    """

    options: Mapping[str, Any]
    settings: Mapping[str, Any]


def read_run_file(path: str | Path) -> RunDescription:
    """A run from its file; its plugins' sources are loaded.

    Raises:
        UserError: the file cannot be read, or says something that it may not; the message has its line and key.
    """
    document = read_yaml(Path(path))
    try:
        file = RunFile.model_validate({} if document.data is None else document.data)
    except pydantic.ValidationError as error:
        raise document.error(*_complaint(error)) from None
    return describe(file, document)


def describe(file: RunFile, document: Document, at: YamlPosition = ()) -> RunDescription:
    """A run from what a file says of it; its plugins' sources are loaded.

    Args:
        file: what it says.
        document: the file, for errors.
        at: where in it the run stands.

    Raises:
        UserError: a plugin or a setting that is not there, or a value that does not fit; the message has its line.
    """
    for source in file.plugins or ():
        REGISTRY.load_source(source)
    options: dict[str, Any] = {}
    settings: dict[str, Any] = {}
    for name in RunFile.model_fields:
        value = getattr(file, name)
        if value is None or name in OWN_SECTIONS:
            continue
        kind = PLUGIN_FIELDS.get(name)
        if kind is None:
            options[name] = value
        elif KINDS[kind].several:
            options[name] = [entry.name for entry in value]
            for position, entry in enumerate(value):
                settings |= _checked(f"{kind}.{entry.name}.", kind, entry, (*at, name, position), document)
        else:
            options[name] = value.name
            settings |= _checked(f"{kind}.", kind, value, (*at, name), document)
    for section in OWN_SECTIONS:
        given = getattr(file, section)
        blamed(given, (*at, section), document, partial(read_section, section))
        settings |= {f"{section}.{key}": value for key, value in given.items()}
    return RunDescription(options, settings)


def _checked(prefix: str, kind: str, entry: MatrixEntry, place: YamlPosition, document: Document) -> dict[str, Any]:
    """An entry's parameters as dotted settings."""
    check: Callable[[Mapping[str, Any]], object] = partial(Choice.of, kind, entry.name)
    blamed(entry.parameters, place, document, check)
    return {f"{prefix}{name}": value for name, value in entry.parameters.items()}


def _complaint(error: pydantic.ValidationError) -> tuple[YamlPosition, str]:
    """The place of the first of pydantic's complaints, and what to do about it."""
    first = error.errors()[0]
    place = first["loc"]
    if first["type"] == "extra_forbidden":
        known = list(RunFile.model_fields)
        hint = did_you_mean(str(place[-1]), known)
        return place, f"there is no key {place[-1]!r}.{hint} Keys: {', '.join(known)}."
    if first["type"] == "model_type":
        return place, "expected keys and values."
    return place, refusal(error)
