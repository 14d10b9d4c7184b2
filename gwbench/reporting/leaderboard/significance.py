"""Methods of a table against each other, on the test scores that their runs left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from gwbench.errors import UserError
from gwbench.evaluation.metrics import LEVEL, Array
from gwbench.evaluation.multiple_comparisons import holm, significance_groups
from gwbench.evaluation.seed_inference import Replicates, pairwise
from gwbench.reporting.leaderboard.metrics import COLUMNS
from gwbench.reporting.leaderboard.schema import Versus
from gwbench.reporting.records.entry import RecordEntry
from gwbench.reporting.records.predictions import Predictions, read_predictions
from gwbench.utils.untrusted_files import UnusableError

ALPHA = 0.05
"""Adjusted p-value below which methods are told apart."""


@dataclass(frozen=True)
class Scored:
    """A method's test scores, summed up.

    Attributes:
        replicates: of all its seeds.
        readings: metrics that records do not hold and scores give, by path of the record and name of the metric.
    """

    replicates: Replicates
    readings: Mapping[tuple[str, str], Any]


class ScoreReader:
    """Reads the runs of one table, one after another; what it keeps of a method is one number per test window.

    Attributes:
        problems: why a run's scores cannot serve, by the path of its record.
    """

    def __init__(self) -> None:
        self.problems: dict[str, str] = {}
        self._label: Array | None = None

    def read(self, runs: Sequence[RecordEntry]) -> Scored | None:
        """The scores of a method's runs; None where those of one of them cannot serve."""
        readings: dict[tuple[str, str], Any] = {}
        before = self._label
        try:
            if self._label is None:
                self._label = self._load(runs[0]).label
            replicates = Replicates.of(self._label, (self._score(run, readings) for run in runs))
        except UserError as error:
            self.problems[runs[0].path] = str(error)
        except _UnscoredError:
            pass
        else:
            return Scored(replicates, readings)
        self._label = before  # what a bad file says of the labels binds no other
        return None

    def _refuse(self, run: RecordEntry, reason: str) -> NoReturn:
        self.problems[run.path] = reason
        raise _UnscoredError

    def _score(self, run: RecordEntry, readings: dict[tuple[str, str], Any]) -> Array:
        predictions = self._load(run)
        for metric in COLUMNS:
            if metric.from_scores and run.readings[metric.name] is None:
                readings[run.path, metric.name] = metric.from_scores(predictions)
        return predictions.score

    def _load(self, run: RecordEntry) -> Predictions:
        assert run.metrics is not None
        try:
            predictions = read_predictions(Path(run.path).parent, run.metrics.n_test + run.metrics.n_unlabelled)
        except UnusableError as error:
            self._refuse(run, str(error))
        if self._label is not None and not np.array_equal(predictions.label, self._label):
            self._refuse(run, "its labels are not those of the other runs on the same data")
        return predictions


class _UnscoredError(Exception):
    pass


def judge(methods: Sequence[Replicates], best: int) -> tuple[list[Versus | None], list[tuple[int, ...]]]:
    """Each method against the best, and all against each other.

    They answer two questions. Which methods could be the best after all is a matter of the comparisons with the one
    that looks best, and Holm's adjustment counts those alone: whichever method is best in truth, it is ruled out in one
    of twenty tables at most (multiple comparisons with the best; Hsu, Annals of Statistics 12 (1984) 1136). Which
    methods differ from which is a matter of all pairs, and there the adjustment counts them all: among equals, one
    table of twenty at most tells any two apart.

    Args:
        methods: two or more, best first.
        best: position of the one to compare with.

    Returns:
        the comparison of each with the best, and the numbers of the significance groups that each is in.
    """
    tests = pairwise(methods)
    p = np.clip(tests.p, 0.0, 1.0)
    upper = np.triu_indices(len(methods), 1)
    different = np.zeros(p.shape, dtype=bool)
    different[upper] = holm(p[upper]) < ALPHA
    groups: list[list[int]] = [[] for _ in methods]
    for number, group in enumerate(significance_groups(different | different.T)):
        for member in group:
            groups[member].append(number)
    others = [one for one in range(len(methods)) if one != best]
    reaches = tests.reach(best, LEVEL)
    versus: list[Versus | None] = [None] * len(methods)
    for one, adjusted in zip(others, holm(p[others, best]), strict=True):
        difference, reach = float(tests.difference[one, best]), float(reaches[one])
        versus[one] = Versus(difference=difference, low=difference - reach, high=difference + reach, p=float(adjusted))
    return versus, [tuple(each) for each in groups]
