"""Open a dataset for one's own loop: the splits that a run with the same settings works on, from the same store."""

from __future__ import annotations

import hashlib
import html
import pickle
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gwbench.data.array_dataset import ArrayDataset
from gwbench.data.dataset import Dataset, StrainSplits
from gwbench.data.store.recipe import dataset_recipe
from gwbench.errors import UserError, in_words
from gwbench.experiment.data_cache import DataCache
from gwbench.experiment.data_shape import RunDataContext, first_windows
from gwbench.experiment.sections import read_section
from gwbench.experiment.spec import RunSpec
from gwbench.preprocessing.settings import Conditioning
from gwbench.registry import REGISTRY
from gwbench.registry.source_hash import source_hashes
from gwbench.utils import progress as progress_bars
from gwbench.utils.list_text import names_of

if TYPE_CHECKING:
    from gwbench.dataloading.conditioned_splits import ConditionedSplits
    from gwbench.utils.progress import Progress

LEAST_LIMIT = 2


@dataclass(frozen=True, repr=False)
class OpenedSplits(StrainSplits):
    """The splits of a dataset, as `gwbench.open_dataset` gives them.

    `splits.train.strain[0:8]` reads strain [8, D, T + 2 margin]; `splits.train.label`, `.snr` and `.parameters` say
    what is known of its windows.

    Attributes:
        name: of the dataset.
        cache: folder of generated data; None for the user's cache folder.
    """

    name: str = ""
    cache: Path | None = None

    def conditioned(self, **settings: Any) -> ConditionedSplits:
        """Whitened, band-passed strain of every split [N, D, T], with the numbers of a run.

            strain = splits.conditioned(low=20, high=600)
            strain.train[0:8]  # [8, D, T]
            strain.conditioner(splits.test.strain[0:8])  # the same operation on any strain

        Strain is conditioned as it is read; `strain.keep("train")` conditions a split once.

        Args:
            settings: those of the section "conditioning": `method`, `low` and `high` (Hz).

        Raises:
            UserError: there is no such setting, or the strain is not fit for it.
        """
        from gwbench.dataloading.conditioned_splits import ConditionedSplits

        chosen = read_section("conditioning", settings)
        assert isinstance(chosen, Conditioning)
        return ConditionedSplits.of(self, chosen, self.cache)

    def __repr__(self) -> str:
        """Windows, detectors and rate."""
        return f"<OpenedSplits {self.name}: {', '.join(map(': '.join, self._facts()))}>"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        rows = [*self._facts(), ("hash", self.content_hash[:16]), *(("note", note) for note in self.notes)]
        cells = "".join(
            f'<tr><th style="text-align:left">{html.escape(name)}</th>'
            f'<td style="text-align:left">{html.escape(value)}</td></tr>'
            for name, value in rows
        )
        return f'<table><caption style="text-align:left"><b>{html.escape(self.name)}</b></caption>{cells}</table>'

    def _facts(self) -> list[tuple[str, str]]:
        sizes = ", ".join(f"{size:,} {name}" for name, size in self.sizes.items())
        return [
            ("windows", sizes),
            ("detectors", ", ".join(self.detectors)),
            ("sample rate", f"{self.sample_rate:g} Hz"),
            ("window", f"{self.window / self.sample_rate:g} s"),
            ("margin", f"{self.margin / self.sample_rate:g} s"),
        ]


def open_dataset(
    dataset: str | Dataset | None = None,
    *,
    seed: int = 0,
    limit: int | None = None,
    settings: Mapping[str, Any] | None = None,
    cache: str | Path | None = None,
    workers: int | None = None,
    plugins: str | Sequence[str] = (),
    progress: Progress | None = None,
    **parameters: Any,
) -> OpenedSplits:
    """The splits of a dataset: those of a run with the same settings, made now or taken from the same store.

        splits = gwbench.open_dataset("NAME", preset="quick")
        splits.train.strain[0:8]  # [8, D, T + 2 margin], in strain units
        splits.conditioned().train[0:8]  # [8, D, T], whitened

    Args:
        dataset: a name of `gwbench list datasets`, or an object such as `gwbench.ArrayDataset`; by default the dataset
            tagged "default".
        seed: of the data; the `data_seed` of a run.
        limit: at most so many windows of each split, as of `gwbench.run`.
        settings: parameters of the dataset by dotted name, as of `gwbench.run`; for those whose names are arguments
            here.
        cache: folder of generated data; by default the user's cache folder.
        workers: processes that generate data; by default one per core.
        plugins: files or modules that register further datasets.
        progress: where to report; by default a bar on a terminal or in a notebook.
        parameters: of the dataset, such as `preset="quick"` or `train=1000`.

    Raises:
        UserError: there is no such dataset or parameter, or the data cannot be made or read.
    """
    for source in names_of(plugins):
        REGISTRY.load_source(source)
    progress = progress or progress_bars.default()
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < LEAST_LIMIT):
        raise UserError(f"limit={limit!r}: expected a number of windows, {LEAST_LIMIT} or more, or None for all.")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise UserError(f"seed={seed!r}: expected a whole number, 0 or more.")
    given = dict(settings or {})
    for key in given:
        if not key.startswith("dataset."):
            raise UserError(f"The setting {key!r} is none of a dataset: expected dataset.NAME.")
    given |= {f"dataset.{name}": value for name, value in parameters.items()}
    if isinstance(dataset, Dataset):
        if given:
            raise UserError(f"{dataset!r} is a dataset with its parameters already: leave out {', '.join(given)}.")
        name, splits = type(dataset).__name__, _load_object(dataset, seed, limit, cache, workers, progress)
    elif dataset is None or isinstance(dataset, str):
        spec = RunSpec.create(dataset=dataset, settings=given, data_seed=seed, limit=limit)
        name, splits = spec.dataset.name, DataCache(cache, workers).splits(spec, progress)
    else:
        raise UserError(
            f"dataset={dataset!r} is neither a name nor a dataset: give a name of `gwbench list datasets`, or "
            "gwbench.ArrayDataset(strain, labels, sample_rate=..., detectors=...)."
        )
    values = {field.name: getattr(splits, field.name) for field in fields(StrainSplits)}
    return OpenedSplits(**values, name=name, cache=None if cache is None else Path(cache))


def _load_object(
    dataset: Dataset, seed: int, limit: int | None, cache: str | Path | None, workers: int | None, progress: Progress
) -> StrainSplits:
    """The splits of a dataset that is an object; where it stores data, under the hash of its class and state."""
    with progress.task("Identify data", 1) as task:
        fingerprint = dict(dataset.fingerprint())
        task.advance()
    kind = type(dataset)
    name = f"{kind.__module__}.{kind.__qualname__}"
    source, _ = source_hashes("dataset", name, kind, vars(sys.modules[kind.__module__]), REGISTRY.loaded())
    state = {} if isinstance(dataset, ArrayDataset) else {"state": _state_hash(dataset)}  # its fingerprint is of it all
    recipe = dataset_recipe(name, 1, state, seed, fingerprint, source) | ({"limit": limit} if limit else {})
    context = RunDataContext.of([recipe], root=cache, workers=workers, progress=progress)
    context.limit = limit
    return first_windows(dataset.load(context), limit)


def _state_hash(dataset: Dataset) -> str:
    """The hash of an object's attributes."""
    try:
        return hashlib.sha256(pickle.dumps(vars(dataset), protocol=4)).hexdigest()
    except Exception as error:  # whatever a class of somebody else's holds
        raise UserError(
            f"{dataset!r} cannot be told from others of its class, as its attributes cannot be pickled "
            f"({in_words(error)}). Register the class and open it by its name."
        ) from error


__all__ = ["OpenedSplits", "open_dataset"]
