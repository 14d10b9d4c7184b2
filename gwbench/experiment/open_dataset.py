"""Open a dataset for one's own loop: the splits that a run with the same settings works on, from the same store."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gwbench.data.dataset import StrainSplits
from gwbench.errors import UserError
from gwbench.experiment import objects
from gwbench.experiment.data_cache import DataCache
from gwbench.experiment.sections import read_section
from gwbench.experiment.spec import RunSpec
from gwbench.preprocessing.settings import Conditioning
from gwbench.registry import REGISTRY
from gwbench.utils import progress as progress_bars
from gwbench.utils.list_text import names_of

if TYPE_CHECKING:
    from gwbench.data.dataset import Dataset
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
    dataset: str | type[Dataset] | Dataset | None = None,
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
        dataset: a name of `gwbench list dataset`, or an object such as `gwbench.ArrayDataset`; by default the dataset
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
    with objects.named({"dataset": dataset}) as names:
        spec = RunSpec.create(dataset=names["dataset"], settings=given, data_seed=seed, limit=limit)
        splits = DataCache(cache, workers).splits(spec, progress)
    values = {field.name: getattr(splits, field.name) for field in fields(StrainSplits)}
    return OpenedSplits(**values, name=spec.dataset.name, cache=None if cache is None else Path(cache))


__all__ = ["OpenedSplits", "open_dataset"]
