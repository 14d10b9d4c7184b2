"""The cells of a suite: its cross product, less what is excluded and what makes no sense together."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Any, cast

from gwbench.errors import UserError
from gwbench.experiment.spec import RunSpec
from gwbench.registry import REGISTRY
from gwbench.registry.compatibility import parts_of, resolve_groups, why_not, why_not_without_labels
from gwbench.suite.combination import Combination, FrozenSettings
from gwbench.suite.schema import MatrixEntry, Suite
from gwbench.suite.transfers import (
    source_combination,
    source_fraction,
    sources_of,
    transfer_spec_of,
    transfers_of,
)

if TYPE_CHECKING:
    from gwbench.contracts import Baseline


@dataclass(frozen=True)
class Cell:
    """One run of a suite.

    Attributes:
        label: for people; no other cell of the suite has it.
        spec: the run.
        source: the cell's run that pre-trains the encoder which this one probes; None where it has one of its own.
    """

    label: str
    spec: RunSpec
    source: RunSpec | None = None

    @cached_property
    def data(self) -> str:
        """Equal for cells that read the same conditioned strain."""
        return json.dumps([self.spec.dataset.model_dump(), self.spec.data_seed, self.spec.conditioning.model_dump()])

    @cached_property
    def pretraining(self) -> str | None:
        """Equal for cells that share a pre-training; None without one."""
        spec = self.source or self.spec
        return spec.pretraining.canonical() if spec.training else None


@dataclass(frozen=True)
class Matrix:
    """What a suite asks for.

    Attributes:
        cells: in the order in which they are best carried out: those that share data and pre-training are neighbours.
        skipped: label and reason of the combinations that make no sense.
        excluded: how many combinations the file leaves out.
    """

    cells: list[Cell]
    skipped: list[tuple[str, str]]
    excluded: int


def expand(suite: Suite, precision: str) -> Matrix:
    """The cells of a suite.

    Args:
        suite: the file.
        precision: "fp32" or "bf16", of what is trained where the file leaves it at "auto".

    Raises:
        UserError: a setting does not fit the cells that it is for, or a condition holds for no cell.
    """
    file, document = suite.file, suite.document
    chosen = precision if file.precision == "auto" else file.precision
    asked: list[tuple[str, Combination, RunSpec]] = []
    transfers: list[tuple[str, Combination, list[int]]] = []
    skipped: dict[str, str] = {}
    excluded = 0
    met: set[tuple[str, int]] = set()
    labels = _Labels(suite)
    for combination in transfers_of(file, dict.fromkeys(_combinations(suite))):
        hits = [n for n, condition in enumerate(file.exclude) if combination.meets(condition)]
        met |= {("exclude", n) for n in hits}
        overriding = [n for n, override in enumerate(file.overrides) if combination.meets(override.when)]
        met |= {("overrides", n) for n in overriding}
        if hits:
            excluded += 1
            continue
        label = labels.of(combination)
        if because := _why_not(combination):
            skipped[label] = because
            continue
        if combination.encoder_from:
            transfers.append((label, combination, overriding))
            continue
        asked.append((label, combination, _spec(suite, combination, overriding, label, chosen)))
    for where, count in (("exclude", len(file.exclude)), ("overrides", len(file.overrides))):
        for number in range(count):
            if (where, number) not in met:
                raise document.error((where, number), "this condition holds for no cell: mend it or leave it out.")
    specs = [spec for _, _, spec in asked]
    try:
        specs = file.budget.applied(specs) if file.budget else specs
    except UserError as error:
        raise document.error(("budget",), str(error)) from None
    cells: dict[str, Cell] = {}
    made: dict[Combination, RunSpec] = {}
    for (label, combination, _), spec in zip(asked, specs, strict=True):
        made[combination] = spec
        cells.setdefault(spec.canonical(), Cell(label, spec))
    for label, combination, overriding in transfers:
        source = made.get(source_combination(file, combination))
        if source is None:
            skipped[label] = "the run that pre-trains its encoder is left out"
            continue
        try:
            spec = transfer_spec_of(suite, combination, overriding, source)
        except UserError as error:
            raise UserError(f"{document.path}, cell {label}: {error}") from None
        cells.setdefault(f"{spec.canonical()} {source.canonical()}", Cell(label, spec, source))
    return Matrix(list(cells.values()), list(skipped.items()), excluded)


def _combinations(suite: Suite) -> Iterator[Combination]:
    """The cross product, each combination without the parts that its run does not have."""
    file = suite.file
    encoders: list[MatrixEntry | None] = [*file.encoders] or [None]
    pairings: list[MatrixEntry | None] = [*file.pairings] or [None]
    objectives: list[MatrixEntry | None] = [*file.objectives] or [None]
    tasks: list[MatrixEntry | None] = [*file.tasks] or [None]
    methods = list(product(encoders, file.encoder_groups, pairings, file.augmentations, objectives, file.training))
    runs: list[MatrixEntry | None] = [*([None] if file.objectives else []), *file.baselines]
    sources = sources_of(file)
    for dataset, conditioning, data_seed, seed in product(
        [*file.datasets, *sources], file.conditioning, file.data_seeds, file.seeds
    ):
        judged = (runs, tasks, file.label_fractions)
        if dataset in sources:
            judged = ([None] if file.objectives else [], tasks[:1], [source_fraction(file)])
        for encoder, groups, pairing, augmentations, objective, training in methods:
            for baseline, task, fraction in product(*judged):
                parts = _parts(baseline, suite)
                yield Combination(
                    dataset=dataset,
                    data_seed=data_seed,
                    conditioning=FrozenSettings(conditioning),
                    seed=seed,
                    encoder=encoder if "encoder" in parts else None,
                    encoder_groups=groups if "encoder" in parts else "shared",
                    pairing=pairing if "pairing" in parts else None,
                    augmentations=tuple(augmentations) if "augmentation" in parts else (),
                    objective=objective if "objective" in parts else None,
                    training=FrozenSettings(training if "training" in parts else {}),
                    baseline=baseline,
                    task=task,
                    label_fraction=fraction,
                    parts=parts,
                )


def _why_not(combination: Combination) -> str:
    """Why the run makes no sense; empty where it does."""
    names = {kind: entry.name for kind, entry in combination.named() if kind != "augmentation"}
    try:
        resolve_groups(combination.encoder_groups, dict.fromkeys(("encoder", "pairing", "baseline")) | names)
    except UserError as error:
        return str(error)
    named = [(kind, entry.name) for kind, entry in combination.named()]
    without = why_not_without_labels(named) if combination.label_fraction == 0 else ""
    return why_not(parts_of(named)) or without


def _parts(baseline: MatrixEntry | None, suite: Suite) -> frozenset[str]:
    """The kinds and sections that a run has."""
    everything = frozenset({"dataset", "encoder", "pairing", "augmentation", "objective", "training", "task"})
    if baseline is None:
        return everything
    contract = cast("type[Baseline]", REGISTRY.get("baseline", baseline.name).target)
    parts = everything if contract.pretrains else {"dataset", "task", *(["encoder"] if contract.needs_encoder else [])}
    for kind in ("encoder", "pairing", "objective"):
        if kind in parts and not getattr(suite.file, f"{kind}s"):
            place = ("baselines", suite.file.baselines.index(baseline))
            raise suite.document.error(place, f"the baseline {baseline.name!r} needs {kind}s: list some.")
    return frozenset({*parts, "baseline"})


def _spec(suite: Suite, combination: Combination, overriding: Sequence[int], label: str, precision: str) -> RunSpec:
    names: dict[str, Any] = {kind: entry.name for kind, entry in combination.named() if kind != "augmentation"}
    names["augmentations"] = [entry.name for entry in combination.augmentations]

    def create(settings: Mapping[str, Any]) -> RunSpec:
        return RunSpec.create(
            **names,
            settings={key: value for key, value in settings.items() if combination.has(key)},
            encoder_groups=combination.encoder_groups,
            seed=combination.seed,
            data_seed=combination.data_seed,
        )

    own = combination.settings()
    if suite.file.budget:
        own |= suite.file.budget.settings(combination.training)
    settings = dict(own)
    for number in overriding:
        settings |= suite.file.overrides[number].set
    try:
        spec = create({**settings, **suite.settings})
    except UserError as error:
        for number in overriding:
            for key, value in suite.file.overrides[number].set.items():
                try:
                    create(own | {key: value})
                except UserError as its_own:
                    raise suite.document.error(("overrides", number, "set", key), str(its_own)) from None
        raise UserError(f"{suite.document.path}, cell {label}: {error}") from None
    return spec.model_copy(update={"precision": precision}) if spec.trains else spec


class _Labels:
    """Names cells by what tells them apart: parameters only where entries share a name."""

    def __init__(self, suite: Suite) -> None:
        file = suite.file
        entries = [
            *file.datasets,
            *file.encoder_from,
            *file.encoders,
            *file.pairings,
            *file.objectives,
            *file.baselines,
            *file.tasks,
        ]
        entries += [entry for method in file.augmentations for entry in method]
        names: dict[str, set[str]] = {}
        for entry in entries:
            names.setdefault(entry.name, set()).add(json.dumps(entry.parameters, sort_keys=True))
        self._ambiguous = {name for name, variants in names.items() if len(variants) > 1}
        self._file = file

    def of(self, cell: Combination) -> str:
        """Such as "ENCODER + PAIRING + OBJECTIVE on DATASET (preset=small), 5 % labels, seed 1"."""
        file = self._file
        method = [cell.encoder, cell.pairing, *cell.augmentations, cell.objective]
        words = " + ".join(self._entry(entry) for entry in method if entry)
        if cell.baseline:
            words = f"{self._entry(cell.baseline)} ({words})" if words else self._entry(cell.baseline)
        words += f", from {self._entry(cell.encoder_from)}" if cell.encoder_from else ""
        words += f" on {self._entry(cell.dataset)}"
        further = []
        if len(file.encoder_groups) > 1 and cell.encoder:
            further.append(f"groups {cell.encoder_groups}")
        for variants, own in ((file.training, cell.training), (file.conditioning, cell.conditioning)):
            if len(variants) > 1 and own:
                further.append(_words(own))
        if len(file.tasks) > 1 and cell.task:
            further.append(self._entry(cell.task))
        if len(file.label_fractions) > 1:
            further.append(f"{100 * cell.label_fraction:g} % labels")
        further.append(f"seed {cell.seed}")
        if len(file.data_seeds) > 1:
            further.append(f"data seed {cell.data_seed}")
        return ", ".join([words, *further])

    def _entry(self, entry: MatrixEntry) -> str:
        if entry.name not in self._ambiguous or not entry.parameters:
            return entry.name
        return f"{entry.name} ({_words(entry.parameters)})"


def _words(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())
