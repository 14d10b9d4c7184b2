"""Records -> `Leaderboard`."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from gwbench.errors import UserError, did_you_mean
from gwbench.evaluation.metrics import LEVEL
from gwbench.reporting.leaderboard.grouping import LIMIT, split
from gwbench.reporting.leaderboard.metrics import METRICS, OPTIONAL_COLUMNS, RANKING
from gwbench.reporting.leaderboard.rows import Options, make_table
from gwbench.reporting.leaderboard.schema import Leaderboard, Skipped
from gwbench.reporting.leaderboard.sorting import SORTS
from gwbench.reporting.leaderboard.tags import Tagger
from gwbench.reporting.records.discover import find_records
from gwbench.reporting.records.entry import EntryReader, RecordEntry
from gwbench.reporting.records.method import differing
from gwbench.utils import progress
from gwbench.utils.late_progress import late_task
from gwbench.utils.untrusted_files import UnusableError


def build(roots: Iterable[str | Path], options: Options) -> Leaderboard:
    """The leaderboard of all records in or below some folders.

    Raises:
        UserError: a folder is not there, there is no record that can be read, or an option names nothing.
    """
    roots = list(roots)
    named: list[tuple[str, str, Collection[str]]] = [("metric", options.metric, RANKING), ("sort", options.sort, SORTS)]
    named += [("column", name, OPTIONAL_COLUMNS) for name in options.columns]
    for name, value, known in named:
        if value not in known:
            raise UserError(f"There is no {name} {value!r}.{did_you_mean(value, known)} There are: {', '.join(known)}.")
    entries, skipped = _read(roots)
    if not entries:
        raise UserError(_nothing(roots, skipped))
    groups = split(entries)
    fractions = sorted({fraction for group in groups for fraction in group.fractions})
    if options.label_fraction not in (None, *fractions):
        there = ", ".join(f"{fraction:g}" for fraction in fractions)
        raise UserError(f"No run has the label fraction {options.label_fraction:g}. There are: {there}.")
    titles = differing(({"dataset": group.dataset}, group.dataset_parameters) for group in groups)
    for group, title in zip(groups, titles, strict=True):
        if group.dataset_parameters[LIMIT] is None:  # a table of all windows says nothing of small tries
            title.pop(LIMIT, None)
    tagger = Tagger()
    tables = tuple(make_table(group, title, options, tagger) for group, title in zip(groups, titles, strict=True))
    return Leaderboard(metric=options.metric, level=LEVEL, records=len(entries), skipped=tuple(skipped), tables=tables)


def _read(roots: Sequence[str | Path]) -> tuple[list[RecordEntry], list[Skipped]]:
    entries: list[RecordEntry] = []
    skipped: list[Skipped] = []
    read = {name: metric for name, metric in METRICS.items() if metric.ranks or metric.field}
    of_scores = [name for name, metric in read.items() if not metric.of_any_task]
    reader = EntryReader({name: metric.read for name, metric in read.items()}, of_scores)
    found = list(find_records(roots))
    with late_task(progress.default(), "Check records", len(found), "records") as task:
        for path, problem in found:
            try:
                if problem:
                    raise UnusableError(problem)
                entries.append(reader.read(path))
            except UnusableError as error:
                skipped.append(Skipped(path=path, reason=str(error)))
            task.advance()
    entries, odd = _of_the_same_windows(entries)
    return sorted(entries, key=lambda entry: entry.path), sorted([*skipped, *odd], key=lambda each: each.path)


def _of_the_same_windows(entries: Sequence[RecordEntry]) -> tuple[list[RecordEntry], list[Skipped]]:
    """Refuse records whose test windows have other labels than those of most records on the same data.

    Labels that were changed with the scores give any AUC. Where as many records have one set of labels as the other,
    nobody can tell which are wrong, and all stay.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for entry in entries:
        if entry.content_hash and entry.labels:
            counts[entry.content_hash][entry.labels] += 1
    kept: list[RecordEntry] = []
    odd: list[Skipped] = []
    for entry in entries:
        known = counts.get(entry.content_hash or "", Counter())
        most = max(known.values(), default=0)
        if entry.labels and known[entry.labels] < most:
            reason = f"the labels of its test windows are not those of {most} other records on the same data"
            odd.append(Skipped(path=entry.path, reason=reason))
        else:
            kept.append(entry)
    return kept, odd


def _nothing(roots: Sequence[str | Path], skipped: Sequence[Skipped]) -> str:
    where = ", ".join(map(str, roots))
    if not skipped:
        return f"There is no record.json in {where}. Make some with `gwbench run` or `gwbench suite run`."
    first = f"{skipped[0].path}: {skipped[0].reason}"
    return f"None of the {len(skipped)} records in {where} can be used. The first, {first}."
