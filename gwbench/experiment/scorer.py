"""What a finished run listens with: its scorer, its conditioner and its calibration, loaded to score new strain."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from gwbench.contracts import Scorer
from gwbench.errors import UserError, in_words
from gwbench.evaluation.calibration import Calibration
from gwbench.experiment import record
from gwbench.experiment.checkpoint import (
    load_conditioner,
    pretrained_encoder,
    put_weights,
    require_windows,
    untrained_encoder,
)
from gwbench.experiment.objective_file import objective_of_state, objective_scorer
from gwbench.experiment.objects import encoder_given
from gwbench.experiment.record import RunRecord
from gwbench.experiment.scorer_file import ScorerHeader, read_scorer, split_state
from gwbench.nn.encoder_scorer import EncoderScorer
from gwbench.nn.linear_head import LinearHead
from gwbench.preprocessing.whitened_variance import median_variance, variance_warning, window_variance
from gwbench.registry import REGISTRY
from gwbench.utils.list_text import names_of
from gwbench.utils.printable import printable
from gwbench.utils.untrusted_files import AbsentError, UnusableError, link_target

if TYPE_CHECKING:
    from gwbench.contracts import Array
    from gwbench.nn.detector_encoder import DetectorEncoder
    from gwbench.preprocessing.conditioning import Conditioner

CHUNK = 256
"""Windows conditioned and scored at once."""

Floats = NDArray[np.float64]


class WhiteningWarning(UserWarning):
    """The strain that was scored is not white as the run's own was."""


@dataclass(frozen=True, eq=False)
class WindowScores:
    """Scores of windows that a run has never seen.

    Attributes:
        log_odds: [N], larger for "signal": as the run's method scores the test split.
        probability: [N] of a signal, by the run's calibration; its prior is that of the validation split.
        whitened_variance: [D] of the conditioned strain, the median over the windows; 1 for noise of the PSD that the
            conditioner was measured on.
        conditioning: "run" where the conditioner is the run's own, "refitted" where it was measured on other strain.
        warning: what is to be said of the variance; empty where nothing is.
    """

    log_odds: Floats
    probability: Floats
    whitened_variance: Floats
    conditioning: Literal["run", "refitted"]
    warning: str = ""


@dataclass(frozen=True, eq=False, repr=False)
class RunScorer:
    """Scores strain as a finished run scored its test split.

    Attributes:
        record: of the run.
        scorer: conditioned strain [B, D, T] -> scores [B].
        conditioner: strain [N, D, T + 2 margin] -> conditioned [N, D, T]; the run's, unless it was refitted.
        calibration: from scores to probabilities.
        usual_variance: [D] of the run's own validation windows, conditioned.
    """

    record: RunRecord
    scorer: Scorer
    conditioner: Conditioner
    calibration: Calibration
    usual_variance: tuple[float, ...]

    def __repr__(self) -> str:
        """The method, and what it listens to."""
        seconds = self.window / self.sample_rate
        return f"<RunScorer {self.title}: {seconds:g} s of {', '.join(self.detectors)} at {self.sample_rate:g} Hz>"

    @property
    def detectors(self) -> tuple[str, ...]:
        """Names in channel order."""
        return self.conditioner.detectors

    @property
    def sample_rate(self) -> float:
        """Hz."""
        return self.conditioner.sample_rate

    @property
    def window(self) -> int:
        """T, samples of a conditioned window."""
        return self.conditioner.window

    @property
    def network(self) -> bool:
        """Whether the score looks at all detectors at once, so that it has no parts by detector."""
        return self.scorer.network

    @property
    def title(self) -> str:
        """The method in words."""
        return self.record.spec.title

    @property
    def conditioning(self) -> Literal["run", "refitted"]:
        """Whose conditioner it is."""
        return "refitted" if self.conditioner.refitted else "run"

    def refit(self, strain: Array) -> RunScorer:
        """The same with the conditioner measured anew on strain, as `Conditioner.refit` takes it."""
        return self.with_conditioner(self.conditioner.refit(strain))

    def with_conditioner(self, conditioner: Conditioner) -> RunScorer:
        """The same with another conditioner of the same windows; what depends on it, such as templates, is made anew.

        Raises:
            UserError: it is for other detectors, another sample rate or other windows.
        """
        own, other = (
            (each.detectors, each.sample_rate, each.window, each.margin) for each in (self.conditioner, conditioner)
        )
        if own != other:
            raise UserError(
                f"A conditioner for {other} (detectors, Hz, samples of a window and of a margin) does not fit a run of "
                f"{own}. Refit the run's own: conditioner.refit(strain)."
            )
        scorer = self.scorer.refitted(conditioner).eval()
        return replace(self, conditioner=conditioner, scorer=scorer)

    def to(self, device: str | torch.device) -> RunScorer:
        """Move the scorer and the conditioner, in place."""
        self.scorer.to(device)
        self.conditioner.to(device)
        return self

    def score(self, strain: Array) -> WindowScores:
        """Score windows of strain.

        Args:
            strain: [N, D, T + 2 margin] in strain units, in the run's order of detectors.

        Raises:
            UserError: another shape, NaN or infinite values, or strain whose whitened variance is so far from 1 that
                scores would mean nothing.
        """
        strain = np.asarray(strain)
        require_windows(strain, self.conditioner)
        scores, variances = np.empty(len(strain)), []
        for start in range(0, len(strain), CHUNK):
            part = strain[start : start + CHUNK]
            conditioned = self.conditioner(part, positions=np.arange(start, start + len(part)))
            variances.append(window_variance(conditioned))
            scores[start : start + len(part)] = self.scorer(conditioned).double().cpu().numpy()
        variance = self.relative(median_variance(torch.cat(variances)))
        warning = variance_warning(variance, self.detectors, refitted=self.conditioner.refitted)
        if warning:
            warnings.warn(warning, WhiteningWarning, stacklevel=2)
        return WindowScores(
            log_odds=scores,
            probability=self.calibration.probability(scores),
            whitened_variance=np.asarray(variance, np.float64),
            conditioning=self.conditioning,
            warning=warning,
        )

    def relative(self, variance: Floats) -> Floats:
        """A variance [D] of conditioned strain in units of what it should be: 1 where the conditioner whitens.

        The seed recipe does not whiten: there it should be that of the run's own validation windows.
        """
        whitens = self.conditioner.settings.method == "whiten"
        return variance / (1.0 if whitens else np.asarray(self.usual_variance))


def load_scorer(folder: str | Path, plugins: str | Sequence[str] = (), *, encoder: Any = None) -> RunScorer:
    """What scored the test split of a finished run, to score other strain.

        scorer = gwbench.load_scorer("runs/...")
        scorer.score(strain).log_odds              # [N, D, T + 2 margin] -> [N]
        scorer.refit(strain).score(strain)         # with the noise measured on the new strain

    Args:
        folder: of the run.
        plugins: files or modules that register its encoder or its baseline, if gwbench does not know them.
        encoder: where the run was given an object as its encoder: its class, or an object of it.

    Raises:
        UserError: the run has kept no scorer, or one of its files is damaged.
    """
    for source in names_of(plugins):
        REGISTRY.load_source(source)
    with encoder_given(record.read_record(Path(folder)), encoder):
        return scorer_of(Path(folder))


def scorer_of(folder: Path, encoder: DetectorEncoder | None = None) -> RunScorer:
    """As `load_scorer`, with the run's pre-trained encoder where that is loaded already."""
    run = record.read_record(folder)
    if run.status != "ok" or run.data is None:
        raise UserError(f"The run in {folder} failed, so that it has nothing to score with: {run.reason}.")
    try:
        header, state = read_scorer(link_target(folder / record.SCORER))
        if header.run_id != run.run_id:
            raise UnusableError(f"it is that of another run, {printable(header.run_id)}")
        conditioner = load_conditioner(folder, run)
        if len(header.variance) != len(conditioner.detectors):
            raise UnusableError("it is for another number of detectors")
        if header.kind == "baseline":
            scorer = _of_baseline(folder, run, state, conditioner)
        else:
            scorer = _of_encoder(folder, run, header, state, conditioner, encoder)
        _try_out(scorer.eval(), conditioner)
    except AbsentError:
        raise UserError(_none_kept(folder, run)) from None
    except UnusableError as error:
        raise UserError(
            f"The scorer of the run in {folder} cannot be used: {record.SCORER}: {printable(error)}. Run with "
            "--rerun to make it again."
        ) from None
    return RunScorer(run, scorer, conditioner, header.calibration, header.variance)


def _of_encoder(
    folder: Path,
    run: RunRecord,
    header: ScorerHeader,
    state: dict[str, Any],
    conditioner: Conditioner,
    encoder: DetectorEncoder | None,
) -> Scorer:
    """An encoder with its head; its weights are in the scorer's file or, of a pre-trained one, in one of their own."""
    weights, head_state = split_state(state)
    if header.kind == "objective":
        if weights or header.whole:
            raise UnusableError("it holds an encoder, whose weights are in a file of their own")
        encoder = encoder or pretrained_encoder(folder, run, conditioner)
        return _of_objective(folder, run, encoder, head_state)
    try:
        head = LinearHead.of_state(head_state)
    except ValueError as error:
        raise UnusableError(str(error)) from None
    if header.whole:
        encoder = untrained_encoder(folder, run, conditioner)
        if problem := put_weights(encoder, weights):
            raise UnusableError(problem)
    elif weights:
        raise UnusableError(f"it has an unknown tensor {printable(min(weights))}")
    encoder = encoder or pretrained_encoder(folder, run, conditioner)
    return EncoderScorer(encoder, head)


def _of_objective(folder: Path, run: RunRecord, encoder: DetectorEncoder, state: dict[str, Any]) -> Scorer:
    """An encoder with the head of the objective that the run pre-trained with."""
    if run.spec.objective is None:
        raise UnusableError("it is that of an objective, and the run has none")
    try:
        own = {name.removeprefix("objective."): value for name, value in state.items()}
        return objective_scorer(run.spec, encoder, objective_of_state(run.spec, encoder, own))
    except UserError as error:
        raise UserError(
            f"The run in {folder}: {error} If its objective is yours, name the file: load_scorer(..., plugins=[...])."
        ) from None


def _of_baseline(folder: Path, run: RunRecord, state: dict[str, Any], conditioner: Conditioner) -> Scorer:
    """What the baseline's plugin makes of the tensors."""
    if run.spec.baseline is None:
        raise UnusableError("it is that of a baseline, and the run is none")
    try:
        baseline = run.spec.baseline.build("baseline")
    except UserError as error:
        raise UserError(
            f"The run in {folder}: {error} If its baseline is of yours, name the file: load_scorer(..., plugins=[...])."
        ) from None
    try:
        scorer = baseline.load_scorer(state, conditioner)
    except Exception as error:  # a plugin, handed what a file says
        raise UnusableError(f"no scorer can be made of it ({in_words(error)})") from None
    if not isinstance(scorer, Scorer):
        raise UnusableError(f"the baseline {run.spec.baseline.name!r} makes no scorer of it: it lacks `load_scorer`")
    return scorer


def _try_out(scorer: Scorer, conditioner: Conditioner) -> None:
    """Refuse a scorer whose tensors do not fit each other: it has to score a window of silence."""
    silence = torch.zeros(1, len(conditioner.detectors), conditioner.window)
    try:
        with torch.no_grad():
            scores = scorer(silence)
    except Exception as error:
        raise UnusableError(f"its tensors do not fit its method ({in_words(error)})") from None
    if scores.shape != (1,) or not torch.isfinite(scores).all():
        raise UnusableError("it gives no finite score")


def _none_kept(folder: Path, run: RunRecord) -> str:
    """Why a run has no scorer, and what to do."""
    baseline = run.spec.baseline
    target_class: Any = None
    if baseline:
        try:
            target_class = REGISTRY.get("baseline", baseline.name).target
        except UserError:
            target_class = None
    if target_class is not None and target_class.sees_sources:
        return (
            f"The run in {folder} has nothing to score with: {run.spec.title} is a bound, which is told the test "
            "windows' signals and can score no other strain. Use another run."
        )
    again = "the same call of gwbench.run with rerun=True" if run.objects else f"{run.command} --rerun"
    return (
        f"The run in {folder} has kept no scorer ({record.SCORER} is not there): its method gives none, or it was made "
        "before gwbench kept them, or only its record was copied here. If its method does, run it again with --rerun, "
        f"which makes one: {again}"
    )


__all__ = ["RunScorer", "WhiteningWarning", "WindowScores", "load_scorer"]
