"""The data that runs work on: opened and conditioned once for all runs in a row that share them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Protocol

from gwbench.data.store.cache import CacheDir
from gwbench.data.store.recipe import dataset_recipe
from gwbench.experiment.data_shape import CheckShape, DataShape, RunDataContext, first_windows
from gwbench.registry import REGISTRY, Plugin

if TYPE_CHECKING:
    from gwbench.contracts import Baseline, Dataset, StrainSplits
    from gwbench.dataloading.conditioned_split import ConditionedStrain
    from gwbench.experiment.spec import RunSpec
    from gwbench.preprocessing.conditioning import Conditioner
    from gwbench.utils.progress import Progress


@contextmanager
def _untimed(name: str) -> Iterator[Any]:
    """A phase that nobody times."""
    yield SimpleNamespace(windows=0)


class PhaseTimer(Protocol):
    """Times a phase by its name; what it yields takes the number of windows worked on."""

    def __call__(self, name: str, /) -> AbstractContextManager[Any]:
        """The phase, to be entered."""
        ...


@dataclass(frozen=True)
class ConditionedData:
    """The data of a run, ready for an encoder.

    Attributes:
        splits: as the dataset gives them, with all labels.
        conditioner: fitted on the training split, without labels.
        strain: the conditioned splits by name.
        cache: folder of generated data.
    """

    splits: StrainSplits
    conditioner: Conditioner
    strain: Mapping[str, ConditionedStrain]
    cache: Path


class DataCache:
    """Holds the data of the last run, for the case that the next one reads them too.

    Args:
        cache: folder of generated data; by default the user's cache folder.
        workers: threads that generate data; by default one per core.
        many: whether further runs on the same data are to be expected, so that all three splits are conditioned once.
    """

    def __init__(self, cache: str | Path | None = None, workers: int | None = None, *, many: bool = False) -> None:
        self._cache, self._workers, self._many = cache, workers, many
        self._datasets: dict[str, tuple[Dataset, dict[str, str]]] = {}
        self._baselines: dict[str, dict[str, str]] = {}
        self._splits: tuple[str, StrainSplits] | None = None
        self._conditioned: tuple[str, ConditionedData] | None = None

    def fingerprint(self, spec: RunSpec) -> dict[str, str]:
        """What identifies the data of a run, and what else it reads; the files are looked at once."""
        return {**self._dataset(spec)[1], **self._baseline_files(spec)}

    def conditioned(
        self, spec: RunSpec, progress: Progress, phase: PhaseTimer = _untimed, check: CheckShape | None = None
    ) -> ConditionedData:
        """The data of a run: opened or generated, and conditioned, unless the last run has done so.

        Args:
            spec: the run.
            progress: where to report.
            phase: times the phases "data" and "condition".
            check: told the shape of the data once, before any are generated.

        Raises:
            UserError: the dataset cannot be made or read, the strain is not fit for the conditioning asked for, or the
                detectors are not those of the run's groups.
        """
        with phase("data") as timer:
            splits, fresh = self._load(spec, progress, check)
            timer.windows = sum(splits.sizes.values()) if fresh else 0
        with phase("condition") as timer:
            data, fresh = self._condition(spec, splits, progress)
            kept = [len(strain) for strain in data.strain.values() if strain.in_memory]
            timer.windows = sum(kept) if fresh else 0
        return data

    def splits(self, spec: RunSpec, progress: Progress) -> StrainSplits:
        """The data of a run, opened or generated."""
        return self._load(spec, progress, None)[0]

    def condition_splits(self, spec: RunSpec, splits: StrainSplits, progress: Progress) -> ConditionedData:
        """Splits that are open, conditioned as a run has it."""
        return self._condition(spec, splits, progress)[0]

    def context(self, spec: RunSpec, progress: Progress, kind: type[RunDataContext] = RunDataContext) -> RunDataContext:
        """What a run hands its dataset."""
        plugin, fingerprint = REGISTRY.get("dataset", spec.dataset.name), self._dataset(spec)[1]
        recipes = recipes_of(plugin, spec.dataset.parameters, spec.data_seed, fingerprint)
        if spec.limit is not None:
            recipes = [{**recipe, "limit": spec.limit} for recipe in recipes]
        context = kind.of(recipes, root=self._cache, workers=self._workers, progress=progress)
        context.limit = spec.limit
        return context

    def _load(self, spec: RunSpec, progress: Progress, check: CheckShape | None) -> tuple[StrainSplits, bool]:
        """The splits, and whether they have been opened anew."""
        key, checked = _data_key(spec), False

        def check_once(shape: DataShape) -> None:
            nonlocal checked
            if check and not checked:
                check(shape)
            checked = True

        if self._splits and self._splits[0] == key:
            check_once(DataShape.of(self._splits[1]))
            return self._splits[1], False
        self._splits = self._conditioned = None  # give their memory back first
        context = self.context(spec, progress)
        context.check = check_once
        splits = first_windows(self._dataset(spec)[0].load(context), spec.limit)
        check_once(DataShape.of(splits))
        self._splits = key, splits
        return splits, True

    def _condition(self, spec: RunSpec, splits: StrainSplits, progress: Progress) -> tuple[ConditionedData, bool]:
        """The conditioned splits, and whether they have been conditioned anew.

        What the run reads often is conditioned at once, or for a row of runs everything.
        """
        from gwbench.dataloading.conditioned_split import ConditionedStrain
        from gwbench.experiment.transfer import lent_conditioner
        from gwbench.nn.detector_encoder import parse_groups
        from gwbench.preprocessing.conditioning import fit_conditioner

        parse_groups(spec.encoder_groups, splits.detectors)
        lent = spec.encoder_from if spec.encoder_from and spec.encoder_from.conditioner == "run" else None
        key = f"{_data_key(spec)} {spec.conditioning.model_dump_json()} {lent.run_id if lent else ''}"
        if self._conditioned and self._conditioned[0] == key:
            return self._conditioned[1], False
        self._conditioned = None
        if lent:
            conditioner = lent_conditioner(lent, DataShape.of(splits))
        else:
            conditioner = fit_conditioner(
                splits.train,
                sample_rate=splits.sample_rate,
                margin=splits.margin,
                detectors=splits.detectors,
                settings=spec.conditioning,
            )
        folder = CacheDir(self._cache).root
        strain = {name: ConditionedStrain(splits[name], conditioner, name) for name in splits.sizes}
        for name in read_often(spec, many=self._many):
            strain[name].keep(progress, folder, splits.content_hash)
        self._conditioned = key, ConditionedData(splits, conditioner, strain, folder)
        return self._conditioned[1], True

    def dataset(self, spec: RunSpec) -> Dataset:
        """The dataset of a run, constructed once."""
        return self._dataset(spec)[0]

    def _dataset(self, spec: RunSpec) -> tuple[Dataset, dict[str, str]]:
        key = spec.dataset.model_dump_json()
        if key not in self._datasets:
            dataset: Dataset = spec.dataset.build("dataset")
            fingerprint: Mapping[str, str] = dataset.fingerprint()
            self._datasets[key] = dataset, dict(fingerprint)
        return self._datasets[key]

    def _baseline_files(self, spec: RunSpec) -> dict[str, str]:
        """What identifies the files that the run's baseline reads."""
        if spec.baseline is None:
            return {}
        key = spec.baseline.model_dump_json()
        if key not in self._baselines:
            baseline: Baseline = spec.baseline.build("baseline")
            self._baselines[key] = dict(baseline.fingerprint())
        return self._baselines[key]


def recipes_of(
    plugin: Plugin, parameters: Mapping[str, Any], seed: int, fingerprint: Mapping[str, str]
) -> list[dict[str, Any]]:
    """What a dataset is made from, as recipes: as it is now, then as an older gwbench may have written it.

    Args:
        plugin: imported.
        parameters: all of them.
        seed: of the data.
        fingerprint: of its files.
    """
    places: tuple[str, ...] = getattr(plugin.target, "places", ())
    kept = {name: value for name, value in parameters.items() if name not in places}
    return [
        dataset_recipe(name, plugin.version, kept, seed, fingerprint, source)
        for name in (plugin.name, *plugin.aliases)
        for source in (plugin.source_hash, *sorted(plugin.former_hashes))
    ]


def read_often(spec: RunSpec, *, many: bool) -> list[str]:
    """The splits that are conditioned once, in the order in which they get the memory."""
    often = []
    if spec.trains:
        often = ["train", "val"] if spec.baseline else ["train"]  # training on labels validates every epoch
    return often + [name for name in ("train", "val", "test") if many and name not in often]


def _data_key(spec: RunSpec) -> str:
    return json.dumps([spec.dataset.model_dump(), spec.data_seed, spec.limit])
