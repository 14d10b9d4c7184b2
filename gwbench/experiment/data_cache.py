"""The data that runs work on: opened and conditioned once for all runs in a row that share them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gwbench.data.store.recipe import dataset_recipe
from gwbench.registry import REGISTRY, Plugin

if TYPE_CHECKING:
    from gwbench.contracts import Dataset, StrainSplits
    from gwbench.experiment.context import ExperimentContext
    from gwbench.experiment.spec import RunSpec
    from gwbench.utils.progress import Progress


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
        self._splits: tuple[str, StrainSplits] | None = None
        self._context: tuple[str, ExperimentContext] | None = None

    def fingerprint(self, spec: RunSpec) -> dict[str, str]:
        """What identifies the data of a run; their files are looked at once."""
        return self._dataset(spec)[1]

    def splits(self, spec: RunSpec, progress: Progress) -> tuple[StrainSplits, bool]:
        """The data of a run, and whether they have been opened anew."""
        from gwbench.data.store.cache import CacheContext

        key = _data_key(spec)
        if self._splits and self._splits[0] == key:
            return self._splits[1], False
        self._splits = self._context = None  # give their memory back first
        dataset, fingerprint = self._dataset(spec)
        cache_context = CacheContext.of(
            recipes_of(
                REGISTRY.get("dataset", spec.dataset.name), spec.dataset.parameters, spec.data_seed, fingerprint
            ),
            root=self._cache,
            workers=self._workers,
            progress=progress,
        )
        splits = dataset.load(cache_context)
        self._splits = key, splits
        return splits, True

    def context(self, spec: RunSpec, device: str, progress: Progress) -> tuple[ExperimentContext, bool]:
        """The context of a run whose data are open, and whether they have been conditioned anew."""
        from gwbench import seeds
        from gwbench.data.store.cache import CacheDir
        from gwbench.evaluation.linear_probe import draw_labelled
        from gwbench.experiment.context import ExperimentContext

        assert self._splits is not None
        key, splits = f"{_data_key(spec)} {spec.conditioning.model_dump_json()}", self._splits[1]
        shared = self._context[1] if self._context and self._context[0] == key else None
        self._context = None
        labelled = draw_labelled(
            splits.train.label, spec.evaluation.label_fraction, seeds.numpy_generator(spec.seed, "split")
        )
        context = ExperimentContext.set_up(spec, splits, labelled, device, progress, self._cache, shared)
        if self._many and not shared:
            for strain in context.strain.values():
                if not strain.in_memory:
                    strain.keep(progress, CacheDir(self._cache).root, splits.content_hash)
        self._context = key, context
        return context, shared is None

    def _dataset(self, spec: RunSpec) -> tuple[Dataset, dict[str, str]]:
        key = spec.dataset.model_dump_json()
        if key not in self._datasets:
            dataset: Dataset = spec.dataset.build("dataset")
            fingerprint: Mapping[str, str] = dataset.fingerprint()
            self._datasets[key] = dataset, dict(fingerprint)
        return self._datasets[key]


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


def _data_key(spec: RunSpec) -> str:
    return json.dumps([spec.dataset.model_dump(), spec.data_seed])
