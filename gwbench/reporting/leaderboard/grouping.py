"""Which records may stand in one table, and which of them are the same cell."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gwbench.experiment.sections import EvaluationSettings
from gwbench.reporting.records.entry import RecordEntry
from gwbench.reporting.records.method import Method
from gwbench.reporting.records.task_figure import RankedTask

LIMIT = "limit"
"""What a heading says of a small try (`gwbench run --limit`)."""


@dataclass
class Group:
    """Records of one set of data, protocol and schema.

    Attributes:
        schema_version, protocol, content_hash: what they share; the hash is None where every run failed. Of data that
            differ by rounding alone, it is that of most runs.
        dataset, dataset_parameters, sizes, detectors, sample_rate: of the data.
        methods: method -> share of labels -> seed -> the record that counts.
        task: what is predicted, where it is another task than the default.
        superseded: records that do not count, since a newer one of the same cell is there.
    """

    schema_version: int
    protocol: int
    content_hash: str | None
    dataset: str
    dataset_parameters: Mapping[str, Any]
    sizes: Mapping[str, int]
    detectors: tuple[str, ...]
    sample_rate: float | None
    methods: dict[Method, dict[float, dict[int, RecordEntry]]] = field(default_factory=dict)
    task: RankedTask | None = None
    superseded: int = 0

    def add(self, entry: RecordEntry) -> None:
        """Take in a record; of two of a cell, one that went well counts before one that failed, then the newer."""
        cells = self.methods.setdefault(entry.method, {}).setdefault(entry.label_fraction, {})
        before = cells.get(entry.seed)
        self.superseded += before is not None
        if before is None or _weight(entry) > _weight(before):
            cells[entry.seed] = entry

    @property
    def rounded_otherwise(self) -> Counter[str]:
        """How many of the runs that count are on data of another hash, which differ by rounding, by that hash."""
        cells = (run for runs in self.methods.values() for each in runs.values() for run in each.values())
        return Counter(run.content_hash for run in cells if run.content_hash not in (None, self.content_hash))

    @property
    def notes(self) -> tuple[str, ...]:
        """What all records that went well say of the data."""
        cells = [run for runs in self.methods.values() for each in runs.values() for run in each.values() if run.good]
        different = list(dict.fromkeys(run.notes for run in cells))
        return tuple(note for note in (different[0] if different else ()) if all(note in each for each in different))

    @property
    def fractions(self) -> list[float]:
        """The shares of labels, ascending."""
        return sorted({fraction for runs in self.methods.values() for fraction in runs})

    def seeds(self, fraction: float) -> set[int]:
        """The seeds that any method has, finished or failed."""
        return {seed for runs in self.methods.values() for seed in runs.get(fraction, {})}

    def main_fraction(self, asked: float | None) -> float:
        """The share of labels to rank at: the one asked for, or else the one with the most runs that went well.

        Of several with as many, it is the default of a run, or the largest. Runs without labels have rows of their own
        at any share, so that 0 is taken only where there is no other.
        """
        fractions = self.fractions
        if asked in fractions:
            return asked
        usual = EvaluationSettings().label_fraction

        def runs(fraction: float) -> int:
            cells = [each.get(fraction, {}).values() for each in self.methods.values()]
            return sum(run.good for cell in cells for run in cell)

        return max(fractions, key=lambda share: (share > 0, runs(share), share == usual, share))


def split(entries: Iterable[RecordEntry]) -> list[Group]:
    """Records by their data, protocol and schema; small tries (`--limit`) stand apart.

    Data of one recipe whose test windows have the same labels are the same, though processors round their numbers
    otherwise. A failed run holds no hash of its data: it stands in the tables of runs that asked for the same data, or
    in one of its own where there are none.
    """
    groups: dict[tuple[Any, ...], Group] = {}
    homes: dict[str, dict[int, Group]] = {}
    entries = list(entries)
    common = _common_hashes(entries)
    for entry in sorted(entries, key=lambda entry: entry.content_hash is None):
        task = entry.task.key if entry.task else ""
        asked = f"{entry.asked.key} {task}"
        if entry.content_hash is None and asked in homes:
            for home in homes[asked].values():
                home.add(entry)
            continue
        content_hash = common.get((entry.recipe, entry.content_hash), entry.content_hash)
        data = content_hash or ("unknown", asked)
        key = (entry.schema_version, entry.protocol, data, entry.asked.limit, task)
        if key not in groups:
            groups[key] = _new(entry, content_hash)
        groups[key].add(entry)
        homes.setdefault(asked, {})[id(groups[key])] = groups[key]
    return sorted(groups.values(), key=lambda group: (group.dataset, _text(group), group.content_hash or "~"))


def _common_hashes(entries: Iterable[RecordEntry]) -> dict[tuple[str | None, str | None], str]:
    """By recipe and hash of data, the hash that most runs on the same data have: see `split`."""
    counts: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for entry in entries:
        if entry.recipe and entry.content_hash and entry.labels:
            counts[entry.recipe, entry.labels][entry.content_hash] += 1
    return {
        (recipe, content_hash): min(hashes, key=lambda each: (-hashes[each], each))
        for (recipe, _), hashes in sorted(counts.items())
        for content_hash in hashes
    }


def _new(entry: RecordEntry, content_hash: str | None) -> Group:
    asked = {f"dataset.{name}": value for name, value in entry.asked.parameters.items()}
    return Group(
        schema_version=entry.schema_version,
        protocol=entry.protocol,
        content_hash=content_hash,
        dataset=entry.asked.dataset,
        dataset_parameters={**asked, "data_seed": entry.asked.seed, LIMIT: entry.asked.limit},
        sizes=entry.sizes,
        detectors=entry.detectors,
        sample_rate=entry.sample_rate,
        task=entry.task,
    )


def _text(group: Group) -> str:
    parts: list[Any] = [group.dataset_parameters, group.schema_version, group.protocol]
    return json.dumps([*parts, group.task.key] if group.task else parts, sort_keys=True)


def _weight(entry: RecordEntry) -> tuple[bool, str, str]:
    return (entry.good, entry.created, entry.path)
