"""Scores without a label: an objective's own head in place of a probe.

The encoder and its objective are frozen as pre-training left them. No label has a part in a window's score. Those of
the validation split only tell how good the scores are there, and turn them into probabilities where that is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gwbench.contracts import Array, Scores, StrainSplits
from gwbench.errors import UserError
from gwbench.evaluation.labelled import known_rows
from gwbench.evaluation.protocol import CHUNK
from gwbench.evaluation.statistics import auc_interval

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gwbench.dataloading.conditioned_split import ConditionedStrain
    from gwbench.evaluation.statistics import Interval
    from gwbench.nn.objective_scorer import ObjectiveScorer
    from gwbench.utils.progress import Progress


def label_free_scores(
    scorer: ObjectiveScorer,
    splits: StrainSplits,
    strain: Mapping[str, ConditionedStrain],
    *,
    device: str,
    progress: Progress,
) -> Scores:
    """Test scores by the objective's own head, with the scorer that gave them.

    Args:
        scorer: an encoder and the objective that it was trained with; left unchanged.
        splits: for the labels of the validation windows, by which the record tells their ROC-AUC.
        strain: the conditioned splits by name.
        device: where to compute.
        progress: where to report.

    Raises:
        UserError: a score is not finite.
    """
    scorer.to(device)
    (_, val), (embedding, test) = (_scored(scorer, strain[name], name, device, progress) for name in ("val", "test"))
    label = splits.val.label
    known = known_rows(label)
    both = len(np.unique(label[known])) == 2
    return Scores(
        test=test,
        details={"val_auc": auc_interval(label[known], val[known]).value} if both else {},
        embeddings=embedding,
        parameters=sum(parameter.numel() for parameter in scorer.encoder.parameters()),
        val=val,
        scorer=scorer,
    )


def label_free_validation(
    scorer: ObjectiveScorer, splits: StrainSplits, strain: ConditionedStrain, *, device: str, progress: Progress
) -> Interval:
    """ROC-AUC on validation of the objective's own head, as it is now; the test split is not read.

    Args:
        scorer, splits, device, progress: as of `label_free_scores`; encoder and objective are left as they are.
        strain: the conditioned validation split.
    """
    label = splits.val.label
    known = known_rows(label)
    _, scores = _scored(scorer, strain, "val", device, progress)
    return auc_interval(label[known], scores[known])


def _scored(
    scorer: ObjectiveScorer, strain: ConditionedStrain, split: str, device: str, progress: Progress
) -> tuple[Array, Array]:
    """Embeddings [N, F] and scores [N] of a split."""
    parts = []
    with progress.task("Score", len(strain), "windows") as task:
        for start in range(0, len(strain), CHUNK):
            given = strain[slice(start, start + CHUNK)].to(device)
            parts.append([each.cpu().numpy() for each in scorer.embedded(given)])
            task.advance(len(given))
    embedding, scores = (np.concatenate(each) for each in zip(*parts, strict=True))
    if wrong := int(np.count_nonzero(~np.isfinite(scores))):
        raise UserError(
            f"{wrong} scores of the {split} windows are NaN or infinite: the training diverged. "
            "Lower the learning rate (--lr, or training.lr in a file)."
        )
    return embedding, scores
