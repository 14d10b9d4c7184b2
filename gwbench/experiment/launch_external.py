"""A run that torchrun or SLURM started as several processes: rank 0 carries it out, the others pre-train with it.

Rank 0 alone locks the run's folder, judges the encoder and writes; the others open the same data, are told when to
pre-train, and end with rank 0's record or its error, and so with its exit code.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gwbench.errors import UserError
from gwbench.experiment.record import RunRecord
from gwbench.training.distributed.process_group import ControlChannel, ProcessGroup, connected
from gwbench.utils.progress import Progress

if TYPE_CHECKING:
    from gwbench.experiment.context import ExperimentContext
    from gwbench.experiment.data_cache import DataCache
    from gwbench.experiment.spec import RunSpec
    from gwbench.nn.detector_encoder import DetectorEncoder
    from gwbench.training.pretrain import Trained

GONE = ("closed by peer", "reset by peer", "Broken pipe", "remote process exited")
"""What torch's errors say where another process has gone."""


def run_external(
    spec: RunSpec,
    process_group: ProcessGroup,
    device: str,
    data_cache: DataCache,
    carry_out: Callable[[ProcessGroup], RunRecord],
) -> RunRecord:
    """The record of a run, in every process.

    Args:
        spec: the run.
        process_group: as this process knows it.
        device: "cpu" or "cuda".
        data_cache: of this process.
        carry_out: the run, in rank 0, by the connected process group.

    Raises:
        UserError: what rank 0 raises.
        RuntimeError: another error of rank 0, in the others.
    """
    with connected(process_group, device) as together:
        assert together.channel
        if not process_group.is_main:
            return _follow(spec, together, together.channel, device, data_cache)
        try:
            result = carry_out(together)
        except Exception as error:
            if not together.channel.training:
                together.channel.agree(("mistake" if isinstance(error, UserError) else "error", str(error)))
            raise
        together.channel.agree(("done", result.model_dump_json()))
        return result


def pretrain_external(
    context: ExperimentContext, encoder: DetectorEncoder, folder: Path, process_group: ProcessGroup
) -> Trained:
    """Rank 0's part: train the encoder in place, with the others."""
    assert process_group.channel
    process_group.channel.agree(("pretrain", str(folder.absolute())))
    return _pretrain(context, encoder, folder, process_group, process_group.channel)


def _pretrain(
    context: ExperimentContext,
    encoder: DetectorEncoder,
    folder: Path,
    process_group: ProcessGroup,
    channel: ControlChannel,
) -> Trained:
    """Every process's part in pre-training; raises `UserError` where another process has gone."""
    channel.training = True
    try:
        trained = context.pretrain(encoder, folder, process_group)
    except RuntimeError as error:
        if not any(sign in str(error) for sign in GONE):
            raise
        raise UserError(
            f"One of the {process_group.size} processes that pre-train together ended early; it may have said why. The "
            "same command, on these devices or others, goes on from the last finished epoch."
        ) from error
    channel.training = False
    return trained


def _follow(
    spec: RunSpec, process_group: ProcessGroup, channel: ControlChannel, device: str, data_cache: DataCache
) -> RunRecord:
    """The others' part: do as they are told."""
    value: Any
    while True:
        kind, value = channel.agree(None)
        if kind == "done":
            return RunRecord.model_validate_json(value)
        if kind == "mistake":
            raise UserError(value)
        if kind == "error":
            raise RuntimeError(f"rank 0 failed: {value}")
        data_cache.splits(spec, Progress())
        context, _ = data_cache.context(spec, device, Progress())
        _pretrain(context, context.new_encoder(), Path(value), process_group, channel)
