"""Windows from anywhere, scored a batch at a time: what every kind of output shares."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gwbench.dataloading.prefetch import ahead
from gwbench.errors import UserError
from gwbench.search.predict.scoring import BATCH, BatchScorer
from gwbench.search.windows.array_sources import ArrayWindows
from gwbench.search.windows.opening import open_windows
from gwbench.search.windows.source import WindowBatch, WindowSource

if TYPE_CHECKING:
    from gwbench.data.dataset import Array
    from gwbench.experiment.scorer import RunScorer
    from gwbench.utils.progress import Progress


class ScoredBatch(NamedTuple):
    """Some consecutive windows: their ids, rows [n] of `partial.row_type`, and why some are damaged, by id."""

    ids: list[str]
    rows: Array
    damaged: Mapping[str, str]


def loaded(run: str | Path | RunScorer, plugins: str | Sequence[str], encoder: Any = None) -> RunScorer:
    """The run's scorer; raises as `load_scorer`."""
    if isinstance(run, (str, Path)):
        from gwbench.experiment.scorer import load_scorer

        return load_scorer(run, plugins=plugins, encoder=encoder)
    return run


def sources_of(strain: object, splits: Sequence[str], progress: Progress) -> list[WindowSource]:
    """The windows of an array [N, D, K] or [D, K], or behind paths.

    Raises:
        UserError: the array holds no windows, or a path leads to none.
    """
    if isinstance(strain, (str, Path)):
        return open_windows([strain], progress, splits)
    if isinstance(strain, Iterable) and not hasattr(strain, "shape"):
        return open_windows(list(strain), progress, splits)
    values = np.asarray(strain.detach().cpu() if hasattr(strain, "detach") else strain)
    values = values[None] if values.ndim == 2 else values
    if values.ndim != 3 or values.dtype.kind != "f" or not len(values):
        raise UserError(
            f"An array of {values.dtype} {list(values.shape)} holds no windows: expected floats [N, D, T], or one "
            "window [D, T]."
        )
    return [ArrayWindows(values)]


def score_batches(
    batches: BatchScorer, sources: Sequence[WindowSource], progress: Progress, begin: int = 0
) -> Iterator[ScoredBatch]:
    """Score all windows in order, a batch at a time; the disk is read ahead.

    Args:
        batches: scores them.
        sources: of the windows.
        progress: shows a bar, and a warning where whitened strain is far from white.
        begin: how many windows are done already.

    Raises:
        UserError: the whitened strain is so far from white that its scores would mean nothing.
    """
    for note in (note for source in sources for note in source.notes):
        progress.say(note)
    total, looked = sum(map(len, sources)), False
    with progress.task("Score windows", total - begin, "windows") as task:
        for source, batch in ahead(_read, _parts(sources, begin)):
            rows = np.zeros(len(batch.ids), batches.row_type)
            for name in batches.row_type.names or ():
                rows[name] = np.nan
            rows[batch.whole] = scored = batches(source, batch.strain)
            if len(scored) and not looked:
                looked = True
                if warning := batches.warning(batches.variance(scored["variance"])):
                    progress.say(warning)
            yield ScoredBatch(batch.ids, rows, {batch.ids[place]: why for place, why in batch.damaged.items()})
            task.advance(len(batch.ids))


def refuse_if_all_damaged(damaged: Mapping[str, str], windows: int) -> None:
    """Raise `UserError` where no window could be read."""
    if len(damaged) == windows:
        first = next(iter(damaged.values()), "there is none")
        raise UserError(f"None of the {windows:,} windows can be read. The first: {first}.")


def _parts(sources: Sequence[WindowSource], begin: int) -> Iterator[tuple[WindowSource, int, int]]:
    """Batches of the windows from `begin` on; where a batch starts does not depend on `begin` but for the first."""
    for source in sources:
        for start in range(0, len(source), BATCH):
            stop = min(start + BATCH, len(source))
            if begin < stop:
                yield source, max(start, begin), stop
        begin = max(0, begin - len(source))


def _read(part: tuple[WindowSource, int, int]) -> tuple[WindowSource, WindowBatch]:
    source, start, stop = part
    return source, source.read(start, stop)
