"""Scores of windows into a file; a command that was killed goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gwbench._version import __version__
from gwbench.data.store.layout import SPLITS
from gwbench.errors import UserError
from gwbench.search.predict import outputs
from gwbench.search.predict.batches import (
    loaded,
    refuse_if_all_damaged,
    score_batches,
    sources_of,
)
from gwbench.search.predict.cutting import titles
from gwbench.search.predict.partial import PartialRows
from gwbench.search.predict.prediction import Conditioned, PredictionRecord, read_prediction_record, record_path
from gwbench.search.predict.scoring import BATCH, BatchScorer
from gwbench.utils.files import atomic, file_digest
from gwbench.utils.progress import Progress
from gwbench.utils.progress import default as default_progress

if TYPE_CHECKING:
    from gwbench.data.dataset import Array
    from gwbench.experiment.scorer import RunScorer
    from gwbench.search.windows.source import WindowSource


def predict_to_file(
    run: str | Path | RunScorer,
    inputs: Sequence[str | Path],
    output: Path,
    *,
    conditioning: Conditioned = "run",
    splits: Sequence[str] = SPLITS,
    plugins: Sequence[str] = (),
    progress: Progress | None = None,
) -> PredictionRecord:
    """Score windows into a file, a batch at a time; a command that was killed goes on where it stopped.

    Args:
        run, conditioning, splits, plugins: as of `predict`.
        inputs: paths.
        output: the file, of a format of `outputs.FORMATS`. Beside it lies `FILE.json`, the record.
        progress: where to report.

    Raises:
        UserError: as `predict`; or the file cannot be written.
    """
    outputs.check_output(output)
    progress = progress or default_progress()
    scorer = loaded(run, plugins)
    sources = sources_of(inputs, splits, progress)
    _refuse_twice(sources)
    batches = BatchScorer(scorer, sources, conditioning, embedding=outputs.has_embedding(output))
    key = _key(batches, sources, output.suffix.lower())
    known = read_prediction_record(output)
    done = known is not None and known.key == key and output.is_file() and file_digest(output) == known.sha256
    if known is not None and done and not _any_mended(sources, known.damaged):
        progress.say(f"{output} is there already, of the same run and windows.")
        return known
    partial = PartialRows(output, key, batches.row_type)
    whole = False
    try:
        begin = len(partial)
        if begin:
            progress.say(f"Going on after {begin:,} windows.")
        for batch in score_batches(batches, sources, progress, begin):
            partial.append(batch.rows, batch.damaged)
        record = _finish(batches, sources, partial, output, key)
        whole = True
    finally:
        partial.close(remove=whole)
    return record


def _any_mended(sources: Sequence[WindowSource], damaged: Mapping[str, str]) -> bool:
    """Whether a window can be read now that could not be read before."""
    for source in sources if damaged else ():
        for place, name in enumerate(source.ids(0, len(source))):
            if name in damaged and not source.read(place, place + 1).damaged:
                return True
    return False


def _refuse_twice(sources: Sequence[WindowSource]) -> None:
    """Refuse inputs of which two windows have one id: their rows could not be told apart."""
    if len(sources) < 2:
        return
    ids = np.concatenate([np.array(source.ids(0, len(source)), dtype=bytes) for source in sources])
    ids.sort()
    twice = ids[1:][ids[1:] == ids[:-1]]
    if len(twice):
        raise UserError(
            f"Two windows have the id {twice[0].decode()}, in {', '.join(titles(sources)[:3])}. Score these inputs "
            "with one command each, or rename files."
        )


def _key(batches: BatchScorer, sources: Sequence[WindowSource], suffix: str) -> str:
    """Of the run, the windows and the settings."""
    record = batches.run.record
    parts = [
        [record.run_id, record.created, __version__],
        [batches.conditioning, batches.width, suffix, BATCH],
        [[source.identity(), len(source)] for source in sources],
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _finish(
    batches: BatchScorer, sources: Sequence[WindowSource], partial: PartialRows, output: Path, key: str
) -> PredictionRecord:
    """Write the file and its record from the rows.

    Raises:
        UserError: no window could be read, or the disk is full.
    """
    damaged, windows = partial.damaged(), len(partial)
    refuse_if_all_damaged(damaged, windows)
    known = [rows["variance"][~np.isnan(rows["score"])] for rows in partial.blocks()]
    variance = batches.variance(np.concatenate(known))
    try:
        warning = batches.warning(variance)
    except UserError as error:  # the first windows were as they should be: others may be of use
        warning = str(error)
    record, run = batches.run.record, batches.run
    facts = {"gwbench": __version__, "run_id": record.run_id, "title": run.title, "conditioning": batches.conditioning}
    with atomic(output) as path:
        blocks = _with_ids(sources, partial.blocks())
        outputs.write_scores(path, output.suffix, blocks, windows=windows, width=batches.width, facts=facts)
    result = PredictionRecord(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        gwbench=__version__,
        run_id=record.run_id,
        title=run.title,
        run_folder=Path(record.folder).name if record.folder else "",
        inputs=titles(sources),
        windows=windows,
        embedding=batches.width,
        conditioning=batches.conditioning,
        whitened_variance=variance,
        damaged=damaged,
        notes=(*(note for source in sources for note in source.notes), *([warning] if warning else [])),
        key=key,
        sha256=file_digest(output),
    )
    with atomic(record_path(output)) as path:
        path.write_text(result.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return result


def _with_ids(sources: Sequence[WindowSource], blocks: Iterable[Array]) -> Iterator[tuple[list[str], Array]]:
    """Rows with their windows' ids."""
    waiting = list(sources)
    start = 0
    for rows in blocks:
        names: list[str] = []
        while len(names) < len(rows):
            stop = min(len(waiting[0]), start + len(rows) - len(names))
            names += waiting[0].ids(start, stop)
            start = stop
            if start == len(waiting[0]):
                waiting.pop(0)
                start = 0
        yield names, rows
