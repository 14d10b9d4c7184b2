"""Which runs can be shared out to several devices."""

from __future__ import annotations

from gwbench.errors import UserError
from gwbench.experiment.spec import RunSpec
from gwbench.training.distributed import ProcessGroup


def refuse_sharing(spec: RunSpec, process_group: ProcessGroup) -> None:
    """Refuse several devices where they would not be used, or could not be used equally."""
    if process_group.size == 1:
        return
    if not spec.training:
        assert spec.baseline
        raise UserError(
            f"Several devices share pre-training, and the baseline {spec.baseline.name!r} has none: leave out "
            "--devices and --num-nodes."
        )
    if spec.training.batch_size % process_group.size:
        lower = spec.training.batch_size // process_group.size * process_group.size
        raise UserError(
            f"A batch of {spec.training.batch_size} windows cannot be shared out equally to {process_group.size} "
            f"devices: use --batch-size {lower or process_group.size}, or other --devices. (The batch is that of all "
            "devices together.)"
        )
