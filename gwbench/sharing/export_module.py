"""What is exported of a run: a module of torch's own layers, with names for its input and its outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch
from torch import Tensor, nn

from gwbench.errors import UserError
from gwbench.experiment.checkpoint import load_encoder
from gwbench.experiment.record import RunRecord, read_record
from gwbench.experiment.scorer import load_scorer
from gwbench.nn.detector_encoder import DetectorEncoder, frozen_embedding
from gwbench.nn.encoder_scorer import EncoderScorer
from gwbench.nn.head_scorer import HeadScorer
from gwbench.nn.objective_scorer import ObjectiveScorer, without_single_detectors
from gwbench.sharing.plain_conditioning import plain_conditioning
from gwbench.sharing.plain_layers import PlainEncoder, PlainHead

if TYPE_CHECKING:
    from gwbench.contracts import Scorer
    from gwbench.experiment.scorer import RunScorer
    from gwbench.preprocessing.conditioning import Conditioner

What = Literal["encoder", "scorer", "whole"]
"""Conditioned strain to embedding; conditioned strain to scores; strain to scores."""

WHATS: tuple[What, ...] = get_args(What)

MEANINGS = {
    "embedding": "[B, F] float32: what the run's probe sees, the detectors' embeddings side by side",
    "log_odds": "[B] float32: the run's score, larger for signal",
    "probability": "[B] float32: of a signal, by the run's calibration; its prior is that of its validation split",
}


@dataclass(frozen=True)
class RunParts:
    """What a run left to be exported.

    Attributes:
        record: of the run.
        conditioner: the run's.
        encoder: None where its method has none.
        scorer: None where the encoder alone is wanted and the run kept it by itself.
    """

    record: RunRecord
    conditioner: Conditioner
    encoder: DetectorEncoder | None
    scorer: RunScorer | None

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs."""
        scores = ("log_odds", "probability") if self.scorer else ()
        return (*(("embedding",) if self.encoder else ()), *scores)

    def gain(self, embedding: Tensor) -> float:
        """How many times larger a relative difference of embeddings [N, F] may be in the log-odds; 1 at least.

        A probe divides features by their deviation, which in an encoder that tells windows hardly apart is far below
        their mean: rounding grows by as much.
        """
        given = self.scorer.scorer if self.scorer else None
        if not isinstance(given, HeadScorer):
            return 1.0
        slopes = _slopes(given, embedding)
        scale = given.head(embedding).square().mean().sqrt()
        return max(1.0, float(slopes.norm() * embedding.double().square().mean().sqrt() / scale)) if scale > 0 else 1.0

    @torch.inference_mode()
    def reference(self, given: Tensor, *, raw: bool) -> dict[str, Tensor]:
        """What the run itself gives, by the names of the outputs, of strain that is raw or conditioned."""
        strain = self.conditioner(given) if raw else given
        found: dict[str, Tensor] = {}
        if self.encoder:
            found["embedding"] = frozen_embedding(self.encoder, strain)
        if self.scorer:
            scores = self.scorer.scorer(strain).double()
            found["log_odds"] = scores
            found["probability"] = torch.from_numpy(self.scorer.calibration.probability(scores.numpy()))
        return found


def parts_of(folder: Path, what: What, plugins: Sequence[str]) -> RunParts:
    """What a finished run has for an export.

    Raises:
        UserError: it lacks what is wanted, or one of its files is damaged.
    """
    record = read_record(folder)
    if what == "encoder" and record.training is not None:
        frozen = load_encoder(folder, plugins)
        return RunParts(record, frozen.conditioner, frozen.encoder, None)
    scorer = load_scorer(folder, plugins)
    encoder = scorer.scorer.encoder if isinstance(scorer.scorer, HeadScorer) else None
    if what == "encoder":
        if encoder is None:
            raise UserError(
                f"The run in {folder} has no encoder: {record.spec.title} scores without one. Export the scorer, or "
                "the whole, which conditions strain too: --what scorer or --what whole."
            )
        return RunParts(record, scorer.conditioner, encoder, None)
    return RunParts(record, scorer.conditioner, encoder, scorer)


class ExportModule(nn.Module):
    """Strain to what a run makes of it.

    Args:
        parts: of the run.
        raw: whether it takes strain as it is, rather than conditioned.
        power_of_two: as of `plain_conditioning`.
    """

    def __init__(self, parts: RunParts, *, raw: bool, power_of_two: bool) -> None:
        super().__init__()
        self.condition = plain_conditioning(parts.conditioner, power_of_two=power_of_two) if raw else nn.Identity()
        self.encoder = PlainEncoder(parts.encoder) if parts.encoder else None
        self.score: nn.Module | None = None
        self.of_strain = parts.scorer is not None and isinstance(parts.scorer.scorer, ObjectiveScorer)
        if parts.scorer:
            self.score = _score(parts.scorer.scorer, self.encoder)
            self.slope, self.level = parts.scorer.calibration.slope, parts.scorer.calibration.intercept
        self.eval().requires_grad_(False)

    def forward(self, strain: Tensor) -> Any:
        """[B, D, T], or [B, D, T + 2 margin] where strain is raw, to the embedding, or to all outputs in turn."""
        given = conditioned = self.condition(strain)
        outputs: tuple[Tensor, ...] = ()
        if self.encoder is not None:
            given = self.encoder(given)
            outputs = (given,)
        if self.score is None:
            return given
        log_odds = self.score(conditioned if self.of_strain else given).to(torch.float32)
        return (*outputs, log_odds, (self.slope * log_odds + self.level).sigmoid())


def _score(given: Scorer, encoder: nn.Module | None) -> nn.Module:
    """What gives the log-odds: of embeddings where the scorer has a linear head, otherwise of conditioned strain."""
    if isinstance(given, ObjectiveScorer):
        assert encoder
        return _PlainScore(encoder, given)
    return PlainHead(given.head) if isinstance(given, EncoderScorer) else _OwnForward(given)


def _slopes(given: HeadScorer, embedding: Tensor) -> Tensor:
    """By how much the log-odds change with each feature [F]; of an objective's head at the mean embedding."""
    if isinstance(given, EncoderScorer):
        return given.head.weight * given.head.inverse_std
    assert isinstance(given, ObjectiveScorer)
    with torch.inference_mode(mode=False), torch.enable_grad():
        mean = embedding.mean(0, keepdim=True).float().clone().requires_grad_()
        (slopes,) = torch.autograd.grad(given.head.objective.log_odds(mean).sum(), mean)
    return slopes.squeeze(0).double()


class _PlainScore(nn.Module):
    """What an objective says of windows by itself, through an encoder of torch's own layers."""

    def __init__(self, encoder: nn.Module, scorer: ObjectiveScorer) -> None:
        super().__init__()
        self.encoder, self.objective, self.coherence = encoder, scorer.head.objective, scorer.coherence

    def forward(self, strain: Tensor) -> Tensor:
        log_odds = self._log_odds(strain)
        return without_single_detectors(self._log_odds, strain, log_odds) if self.coherence else log_odds

    def _log_odds(self, strain: Tensor) -> Tensor:
        return self.objective.log_odds(self.encoder(strain))


class _OwnForward(nn.Module):
    """A scorer that is no encoder with a head: whatever it does is recorded."""

    def __init__(self, scorer: Scorer) -> None:
        super().__init__()
        self.scorer = scorer

    def forward(self, strain: Tensor) -> Tensor:
        scores: Tensor = self.scorer(strain)
        return scores


__all__ = ["MEANINGS", "WHATS", "ExportModule", "RunParts", "What", "parts_of"]
