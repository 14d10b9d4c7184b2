"""What a suite file may say.

    title: what a page of its results is headed with
    about: one sentence on the question that the suite asks
    datasets: [NAME, {name: NAME, preset: small}]   # a plugin's name, or its name and some of its parameters
    encoders: [NAME, ...]
    encoder_groups: [shared]                        # or each, or groups such as 'H1,L1|V1'
    pairings: [NAME, ...]
    augmentations: [[], [NAME, NAME]]               # every entry is the augmentations of one method: none or several
    objectives: [NAME, ...]
    baselines: [NAME, ...]
    encoder_from: [NAME, ...]                       # datasets whose encoders are probed on the others: see `transfers`
    conditioner: refit                              # of these encoders; or run, the source run's own
    tasks: [NAME, ...]                              # predicted from embeddings; by default the default task
    training: {epochs: 5}                           # or a list of such, to compare them
    conditioning: {low: 30}                         # or a list of such
    label_fractions: [0.25]                         # 0: the objective's own score, of those that have one
    seeds: [0, 1, 2]
    data_seeds: [0]
    budget: equal                                   # or converged, or with a number: see `budget`
    precision: auto                                 # or fp32, or bf16
    overrides:                                      # settings, as of `gwbench run --set`, of some of the cells
      - when: {encoder: NAME}
        set: {training.batch_size: 128}
    exclude:                                        # cells that are left out
      - {encoder: NAME, objective: [NAME, NAME]}
    budget_seconds: 7200                            # of wall time, after which no new cell begins
    searches:                                       # continuous strain that every finished cell searches
      - {name: gaussian, make: {hours: 4}}          # see `search_entries`

Only `datasets` must be there. The suite is the cross product of all lists; a baseline appears once for every
combination of the parts that it has, so that one without an objective is not run again for every objective.

A condition, under `exclude` or `when`, holds for a cell where all its keys do: dataset, encoder, encoder_groups,
pairing, augmentation, objective, baseline, task, encoder_from, label_fraction, seed, data_seed, training,
conditioning. A plugin
matches by name, or by a mapping of name and parameters as the suite gives them; `augmentation` by any of a cell's; a
list by any of its entries; null where a cell has none. A setting in `set` of a part that a cell does not have is left
out of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from pydantic import BeforeValidator, Field, model_validator

from gwbench.errors import UserError, did_you_mean
from gwbench.experiment.choice import Choice
from gwbench.experiment.sections import SECTIONS, EvaluationSettings, no_setting, read_section
from gwbench.experiment.spec import PLUGIN_FIELDS
from gwbench.registry import KINDS
from gwbench.suite.budget import TrainingBudget
from gwbench.suite.search_entries import SearchEntry
from gwbench.suite.yaml_file import Document, YamlPosition, read_yaml
from gwbench.utils.models import FrozenModel
from gwbench.utils.validation_errors import refusal

CONDITIONS = (
    *(*PLUGIN_FIELDS.values(), "encoder_groups"),
    *("encoder_from", "label_fraction", "seed", "data_seed", "training", "conditioning"),
)
"""What a condition may ask about."""

LARGEST_SEED = 2**63 - 1
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED, strict=True)]


class MatrixEntry(FrozenModel):
    """A plugin by name, and the parameters that the suite gives it."""

    name: str
    parameters: dict[str, Any] = {}

    def __hash__(self) -> int:
        return hash(self.model_dump_json())

    @model_validator(mode="before")
    @classmethod
    def _from_yaml(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"name": value}
        if not isinstance(value, dict) or not isinstance(value.get("name"), str):
            raise ValueError("expected a plugin's name, or a mapping with its name and parameters")
        return {"name": value["name"], "parameters": {key: value[key] for key in value if key != "name"}}


def _listed(kind: type) -> Callable[[Any], Any]:
    return lambda value: [value] if isinstance(value, kind) else value


Condition = dict[str, Any]
Variants = Annotated[list[dict[str, Any]], BeforeValidator(_listed(dict)), Field(min_length=1)]
"""Settings of a section; one mapping of them stands for a list of one."""
Method = Annotated[list[MatrixEntry], BeforeValidator(_listed(str)), BeforeValidator(_listed(dict))]
"""The augmentations of one method."""


class Override(FrozenModel):
    """Settings of the cells for which a condition holds."""

    when: Condition
    set: dict[str, Any]


class SuiteFile(FrozenModel):
    """The file, as the module's docstring describes it."""

    title: str = ""
    about: str = ""
    datasets: Annotated[list[MatrixEntry], Field(min_length=1)]
    encoders: list[MatrixEntry] = []
    encoder_groups: Annotated[list[str], Field(min_length=1)] = ["shared"]
    pairings: list[MatrixEntry] = []
    augmentations: Annotated[list[Method], Field(min_length=1)] = [[]]
    objectives: list[MatrixEntry] = []
    baselines: list[MatrixEntry] = []
    encoder_from: list[MatrixEntry] = []
    conditioner: Literal["refit", "run"] = "refit"
    tasks: list[MatrixEntry] = []
    training: Variants = [{}]
    conditioning: Variants = [{}]
    label_fractions: Annotated[list[Annotated[float, Field(ge=0, le=1)]], Field(min_length=1)] = [
        EvaluationSettings().label_fraction
    ]
    seeds: Annotated[list[Seed], Field(min_length=1)] = [0]
    data_seeds: Annotated[list[Seed], Field(min_length=1)] = [0]
    budget: TrainingBudget | None = None
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    overrides: list[Override] = []
    exclude: list[Condition] = []
    budget_seconds: Annotated[float, Field(gt=0)] | None = None
    searches: list[SearchEntry] = []


@dataclass(frozen=True)
class Suite:
    """A suite file that has been checked.

    Attributes:
        file: what it says.
        document: the text's lines, for errors.
        settings: dotted settings from outside, for every cell that has the part they are of.
    """

    file: SuiteFile
    document: Document
    settings: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.document.path.stem


def read_suite(path: str | Path, settings: Mapping[str, Any] | None = None) -> Suite:
    """A suite from its file.

    Args:
        path: of the file.
        settings: dotted settings, as of `RunSpec.create`, for all cells; they win over the file's.

    Raises:
        UserError: the file cannot be read, or says something that it may not; the message has its line and key.
    """
    document = read_yaml(Path(path))
    data = {} if document.data is None else document.data
    try:
        file = SuiteFile.model_validate(data)
    except pydantic.ValidationError as error:
        raise document.error(*_complaint(error)) from None
    for key in settings or {}:
        _check_setting(key)
    if file.budget:
        file.budget.require_alone(settings or {})
    _check(file, document)
    return Suite(file, document, settings or {})


def _complaint(error: pydantic.ValidationError) -> tuple[YamlPosition, str]:
    """The place of the first of pydantic's complaints, and what to do about it."""
    first = error.errors()[0]
    place = first["loc"]
    if first["type"] == "extra_forbidden":
        fields = {"overrides": Override.model_fields, "searches": SearchEntry.model_fields}
        known = fields.get(str(place[0]), SuiteFile.model_fields)
        return place, f"there is no key {place[-1]!r}.{did_you_mean(str(place[-1]), known)} Keys: {', '.join(known)}."
    if first["type"] == "missing":
        return place, f"the key {place[-1]!r} is missing."
    if first["type"] == "model_type":
        return place, "expected keys and values."
    return place, refusal(error)


def _check(file: SuiteFile, document: Document) -> None:
    """The names, parameters and settings that the file uses."""
    for kind in PLUGIN_FIELDS.values():
        field = KINDS[kind].plural
        for position, entry in enumerate(() if KINDS[kind].several else getattr(file, field)):
            _check_entry(kind, entry, (field, position), document)
    for position, entry in enumerate(file.encoder_from):
        _check_entry("dataset", entry, ("encoder_from", position), document)
        if not file.objectives:
            raise document.error(("encoder_from",), "there is nothing that is pre-trained: list objectives.")
    for position, method in enumerate(file.augmentations):
        for number, entry in enumerate(method):
            _check_entry("augmentation", entry, ("augmentations", position, number), document)
    for section, variants in (("training", file.training), ("conditioning", file.conditioning)):
        for position, variant in enumerate(variants):
            place: YamlPosition = (section, position) if (section, position) in document.lines else (section,)
            blamed(variant, place, document, partial(read_section, section))
            if file.budget and section == "training":
                blamed(variant, place, document, file.budget.settings)
    for position, override in enumerate(file.overrides):
        for key in override.set:
            try:
                _check_setting(key)
                if file.budget:
                    file.budget.require_alone([key])
            except UserError as error:
                raise document.error(("overrides", position, "set", key), str(error)) from None
        _check_condition(override.when, ("overrides", position, "when"), document)
    for position, condition in enumerate(file.exclude):
        _check_condition(condition, ("exclude", position), document)
    names = [entry.name for entry in file.searches]
    for position, name in enumerate(names):
        if name in names[:position]:
            raise document.error(("searches", position, "name"), f"two searches are called {name!r}.")
    if file.objectives:
        for field in ("encoders", "pairings"):
            if not getattr(file, field):
                raise document.error(("objectives",), f"objectives need {field}: list some.")
    elif not file.baselines:
        raise document.error((), "there is nothing to run: list objectives or baselines.")


def _check_entry(kind: str, entry: MatrixEntry, place: YamlPosition, document: Document) -> None:
    blamed(entry.parameters, place, document, partial(Choice.of, kind, entry.name))


def blamed(
    given: Mapping[str, Any], place: YamlPosition, document: Document, check: Callable[[Mapping[str, Any]], object]
) -> None:
    """Check values of a file together; an error names the line of the one that is wrong by itself.

    Args:
        given: the values, by their keys in the file.
        place: where they stand.
        document: the file.
        check: raises `UserError` where some do not fit.
    """
    try:
        check(given)
    except UserError as error:
        for key, value in given.items():
            try:
                check({key: value})
            except UserError as its_own:
                raise document.error((*place, key), str(its_own)) from None
        raise document.error(place, str(error)) from None


def _check_setting(key: str) -> None:
    section, _, name = key.partition(".")
    if section not in SECTIONS or not name:
        raise no_setting(key)


def _check_condition(condition: Condition, place: YamlPosition, document: Document) -> None:
    for key in condition:
        if key not in CONDITIONS:
            raise document.error(
                (*place, key),
                f"a condition cannot ask for {key!r}.{did_you_mean(key, CONDITIONS)} It knows {', '.join(CONDITIONS)}.",
            )
