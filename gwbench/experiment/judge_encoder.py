"""The step of a run that scores the test split with its encoder: by a probe, or without labels by the objective."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gwbench.evaluation.label_free import label_free_scores
from gwbench.experiment.objective_file import load_objective, objective_scorer, require_recorded

if TYPE_CHECKING:
    from gwbench.contracts import Scores
    from gwbench.experiment.context import ExperimentContext


def judged_scores(context: ExperimentContext, folder: Path) -> Scores:
    """Test scores of the run's encoder.

    Args:
        context: with the encoder.
        folder: of the run, which holds the weights of the objective that it pre-trained with.

    Raises:
        UserError: the probe cannot be fitted; or the weights of the objective are not there.
    """
    encoder, spec = context.encoder, context.spec
    assert encoder
    if spec.uses_labels:
        return context.probe(encoder)
    source = folder
    if spec.encoder_from:
        source = Path(spec.encoder_from.folder)
        require_recorded(source)
    return label_free_scores(
        objective_scorer(spec, encoder, load_objective(source, spec, encoder)),
        context.splits,
        context.strain,
        device=context.device,
        progress=context.progress,
    )


__all__ = ["judged_scores"]
