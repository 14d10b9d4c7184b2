"""The leaderboard itself: one validated structure that every format renders."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from gwbench.reporting.leaderboard.metrics import COLUMNS, OPTIONAL_COLUMNS, columns_among
from gwbench.utils.models import FrozenModel

Tag = Literal["floor", "ceiling", "outer-bound", "simulated-signals"]


class Estimate(FrozenModel):
    """A figure over the seeds of a method.

    Attributes:
        mean: over the seeds that are there.
        sd: standard deviation between them; None with one seed.
        low, high: interval for the method's mean (`seed_inference.mean_interval`); None where the metric has none.
            With one seed it is the interval of that run.
        seeds: how many are there.
    """

    mean: float
    sd: float | None
    low: float | None = None
    high: float | None = None
    seeds: int


class LabelCell(FrozenModel):
    """A method at one share of labels.

    Attributes:
        label_fraction: the share.
        estimate: of the metric; None where no seed is there.
        expected: seeds that any method of the table has at this share.
        failed, absent: of these, the ones that failed and the ones nobody ran.
    """

    label_fraction: float
    estimate: Estimate | None
    expected: int
    failed: int
    absent: int


class Versus(FrozenModel):
    """Against the best method, paired on the same test windows.

    Attributes:
        difference: this method's mean AUC less the best one's.
        low, high: its interval, for this pair alone.
        p: that there is no difference, adjusted for the comparisons with the best by Holm's method.
    """

    difference: float
    low: float
    high: float
    p: float


class BoundedMean(FrozenModel):
    """A mean over the seeds of what is known in a range only, as the SNR at which half the signals are found.

    Attributes:
        mean: over the seeds.
        bound: "below" or "above" where a seed's value lies outside the range, so that the mean is only a bound.
    """

    mean: float
    bound: Literal["below", "above"] | None


Figure = Estimate | BoundedMean | int | float | None
"""What a row has in the column of a metric."""


class Run(FrozenModel):
    """A record behind a row; `created` is in ISO 8601, UTC."""

    path: str
    run_id: str
    created: str
    seed: int
    label_fraction: float
    failed: str | None
    value: float | None
    command: str


class Row(FrozenModel):
    """A method.

    Attributes:
        rank: by the metric, 1 the best; equal means share the better rank. None without a figure, and for a ceiling,
            which knows what no method may.
        title: the plugins in words.
        plugins: their names by kind.
        differing: parameters in which the methods of the table differ, as text.
        tags: "floor", "ceiling" and "outer-bound" of baselines; "simulated-signals" where a method saw some. Files call
            them marks.
        cell: at the table's share of labels.
        cells: at every share that the table has.
        versus: against the best; None for the best itself and where there is no test.
        groups: numbers of its significance groups: methods that cannot be told apart share one. Empty without a test.
        share: of the way from the floor (of the same encoder) to the ceiling; None where either is missing.
        figures: over the seeds, by the names of the metrics that have a column. Files have them by
            `MetricSpec.json_path`, beside the row's other fields.
        section: what `group_by` says of it.
        runs: the records behind it.
        windows: seen in pre-training, the mean over the seeds at the table's share of labels; None where nothing was
            pre-trained. No file has it but as the column "windows".
    """

    rank: int | None
    title: str
    plugins: dict[str, str]
    differing: dict[str, str]
    tags: tuple[Tag, ...]
    cell: LabelCell
    cells: tuple[LabelCell, ...]
    versus: Versus | None
    groups: tuple[int, ...]
    share: float | None
    figures: dict[str, Figure]
    section: str
    runs: tuple[Run, ...]
    windows: float | None = Field(default=None, exclude=True)

    @model_serializer(mode="wrap")
    def _to_file(self, fields_of: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = {}
        for name, value in fields_of(self).items():
            if name != "figures":
                written["marks" if name == "tags" else name] = value
                continue
            for metric in columns_among(value):
                place = written
                for key in metric.json_path[:-1]:
                    place = place.setdefault(key, {})
                place[metric.json_path[-1]] = value[metric.name]
        return written

    @model_validator(mode="before")
    @classmethod
    def _from_file(cls, document: Any) -> Any:
        if not isinstance(document, dict) or "figures" in document:
            return document
        fields = {("tags" if name == "marks" else name): value for name, value in document.items()}
        there = [*COLUMNS, *(each for each in OPTIONAL_COLUMNS.values() if each.json_path[0] in document)]
        fields["figures"] = {metric.name: _value_at(document, metric.json_path) for metric in there}
        for metric in there:
            fields.pop(metric.json_path[0], None)
        return fields


def _value_at(document: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        document = document.get(key) if isinstance(document, dict) else None
    return document


class LeaderboardTable(FrozenModel):
    """Methods on the same data, by the same protocol.

    Attributes:
        dataset: its name.
        differing: parameters in which the tables' datasets of this name differ, as text.
        content_hash: of the data; None where every run failed.
        protocol, schema_version: of all its records.
        sizes, detectors, sample_rate: of the data.
        label_fraction: the share of labels that the rows are ranked at.
        seeds: all that any method has there.
        best: title of the best method, which the others are tested against; None without a test.
        rows: as they are sorted.
        notes: what a reader must know of the table, one sentence each.
        data_notes: what all its records say of the data.
        made_with: versions, commits and machines behind its finished runs: name -> value -> how many.
        task: what is predicted, with its parameters, where it is another task than the default; then `figure` is what
            the rows are ranked by. Files leave both out otherwise.
    """

    dataset: str
    differing: dict[str, str]
    content_hash: str | None
    protocol: int
    schema_version: int
    sizes: dict[str, int]
    detectors: tuple[str, ...]
    sample_rate: float | None
    label_fraction: float
    seeds: tuple[int, ...]
    best: str | None
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    data_notes: tuple[str, ...]
    made_with: dict[str, dict[str, int]]
    task: str | None = None
    figure: str | None = None

    @model_serializer(mode="wrap")
    def _without_default_task(self, fields_of: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = fields_of(self)
        if self.task is None:
            del written["task"], written["figure"]
        return written


class Skipped(FrozenModel):
    """A file that could not serve."""

    path: str
    reason: str


class Leaderboard(FrozenModel):
    """Tables of methods, one for every set of data, protocol and schema.

    Attributes:
        metric: what the rows are ranked by (`metrics.RANKING`).
        level: confidence of every interval.
        records: how many were read.
        skipped: what could not be.
    """

    schema_version: Literal[1] = 1
    metric: str
    level: float
    records: int
    skipped: tuple[Skipped, ...]
    tables: tuple[LeaderboardTable, ...]
