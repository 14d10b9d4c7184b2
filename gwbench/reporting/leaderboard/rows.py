"""The records of one table -> its rows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gwbench.evaluation.multiple_comparisons import ranks
from gwbench.evaluation.statistics import Interval
from gwbench.reporting.leaderboard.estimates import estimate, over_seeds
from gwbench.reporting.leaderboard.grouping import Group
from gwbench.reporting.leaderboard.metrics import (
    COLUMNS,
    DEFAULT_METRIC,
    METRICS,
    MetricSpec,
    columns_among,
    task_metric,
)
from gwbench.reporting.leaderboard.schema import LabelCell, LeaderboardTable, Row, Run, Tag, Versus
from gwbench.reporting.leaderboard.significance import Scored, ScoreReader, judge
from gwbench.reporting.leaderboard.sorting import sort
from gwbench.reporting.leaderboard.tags import Tagger
from gwbench.reporting.records.entry import RecordEntry
from gwbench.reporting.records.method import Method, differing, without_labels


@dataclass(frozen=True)
class Options:
    """How a leaderboard is made.

    Attributes:
        metric: what methods are ranked by, a name of `metrics.RANKING`.
        sort: how the rows of a table are ordered, a name of `sorting.SORTS`.
        group_by: kind of plugin by which rows are put into sections; None for one section.
        label_fraction: share of labels at which methods are ranked; None for the one that most methods have.
        columns: further columns, names of `metrics.OPTIONAL_COLUMNS`.
    """

    metric: str = DEFAULT_METRIC
    sort: str = "rank"
    group_by: str | None = None
    label_fraction: float | None = None
    columns: tuple[str, ...] = ()


@dataclass
class _Draft:
    """A row on its way.

    Attributes:
        method: whose it is.
        runs: its records by share of labels and seed.
        main: the share of labels of its row: the table's, or 0 of a method that scores without labels.
        cell: at that share.
        tags: of the method.
        larger_is_better: the direction of the metric.
        scored: its test scores, where they can be read and are needed.
        versus, groups: as of `Row`.
    """

    method: Method
    runs: dict[float, dict[int, RecordEntry]]
    main: float
    cell: LabelCell
    tags: tuple[Tag, ...]
    larger_is_better: bool = True
    scored: Scored | None = None
    versus: Versus | None = None
    groups: tuple[int, ...] = ()

    @property
    def good(self) -> list[RecordEntry]:
        """The runs at its share of labels that went well, by seed."""
        return [run for _, run in sorted(self.runs.get(self.main, {}).items()) if run.good]

    @property
    def ranked(self) -> bool:
        """Whether it takes part in the ranking: a ceiling knows what no method may."""
        return self.cell.estimate is not None and "ceiling" not in self.tags

    @property
    def mean(self) -> float:
        """By which it is ranked, larger for better; below anything that can be where there is no figure."""
        if self.cell.estimate is None:
            return -math.inf
        return self.cell.estimate.mean if self.larger_is_better else -self.cell.estimate.mean


def make_table(group: Group, differing_data: dict[str, str], options: Options, tagger: Tagger) -> LeaderboardTable:
    """The table of records that may stand in one.

    Args:
        group: the records.
        differing_data: as of `LeaderboardTable.differing`.
        options: how it is made.
        tagger: knows the tags of plugins.
    """
    task = group.task
    metric = task_metric(task.figure, larger_is_better=task.larger_is_better) if task else METRICS[options.metric]
    main = group.main_fraction(options.label_fraction)
    expected = {fraction: len(group.seeds(fraction)) for fraction in group.fractions}
    drafts = []
    for method, fraction, runs in _rows_of(group, main):
        cell = _cell(runs, fraction, expected[fraction], metric)
        drafts.append(_Draft(method, runs, fraction, cell, tagger.of(method), metric.larger_is_better))
    drafts.sort(key=lambda draft: (-draft.mean, draft.method.title, draft.method.key))
    reader = ScoreReader()
    best = _compare(drafts, reader, metric) if metric.paired else None
    ranked = [draft for draft in drafts if draft.ranked]
    places = dict(zip(map(id, ranked), ranks([draft.mean for draft in ranked]), strict=True))
    shown = differing((draft.method.names, draft.method.parameters) for draft in drafts)
    columns = columns_among([*(each.name for each in COLUMNS), *options.columns])
    rows = []
    for draft, parameters in zip(drafts, shown, strict=True):
        good, asked = draft.good, expected if draft.main == main else {**dict.fromkeys(expected, 0), 0.0: expected[0.0]}
        cells = {fraction: _cell(draft.runs, fraction, n, metric) for fraction, n in asked.items()} | {
            draft.main: draft.cell
        }
        row = Row(
            rank=places.get(id(draft)),
            title=draft.method.title,
            plugins=dict(draft.method.names),
            differing=parameters,
            tags=draft.tags,
            cell=draft.cell,
            cells=tuple(cells.values()),
            versus=draft.versus,
            groups=draft.groups,
            share=_share(draft, drafts),
            figures={each.name: over_seeds(each, [_reading(run, draft, each) for run in good]) for each in columns},
            section=draft.method.names.get(options.group_by, "none") if options.group_by else "",
            runs=tuple(_run(run, metric) for _, runs in sorted(draft.runs.items()) for _, run in sorted(runs.items())),
            windows=_windows(good),
        )
        rows.append(row)
    return LeaderboardTable(
        dataset=group.dataset,
        differing=differing_data,
        content_hash=group.content_hash,
        protocol=group.protocol,
        schema_version=group.schema_version,
        sizes=dict(group.sizes),
        detectors=group.detectors,
        sample_rate=group.sample_rate,
        label_fraction=main,
        seeds=tuple(sorted(group.seeds(main))),
        best=best,
        rows=tuple(sort(rows, options.sort, larger_is_better=metric.larger_is_better)),
        notes=tuple(_notes(group, drafts, reader, tagger)),
        data_notes=group.notes,
        made_with=_made_with(drafts),
        task=task.name if task else None,
        figure=task.figure if task else None,
    )


def _rows_of(group: Group, main: float) -> Iterator[tuple[Method, float, dict[float, dict[int, RecordEntry]]]]:
    """Every method with the share of labels and the runs of its row.

    One that also scored without labels has a row of its own for that: no share of labels would make it another.
    """
    for method, runs in group.methods.items():
        free = {} if main == 0 or "baseline" in method.names else runs.get(0.0, {})
        if not free or len(runs) > 1:
            yield method, main, runs
        if free:
            yield without_labels(method), 0.0, {0.0: free}


def _cell(
    runs: dict[float, dict[int, RecordEntry]],
    fraction: float,
    expected: int,
    metric: MetricSpec,
    shared: float | None = None,
) -> LabelCell:
    there = runs.get(fraction, {})
    good = [run for _, run in sorted(there.items()) if run.good]
    return LabelCell(
        label_fraction=fraction,
        estimate=estimate([run.readings[metric.name] for run in good], shared, share=metric.share),
        expected=expected,
        failed=len(there) - len(good),
        absent=expected - len(there),
    )


def _compare(drafts: Sequence[_Draft], reader: ScoreReader, metric: MetricSpec) -> str | None:
    """Read the test scores, sharpen the intervals by them, and test the methods; the title of the best."""
    for draft in drafts:  # best first
        draft.scored = reader.read(draft.good) if draft.cell.estimate else None
        if draft.scored:
            draft.cell = _cell(draft.runs, draft.main, draft.cell.expected, metric, draft.scored.replicates.shared)
    tested = [draft for draft in drafts if draft.scored]
    best = next((position for position, draft in enumerate(tested) if draft.ranked), None)
    if best is None or len(tested) < 2:
        return None
    versus, groups = judge([draft.scored.replicates for draft in tested if draft.scored], best)
    for position, draft in enumerate(tested):
        draft.versus, draft.groups = versus[position], groups[position]
    return tested[best].method.title


def _reading(run: RecordEntry, draft: _Draft, metric: MetricSpec) -> Any:
    """A metric of a run, by its record or else by its test scores."""
    value = run.readings[metric.name]
    return draft.scored.readings.get((run.path, metric.name)) if value is None and draft.scored else value


def _windows(runs: Sequence[RecordEntry]) -> float | None:
    """The mean of the windows that runs saw in pre-training; None where one of them had none."""
    seen: list[Any] = [run.readings.get("windows") for run in runs]
    known = [float(each) for each in seen if each]
    return sum(known) / len(seen) if seen and len(known) == len(seen) else None


def _share(draft: _Draft, drafts: Sequence[_Draft]) -> float | None:
    """Of the way from the floor of the same encoder to the table's ceiling, the best there is but outer bounds."""
    there = [other for other in drafts if other.cell.estimate]
    floors = [o.mean for o in there if "floor" in o.tags and o.method.encoder == draft.method.encoder]
    ceilings = [o.mean for o in there if "ceiling" in o.tags and "outer-bound" not in o.tags]
    if not draft.cell.estimate or not draft.method.encoder or not floors or not ceilings:
        return None
    floor, ceiling = max(floors), max(ceilings)
    return (draft.mean - floor) / (ceiling - floor) if ceiling > floor else None


def _run(run: RecordEntry, metric: MetricSpec) -> Run:
    value = run.readings.get(metric.name)
    return Run(
        path=run.path,
        run_id=run.run_id,
        created=run.created,
        seed=run.seed,
        label_fraction=run.label_fraction,
        failed=run.reason,
        value=value.value if isinstance(value, Interval) else value,
        command=run.command,
    )


def _made_with(drafts: Iterable[_Draft]) -> dict[str, dict[str, int]]:
    """How many of the records that went well have each value, the commonest first."""
    counts: dict[str, Counter[str]] = {}
    for draft in drafts:
        for run in (run for runs in draft.runs.values() for run in runs.values() if run.good):
            for name, value in run.made_with.items():
                counts.setdefault(name, Counter())[value] += 1
    return {name: dict(sorted(values.items(), key=lambda item: (-item[1], item[0]))) for name, values in counts.items()}


def _notes(group: Group, drafts: Sequence[_Draft], reader: ScoreReader, tagger: Tagger) -> Iterable[str]:
    if group.content_hash is None:
        yield "Every run failed, so that the data are not known."
    if hashes := group.rounded_otherwise:
        others, runs = ", ".join(each[:12] for each in sorted(hashes)), hashes.total()
        yield (
            f"{runs} run{'s are' if runs > 1 else ' is'} on data of another hash ({others}): made by the same recipe, "
            "with the same labels, where a processor or library rounds otherwise."
        )
    if group.superseded:
        yield f"{group.superseded} older or failed records of cells that are there again were left out."
    if reader.problems:
        path, reason = next(iter(sorted(reader.problems.items())))
        yield (
            f"The test scores of {len(reader.problems)} runs cannot be read, so that their methods are not compared "
            f"with others and their intervals are wider than need be; the first is {path}: {reason}."
        )
    unchecked = [run for draft in drafts for each in draft.runs.values() for run in each.values() if run.unchecked]
    if unchecked:
        first = min(unchecked, key=lambda run: run.path)
        yield (
            f"Not checked: the figures of {len(unchecked)} runs are what their records say, and are not "
            f"worked out again; the first is {first.path}: {first.unchecked}."
        )
    if any(draft.scored and len(draft.scored.replicates.areas) == 1 for draft in drafts):
        yield (
            "Methods with one seed: their intervals hold the scatter of the test windows alone, and their comparisons "
            "take the scatter of seeds from the other methods."
        )
    unknown = sorted({f"{kind} {name}" for draft in drafts for kind, name in tagger.unknown(draft.method)})
    if unknown:
        yield (
            f"Not installed here: {', '.join(unknown)}. Whether they are a floor, a ceiling or have seen simulated "
            "signals is not known; load them with --plugin."
        )
    hardware = sorted({run.hardware for draft in drafts for run in draft.good})
    if len(hardware) > 1:
        yield f"Times were taken on different machines: {'; '.join(hardware)}."
