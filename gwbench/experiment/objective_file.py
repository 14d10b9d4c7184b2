"""The weights of a run's objective after the run: its projector, its EMA target, its queue."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import save
from torch import Tensor, nn

from gwbench.contracts import Objective
from gwbench.errors import UserError
from gwbench.experiment import record
from gwbench.experiment.checkpoint import put_weights, restore_weights
from gwbench.nn.objective_head import ObjectiveHead
from gwbench.nn.objective_scorer import ObjectiveScorer
from gwbench.registry import COHERENCE_TAG, REGISTRY
from gwbench.utils.files import atomic
from gwbench.utils.untrusted_files import UnusableError, link_target, linked_digest, open_plain

if TYPE_CHECKING:
    from gwbench.experiment.spec import RunSpec
    from gwbench.nn.detector_encoder import DetectorEncoder


def save_objective(folder: Path, objective: nn.Module) -> None:
    """Write the weights and buffers as safetensors, so that another run can go on from them."""
    # clones, as layers may share a tensor, which the format has no way to say
    weights = {name: value.detach().cpu().clone().contiguous() for name, value in objective.state_dict().items()}
    with atomic(folder / record.OBJECTIVE) as temporary:
        temporary.write_bytes(save(weights))


def copy_objective(source: Path, folder: Path) -> None:
    """Keep the weights of the objective with which another run pre-trained, where it kept them."""
    try:
        with open_plain(link_target(source / record.OBJECTIVE)) as stream:
            weights = stream.read()
    except UnusableError:
        return  # an older run has none
    with atomic(folder / record.OBJECTIVE) as temporary:
        temporary.write_bytes(weights)


def require_recorded(folder: Path) -> None:
    """Raise `UserError` where a finished run's objective is not the one that its record has the hash of."""
    wanted = (record.read_record(folder).files or {}).get(record.OBJECTIVE)
    if wanted is None:
        return
    try:
        problem = "" if linked_digest(folder / record.OBJECTIVE) == wanted else "it has changed since"
    except UnusableError as error:
        problem = str(error)
    if problem:
        raise UserError(
            f"The objective of the run in {folder}, by which windows are scored, cannot be used: {record.OBJECTIVE}: "
            f"{problem}. Run with --rerun to make it again."
        )


def load_objective(folder: Path, spec: RunSpec, encoder: DetectorEncoder) -> Objective:
    """The objective with which a run pre-trained its encoder, as training left it.

    Args:
        folder: of that run.
        spec: names the objective.
        encoder: that was trained with it.

    Raises:
        UserError: its weights are not there, or damaged.
    """
    objective = _untrained(spec, encoder)
    if problem := restore_weights(folder / record.OBJECTIVE, objective):
        raise UserError(
            f"The objective of the run in {folder} cannot be used: {record.OBJECTIVE}: {problem}. It is kept since "
            "gwbench scores windows without labels; run with --rerun to make it."
        )
    return objective


def objective_scorer(spec: RunSpec, encoder: DetectorEncoder, objective: Objective) -> ObjectiveScorer:
    """An encoder and the objective that it is trained with as a scorer."""
    assert spec.objective
    tags = REGISTRY.get("objective", spec.objective.name).tags
    return ObjectiveScorer(encoder, ObjectiveHead(objective), coherence=COHERENCE_TAG in tags)


def objective_of_state(spec: RunSpec, encoder: DetectorEncoder, state: Mapping[str, Tensor]) -> Objective:
    """The objective that a spec names, with weights from a file.

    Raises:
        UnusableError: they are not those of such an objective.
    """
    objective = _untrained(spec, encoder)
    if problem := put_weights(objective, state):
        raise UnusableError(problem)
    return objective


def _untrained(spec: RunSpec, encoder: DetectorEncoder) -> Objective:
    """The objective before its weights are read; the global generator is left as it was."""
    assert spec.objective
    with torch.random.fork_rng(devices=[]):
        objective: Objective = spec.objective.build("objective", encoder.embed_dim)
        objective.attach(encoder)
    return objective.eval()
