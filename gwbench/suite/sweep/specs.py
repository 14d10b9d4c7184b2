"""The runs of a sweep: a base, and the settings of one trial over it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pydantic

from gwbench.errors import UserError, did_you_mean
from gwbench.experiment.choice import default_task
from gwbench.experiment.resolve_spec import resolve_spec
from gwbench.experiment.sections import OWN_SECTIONS, SECTIONS, no_setting
from gwbench.experiment.spec import PLUGIN_FIELDS, RunSpec
from gwbench.registry import KINDS
from gwbench.registry.compatibility import contract_of
from gwbench.suite.schema import MatrixEntry

if TYPE_CHECKING:
    from gwbench.contracts import Task
    from gwbench.experiment.data_cache import DataCache

PARTS = (*PLUGIN_FIELDS, "encoder_groups")
"""What may be searched besides settings."""

SPEC_OPTIONS = (*PARTS, "data_seed", "limit")
"""Options of the base that a spec has."""


@dataclass(frozen=True)
class SweepTrial:
    """One point of a sweep.

    Attributes:
        settings: what is searched, by name, as the runs have it.
        specs: its runs, one for each seed.
    """

    settings: Mapping[str, Any]
    specs: tuple[RunSpec, ...]

    def runs(self, data_cache: DataCache) -> list[str]:
        """Identities of its runs."""
        return [spec.run_id(data_cache.fingerprint(spec)) for spec in self.specs]

    def is_of(self, runs: Sequence[str], data_cache: DataCache) -> bool:
        """Whether these are the identities of its runs, now or as an earlier gwbench had them."""
        return len(runs) == len(self.specs) and all(
            run_id in {each for _, each in spec.identities(data_cache.fingerprint(spec))}
            for run_id, spec in zip(runs, self.specs, strict=True)
        )


@dataclass(frozen=True)
class SweepBase:
    """What all trials of a sweep have in common.

    Attributes:
        options: names of plugins and other options of a run.
        settings: dotted settings.
        seeds: of every trial's runs.
        device: where they are carried out, which decides on a precision that is left at "auto".
    """

    options: Mapping[str, Any]
    settings: Mapping[str, Any]
    seeds: tuple[int, ...]
    device: str

    def trial(self, chosen: Mapping[str, Any]) -> SweepTrial:
        """The trial of some settings.

        Raises:
            UserError: they do not fit the run or each other.
        """
        specs = tuple(self.spec(chosen, seed) for seed in self.seeds)
        return SweepTrial({name: value_in(specs[0], name, value) for name, value in chosen.items()}, specs)

    def default(self, names: Iterable[str]) -> dict[str, Any]:
        """The settings of these names where nothing is searched."""
        spec = self.spec({}, self.seeds[0])
        return {name: value_in(spec, name, None) for name in names}

    def spec(self, chosen: Mapping[str, Any], seed: int) -> RunSpec:
        """One run.

        Args:
            chosen: plugins by field, such as "objective", and settings by dotted name.
            seed: of the run.

        Raises:
            UserError: as of `RunSpec.create`.
        """
        options = {name: self.options[name] for name in SPEC_OPTIONS if name in self.options}
        settings = dict(self.settings)
        precision = self.options.get("precision", "auto")
        baseline = chosen.get("baseline", options.get("baseline"))
        if baseline is not None:
            precision = _without_pretraining(_entries(baseline)[0].name, options, settings, precision)
        for name, value in chosen.items():
            if name in PLUGIN_FIELDS:
                _choose(name, value, options, settings)
            elif name == "encoder_groups":
                options[name] = value
        settings |= {name: value for name, value in chosen.items() if name not in PARTS}
        return resolve_spec(precision, self.device, settings=settings, seed=seed, **options)


def check_name(name: str) -> None:
    """Raise `UserError` where nothing of this name can be searched, or where trials could not be compared."""
    section, _, setting = name.partition(".")
    if section in ("task", "data_seed") or (section == "dataset" and setting != "train"):
        raise UserError(f"{name} is not searched: all trials are scored on the same windows for the same task, or they "
                        "could not be compared. Set it in the base, and make a sweep for each.")  # fmt: skip
    if name in PARTS or (section in SECTIONS and setting):
        return
    if section in ("seed", "seeds"):
        raise UserError(f"{name} is not searched: `seeds` says with which seeds every trial is run.")
    if not setting and section not in SECTIONS:
        raise UserError(f"there is nothing to search called {name!r}.{did_you_mean(name, PARTS)} It is a setting, such "
                        f"as training.lr, or one of {', '.join(PARTS)}.")  # fmt: skip
    raise no_setting(name)


def value_in(spec: RunSpec, name: str, given: Any) -> Any:
    """What a run has for something that is searched, as plain data.

    Args:
        spec: the run.
        name: a part, such as "objective", or a dotted setting.
        given: what was asked for; a part's parameters are taken from there.
    """
    if name in PLUGIN_FIELDS:
        chosen = getattr(spec, name)
        if name == "task" and chosen is None:
            chosen = default_task()
        present = list(chosen) if isinstance(chosen, tuple) else [chosen] if chosen else []
        asked = {entry.name: entry.parameters for entry in _entries(given)}
        words = [_plain(each.name, asked.get(each.name, {})) for each in present]
        if KINDS[PLUGIN_FIELDS[name]].several:
            return words
        return words[0] if words else None
    if name in PARTS:
        return getattr(spec, name)
    section, _, setting = name.partition(".")
    if section in OWN_SECTIONS:
        return getattr(getattr(spec, section), setting, given)
    values = spec.settings()
    if section == "augmentation" and name not in values and len(spec.augmentations) == 1:
        name = f"augmentation.{spec.augmentations[0].name}.{setting}"
    return values.get(name, given)


def _plain(name: str, parameters: Mapping[str, Any]) -> Any:
    return {"name": name, **parameters} if parameters else name


def _entries(value: Any) -> list[MatrixEntry]:
    """The plugins that a value names: a name, a name with parameters, or a list of such."""
    if value is None:
        return []
    try:
        return [MatrixEntry.model_validate(each) for each in (value if isinstance(value, list) else [value])]
    except pydantic.ValidationError:
        raise UserError(f"{value!r} is no plugin: expected a name, or a mapping with name and parameters.") from None


def _choose(field: str, value: Any, options: dict[str, Any], settings: dict[str, Any]) -> None:
    """Put plugins in the place of the base's, whose settings go with them."""
    kind, entries = PLUGIN_FIELDS[field], _entries(value)
    several = KINDS[kind].several
    names = [entry.name for entry in entries]
    if len(names) > 1 and not several:
        raise UserError(f"{value!r}: a run has one {kind}. List the choices one by one.")
    wanted: Any = names if several else names[0] if names else None
    if wanted != options.get(field, [] if several else None):
        for key in [key for key in settings if key.startswith(f"{kind}.")]:
            del settings[key]
    options[field] = wanted
    for entry in entries:
        prefix = f"{kind}.{entry.name}." if several else f"{kind}."
        settings |= {f"{prefix}{key}": each for key, each in entry.parameters.items()}


def _without_pretraining(baseline: str, options: dict[str, Any], settings: dict[str, Any], precision: str) -> str:
    """Leave out of a base what a baseline has no use for; the precision that is left."""
    contract = contract_of(baseline)
    if contract.pretrains:
        return precision
    dropped = ["pairing", "augmentations", "objective", *([] if contract.needs_encoder else ["encoder"])]
    for field in dropped:
        options.pop(field, None)
    if not contract.needs_encoder:
        options.pop("encoder_groups", None)
    sections = {"training", *(PLUGIN_FIELDS[field] for field in dropped)}
    for key in [key for key in settings if key.partition(".")[0] in sections]:
        del settings[key]
    return precision if contract.trains else "auto"


def figure_name(task: Task) -> str:
    """What the trials of a task are ordered by, in words.

    Raises:
        UserError: the task does not say.
    """
    if task.ranks_signals:
        return "AUC"
    if not task.main_figure:
        raise UserError(f"The task {type(task).__name__} names no main figure, by which trials could be ordered.")
    return task.main_figure
