"""Scores of windows by a finished run: in memory, or as text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from gwbench.data.store.layout import SPLITS
from gwbench.search.predict import outputs
from gwbench.search.predict.batches import loaded, refuse_if_all_damaged, score_batches, sources_of
from gwbench.search.predict.prediction import Conditioned, Prediction
from gwbench.search.predict.scoring import BatchScorer
from gwbench.utils.list_text import names_of
from gwbench.utils.progress import Progress
from gwbench.utils.progress import default as default_progress

if TYPE_CHECKING:
    from torch import Tensor

    from gwbench.data.dataset import Array
    from gwbench.experiment.scorer import RunScorer


def predict(
    run: str | Path | RunScorer,
    strain: Array | Tensor | str | Path | Sequence[str | Path],
    *,
    conditioning: Conditioned = "run",
    splits: str | Sequence[str] = SPLITS,
    plugins: str | Sequence[str] = (),
    encoder: Any = None,
    progress: Progress | None = None,
) -> Prediction:
    """Scores of windows by a finished run, in memory.

        prediction = gwbench.predict("runs/...", strain)  # [N, D, T + 2 margin]
        prediction.score, prediction.probability, prediction.embedding

    Args:
        run: its folder, or what `gwbench.load_scorer` gives.
        strain: windows [N, D, T + 2 margin], or one [D, T + 2 margin], in strain units, in the run's detector order;
            or paths, as `gwbench predict` takes them.
        conditioning: "run" to whiten by the noise of the run's training split; "refitted" to measure the noise of
            these windows, which then may have any margin, or none.
        splits: of a dataset of the store.
        plugins: files or modules that register the plugins the run used, if gwbench does not know them.
        encoder: where the run was given an object as its encoder: its class, or an object of it.
        progress: where to report.

    Raises:
        UserError: there is no such run, the windows do not fit it, or none can be read.
    """
    progress = progress or default_progress()
    scorer = loaded(run, plugins, encoder)
    sources = sources_of(strain, names_of(splits), progress)
    batches = BatchScorer(scorer, sources, conditioning, embedding=True)
    done = list(score_batches(batches, sources, progress))
    rows = np.concatenate([batch.rows for batch in done])
    damaged = {name: reason for batch in done for name, reason in batch.damaged.items()}
    refuse_if_all_damaged(damaged, len(rows))
    return Prediction(
        ids=[name for batch in done for name in batch.ids],
        score=rows["score"].copy(),
        probability=rows["probability"].copy(),
        embedding=rows["embedding"].copy() if batches.width else None,
        damaged=damaged,
        conditioning=conditioning,
        whitened_variance=batches.variance(rows["variance"][~np.isnan(rows["score"])]),
    )


def print_scores(
    stream: TextIO,
    run: str | Path | RunScorer,
    inputs: Sequence[str | Path],
    *,
    conditioning: Conditioned = "run",
    splits: Sequence[str] = SPLITS,
    plugins: Sequence[str] = (),
    progress: Progress | None = None,
) -> dict[str, str]:
    """Score windows and write id, score and probability as CSV, a batch at a time.

    Args:
        stream: where to write.
        run, inputs, conditioning, splits, plugins, progress: as of `predict_to_file`.

    Returns:
        Why windows are damaged, by id; they have empty cells.

    Raises:
        UserError: as `predict`.
    """
    progress = progress or default_progress()
    scorer = loaded(run, plugins)
    sources = sources_of(inputs, splits, progress)
    batches = BatchScorer(scorer, sources, conditioning, embedding=False)
    damaged: dict[str, str] = {}
    outputs.print_header(stream)
    for batch in score_batches(batches, sources, progress):
        outputs.print_rows(stream, batch.ids, batch.rows)
        damaged |= batch.damaged
    refuse_if_all_damaged(damaged, sum(map(len, sources)))
    return damaged
