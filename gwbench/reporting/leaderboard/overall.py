"""One ranking over several data sets: who is best on the whole, as far as the same methods were tried on all of them.

Figures of different data sets are not averaged: an AUC of 0.9 is good for faint signals and poor for loud ones. Ranks
are, as MOABB and mteb do: the methods that were tried on every data set are ranked on each, and ordered by the mean of
their ranks. A method that misses a data set has no such mean. Its cell stays empty, and what it can be judged by is the
share of the other methods on the same data that it beats (the Borda count over how many there are), on the data sets
that it has.

How sure a mean rank is, each data set's own intervals tell: figures are drawn from them many times, ranked, and the
middle 95 % of the mean ranks are shown (Goldstein & Spiegelhalter, Journal of the Royal Statistical Society A 159
(1996) 385). Methods are drawn independently, though they share their test windows, whose luck moves them together; so
the intervals are rather too wide. They say nothing of data sets that are not there.

Whether methods differ over data sets as such is Friedman's question, in the form of Iman & Davenport (Communications in
Statistics A 9 (1980) 571), with Nemenyi's critical difference. It takes data sets for a sample, and needs more than ten
of them and more than five methods (Demsar, Journal of Machine Learning Research 7 (2006) 1); with fewer it is not made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from gwbench import seeds
from gwbench.errors import UserError
from gwbench.evaluation.multiple_comparisons import ranks
from gwbench.experiment.record import load_record
from gwbench.reporting.leaderboard.columns import VALUE
from gwbench.reporting.leaderboard.overall_schema import OverallDataset, OverallRanking, OverallRow
from gwbench.reporting.leaderboard.schema import Leaderboard, LeaderboardTable, Row, Tag
from gwbench.reporting.records.method import Method, differing, method_of, without_labels
from gwbench.utils.untrusted_files import UnusableError

if TYPE_CHECKING:
    from gwbench.evaluation.metrics import Array

DRAWS = 4000
"""Rankings that are drawn for the intervals of mean ranks."""

DATASETS, METHODS = 10, 5
"""Friedman's test needs more data sets and methods than these."""


@dataclass
class _Candidate:
    """A method on its way: its row in every table that has it, by the table's number."""

    method: Method
    rows: dict[int, Row] = field(default_factory=dict)

    @property
    def tags(self) -> tuple[Tag, ...]:
        return tuple(dict.fromkeys(tag for row in self.rows.values() for tag in row.tags))

    def mean(self, table: int) -> float | None:
        estimate = self.rows[table].cell.estimate if table in self.rows else None
        return estimate.mean if estimate else None


def overall(board: Leaderboard) -> OverallRanking:
    """The ranking over the data sets of a leaderboard.

    Methods are the same where all but data, seeds and labels is the same: plugins, their code and every setting.

    Raises:
        UserError: no table of the leaderboard has data that are known.
    """
    tables = [
        table for table in board.tables if table.content_hash and table.task is None and "limit" not in table.differing
    ]
    if not tables:
        raise UserError("No finished run on all windows of a data set is there to be ranked over data sets.")
    candidates = _candidates(tables)
    shown = differing((each.method.names, each.method.parameters) for each in candidates)
    ranked = [each for each in candidates if "ceiling" not in each.tags and _covers(each, tables)]
    complete = [each for each in ranked if len(_covers(each, tables)) == len(tables)]
    means = np.array([[each.mean(number) for number in range(len(tables))] for each in complete], dtype=np.float64)
    mean_ranks = _mean_ranks(means)
    low, high = _intervals(complete, means, board.level)
    places = ranks(-mean_ranks) if len(complete) else []
    of = {id(each): number for number, each in enumerate(complete)}
    beats = _beats(ranked, len(tables))
    rows = []
    for each, settings in zip(candidates, shown, strict=True):
        number = of.get(id(each))
        rows.append(
            OverallRow(
                rank=None if number is None else places[number],
                title=each.method.title,
                differing=settings,
                tags=each.tags,
                mean_rank=None if number is None else float(mean_ranks[number]),
                low=None if number is None or low is None else float(low[number]),
                high=None if number is None or high is None else float(high[number]),
                beats=beats.get(id(each)),
                covered=len(_covers(each, tables)),
                cells=tuple(each.rows[one].cell.estimate if one in each.rows else None for one in range(len(tables))),
            )
        )
    return OverallRanking(
        metric=board.metric,
        level=board.level,
        datasets=_datasets(tables, ranked),
        rows=tuple(sorted(rows, key=_order)),
        notes=tuple(_notes(board, tables, ranked, complete, means, low is not None)),
    )


def _candidates(tables: Sequence[LeaderboardTable]) -> list[_Candidate]:
    """The methods of all tables, by the records behind their rows."""
    found: dict[str, _Candidate] = {}
    for number, table in enumerate(tables):
        for row in table.rows:
            try:
                method = method_of(load_record(row.runs[0].path).record)
            except (UnusableError, IndexError):
                continue  # it has gone since the table was made
            if row.title == (free := without_labels(method)).title:
                method = free
            found.setdefault(method.key, _Candidate(method)).rows[number] = row
    return list(found.values())


def _covers(candidate: _Candidate, tables: Sequence[LeaderboardTable]) -> list[int]:
    return [number for number in range(len(tables)) if candidate.mean(number) is not None]


def _order(row: OverallRow) -> tuple[float, float, float, str]:
    ceiling = "ceiling" in row.tags
    return (2 if ceiling else row.rank is None, row.mean_rank or 0.0, -(row.beats or 0.0), row.title)


# --- ranks --------------------------------------------------------------------------------------------------


def _mean_ranks(means: Array) -> Array:
    """Mean rank [M] of methods by their figures [M, D], 1 the best; equal figures share the mean of their ranks."""
    from scipy.stats import rankdata

    if not len(means):
        return np.empty(0)
    return np.asarray(rankdata(-means, axis=0).mean(axis=1))


def _intervals(complete: Sequence[_Candidate], means: Array, level: float) -> tuple[Array, Array] | tuple[None, None]:
    """The middle of the mean ranks of figures drawn from their intervals, which are normal on the logit scale."""
    from scipy.special import logit, ndtri
    from scipy.stats import rankdata

    if not len(complete):
        return None, None
    ends = np.empty((*means.shape, 2))
    for one, each in enumerate(complete):
        for number in range(means.shape[1]):
            estimate = each.rows[number].cell.estimate
            if estimate is None or estimate.low is None or estimate.high is None:
                return None, None
            ends[one, number] = estimate.low, estimate.high
    tiny = 1e-9
    bounded = logit(np.clip(ends, tiny, 1 - tiny))
    centre = logit(np.clip(means, tiny, 1 - tiny))
    error = (bounded[..., 1] - bounded[..., 0]) / (2 * ndtri(0.5 + level / 2))
    generator = seeds.numpy_generator(0, "diagnostics", 1)
    drawn = centre + error * generator.standard_normal((DRAWS, *means.shape))
    mean_ranks = rankdata(-drawn, axis=1).mean(axis=2)
    low, high = np.quantile(mean_ranks, [(1 - level) / 2, (1 + level) / 2], axis=0)
    own = _mean_ranks(means)
    return np.minimum(low, own), np.maximum(high, own)


def _beats(ranked: Sequence[_Candidate], tables: int) -> dict[int, float]:
    """The Borda count of each method, as a share of what it could be, over the data sets that it has."""
    shares: dict[int, list[float]] = {}
    for number in range(tables):
        there = [(each, mean) for each in ranked if (mean := each.mean(number)) is not None]
        for each, mean in there:
            others = [other for one, other in there if one is not each]
            if others:
                won = sum(mean > other for other in others) + 0.5 * sum(mean == other for other in others)
                shares.setdefault(id(each), []).append(won / len(others))
    return {each: float(np.mean(values)) for each, values in shares.items()}


def friedman(means: Array) -> tuple[float, float]:
    """The p-value that no methods differ over data sets, and Nemenyi's critical difference of mean ranks at 5 %.

    Args:
        means: [M, D] figures of M methods on D data sets.
    """
    from scipy.stats import f, friedmanchisquare, studentized_range

    m, d = means.shape
    chi2 = float(friedmanchisquare(*means).statistic)
    rest = d * (m - 1) - chi2
    p = 0.0 if rest <= 0 else float(f.sf((d - 1) * chi2 / rest, m - 1, (m - 1) * (d - 1)))
    critical = float(studentized_range.ppf(0.95, m, np.inf)) / 2**0.5 * (m * (m + 1) / (6 * d)) ** 0.5
    return p, critical


# --- words --------------------------------------------------------------------------------------------------


def _datasets(tables: Sequence[LeaderboardTable], ranked: Sequence[_Candidate]) -> tuple[OverallDataset, ...]:
    titles = [_title(table.dataset, table.differing) for table in tables]
    return tuple(
        OverallDataset(
            title=title if titles.count(title) == 1 else f"{title} {str(table.content_hash)[:8]}",
            content_hash=str(table.content_hash),
            label_fraction=table.label_fraction,
            methods=sum(each.mean(number) is not None for each in ranked),
        )
        for number, (title, table) in enumerate(zip(titles, tables, strict=True))
    )


def _title(dataset: str, settings: Mapping[str, str]) -> str:
    told = [value[:VALUE] if name == "dataset.preset" else f"{name.removeprefix('dataset.')}={value[:VALUE]}"
            for name, value in settings.items() if value != "none"]  # fmt: skip
    return f"{dataset} ({', '.join(told)})" if told else dataset


def _notes(
    board: Leaderboard,
    tables: Sequence[LeaderboardTable],
    ranked: Sequence[_Candidate],
    complete: Sequence[_Candidate],
    means: Array,
    intervals: bool,
) -> list[str]:
    notes = [
        f"Mean rank: over {len(tables)} data sets, among the {len(complete)} methods that were tried on all of them "
        "with the same plugins and settings."
    ]
    if intervals:
        notes.append(
            f"Its {100 * board.level:g} % interval: figures drawn from their own intervals on each data set and "
            "ranked (Goldstein & Spiegelhalter 1996). Methods are drawn independently, so that it is rather too wide; "
            "it says nothing of other data sets."
        )
    notes.append("Beats: share of the other methods on the same data that it beats (Borda count), where it was tried.")
    if len(complete) < len(ranked):
        missing = len(ranked) - len(complete)
        words = "method misses" if missing == 1 else "methods miss"
        notes.append(f"{missing} {words} a data set: no figure is made up, and there is no rank.")
    if len(tables) > DATASETS and len(complete) > METHODS:
        p, critical = friedman(means)
        notes.append(
            f"Friedman's test over the data sets, after Iman & Davenport: p = {p:.2g} of no difference; mean ranks "
            f"that differ by less than {critical:.2f} cannot be told apart at 5 % (Nemenyi; Demsar 2006)."
        )
    else:
        notes.append(
            f"No test over data sets: Friedman's needs more than {DATASETS} data sets and more than {METHODS} methods "
            f"(Demsar 2006), and there are {len(tables)} and {len(complete)}."
        )
    if len({table.label_fraction for table in tables}) > 1:
        notes.append("The data sets are ranked at different shares of labels.")
    return notes
