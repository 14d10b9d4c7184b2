"""How many signals a method finds at false-alarm rates of searches: the metric `tpr-at-far`.

A false-positive rate of windows says little of a search, whose windows overlap and whose events are clustered. Here the
rate is that of events: the peaks of the score along hours of noise, no louder one within a second, by the month. The
efficiency is the share of the test split's signals whose windows score above the threshold of a rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from pydantic import Field

from gwbench.contracts import Dataset, NoiseStream
from gwbench.data.dataset import Array
from gwbench.errors import UserError
from gwbench.evaluation.statistics import binomial_interval
from gwbench.experiment.record import PREDICTIONS
from gwbench.experiment.scorer import load_scorer
from gwbench.preprocessing.conditioning import Whitening
from gwbench.search.false_alarms import LEVEL, MONTH, Background
from gwbench.search.score_series import STRIDE
from gwbench.search.stretch_scorer import StretchScorer, shared_step
from gwbench.search.triggers import CLUSTER_WINDOW, local_maxima, steps_within
from gwbench.utils.files import atomic
from gwbench.utils.models import FrozenModel
from gwbench.utils.progress import Progress
from gwbench.utils.untrusted_arrays import read_npz
from gwbench.utils.untrusted_files import UnusableError
from gwbench.utils.untrusted_text import read_json

if TYPE_CHECKING:
    from gwbench.experiment.scorer import RunScorer

FILE = "tpr_at_far.json"
"""The file's name in the folder of a run."""

HOURS = 4.0
"""Of noise: they reach down to 180 false alarms a month."""

RATES = (10_000.0, 1000.0, 180.0)
"""False alarms a month of 30 days."""


class EfficiencyPoint(FrozenModel):
    """The efficiency at one rate of false alarms.

    Attributes:
        far: false alarms a month of 30 days.
        threshold: the score above which noise has so many events; None where it never has.
        events: so many the rate allows in the noise.
        value, low, high: the share of signals above the threshold, with its Clopper-Pearson interval. The threshold's
            own scatter is not in it: the share is that at this threshold.
    """

    far: float = Field(gt=0)
    threshold: float | None
    events: int
    value: float
    low: float
    high: float


class FarEfficiency(FrozenModel):
    """The efficiency of a run at rates of false alarms.

    Attributes:
        run_id, created: of the run.
        title: the method in words.
        auc: ROC-AUC of the same test windows.
        hours, seed, stride: of the noise, and s between its windows, as asked.
        rates: as asked.
        livetime: s in which events were counted.
        signals: of the test split.
        points: by rate, the highest first; rates that allow less than one event in the noise are left out.
    """

    run_id: str
    created: str
    title: str
    auc: float
    hours: float
    seed: int
    stride: float
    rates: tuple[float, ...]
    livetime: float
    signals: int
    points: tuple[EfficiencyPoint, ...]


def tpr_at_far(
    folder: Path,
    *,
    rates: Sequence[float] = RATES,
    hours: float = HOURS,
    stride: float = STRIDE,
    seed: int = 0,
    plugins: Sequence[str] = (),
    progress: Progress | None = None,
) -> FarEfficiency:
    """The efficiency of a finished run, from hours of its dataset's noise; kept in its folder and done once.

    The noise is that of the dataset, of the seed role "continuous": no window of any split has a sample of it. It is
    conditioned as the splits were.

    Args:
        folder: of the run.
        rates: false alarms a month.
        hours: of noise; H hours say nothing of rates below one event in H.
        stride: s between windows, rounded to what windows can share.
        seed: of the noise.
        plugins: files or modules that register the plugins that the run used.
        progress: shows bars.

    Raises:
        UserError: the run keeps no scorer or no predictions, its dataset has no continuous noise, or its conditioning
            is of single windows.
    """
    progress = progress or Progress()
    run = load_scorer(folder, plugins)
    known = _kept(folder, run)
    asked = (hours, seed, stride)
    if known and (known.hours, known.seed, known.stride) == asked and set(known.rates) >= set(rates):
        return known.model_copy(update={"points": tuple(p for p in known.points if p.far in set(rates))})
    label, score = _test_scores(folder)
    background = noise_events(run, hours=hours, stride=stride, seed=seed, progress=progress)
    signals = score[label == 1]
    points = []
    for far in sorted(set(rates), reverse=True):
        threshold = background.threshold(far)
        if threshold is None:
            least = MONTH / background.livetime
            progress.say(f"{hours:g} h of noise say nothing of {far:g} false alarms a month: one event is {least:.4g}.")
            continue
        found = binomial_interval(int((signals > threshold).sum()), len(signals), LEVEL)
        points.append(
            EfficiencyPoint(
                far=far,
                threshold=threshold if np.isfinite(threshold) else None,
                events=background.allowed(far),
                value=found.value,
                low=found.low,
                high=found.high,
            )
        )
    result = FarEfficiency(
        run_id=run.record.run_id,
        created=run.record.created,
        title=run.title,
        auc=run.record.auc,
        hours=hours,
        seed=seed,
        stride=stride,
        rates=tuple(rates),
        livetime=background.livetime,
        signals=len(signals),
        points=tuple(points),
    )
    with atomic(folder / FILE) as temporary:
        temporary.write_text(result.model_dump_json(indent=2) + "\n")
    return result


def noise_events(run: RunScorer, *, hours: float, stride: float, seed: int, progress: Progress) -> Background:
    """The events that a run makes of its dataset's noise. Arguments and errors as of `tpr_at_far`."""
    if not isinstance(run.conditioner, Whitening):
        raise UserError("False alarms are counted along conditioned strain: the run needs conditioning.method=whiten.")
    choice = run.record.spec.dataset
    dataset: Dataset = choice.build("dataset")
    segments = dataset.continuous_noise(hours, seed)
    if segments is None:
        raise UserError(
            f"The dataset {choice.name} gives no continuous noise. Count false alarms in strain instead: gwbench scan."
        )
    step = shared_step(run, stride)
    series = StretchScorer(run.scorer, run.window, step)
    seconds, loud = 0.0, []
    apart = steps_within(CLUSTER_WINDOW, step / run.sample_rate)
    with progress.task("Score noise", hours * 3600, "s of strain") as task:
        for segment in segments:
            strain = _whole(segment)
            rows = [run.conditioner.condition_segment(row, place) for place, row in enumerate(strain)]
            with torch.inference_mode():
                score, _ = series.scores(torch.stack(rows))
            loud.append(score[local_maxima(score, -np.inf, apart)])
            seconds += len(score) * step / run.sample_rate
            task.advance(strain.shape[1] / run.sample_rate)
    return Background.of(np.concatenate(loud), seconds)


def _whole(segment: NoiseStream) -> Array:
    """[D, samples] of a segment."""
    pieces = [segment.strain(number) for number in range(-(-segment.samples // segment.piece))]
    return np.concatenate(pieces, axis=1)


def _test_scores(folder: Path) -> tuple[Array, Array]:
    """Labels and scores of the test split."""
    try:
        arrays = read_npz(folder / PREDICTIONS)
        label, score = arrays["label"], arrays["score"]
    except (UnusableError, KeyError) as error:
        raise UserError(f"The predictions of the run in {folder} cannot be read ({error}). Run with --rerun.") from None
    if label.shape != score.shape or label.ndim != 1 or not np.any(label == 1) or not np.isfinite(score).all():
        raise UserError(f"The predictions of the run in {folder} are not one score for each label. Run with --rerun.")
    return label, score


def _kept(folder: Path, run: RunScorer) -> FarEfficiency | None:
    """What is known of this very run."""
    try:
        known = FarEfficiency.model_validate(read_json(folder / FILE))
    except (UnusableError, ValueError):
        return None
    return known if (known.run_id, known.created) == (run.record.run_id, run.record.created) else None


__all__ = ["FILE", "HOURS", "RATES", "EfficiencyPoint", "FarEfficiency", "noise_events", "tpr_at_far"]
