"""The step of a run that ends in a pre-trained encoder.

`pretrained_encoder` takes the encoder of an earlier run that pre-trained in the same way, or else has one trained:
by this process (`train_encoder`), by several that gwbench starts (`launch_local`), or together with those that
torchrun or SLURM started (`launch_external`). All of them call `train_encoder`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gwbench.errors import UserError
from gwbench.experiment.checkpoint import load_encoder
from gwbench.experiment.context import ExperimentContext
from gwbench.experiment.launch_external import train_with_launched
from gwbench.experiment.launch_local import train_in_processes
from gwbench.experiment.objective_file import copy_objective
from gwbench.experiment.record import OBJECTIVE, RunRecord
from gwbench.experiment.train_encoder import train_encoder
from gwbench.nn.detector_encoder import DetectorEncoder
from gwbench.training.distributed import ProcessGroup
from gwbench.training.pretrain import Trained


@dataclass(frozen=True)
class Pretrained:
    """What came of the step.

    Attributes:
        encoder: pre-trained.
        trained: how the training went, here or in the run that the encoder is from.
        devices, nodes: over how many it was spread here, devices per node.
        reused_from: identity of the run that the encoder is from, where it was another.
    """

    encoder: DetectorEncoder
    trained: Trained
    devices: int = 1
    nodes: int = 1
    reused_from: str | None = None


def pretrained_encoder(
    context: ExperimentContext, checkpoints: Path, process_group: ProcessGroup, reusable: Iterable[RunRecord]
) -> Pretrained:
    """The pre-trained encoder of a run.

    Args:
        context: of the run.
        checkpoints: folder of the checkpoint.
        process_group: who trains.
        reusable: finished runs with the same pre-training, whose encoder is taken if it can be read.

    Raises:
        UserError: training cannot begin, or diverged.
    """
    for earlier in reusable:
        assert earlier.folder is not None
        if not context.spec.uses_labels and not (Path(earlier.folder) / OBJECTIVE).exists():
            context.progress.say(f"The run in {earlier.folder} kept no objective to score with; it is trained again.")
            continue
        if encoder := _encoder_of(earlier, context):
            copy_objective(Path(earlier.folder), checkpoints.parent)
            return Pretrained(encoder, _training_of(earlier), reused_from=_pretrained_by(earlier))
    encoder = context.new_encoder()
    if process_group.channel:
        trained = train_with_launched(context, encoder, checkpoints, process_group)
    elif process_group.size > 1:
        trained = train_in_processes(context, encoder, checkpoints, process_group)
    else:
        trained = train_encoder(context, encoder, checkpoints)
    return Pretrained(encoder, trained, process_group.devices, process_group.nodes)


def _encoder_of(earlier: RunRecord, context: ExperimentContext) -> DetectorEncoder | None:
    """The encoder of an earlier run; None where it cannot be read, which is said."""
    assert earlier.folder is not None
    try:
        encoder = load_encoder(earlier.folder).encoder
    except UserError as error:
        context.progress.say(f"{error} It is pre-trained again now.")
        return None
    context.progress.say(f"Pre-trained already: {earlier.folder}.")
    return encoder


def _pretrained_by(earlier: RunRecord) -> str:
    """Identity of the run that did the pre-training: the earlier one, or one whose encoder it had taken itself."""
    named = earlier.details.get("pretrained_by")  # details may be anything
    return named if isinstance(named, str) and re.fullmatch(r"[0-9a-f]{16}", named) else earlier.run_id


def _training_of(earlier: RunRecord) -> Trained:
    """How the pre-training of an earlier run went, with the time that it took there."""
    assert earlier.training is not None
    phase = earlier.phases["pretrain"]
    return Trained(
        loss=earlier.training.loss,
        collapse=earlier.training.collapse,
        seconds=phase.seconds,
        diagnostics_seconds=earlier.phases["diagnose"].seconds if "diagnose" in earlier.phases else 0.0,
        windows_per_second=phase.samples_per_second or 0.0,
        resumed_from=earlier.training.resumed_from,
        signals=list(earlier.training.signals or ()),
        stopped=earlier.training.stopped.model_dump() if earlier.training.stopped else None,
    )
