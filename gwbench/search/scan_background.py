"""The background of a scan: its time slides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from gwbench.search.block_scores import BlockScorer, ScanJob
from gwbench.search.false_alarms import Background
from gwbench.search.light_travel import longest_light_travel
from gwbench.search.score_series import ScoreSeries
from gwbench.search.time_slides import FEWEST, rescored_background, slide_background
from gwbench.search.trigger_settings import TriggerSettings

if TYPE_CHECKING:
    from gwbench.experiment.scorer import RunScorer
    from gwbench.utils.progress import Progress

AFFORDED = 7200.0
"""Seconds of strain, about, that are scored again for the slides of a network's scores unless said otherwise."""


def keeps_strain(run: RunScorer, settings: TriggerSettings, livetime: float) -> bool:
    """Whether the slides of a scan need its conditioned strain: those of scores that are no sums over detectors."""
    slides = run.conditioner.window_step == 1 and len(run.detectors) > 1
    return run.network and slides and rescored_slides(settings, livetime) > 0


def rescored_slides(settings: TriggerSettings, livetime: float) -> int:
    """How many slides are scored again, as asked or as `AFFORDED` allows for so many seconds of strain."""
    return min(FEWEST, int(AFFORDED // livetime)) if settings.slides is None else settings.slides


def scan_background(
    job: ScanJob, run: RunScorer, series: Sequence[ScoreSeries], settings: TriggerSettings, progress: Progress
) -> Background | None:
    """The background of a scan from time slides; says why where there is none.

    Args:
        job: the scan, its blocks scored.
        run: what scored it.
        series: the scores of every segment.
        settings: with a threshold.
        progress: shows bars and messages.
    """
    if settings.slides == 0:
        return None
    if len(run.detectors) < 2:
        progress.say("Strain of one detector cannot be slid in time: the triggers have no false-alarm rates.")
        return None
    assert settings.threshold is not None
    apart = run.window / run.sample_rate + longest_light_travel(run.detectors)
    if all(one.parts is not None for one in series):
        background = slide_background(
            series,
            threshold=settings.threshold,
            apart=apart,
            cluster_window=settings.cluster_window,
            slides=settings.slides,
            zero_lag=settings.zero_lag,
            progress=progress,
        )
    elif run.conditioner.window_step == 1:
        background = _rescored(job, run, series, settings, apart, progress)
    else:
        progress.say("Windows that are conditioned one by one cannot be slid: the triggers have no false-alarm rates.")
        return None
    if background is None and rescored_slides(settings, job.plan.livetime):
        progress.say("The strain is too short for time slides: the triggers have no false-alarm rates.")
    return background


def _rescored(
    job: ScanJob,
    run: RunScorer,
    series: Sequence[ScoreSeries],
    settings: TriggerSettings,
    apart: float,
    progress: Progress,
) -> Background | None:
    """The background of scores of all detectors at once: conditioned strain is shifted and scored again."""
    assert settings.threshold is not None
    slides = rescored_slides(settings, job.plan.livetime)
    if not slides:
        progress.say(
            "The triggers have no false-alarm rates: every time slide of this method costs a scan of "
            f"{job.plan.livetime / 3600:.3g} h. Ask for some with --slides."
        )
        return None
    shape, scorer = job.plan.shape, BlockScorer(job, run)
    middle = job.plan.segments[len(job.plan.segments) // 2].pieces[0]
    scored = scorer.along(scorer.conditioner_of(middle))
    segments: list[tuple[NDArray[Any], ScoreSeries]] = []
    for block in job.plan.blocks:
        whole = series[block.segment]
        score = whole.score[block.first : block.first + block.windows]
        part = ScoreSeries(whole.start + block.first * whole.step, whole.step, score)
        segments.append((np.load(job.strain_file(block), mmap_mode="r"), part))

    def rescore(strain: NDArray[Any]) -> NDArray[Any]:
        return scored(torch.from_numpy(strain).to(run.conditioner.device))[0]

    return rescored_background(
        segments,
        rescore,
        samples_per_step=shape.step,
        threshold=settings.threshold,
        apart=apart,
        slides=slides,
        cluster_window=settings.cluster_window,
        zero_lag=settings.zero_lag,
        progress=progress,
    )


__all__ = ["keeps_strain", "scan_background"]
