"""RunSpec: one cell of a benchmark, validated, canonical and hashable."""

from __future__ import annotations

import hashlib
import itertools
import json
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from gwbench.errors import UserError
from gwbench.evaluation.version import PROTOCOL
from gwbench.experiment.choice import Choice, default_task, named_task
from gwbench.experiment.encoder_source import EncoderSource
from gwbench.experiment.extended_run import ExtendedRun
from gwbench.experiment.objects import python_call
from gwbench.experiment.sections import OWN_SECTIONS, EvaluationSettings, read_section, sort_settings, validated
from gwbench.experiment.settings import as_argument, dotted
from gwbench.preprocessing.settings import Conditioning
from gwbench.registry import KINDS, REGISTRY, Plugin
from gwbench.registry.compatibility import (
    contract_of,
    refuse_combination,
    refuse_training,
    refuse_unused,
    refuse_without_labels,
    resolve_groups,
)
from gwbench.training.settings import TrainingSettings
from gwbench.utils.models import FrozenModel

if TYPE_CHECKING:
    from gwbench.contracts import Task


class RunSpec(FrozenModel):
    """One run. Build it with `RunSpec.create`, which fills in and checks every parameter.

    Attributes:
        schema_version: raised when the meaning of a field changes, so that old specs stay apart from new ones.
        dataset, encoder, pairing, augmentations, objective, baseline: the plugins; a run without a baseline has an
            encoder, a pairing and an objective, one with a baseline what the baseline needs of them.
        task: what is predicted from frozen embeddings; None for the default task with its default parameters,
            which a record does not name.
        encoder_groups: which detectors an encoder serves, one at a time: "shared" for all, "each" for one, or groups
            such as "H1,L1|V1"; "network" for an encoder that sees all at once, which a pairing of the network implies.
        conditioning: from strain to what the encoder sees.
        training: pre-training; None where there is none.
        precision: "fp32" or "bf16" (autocast) of whatever is trained.
        seed: of everything but the data.
        data_seed: of the data.
        limit: a small try: at most so many windows of each split; None for all, which a record does not name.
        extends: the finished run that pre-training goes on from; its epochs are among those of `training`. None for a
            training from the beginning, which a record does not name.
        encoder_from: the run on other data whose encoder is probed; None where a run pre-trains its own.
    """

    schema_version: Literal[1] = 1
    dataset: Choice
    encoder: Choice | None = None
    encoder_groups: str = "shared"
    pairing: Choice | None = None
    augmentations: tuple[Choice, ...] = ()
    objective: Choice | None = None
    baseline: Choice | None = None
    task: Choice | None = None
    conditioning: Conditioning = Conditioning()
    training: TrainingSettings | None = TrainingSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    precision: Literal["fp32", "bf16"] = "fp32"
    seed: Annotated[int, Field(ge=0)] = 0
    data_seed: Annotated[int, Field(ge=0)] = 0
    limit: Annotated[int, Field(ge=2)] | None = None
    extends: ExtendedRun | None = None
    encoder_from: EncoderSource | None = None

    @model_serializer(mode="wrap")
    def _without_default_task(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Specs of the default task on all windows read and hash as they did before there was anything else."""
        fields: dict[str, Any] = serialize(self)
        for name in ("task", "limit", "extends", "encoder_from"):
            if getattr(self, name) is None:
                fields.pop(name, None)
        return fields

    @classmethod
    def create(
        cls,
        *,
        dataset: str | None = None,
        encoder: str | None = None,
        pairing: str | None = None,
        augmentations: Sequence[str] = (),
        objective: str | None = None,
        baseline: str | None = None,
        task: str | None = None,
        settings: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> RunSpec:
        """A checked spec from names and dotted settings.

        Args:
            dataset, encoder, pairing, augmentations, objective, baseline, task: plugin names; what a run needs and is
                not named is its kind's default.
            settings: "section.name" to value: "encoder.width", "training.lr", "conditioning.low",
                "augmentation.probability" (or "augmentation.NAME.probability" where there are several).
            fields: the other fields of `RunSpec`; None leaves a field at its default.

        Raises:
            UserError: an unknown plugin, section or parameter, or a value that does not fit.
        """
        chosen = {"dataset": dataset, "encoder": encoder, "pairing": pairing, "objective": objective}
        if len(set(augmentations)) < len(augmentations):
            raise UserError(f"An augmentation is named twice: {', '.join(augmentations)}. Name each once.")
        needed, pretrains = {"dataset", "encoder", "pairing", "objective"}, True
        if baseline is not None:
            contract = contract_of(baseline)
            pretrains = contract.pretrains
            if not pretrains:
                needed = {"dataset", "encoder"} if contract.needs_encoder else {"dataset"}
                refuse_unused(baseline, needed, {**chosen, "augmentation": ", ".join(augmentations)})
                refuse_training(baseline, contract, settings or {}, fields)
        chosen |= {kind: chosen[kind] or REGISTRY.default(kind) for kind in needed}
        chosen |= {"baseline": baseline, "task": named_task(task, settings or {})}
        named = [(kind, name) for kind, name in chosen.items() if name]
        refuse_combination([*named, *(("augmentation", name) for name in augmentations)])
        given = sort_settings(settings or {}, chosen, augmentations)
        values = {name: value for name, value in fields.items() if value is not None}
        values["encoder_groups"] = resolve_groups(values.get("encoder_groups", "shared"), chosen)
        for kind, name in chosen.items():
            values[kind] = Choice.of(kind, name, given.pop(kind, {})) if name else None
        if values["task"] and values["task"] == default_task():
            values["task"] = None
        values["augmentations"] = tuple(
            Choice.of("augmentation", name, given.pop(f"augmentation.{name}", {})) for name in augmentations
        )
        for section in OWN_SECTIONS:
            values[section] = read_section(section, given.pop(section, {}))
        if not pretrains:
            values["training"] = None
        spec = validated(cls, values)
        spec.require_labels()
        return spec

    def canonical(self) -> str:
        """The spec as JSON with sorted keys: equal text for equal runs, wherever their files lie."""
        spec = self.model_dump(mode="json")
        for place in getattr(self.plugins()[0].target, "places", ()):
            del spec["dataset"]["parameters"][place]
        if self.encoder_from:
            del spec["encoder_from"]["folder"]
        return json.dumps(spec, sort_keys=True, separators=(",", ":"))

    def plugins(self) -> list[Plugin]:
        """The plugins that the spec names, imported."""
        return [REGISTRY.get(kind, choice.name) for kind, choice in self.choices()]

    def choices(self) -> list[tuple[str, Choice]]:
        """(kind, choice) of every plugin that the spec names."""
        pairs: list[tuple[str, Choice]] = []
        for field, kind in PLUGIN_FIELDS.items():
            value = getattr(self, field)
            pairs += [(kind, choice) for choice in (value if isinstance(value, tuple) else (value,)) if choice]
        return pairs

    def build_task(self) -> Task:
        """The task, constructed."""
        task: Task = (self.task or default_task()).build("task")
        return task

    def run_id(self, fingerprint: Mapping[str, str]) -> str:
        """The run's identity, 16 hex digits: a hash of spec, plugins' sources, data's fingerprint and protocol."""
        return next(self._run_ids([[plugin.source_hash for plugin in self.plugins()]], fingerprint))

    def identities(self, fingerprint: Mapping[str, str]) -> Iterator[tuple[RunSpec, str]]:
        """The spec and its identity as they are, then as older records of this very run may have them.

        Older records know plugins by their former names, or their sources by hashes of another kind.
        """
        plugins = self.plugins()
        hashes = [(plugin.source_hash, *sorted(plugin.former_hashes)) for plugin in plugins]
        for names in itertools.product(*((plugin.name, *plugin.aliases) for plugin in plugins)):
            spec = self._with_names(names)
            for run_id in spec._run_ids(itertools.product(*hashes), fingerprint):
                yield spec, run_id

    def _run_ids(self, source_hashes: Iterable[Sequence[str]], fingerprint: Mapping[str, str]) -> Iterator[str]:
        """The identity for each set of hashes of the plugins' sources, which are all that differs between them."""
        plugins = [(kind, choice.name, REGISTRY.get(kind, choice.name).version) for kind, choice in self.choices()]
        canonical, data = self.canonical(), sorted(fingerprint.items())
        for hashes in source_hashes:
            sources = [(*plugin, source_hash) for plugin, source_hash in zip(plugins, hashes, strict=True)]
            identity = json.dumps([PROTOCOL, canonical, sources, data])
            yield hashlib.sha256(identity.encode()).hexdigest()[:16]

    def _with_names(self, names: Sequence[str]) -> RunSpec:
        """The same run with its plugins, in the order of `choices`, under other names."""
        pairs = zip(self.choices(), names, strict=True)
        return self._with_choices((kind, choice.model_copy(update={"name": name})) for (kind, choice), name in pairs)

    def _with_choices(self, choices: Iterable[tuple[str, Choice]]) -> RunSpec:
        """The same run with other choices of the kinds of plugin that it has, in the order of `choices`."""
        fields: dict[str, Any] = {}
        for kind, choice in choices:
            if kind == "augmentation":
                fields["augmentations"] = (*fields.get("augmentations", ()), choice)
            else:
                fields[kind] = choice
        return self.model_copy(update=fields)

    def current(self) -> RunSpec:
        """The same run, its plugins under the names that they have now."""
        choices = self.choices()
        names = [REGISTRY.present_name(kind, choice.name) for kind, choice in choices]
        return self if names == [choice.name for _, choice in choices] else self._with_names(names)

    def command(self) -> str:
        """The command line that gives this run, with the files and modules that were loaded for its plugins.

        A run of objects has none: then the call in Python.
        """
        words, plugins = ["gwbench", "run"], self.plugins()
        if any(plugin.given for plugin in plugins):
            given = self.model_dump(include={"encoder_groups", "precision", "seed", "data_seed", "limit"})
            fields = {name: value for name, value in given.items() if value != type(self).model_fields[name].default}
            return python_call(plugins, self._changed(), fields)
        for source in REGISTRY.sources_of(plugins):
            words += ["--plugin", source]
        if self.extends:  # which says all the rest, and may have other settings than the defaults
            assert self.training
            words += ["--extend", self.extends.run_id, "--epochs", str(self.training.epochs)]
            own = [pair for pair in self.settings().items() if pair[0].startswith(("training.", "evaluation."))]
            return shlex.join([*words, *_as_options(pair for pair in own if pair[0] != "training.epochs")])
        return shlex.join([*words, *self._words(), *_as_options(self._changed().items())])

    def _changed(self) -> dict[str, Any]:
        """The settings that are not at their defaults, but for those of a run whose encoder is probed."""
        defaults = self._with_defaults().settings()
        for section, model in OWN_SECTIONS.items():  # a default may be left out of the settings of another value
            defaults |= {f"{section}.{name}": value for name, value in model()}
        changed = {key: value for key, value in self.settings().items() if value != defaults.get(key)}
        return {key: value for key, value in changed.items() if self._is_own(key.partition(".")[0])}

    def _words(self) -> list[str]:
        """Options of the command line for all but settings."""
        words = self.encoder_from.words() if self.encoder_from else []
        for kind, choice in self.choices():
            if self._is_own(kind):
                words += [KINDS[kind].flag, choice.name]
        grouped = self.encoder_groups != "shared" and self._is_own("encoder")
        words += ["--encoder-groups", self.encoder_groups] if grouped else []
        words += ["--precision", self.precision] if self.trains else []
        words += ["--seed", str(self.seed), "--data-seed", str(self.data_seed)]
        words += ["--limit", str(self.limit)] if self.limit is not None else []
        return words

    def _is_own(self, section: str) -> bool:
        """Whether a section is set by this run, rather than by one whose encoder it probes."""
        return self.encoder_from is None or section in ("dataset", "task", "evaluation")

    def settings(self) -> dict[str, Any]:
        """Every setting by its dotted name, as `create` takes them: those of plugins, then those of the sections."""
        parts = [
            (f"augmentation.{choice.name}" if kind == "augmentation" else kind, choice.parameters)
            for kind, choice in self.choices()
        ]
        parts += [(name, section.model_dump()) for name in OWN_SECTIONS if (section := getattr(self, name))]
        return {key: value for part, values in parts for key, value in dotted(values, f"{part}.")}

    def _with_defaults(self) -> RunSpec:
        """The same plugins and sections, each with its default settings."""
        sections = {name: model() for name, model in OWN_SECTIONS.items() if getattr(self, name) is not None}
        choices = []
        for kind, choice in self.choices():
            parameters = Choice.of(kind, choice.name, {}).parameters
            choices.append((kind, choice.model_copy(update={"parameters": parameters})))
        return self._with_choices(choices).model_copy(update=sections)

    @property
    def trains(self) -> bool:
        """Whether a network is trained, with or without labels, so that the precision matters."""
        return self.training is not None or (self.baseline is not None and contract_of(self.baseline.name).trains)

    @property
    def uses_labels(self) -> bool:
        """Whether any label of the training split may be used."""
        return self.evaluation.label_fraction > 0

    def require_labels(self) -> None:
        """Raise `UserError` where the run uses no label, and can score no window without."""
        if not self.uses_labels:
            refuse_without_labels([(kind, choice.name) for kind, choice in self.choices()])

    def steps(self, batches: int) -> int:
        """Steps of pre-training with so many batches an epoch, at most where it may stop earlier; 0 without."""
        before = self.extends.epochs if self.extends else 0
        return self.training.steps(batches, before) if self.training else 0

    @property
    def ordinary(self) -> RunSpec:
        """The run that only pre-trains and probes for the default task, with this one's pre-training."""
        return self.model_copy(update={"baseline": None, "task": None})

    @property
    def pretraining(self) -> RunSpec:
        """The run as far as it shapes the pre-trained encoder: runs in which this is equal can share one."""
        return self.ordinary.model_copy(update={"evaluation": EvaluationSettings()})

    @property
    def title(self) -> str:
        """The method in words: "encoder + pairing + objective", or "baseline (...)" with what it has of these."""
        return self._titled(self.encoder_from.dataset.told_from(self.dataset) if self.encoder_from else "")

    @property
    def short_title(self) -> str:
        """The same without what distinguishes an encoder's data from data of the same name; folders are named by it."""
        return self._titled(self.encoder_from.dataset.name if self.encoder_from else "")

    def _titled(self, source: str) -> str:
        parts = [self.encoder, self.pairing, *self.augmentations, self.objective]
        words = " + ".join(choice.name for choice in parts if choice)
        words += " of the network" if self.encoder_groups == "network" and not self.pairing else ""
        words += f", from {source}" if source else ""
        if self.baseline:
            return f"{self.baseline.name} ({words})" if words else self.baseline.name
        return words


def _as_options(settings: Iterable[tuple[str, Any]]) -> list[str]:
    return [word for key, value in settings for word in ("--set", f"{key}={as_argument(value)}")]


PLUGIN_FIELDS = {
    field: kind.name
    for field in RunSpec.model_fields
    for kind in KINDS.values()
    if field == (kind.plural if kind.several else kind.name)
}
"""The kind of every field of `RunSpec` that holds plugins, in their order."""
