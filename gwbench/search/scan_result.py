"""The record of a scan: triggers out of the scores of its blocks, their background, and what they were made of."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from gwbench.preprocessing.whitened_variance import variance_warning
from gwbench.search.block_scores import BlockScores, ScanJob, read_blocks
from gwbench.search.event_strain import rank_event
from gwbench.search.false_alarms import ranked
from gwbench.search.record import (
    SearchedRun,
    SearchedStrain,
    SearchRecord,
    SearchResources,
    SearchSettings,
)
from gwbench.search.scan_background import scan_background
from gwbench.search.scan_inputs import reference_time
from gwbench.search.score_series import ScoreSeries
from gwbench.search.trigger_settings import TriggerSettings, usual_threshold
from gwbench.search.triggers import cluster

if TYPE_CHECKING:
    from gwbench.data.strain_files.known_events import KnownEvent
    from gwbench.experiment.record import Environment
    from gwbench.experiment.scorer import RunScorer
    from gwbench.utils.progress import Progress

HOUR = 3600.0

REFITTED = "Its noise changes within a minute, or part of it is no strain."
FITTED = "Its noise is not that of the run's data. Scan with --conditioning refitted."
"""What to do about strain that is not white, by whether the PSD was measured along it."""


@dataclass(frozen=True)
class ScannedStrain:
    """The strain of a scan, for its record.

    Attributes:
        digests: SHA-256 by file name.
        left_out, notes: sentences.
    """

    digests: Mapping[str, str]
    left_out: Sequence[str]
    notes: Sequence[str]


def search_record(
    job: ScanJob,
    run: RunScorer,
    strain: ScannedStrain,
    settings: TriggerSettings,
    event: KnownEvent | None,
    *,
    command: str,
    cpu_before: float,
    begun: float,
    progress: Progress,
) -> SearchRecord:
    """The record of a scan whose blocks are all scored.

    Args:
        job: the scan.
        run: what scored it.
        strain: what it read.
        settings: what becomes a trigger, and its background.
        event: a known event to look for.
        command: how to get the record again.
        cpu_before: processor seconds that came before the blocks.
        begun: when the scan began, by `time.monotonic`.
        progress: shows bars and messages.

    Raises:
        UserError: the conditioned strain is far from white.
    """
    cpu = time.process_time()
    blocks = read_blocks(job)
    whitened = np.concatenate([scores.variance for scores in blocks], axis=1)
    variance = run.relative(np.median(whitened.astype(np.float64), axis=1)).tolist()
    warning = variance_warning(variance, run.detectors, advice=REFITTED if job.refit else FITTED)
    if warning:
        progress.say(warning)
    series = score_series(job, blocks, run)
    if settings.threshold is None:
        settings = settings.above(usual_threshold(series, settings.cluster_window))
    assert settings.threshold is not None
    background = scan_background(job, run, series, settings, progress)
    found = [
        trigger for one in series for trigger in cluster(one, settings.threshold, settings.cluster_window, settings.var)
    ]
    triggers = ranked(found, background, run.calibration.probability)
    shape, plan = job.plan.shape, job.plan
    cpu_seconds = cpu_before + sum(scores.cpu_seconds for scores in blocks) + time.process_time() - cpu
    return SearchRecord(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
        title=run.title,
        run=_searched_run(run),
        environment=_environment(run),
        strain=SearchedStrain(
            files=dict(strain.digests),
            detectors=run.detectors,
            sample_rate=shape.rate,
            segments=tuple((segment.start / shape.rate, segment.stop / shape.rate) for segment in plan.segments),
            left_out=tuple(strain.left_out),
            notes=(*strain.notes, *([warning] if warning else [])),
        ),
        settings=SearchSettings(
            stride=shape.step / shape.rate,
            window=shape.window / shape.rate,
            threshold=settings.threshold,
            cluster_window=settings.cluster_window,
            var=settings.var,
            conditioning="refitted" if job.refit else "run",
            slides=background.slides if background else 0,
        ),
        livetime=plan.livetime,
        whitened_variance=dict(zip(run.detectors, variance, strict=True)),
        triggers=triggers,
        background=background.used() if background else None,
        event=rank_event(event, triggers, background) if event else None,
        resources=SearchResources(
            seconds=time.monotonic() - begun,
            cpu_seconds=cpu_seconds,
            cpu_seconds_per_hour=cpu_seconds / (plan.livetime / HOUR),
        ),
    )


def _searched_run(run: RunScorer) -> SearchedRun:
    record = run.record
    folder = (record.folder or "").rstrip("/").rpartition("/")[2]
    labels = record.data.labelled if record.data else None
    return SearchedRun(run_id=record.run_id, title=run.title, folder=folder, spec=record.spec, labels=labels)


def _environment(run: RunScorer) -> Environment:
    from gwbench._version import __version__
    from gwbench.experiment import environment
    from gwbench.experiment.record import Environment

    device = str(run.conditioner.device)
    return Environment(
        gwbench=__version__,
        git_commit=environment.git_commit(),
        packages=environment.packages(),
        hardware=environment.hardware(device),
        device=device,
        precision="fp32",
    )


def score_series(job: ScanJob, blocks: Sequence[BlockScores], run: RunScorer) -> list[ScoreSeries]:
    """The scores of every segment, in order of time."""
    shape, reference = job.plan.shape, reference_time(run)
    series = []
    for number, segment in enumerate(job.plan.segments):
        own = [scores for block, scores in zip(job.plan.blocks, blocks, strict=True) if block.segment == number]
        parts = [scores.parts for scores in own if scores.parts is not None]
        series.append(
            ScoreSeries(
                (segment.start + shape.edge) / shape.rate + reference,
                shape.step / shape.rate,
                np.concatenate([scores.score for scores in own]),
                np.concatenate(parts, axis=1) if parts else None,
                own[0].offset,
                run.detectors,
            )
        )
    return series


__all__ = ["ScannedStrain", "score_series", "search_record"]
