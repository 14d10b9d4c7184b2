"""A run that torchrun or SLURM started as several processes: rank 0 carries it out, the others pre-train with it.

Rank 0 alone locks the run's folder, judges the encoder and writes; the others open the same data, are told when to
pre-train, and end with rank 0's record or its error, and so with its exit code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gwbench.errors import UserError
from gwbench.experiment.context import ExperimentContext
from gwbench.experiment.data_cache import DataCache
from gwbench.experiment.record import RunRecord
from gwbench.experiment.spec import RunSpec
from gwbench.experiment.train_encoder import train_encoder
from gwbench.nn.detector_encoder import DetectorEncoder
from gwbench.training.distributed.process_group import ControlChannel, ProcessGroup, connected
from gwbench.training.pretrain import Trained
from gwbench.utils.progress import Progress

GONE = ("closed by peer", "reset by peer", "Broken pipe", "remote process exited")
"""What torch's errors say where another process has gone."""


def run_as_launched(
    spec: RunSpec,
    run_here: Callable[[ProcessGroup], RunRecord],
    process_group: ProcessGroup,
    device: str,
    data_cache: DataCache,
) -> RunRecord:
    """The part of a process in a run that a launcher started as several, and the record that all of them get.

    Args:
        spec: the run.
        run_here: carries it out, as rank 0 does.
        process_group: as this process knows it.
        device: "cpu" or "cuda".
        data_cache: of this process.
    """
    with connected(process_group, device) as connected_group:
        if not connected_group.is_main:
            return follow_rank_0(spec, connected_group, device, data_cache)
        with telling_others(connected_group) as tell:
            return tell(run_here(connected_group))


@contextmanager
def telling_others(process_group: ProcessGroup) -> Iterator[Callable[[RunRecord], RunRecord]]:
    """Within it rank 0 carries out the run; the others hear of its record or its error.

    Yields:
        A function that rank 0 calls with the record, and that returns it.
    """
    assert process_group.channel
    channel = process_group.channel
    records: list[RunRecord] = []

    def keep(record: RunRecord) -> RunRecord:
        records.append(record)
        return record

    try:
        yield keep
    except Exception as error:
        if not channel.training:
            channel.agree(("mistake" if isinstance(error, UserError) else "error", str(error)))
        raise
    channel.agree(("done", records[-1].model_dump_json()))


def follow_rank_0(spec: RunSpec, process_group: ProcessGroup, device: str, data_cache: DataCache) -> RunRecord:
    """The part of all others: do as they are told, until rank 0 has the record.

    Args:
        spec: the run.
        process_group: connected.
        device: "cpu" or "cuda".
        data_cache: of this process.

    Raises:
        UserError: what rank 0 raises.
        RuntimeError: another error of rank 0.
    """
    assert process_group.channel
    channel, progress = process_group.channel, Progress()
    value: Any
    while True:
        kind, value = channel.agree(None)
        if kind == "done":
            return RunRecord.model_validate_json(value)
        if kind == "mistake":
            raise UserError(value)
        if kind == "error":
            raise RuntimeError(f"rank 0 failed: {value}")
        context = ExperimentContext.create(spec, data_cache.conditioned(spec, progress), device, progress)
        _train(context, context.new_encoder(), Path(value), process_group, channel)


def train_with_launched(
    context: ExperimentContext, encoder: DetectorEncoder, checkpoints: Path, process_group: ProcessGroup
) -> Trained:
    """Rank 0's part: train the encoder in place, with the others."""
    assert process_group.channel
    process_group.channel.agree(("pretrain", str(checkpoints.absolute())))
    return _train(context, encoder, checkpoints, process_group, process_group.channel)


def _train(
    context: ExperimentContext,
    encoder: DetectorEncoder,
    checkpoints: Path,
    process_group: ProcessGroup,
    channel: ControlChannel,
) -> Trained:
    """Every process's part in pre-training; raises `UserError` where another process has gone."""
    channel.training = True
    try:
        trained = train_encoder(context, encoder, checkpoints, process_group)
    except RuntimeError as error:
        if not any(sign in str(error) for sign in GONE):
            raise
        raise UserError(
            f"One of the {process_group.size} processes that pre-train together ended early; it may have said why. The "
            "same command, on these devices or others, goes on from the last finished epoch."
        ) from error
    channel.training = False
    return trained
