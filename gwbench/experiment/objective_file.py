"""The weights of a run's objective after the run: its projector, its EMA target, its queue."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import save
from torch import nn

from gwbench.experiment import record
from gwbench.experiment.checkpoint import target
from gwbench.utils.files import atomic
from gwbench.utils.untrusted_files import UnusableError, open_plain


def save_objective(folder: Path, objective: nn.Module) -> None:
    """Write the weights and buffers as safetensors, so that another run can go on from them."""
    # clones, as layers may share a tensor, which the format has no way to say
    weights = {name: value.detach().cpu().clone().contiguous() for name, value in objective.state_dict().items()}
    with atomic(folder / record.OBJECTIVE) as temporary:
        temporary.write_bytes(save(weights))


def copy_objective(source: Path, folder: Path) -> None:
    """Keep the weights of the objective with which another run pre-trained, where it kept them."""
    try:
        with open_plain(target(source / record.OBJECTIVE)) as stream:
            weights = stream.read()
    except UnusableError:
        return  # an older run has none
    with atomic(folder / record.OBJECTIVE) as temporary:
        temporary.write_bytes(weights)
