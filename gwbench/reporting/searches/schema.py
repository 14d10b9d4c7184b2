"""A ranking of searches: one validated structure that every format renders."""

from __future__ import annotations

from typing import Literal

from gwbench.reporting.leaderboard.schema import Skipped
from gwbench.utils.models import FrozenModel

LEVEL = 0.95
"""Confidence of every interval."""


class Reach(FrozenModel):
    """How far a search reaches at one false-alarm rate.

    Attributes:
        far: false alarms a month of 30 days.
        distance, error: sensitive distance and its standard deviation, Mpc.
        low, high: its interval, Mpc: of the distances of the volume's interval.
        found, injections: of the injections that count.
    """

    far: float
    distance: float
    error: float
    low: float
    high: float
    found: int
    injections: int


class SearchRow(FrozenModel):
    """A search.

    Attributes:
        rank: by distance, 1 the farthest; equal distances share the better rank. None without a distance at the
            table's rate, and for a ceiling, which knows what no method may.
        title: the method in words.
        differing: settings in which the searches of the table differ, as text.
        ceiling: whether it is one.
        reach: at the table's rate; None where the background is too short for it, or the search was not judged there.
        rates: at every rate of the table.
        of_ceiling: distance by that of the farthest ceiling.
        auc: on the run's own test split, where the run's record was read, too.
        labels: labelled windows that the method used; None where that is not known.
        cpu_seconds_per_hour: of strain.
        livetime: s of strain searched.
        background: s of background.
        conditioning: what the strain was whitened by.
        run_id: of the run that searched; None for somebody else's search.
        path, created, command: of the record.
    """

    rank: int | None
    title: str
    differing: dict[str, str]
    ceiling: bool
    reach: Reach | None
    rates: tuple[Reach | None, ...]
    of_ceiling: float | None
    auc: float | None
    labels: int | None
    cpu_seconds_per_hour: float | None
    livetime: float
    background: float | None
    conditioning: str | None
    run_id: str | None
    path: str
    created: str
    command: str


class SearchTable(FrozenModel):
    """Searches for the same injections in the same strain.

    Attributes:
        injections: name of their file.
        sha256: its digest.
        count: injections that count.
        weighting: of the volume: "volume" or "chirp-distance".
        detectors: of its searches, each once.
        segments: how many the strain has.
        livetime: s of strain in these.
        at_far: false alarms a month at which the rows are ranked.
        rates: those at which any row has a distance.
        rows: farthest first.
        notes: what a reader must know of the table, one sentence each.
    """

    injections: str
    sha256: str
    count: int
    weighting: str
    detectors: tuple[str, ...]
    segments: int
    livetime: float
    at_far: float
    rates: tuple[float, ...]
    rows: tuple[SearchRow, ...]
    notes: tuple[str, ...]


class SearchRanking(FrozenModel):
    """Tables of searches, one for every set of injections.

    Attributes:
        level: confidence of every interval.
        records: how many were read.
        unranked: paths of records without injections, which have no reach.
        skipped: what could not be read.
    """

    schema_version: Literal[1] = 1
    level: float
    records: int
    unranked: tuple[str, ...]
    skipped: tuple[Skipped, ...]
    tables: tuple[SearchTable, ...]
