"""SearchRecord: what a search of continuous strain was and what it found, validated and written atomically."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from gwbench.errors import UserError
from gwbench.experiment.record import Environment
from gwbench.experiment.spec import RunSpec
from gwbench.search.reach_record import FoundShare, InjectionsUsed, ReachPoint
from gwbench.utils.files import atomic
from gwbench.utils.models import FrozenModel
from gwbench.utils.untrusted_files import MIB, AbsentError, UnusableError
from gwbench.utils.untrusted_text import read_json
from gwbench.utils.validation_errors import first_problem

SEARCH = "search.json"
"""The file's name in a folder."""

LARGEST = 128 * MIB
"""Bytes of a search record: a trigger takes some 300."""

SCHEMA = 1
"""The newest schema of search records that is understood."""

MOST = 1e30
"""No number of a record is larger."""

Count = Annotated[int, Field(ge=0)]
NonNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]


class SearchedRun(FrozenModel):
    """The run whose encoder or baseline searched.

    Attributes:
        run_id, title: the run's own.
        folder: name of its folder.
        spec: what was trained, the seeds included.
        labels: labelled windows that the method used; None where the run does not say.
    """

    run_id: str
    title: str
    folder: str
    spec: RunSpec
    labels: Count | None = None


class SearchedStrain(FrozenModel):
    """The strain that was searched.

    Attributes:
        files: SHA-256 by file name.
        detectors: in the order of the scorer's input.
        sample_rate: Hz, of the strain as it was scored.
        segments: (start, stop) in GPS seconds, in order of time.
        left_out: sentences about what was left out, such as gaps and seconds of bad quality.
        notes: what a reader must know of these data.
    """

    files: dict[str, str]
    detectors: tuple[str, ...]
    sample_rate: Positive | None = None
    segments: tuple[tuple[float, float], ...]
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class SearchSettings(FrozenModel):
    """How it was searched; None for what somebody else's search does not say.

    Attributes:
        stride: s between windows, as used.
        window: s of a window.
        threshold: scores of triggers are above it.
        cluster_window: s; a trigger has no louder one within it.
        var: s; an injection within it of a trigger counts as found.
        conditioning: "refitted" on the strain, or the "run" that was trained.
        slides: time slides of the background.
    """

    stride: Positive | None = None
    window: Positive | None = None
    threshold: float | None = None
    cluster_window: NonNegative | None = None
    var: NonNegative | None = None
    conditioning: Literal["refitted", "run"] | None = None
    slides: Count = 0


class DetectorPart(FrozenModel):
    """One detector's part of a trigger: when it peaks (GPS s), and what it adds to the score at the trigger's time."""

    time: float
    score: float


class RankedTrigger(FrozenModel):
    """A trigger with its rank and its significance.

    Attributes:
        time: GPS s.
        score: larger is more like a signal; log-odds of gwbench's own scorers.
        var: s; an injection within it counts as found.
        probability: that a window of the run's own data with this score holds a signal.
        detectors: each detector's part, where the method is a sum over detectors.
        far: false alarms a month of 30 days that are as loud or louder; None without a background.
        far_low, far_high: its Poisson interval; with no louder event in the background, `far_high` is an upper limit.
        ifar: s, the inverse; None without a background, and where no event of the background is as loud.
        rank: 1 for the loudest.
    """

    time: float
    score: float
    var: NonNegative
    probability: Annotated[float, Field(ge=0, le=1)] | None = None
    detectors: dict[str, DetectorPart] = Field(default_factory=dict)
    far: NonNegative | None = None
    far_low: NonNegative | None = None
    far_high: NonNegative | None = None
    ifar: Positive | None = None
    rank: Annotated[int, Field(ge=1)]


class BackgroundUsed(FrozenModel):
    """The events that noise alone makes.

    Attributes:
        source: "slides" of the same strain in time, or "noise" without injections.
        livetime: s in which they were counted; of all slides together.
        slides: how many; 0 for noise.
        zero_lag: whether the strain around the foreground's own triggers was removed from the slides.
        loudest: the largest scores, loudest first.
        thresholds, counts: how many events are as loud as a threshold or louder, for thresholds in rising order.
    """

    source: Literal["slides", "noise"] = "slides"
    livetime: NonNegative
    slides: Count = 0
    zero_lag: Literal["removed", "kept"] | None = None
    loudest: tuple[float, ...] = ()
    thresholds: tuple[float, ...] = ()
    counts: tuple[Count, ...] = ()


class SearchResources(FrozenModel):
    """What it took: wall-clock and processor seconds, and processor seconds for an hour of strain."""

    seconds: NonNegative
    cpu_seconds: NonNegative
    cpu_seconds_per_hour: NonNegative


class SearchedEvent(FrozenModel):
    """A known event in the strain that was searched.

    Attributes:
        name: such as GW150914.
        time: GPS s of its coalescence.
        rank: of the loudest trigger near it; None where there is none.
        louder_in_background: events of the background that are as loud or louder; None without a background.
    """

    name: str
    time: float
    rank: Annotated[int, Field(ge=1)] | None = None
    louder_in_background: Count | None = None


class SearchRecord(FrozenModel):
    """One search.

    Attributes:
        created: ISO 8601, UTC.
        command: how to get it again.
        title: the method in words.
        run: whose encoder searched; None for somebody else's search.
        livetime: s of strain in which triggers could be found.
        whitened_variance: of the conditioned strain by detector; 1 where the conditioning fits.
        triggers: loudest first.
        reach: sensitive distance at false-alarm rates, loosest first; None without injections.
        found: found shares of the injections by SNR, chirp mass and distance.
        event: the known event that was looked for, where one was.
        folder: where the record was read; it is not written.
    """

    schema_version: Literal[1] = 1
    kind: Literal["search"] = "search"
    created: str
    command: str
    title: str
    run: SearchedRun | None = None
    environment: Environment | None = None
    strain: SearchedStrain
    settings: SearchSettings = SearchSettings()
    livetime: NonNegative
    whitened_variance: dict[str, NonNegative] = Field(default_factory=dict)
    triggers: tuple[RankedTrigger, ...]
    background: BackgroundUsed | None = None
    reach: tuple[ReachPoint, ...] | None = None
    found: tuple[FoundShare, ...] | None = None
    injections: InjectionsUsed | None = None
    resources: SearchResources | None = None
    event: SearchedEvent | None = None
    folder: str | None = None

    def __repr__(self) -> str:
        """The method, and what it found, on one line."""
        found = f"{len(self.triggers)} triggers"
        if self.triggers:
            found += f", the loudest at GPS {self.triggers[0].time:.3f} with a score of {self.triggers[0].score:.4g}"
        return f"<SearchRecord {self.title}: {self.livetime / 3600:.4g} h, {found}>"

    @model_serializer(mode="wrap")
    def _without_folder(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Where a record lies is no part of it."""
        fields: dict[str, Any] = serialize(self)
        fields.pop("folder", None)
        return fields


def write_search_record(path: Path, record: SearchRecord) -> None:
    """Write a record to a file, or as `search.json` into a folder; a reader sees the old one, the new one or none."""
    target = path / SEARCH if path.is_dir() else path
    with atomic(target) as temporary:
        temporary.write_text(record.model_dump_json(indent=2) + "\n")


def load_search_record(path: str | Path) -> SearchRecord:
    """A record from a file that may be anything.

    Raises:
        AbsentError: there is no such file.
        UnusableError: it is no search record, is damaged, of a newer schema, or holds what no search can give.
    """
    return parse_search_record(read_json(path, largest=LARGEST), str(Path(path).parent))


def parse_search_record(document: Any, folder: str | None = None) -> SearchRecord:
    """A record from a JSON document that may be anything; raises `UnusableError` as `load_search_record`."""
    if not isinstance(document, dict) or document.get("kind") != "search":
        raise UnusableError("it is no search record: its kind is not search")
    version = document.get("schema_version", SCHEMA)
    if isinstance(version, int) and version > SCHEMA:
        raise UnusableError(f"its schema version {version} is newer than {SCHEMA}, which this gwbench reads: update it")
    try:
        record = SearchRecord.model_validate({**document, "folder": folder})
    except (ValueError, OverflowError, RecursionError, UserError) as error:
        raise UnusableError(f"it is no search record: {first_problem(error)}") from None
    _check(record)
    return record


def read_search_record(path: Path) -> SearchRecord:
    """The record that a user named: a file, or a folder that holds a `search.json`.

    Raises:
        UserError: there is none, or it cannot serve (`load_search_record`).
    """
    file = path / SEARCH if path.is_dir() else path
    try:
        return load_search_record(file)
    except AbsentError:
        raise UserError(f"There is no search record {file}. `gwbench scan --out` writes one.") from None
    except UnusableError as error:
        raise UserError(f"The search record {file} cannot be read: {error}. Make it again, or use a copy.") from None


def _check(record: SearchRecord) -> None:
    """Refuse what is well-formed and cannot be."""
    if not all(-MOST < number < MOST for number in _numbers(record.model_dump(exclude={"run", "environment"}))):
        raise UnusableError("a number of it is no sensible one")
    if any(stop < start for start, stop in record.strain.segments):
        raise UnusableError("a segment of it ends before it starts")
    if any(louder.score < softer.score for louder, softer in pairwise(record.triggers)):
        raise UnusableError("its triggers are not in order of score, the loudest first")
    for each in record.triggers:
        far = (each.far_low, each.far, each.far_high)
        known = [rate for rate in far if rate is not None]
        if len(known) not in (0, 3) or known != sorted(known):
            raise UnusableError("a false-alarm rate of it lies outside its interval")
    background = record.background
    if background is not None:
        counts, thresholds = background.counts, background.thresholds
        if len(counts) != len(thresholds) or not (_rises(thresholds) and _rises(counts[::-1])):
            raise UnusableError("its background's totals do not fall with the threshold")
    points, bins = record.reach or (), record.found or ()
    totals = [(each.found, each.injections) for each in points] + [(each.found, each.injections) for each in bins]
    if any(found > injections for found, injections in totals):
        raise UnusableError("it finds more injections than there are")


def _rises(numbers: Sequence[float]) -> bool:
    return all(first <= second for first, second in pairwise(numbers))


def _numbers(document: Any) -> list[float]:
    """Every number in a document of dictionaries and lists."""
    numbers: list[float] = []
    waiting = [document]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            waiting.extend(each.values())
        elif isinstance(each, (list, tuple)):
            waiting.extend(each)
        elif isinstance(each, (int, float)):
            numbers.append(each)
    return numbers
