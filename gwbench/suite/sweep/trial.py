"""One run of a sweep, scored on the validation split; the test split is never read."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gwbench.errors import UserError
from gwbench.evaluation.labelled import known_rows
from gwbench.evaluation.statistics import Interval, auc_interval
from gwbench.experiment.context import ExperimentContext
from gwbench.experiment.data_cache import ConditionedData, DataCache
from gwbench.experiment.judge_encoder import judged_scores
from gwbench.experiment.run_directory import CHECKPOINTS
from gwbench.experiment.run_mode import RunMode
from gwbench.experiment.train_encoder import train_encoder
from gwbench.suite.sweep.results import SeedScore, TrialPoint, pack_labels, pack_ranks
from gwbench.suite.sweep.specs import figure_name
from gwbench.utils.leftovers import scratch_folder

if TYPE_CHECKING:
    from pydantic import BaseModel

    from gwbench.contracts import Objective, Scores, Task
    from gwbench.experiment.spec import RunSpec
    from gwbench.nn.detector_encoder import DetectorEncoder
    from gwbench.training.pretrain import Trained
    from gwbench.utils.progress import Progress

Prune = Callable[[Mapping[int, float]], bool]
"""Whether a run with this validation AUC by epoch is to be stopped."""


class RunPrunedError(Exception):
    """A run was stopped since others are better.

    Attributes:
        curve: its learning curve until then.
    """

    def __init__(self, curve: list[TrialPoint]) -> None:
        super().__init__("pruned")
        self.curve = curve


@dataclass(frozen=True)
class ScoredRun:
    """What a run came to on the validation split.

    Attributes:
        score: for the file of results.
        labels: of the windows that have one, packed; None where the task does not rank signals.
        windows: how many these are.
    """

    score: SeedScore
    labels: str | None
    windows: int


@dataclass(frozen=True)
class SweepContext(ExperimentContext):
    """The context of a run whose learning curve is watched while it goes on.

    Attributes:
        watch: told every point of the curve.
    """

    watch: Callable[[Interval], None] = lambda _: None

    def probe_on_validation(self, encoder: DetectorEncoder, device: str) -> Interval:
        """As of an `ExperimentContext`; may raise `RunPrunedError`."""
        found = super().probe_on_validation(encoder, device)
        self.watch(found)
        return found

    def score_on_validation(self, encoder: DetectorEncoder, objective: Objective, device: str) -> Interval:
        """As of an `ExperimentContext`; may raise `RunPrunedError`."""
        found = super().score_on_validation(encoder, objective, device)
        self.watch(found)
        return found


class SweepData:
    """The data of the trials, opened and conditioned once for those in a row that share them.

    Args:
        data_cache: of the sweep.
        progress: where to report.
    """

    def __init__(self, data_cache: DataCache, progress: Progress) -> None:
        self._data_cache, self._progress = data_cache, progress
        self._kept: ConditionedData | None = None

    def of(self, spec: RunSpec, check: Callable[[Any], object] | None = None) -> ConditionedData:
        """A run's data with the validation split in the place of the test split, which is opened but not read.

        Args:
            spec: the run.
            check: told the shape of the data before they are made.
        """
        data = self._data_cache.conditioned(spec, self._progress, check=check)
        if data is not self._kept:
            if not data.strain["val"].in_memory:
                data.strain["val"].keep(self._progress, data.cache, data.splits.content_hash)
            self._kept = data
        splits = replace(data.splits, test=data.splits.val)
        strain = {"train": data.strain["train"], "val": data.strain["val"], "test": data.strain["val"]}
        return replace(data, splits=splits, strain=strain)


def score_run(
    spec: RunSpec,
    data: ConditionedData,
    device: str,
    progress: Progress,
    *,
    run_id: str,
    probe_every: int = 0,
    prune: Prune | None = None,
) -> ScoredRun:
    """Carry a run out and score it on validation; it leaves nothing behind.

    Args:
        spec: the run.
        data: as of `SweepData`.
        device: "cpu", "cuda", "cuda:N" or "mps".
        progress: where to report.
        run_id: the run's identity.
        probe_every: epochs between two points of a learning curve; 0 for none.
        prune: asked after each of them.

    Raises:
        RunPrunedError: `prune` said so.
        UserError: as of a run.
    """
    task = spec.build_task()
    splits = data.splits  # with the labels of validation, which the context hides where they stand for the test's
    task.targets(splits.train)
    mode = RunMode(probe_every if spec.training else 0)
    context = SweepContext.create(spec, data, device, progress, mode)
    assert isinstance(context, SweepContext)
    context = replace(context, watch=_watch(prune, probe_every) if prune else SweepContext.watch)
    begun = time.monotonic()
    trained: Trained | None = None
    with scratch_folder() as folder:
        if spec.training:
            encoder = context.new_encoder()
            trained = train_encoder(context, encoder, folder / CHECKPOINTS)
            context = replace(context, encoder=encoder)
        if spec.baseline:
            scores: Scores = spec.baseline.build("baseline").scores(context)
        else:
            scores = judged_scores(context, folder)
    seconds = time.monotonic() - begun
    figure, ranks, labels, windows = _judged(task, data, scores)
    score = SeedScore(
        seed=spec.seed,
        run_id=run_id,
        value=figure.value if isinstance(figure, Interval) else figure,
        low=figure.low if isinstance(figure, Interval) else None,
        high=figure.high if isinstance(figure, Interval) else None,
        seconds=round(seconds, 3),
        windows_per_second=round(trained.windows_per_second, 1) if trained else None,
        labelled=len(context.labelled),
        loss=list(trained.loss) if trained else [],
        rank=[row["effective_rank"] for row in trained.collapse if "effective_rank" in row] if trained else [],
        curve=[
            TrialPoint(epoch=point["epoch"], value=point["val_auc"])
            for point in (trained.learning_curve if trained else ())
        ],
        ranks=ranks,
    )
    return ScoredRun(score, labels, windows)


def _watch(prune: Prune, every: int) -> Callable[[Interval], None]:
    """Collects a curve and ends the run where it is to be pruned."""
    curve: dict[int, float] = {}

    def watch(found: Interval) -> None:
        curve[len(curve) * every] = found.value
        if prune(curve):
            raise RunPrunedError([TrialPoint(epoch=epoch, value=value) for epoch, value in curve.items()])

    return watch


def _judged(task: Task, data: ConditionedData, scores: Scores) -> tuple[Interval | float, str | None, str | None, int]:
    """The figure on validation; ranks, labels and number of the windows, where the task ranks signals."""
    name, split = figure_name(task), data.splits.val
    if task.ranks_signals:
        targets = task.targets(split)
        known = known_rows(targets)
        is_signal, given = targets[known] == 1, np.asarray(scores.test)[known]
        return auc_interval(is_signal, given), pack_ranks(given), pack_labels(is_signal), len(known)
    metrics: BaseModel | Mapping[str, Any] = task.metrics(split, scores)
    found = metrics.get(name) if isinstance(metrics, Mapping) else getattr(metrics, name, None)
    if isinstance(found, Mapping):
        found = Interval(found["value"], found["low"], found["high"])
    if isinstance(found, Interval):
        return found, None, None, len(split)
    if found is None or isinstance(found, bool) or not np.isfinite(found):
        raise UserError(f"The task gives no {name} of the validation windows: {found!r}.")
    return float(found), None, None, len(split)
