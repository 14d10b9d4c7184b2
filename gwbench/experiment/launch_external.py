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
from gwbench.training.distributed.process_group import Talk, Team, connected
from gwbench.utils.progress import Progress

if TYPE_CHECKING:
    from gwbench.experiment.context import Laboratory
    from gwbench.experiment.data_cache import Workbench
    from gwbench.experiment.spec import RunSpec
    from gwbench.nn.detector_encoder import DetectorEncoder
    from gwbench.training.pretrain import Trained

GONE = ("closed by peer", "reset by peer", "Broken pipe", "remote process exited")
"""What torch's errors say where another process has gone."""


def in_company(
    spec: RunSpec, team: Team, device: str, bench: Workbench, carry_out: Callable[[Team], RunRecord]
) -> RunRecord:
    """The record of a run, in every process.

    Args:
        spec: the run.
        team: as this process knows it.
        device: "cpu" or "cuda".
        bench: of this process.
        carry_out: the run, in rank 0, by the connected team.

    Raises:
        UserError: what rank 0 raises.
        RuntimeError: another error of rank 0, in the others.
    """
    with connected(team, device) as together:
        assert together.talk
        if not team.leads:
            return _follow(spec, together, together.talk, device, bench)
        try:
            result = carry_out(together)
        except Exception as error:
            if not together.talk.training:
                together.talk.agree(("mistake" if isinstance(error, UserError) else "error", str(error)))
            raise
        together.talk.agree(("done", result.model_dump_json()))
        return result


def pretrain_in_company(laboratory: Laboratory, encoder: DetectorEncoder, folder: Path, team: Team) -> Trained:
    """Rank 0's part: train the encoder in place, with the others."""
    assert team.talk
    team.talk.agree(("pretrain", str(folder.absolute())))
    return _pretrain(laboratory, encoder, folder, team, team.talk)


def _pretrain(laboratory: Laboratory, encoder: DetectorEncoder, folder: Path, team: Team, talk: Talk) -> Trained:
    """Every process's part in pre-training; raises `UserError` where another process has gone."""
    talk.training = True
    try:
        trained = laboratory.pretrain(encoder, folder, team)
    except RuntimeError as error:
        if not any(sign in str(error) for sign in GONE):
            raise
        raise UserError(
            f"One of the {team.size} processes that pre-train together ended early; it may have said why. The same "
            "command, on these devices or others, goes on from the last finished epoch."
        ) from error
    talk.training = False
    return trained


def _follow(spec: RunSpec, team: Team, talk: Talk, device: str, bench: Workbench) -> RunRecord:
    """The others' part: do as they are told."""
    value: Any
    while True:
        kind, value = talk.agree(None)
        if kind == "done":
            return RunRecord.model_validate_json(value)
        if kind == "mistake":
            raise UserError(value)
        if kind == "error":
            raise RuntimeError(f"rank 0 failed: {value}")
        bench.splits(spec, Progress())
        laboratory, _ = bench.laboratory(spec, device, Progress())
        _pretrain(laboratory, laboratory.new_encoder(), Path(value), team, talk)
