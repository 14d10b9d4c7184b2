"""The step of a run that keeps what scored the test split, so that it can score other strain."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gwbench.evaluation.calibration import Calibration
from gwbench.experiment import record
from gwbench.experiment.scorer_file import ScorerHeader, kind_of, write_scorer
from gwbench.preprocessing.whitened_variance import median_variance, window_variance

if TYPE_CHECKING:
    from gwbench.contracts import Array, Scorer, Scores
    from gwbench.experiment.context import ExperimentContext

CHUNK = 256
"""Windows scored at once."""

MEASURED = 256
"""Windows of the validation split whose variance is measured."""


def keep_scorer(folder: Path, scores: Scores, context: ExperimentContext, run_id: str) -> None:
    """Write the scorer that a method gave with its scores, calibrated on validation, and the conditioner with it.

    Where it gave none, one that an earlier session left is removed.
    """
    scorer = scores.scorer
    if scorer is None:
        (folder / record.SCORER).unlink(missing_ok=True)
        return
    val = context.splits.val
    some = np.unique(np.linspace(0, len(val) - 1, min(MEASURED, len(val))).round().astype(int))
    variance = median_variance(window_variance(context.conditioned("val", some)))
    header = ScorerHeader(
        run_id=run_id,
        kind=kind_of(scorer),
        calibration=Calibration.fit(val.label, _val_scores(scorer, context) if scores.val is None else scores.val),
        variance=tuple(float(each) for each in variance),
        whole=context.spec.baseline is not None,
    )
    if header.whole:
        record.write_arrays(folder / record.CONDITIONER, context.conditioner.state())
    write_scorer(folder, scorer, header)


def _val_scores(scorer: Scorer, context: ExperimentContext) -> Array:
    """Scores [N_val] of the validation split."""
    parts = []
    with context.progress.task("Calibrate", len(context.splits.val), "windows") as task:
        for start in range(0, len(context.splits.val), CHUNK):
            strain = context.conditioned("val", slice(start, start + CHUNK))
            parts.append(scorer(strain.to(context.device)).cpu().numpy())
            task.advance(len(strain))
    return np.concatenate(parts)


__all__ = ["keep_scorer"]
