"""Search records -> `SearchRanking`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gwbench.errors import UserError
from gwbench.evaluation.multiple_comparisons import ranks
from gwbench.registry import REGISTRY
from gwbench.reporting.leaderboard.schema import Skipped
from gwbench.reporting.records.discover import find_records
from gwbench.reporting.records.method import differing
from gwbench.reporting.searches.schema import LEVEL, Reach, SearchRanking, SearchRow, SearchTable
from gwbench.search.reach_record import ReachPoint
from gwbench.search.record import SEARCH, SearchRecord, load_search_record
from gwbench.utils.untrusted_files import UnusableError

DEFAULT_FAR = 1000.0
"""False alarms a month at which searches are ranked, where none is asked for and a search was judged there."""

WITHIN = 1e-6
"""Rates that differ relatively by less are the same."""

DEVIATIONS = 1.959963984540054
"""Standard deviations of a `LEVEL` interval."""

CEILING = "ceiling"


def rank_searches(
    roots: Iterable[str | Path], at_far: float | None = None, aucs: Mapping[str, float] | None = None
) -> SearchRanking:
    """The ranking of all search records in or below some folders; it has no tables where there are none.

    Args:
        roots: the folders.
        at_far: false alarms a month of 30 days at which searches are ranked; by default 1000, or the rate at which
            most searches of a table were judged.
        aucs: ROC-AUC of runs, by run id.

    Raises:
        UserError: a folder is not there, or no search was judged at this rate.
    """
    read: list[tuple[str, SearchRecord]] = []
    skipped: list[Skipped] = []
    for path, problem in find_records(roots, SEARCH):
        try:
            if problem:
                raise UnusableError(problem)
            read.append((path, load_search_record(path)))
        except UnusableError as error:
            skipped.append(Skipped(path=path, reason=str(error)))
    read.sort(key=lambda each: each[0])
    judged = [(path, record) for path, record in read if record.injections and record.reach is not None]
    rates = {point.far for _, record in judged for point in record.reach or ()}
    if at_far is not None and judged and not any(_same(at_far, rate) for rate in rates):
        there = ", ".join(f"{rate:g}" for rate in sorted(rates, reverse=True))
        raise UserError(f"No search was judged at {at_far:g} false alarms a month. There are: {there or 'none'}.")
    groups: dict[str, list[tuple[str, SearchRecord]]] = {}
    for path, record in judged:
        groups.setdefault(_key(record), []).append((path, record))
    return SearchRanking(
        level=LEVEL,
        records=len(read),
        unranked=tuple(path for path, record in read if not record.injections or record.reach is None),
        skipped=tuple(sorted(skipped, key=lambda each: each.path)),
        tables=tuple(_table(group, at_far, aucs or {}) for _, group in sorted(groups.items())),
    )


def _key(record: SearchRecord) -> str:
    """What searches must have in common to stand in one table: injections, how they count, and the strain's seconds."""
    assert record.injections
    segments = [[round(start), round(stop)] for start, stop in record.strain.segments]
    return json.dumps([record.injections.name, record.injections.sha256, record.injections.weighting, segments])


def _table(group: Sequence[tuple[str, SearchRecord]], at_far: float | None, aucs: Mapping[str, float]) -> SearchTable:
    kept, superseded = _newest(group)
    first = kept[0][1]
    assert first.injections
    rates = _rates(record for _, record in kept)
    far = next((rate for rate in rates if at_far is not None and _same(at_far, rate)), None) or _usual(kept, rates)
    shown = differing((_names(record), _settings(record)) for _, record in kept)
    drafts = [_row(path, record, each, rates, far, aucs) for (path, record), each in zip(kept, shown, strict=True)]
    farthest = max((row.reach.distance for row in drafts if row.ceiling and row.reach), default=0.0)
    ranked = [row for row in drafts if row.reach and not row.ceiling]
    places = dict(zip(map(id, ranked), ranks([row.reach.distance for row in ranked if row.reach]), strict=True))
    rows = [
        row.model_copy(
            update={
                "rank": places.get(id(row)),
                "of_ceiling": row.reach.distance / farthest if row.reach and farthest else None,
            }
        )
        for row in drafts
    ]
    rows.sort(key=lambda row: (-row.reach.distance if row.reach else math.inf, row.title, row.path))
    notes = [f"{superseded} older searches that were done again were left out."] if superseded else []
    return SearchTable(
        injections=first.injections.name,
        sha256=first.injections.sha256,
        count=first.injections.count,
        weighting=first.injections.weighting,
        detectors=tuple(dict.fromkeys(name for _, record in kept for name in record.strain.detectors)),
        segments=len(first.strain.segments),
        livetime=sum(stop - start for start, stop in first.strain.segments),
        at_far=far,
        rates=tuple(rates),
        rows=tuple(rows),
        notes=tuple(notes),
    )


def _newest(group: Sequence[tuple[str, SearchRecord]]) -> tuple[list[tuple[str, SearchRecord]], int]:
    """Of searches by the same run with the same settings the newest, and how many were left out."""
    newest: dict[str, tuple[str, SearchRecord]] = {}
    for path, record in group:
        own = record.run.run_id if record.run else record.title
        what = json.dumps([own, record.title, record.settings.model_dump(mode="json"), record.strain.detectors])
        if what not in newest or newest[what][1].created < record.created:
            newest[what] = (path, record)
    return list(newest.values()), len(group) - len(newest)


def _rates(records: Iterable[SearchRecord]) -> list[float]:
    """The rates at which any search has a distance, the loosest first."""
    found: list[float] = []
    for far in sorted({point.far for record in records for point in record.reach or ()}, reverse=True):
        if not found or not _same(far, found[-1]):
            found.append(far)
    return found


def _usual(group: Sequence[tuple[str, SearchRecord]], rates: Sequence[float]) -> float:
    """The default rate where a search was judged there; else the one at which most were, the loosest of several."""
    default = next((rate for rate in rates if _same(rate, DEFAULT_FAR)), None)
    if default is not None or not rates:
        return default or DEFAULT_FAR
    return max(rates, key=lambda rate: sum(_at(record, rate) is not None for _, record in group))


def _row(
    path: str,
    record: SearchRecord,
    shown: dict[str, str],
    rates: Sequence[float],
    far: float,
    aucs: Mapping[str, float],
) -> SearchRow:
    run = record.run
    return SearchRow(
        rank=None,
        title=record.title,
        differing=shown,
        ceiling=_is_ceiling(record),
        reach=_at(record, far),
        rates=tuple(_at(record, rate) for rate in rates),
        of_ceiling=None,
        auc=aucs.get(run.run_id) if run else None,
        labels=run.labels if run else None,
        cpu_seconds_per_hour=record.resources.cpu_seconds_per_hour if record.resources else None,
        livetime=record.livetime,
        background=record.background.livetime if record.background else None,
        conditioning=record.settings.conditioning,
        run_id=run.run_id if run else None,
        path=path,
        created=record.created,
        command=record.command,
    )


def _at(record: SearchRecord, far: float) -> Reach | None:
    """The reach at a rate; None where the search was not judged there."""
    point = next((point for point in record.reach or () if _same(point.far, far)), None)
    if point is None:
        return None
    low, high = distance_interval(point)
    return Reach(
        far=point.far,
        distance=point.distance,
        error=point.distance_error,
        low=low,
        high=high,
        found=point.found,
        injections=point.injections,
    )


def distance_interval(point: ReachPoint) -> tuple[float, float]:
    """The `LEVEL` interval of a sensitive distance, Mpc: the radii of the balls of the volume's interval."""
    ends = (point.volume - DEVIATIONS * point.volume_error, point.volume + DEVIATIONS * point.volume_error)
    low, high = (math.cbrt(3 * max(volume, 0.0) / (4 * math.pi)) for volume in ends)
    return low, high


def _is_ceiling(record: SearchRecord) -> bool:
    """Whether the search is by a bound that knows what no method may, by the tags of its baseline's plugin."""
    baseline = record.run.spec.baseline if record.run else None
    if baseline is None:
        return False
    try:
        return CEILING in REGISTRY.get("baseline", baseline.name).tags
    except UserError:  # a plugin that is not installed here
        return False


def _names(record: SearchRecord) -> dict[str, str]:
    """Plugin names by kind."""
    if record.run is None:
        return {}
    names: dict[str, list[str]] = {}
    for kind, choice in record.run.spec.current().choices():
        names.setdefault(kind, []).append(choice.name)
    return {kind: " + ".join(each) for kind, each in names.items()}


def _settings(record: SearchRecord) -> dict[str, Any]:
    """What may tell two searches of one title apart."""
    # A threshold is mostly what left enough triggers; and slides count nothing where the background is strain.
    slid = record.background is not None and record.background.source == "slides"
    own = record.settings.model_dump(mode="json", exclude={"threshold", *(() if slid else ("slides",))})
    settings: dict[str, Any] = {f"search.{name}": value for name, value in own.items()}
    settings["detectors"] = record.strain.detectors
    if record.run is not None:
        spec = record.run.spec.current()
        settings |= {"seed": spec.seed, "data_seed": spec.data_seed, "encoder_groups": spec.encoder_groups}
        settings |= spec.settings()
        settings["dataset"] = spec.dataset.name
    return settings


def _same(a: float, b: float) -> bool:
    return abs(a - b) <= WITHIN * max(a, b)
