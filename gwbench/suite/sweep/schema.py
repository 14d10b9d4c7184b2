"""What a sweep file may say.

    title: what it asks, in a few words
    about: one sentence on it
    base:                                # a run, as a file of `gwbench run --config` has it
      objective: NAME
      dataset: {name: NAME, preset: NAME}
      training: {windows: 12000}
      evaluation: {label_fraction: 0.25}
      precision: bf16
    search:                              # settings, as of `gwbench run --set`: a list of choices, or a range
      objective.temperature: {low: 0.05, high: 0.5, log: true}
      training.lr: [0.001, 0.002, 0.004]
      pairing: [NAME, NAME]              # plugins, too, with parameters or without
    sampler: random                      # or grid, or tpe; grid by default where everything is a list
    trials: 20                           # besides the default settings, which are always tried first
    seeds: [0, 1]                        # of every trial, or how many: the value is the mean over them
    seed: 0                              # of the sampler
    probe_every: 1                       # epochs between two points of a learning curve on validation
    pruner: median                       # stop a trial that is below the median of the others' curves

Instead of `search`, `points` lists the trials one by one, each a mapping of settings; the others are compared with the
first of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from pydantic import BeforeValidator, Field

from gwbench.errors import UserError, did_you_mean
from gwbench.experiment import environment
from gwbench.experiment.run_mode import RunMode
from gwbench.suite.run_file import Count, RunFile, describe
from gwbench.suite.schema import Seed
from gwbench.suite.sweep.space import SweepRange, SweepSpace, corners, read_dimension
from gwbench.suite.sweep.specs import PARTS, SweepBase, SweepTrial, check_name, value_in
from gwbench.suite.yaml_file import Document, YamlPosition, read_yaml
from gwbench.utils.models import FrozenModel
from gwbench.utils.validation_errors import refusal

TRIALS = 20
"""Trials of a sampler that draws, where the file does not say."""

GRID = 10_000
"""Points of a grid, at most."""

SEEDS = 1000
"""Seeds of a trial, at most, where they are counted."""

NOT_HERE = {
    "seed": "`seeds` says with which seeds every trial is run",
    "out": "a trial leaves no run folder; --out names the file of results",
    "loggers": "a trial is not logged; probe_every keeps its learning curve",
    "devices": "a trial trains in one process",
    "num_nodes": "a trial trains in one process",
}
"""What a run file may have and the base may not."""


def _counted(value: Any) -> Any:
    if isinstance(value, list) and value:
        return value
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= SEEDS:
        raise ValueError(f"say how many there are, 1 to {SEEDS:,}, or list them")
    return list(range(value))


class SweepFile(FrozenModel):
    """The file, as the module's docstring describes it."""

    title: str = ""
    about: str = ""
    base: RunFile = RunFile()
    search: dict[str, Any] = {}
    points: list[dict[str, Any]] = []
    sampler: Literal["grid", "random", "tpe"] | None = None
    trials: Count | None = None
    seeds: Annotated[list[Seed], BeforeValidator(_counted), Field(min_length=1)] = [0]
    seed: Seed = 0
    probe_every: Count | None = None
    pruner: Literal["median"] | None = None


@dataclass(frozen=True)
class Sweep:
    """A sweep that has been checked.

    Attributes:
        file: what the file says.
        document: its lines, for errors.
        base: what all trials have in common.
        space: what is searched; empty where points are listed.
        points: the trials that are listed, as the runs have them.
        reference: the settings that the others are compared with.
        cache: folder of generated data; None for the user's cache folder.
        workers: threads that generate data; None for one per core.
    """

    file: SweepFile
    document: Document
    base: SweepBase
    space: SweepSpace
    points: tuple[dict[str, Any], ...]
    reference: Mapping[str, Any]
    cache: str | None = None
    workers: int | None = None

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.document.path.stem

    @property
    def names(self) -> list[str]:
        """Everything that differs between trials."""
        return list(self.space.dimensions) or list(dict.fromkeys(name for point in self.points for name in point))

    @property
    def sampler(self) -> str:
        """How trials are chosen: "points", "grid", "random" or "tpe"."""
        if self.points:
            return "points"
        return self.file.sampler or ("random" if self.space.size is None else "grid")

    @property
    def trials(self) -> int:
        """How many there are besides the reference, at most."""
        if self.sampler in ("grid", "points"):
            return min(self.file.trials or self.listed, self.listed)
        return self.file.trials or TRIALS

    @property
    def listed(self) -> int:
        """How many trials the file lists, one by one or as a grid."""
        return len(self.points) or self.space.size or 0

    @property
    def left_out(self) -> bool:
        """Whether fewer trials are asked for than are listed."""
        return self.sampler in ("grid", "points") and self.trials < self.listed

    @property
    def holds_reference(self) -> bool:
        """Whether the reference is one of the points that are searched."""
        return bool(self.points) or self.space.holds(self.reference)

    @property
    def larger_is_better(self) -> bool:
        """The direction of what its task reports."""
        return self.base.spec({}, self.base.seeds[0]).build_task().larger_is_better

    def holds(self, settings: Mapping[str, Any]) -> bool:
        """Whether settings are those of one of its trials."""
        if self.points:
            return any(settings == point for point in self.points)
        return settings == self.reference or self.space.holds(settings)

    def checked_beforehand(self) -> list[SweepTrial]:
        """Trials that show whether all of them fit their data: all that are listed, or the corners of a space."""
        points = list(self.points) or [dict(self.reference), *corners(self.space, self.reference, self.sampler)]
        return [self.base.trial(point) for point in points]


def read_sweep(
    path: str | Path,
    *,
    device: str | None = None,
    settings: Mapping[str, Any] | None = None,
    trials: int | None = None,
    cache: str | Path | None = None,
) -> Sweep:
    """A sweep from its file, all of whose settings are known and fit each other.

    Args:
        path: of the file.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps"; by default the file's, or else "auto".
        settings: dotted settings of all trials, over the base's.
        trials: over the file's number of them.
        cache: folder of generated data, over the file's.

    Raises:
        UserError: the file cannot be read, or says something that it may not; the message has its line and key.
    """
    document = read_yaml(Path(path))
    try:
        file = SweepFile.model_validate({} if document.data is None else document.data)
    except pydantic.ValidationError as error:
        raise document.error(*_complaint(error)) from None
    if trials is not None:
        file = file.model_copy(update={"trials": trials})
    _check_keys(file, document)
    for name, why in NOT_HERE.items():
        if getattr(file.base, name) is not None:
            raise document.error(("base", name), f"a sweep has no use for it: {why}.")
    described = describe(file.base, document, ("base",))
    for name in settings or {}:
        if name in file.search:
            raise UserError(f"--set {name}: the sweep searches it. Leave one of them out.")
    base = SweepBase(
        described.options,
        {**described.settings, **(settings or {})},
        tuple(dict.fromkeys(file.seeds)),
        environment.resolve_device(device or file.base.device or "auto"),
    )
    with _blamed_on_base(document):
        replace(base, settings=described.settings).spec({}, base.seeds[0])
    default = base.spec({}, base.seeds[0])  # what is wrong now is wrong with the command line
    with _blamed_on_base(document):
        RunMode(file.probe_every or 0).check(default)
    points = _points(file, base, document)
    space = _space(file, base, document)
    reference = points[0] if points else base.default(space.dimensions)
    own_cache = cache or file.base.cache_dir
    sweep = Sweep(file, document, base, space, points, reference, str(own_cache) if own_cache else None,
                  file.base.workers)  # fmt: skip
    if sweep.sampler == "grid":
        _check_grid(sweep)
    _check_together(sweep)
    return sweep


@contextmanager
def _blamed_on_base(document: Document) -> Iterator[None]:
    """Put the file and the line of the base before the message of what is refused inside."""
    try:
        yield
    except UserError as error:
        raise document.error(("base",), str(error)) from None


def _complaint(error: pydantic.ValidationError) -> tuple[YamlPosition, str]:
    """The place of the first of pydantic's complaints, and what to do about it."""
    first = error.errors()[0]
    place = first["loc"]
    if first["type"] == "extra_forbidden":
        of_base = [name for name in RunFile.model_fields if name not in NOT_HERE]
        known = of_base if place[0] == "base" else list(SweepFile.model_fields)
        hint = did_you_mean(str(place[-1]), known)
        return place, f"there is no key {place[-1]!r}.{hint} Keys: {', '.join(known)}."
    if first["type"] in ("model_type", "dict_type"):
        return place, "expected keys and values."
    return place, refusal(error)


def _check_keys(file: SweepFile, document: Document) -> None:
    """Raise `UserError` where something is missing, or would have no effect."""
    if file.search and file.points:
        raise document.error(("points",), "search and points both say what the trials are: leave one of them out.")
    if not file.search and not file.points:
        raise document.error(
            ("search",), "say what the trials are: settings under search, or the trials one by one under points."
        )
    if file.points and file.sampler:
        raise document.error(("sampler",), "it has no effect beside points, which are the trials: leave it out.")
    if file.sampler in (None, "grid") and all(isinstance(each, list) for each in file.search.values()):
        size = math.prod(len(each) for each in file.search.values())  # before any of them is looked at
        if size > GRID:
            raise document.error(("search",), f"the grid has {size:,} points, more than {GRID:,}: use sampler: random.")
    if file.pruner and not file.probe_every:
        raise document.error(("pruner",), "it compares learning curves: say probe_every, such as 1, too.")
    if len(set(file.seeds)) < len(file.seeds):
        raise document.error(("seeds",), "a seed is there twice.")
    for name in file.search:
        try:
            check_name(name)
        except UserError as error:
            raise document.error(("search", name), str(error)) from None


def _points(file: SweepFile, base: SweepBase, document: Document) -> tuple[dict[str, Any], ...]:
    """The trials that are listed, no two of which are the same run."""
    points = tuple(_point(point, position, base, document) for position, point in enumerate(file.points))
    seen: dict[str, int] = {}
    for position, point in enumerate(points):
        other = seen.setdefault(base.spec(point, base.seeds[0]).canonical(), position)
        if other != position:
            raise document.error(("points", position), f"it is the same run as points[{other}]: leave one of them out.")
    return points


def _point(point: Mapping[str, Any], position: int, base: SweepBase, document: Document) -> dict[str, Any]:
    """A trial that is listed, as its runs have it."""
    for name in point:
        try:
            check_name(name)
        except UserError as error:
            raise document.error(("points", position, name), str(error)) from None
    try:
        return dict(base.trial(point).settings)
    except UserError as error:
        raise document.error(("points", position), str(error)) from None


def _space(file: SweepFile, base: SweepBase, document: Document) -> SweepSpace:
    """What is searched; parts come first, whose first choice the settings of the others are tried with."""
    start: dict[str, Any] = {}
    found: dict[str, Any] = {}
    seed = base.seeds[0]
    default = base.default(file.search)
    for name in sorted(file.search, key=lambda name: name not in PARTS):

        def resolved(value: Any, name: str = name) -> Any:
            return value_in(base.spec({**start, name: value}, seed), name, value)

        try:
            found[name] = read_dimension(file.search[name], default[name], resolved)
            ends = found[name].ends
            first, last = (base.spec({**start, name: end}, seed).canonical() for end in (ends[0], ends[-1]))
            if len(ends) > 1 and first == last:
                raise UserError("it has no effect on these runs: leave it out.")
        except UserError as error:
            raise document.error(("search", name), str(error)) from None
        if name in PARTS:
            start[name] = found[name].ends[0]
    return SweepSpace({name: found[name] for name in file.search})


def _check_grid(sweep: Sweep) -> None:
    for name, dimension in sweep.space.dimensions.items():
        if isinstance(dimension, SweepRange):
            raise sweep.document.error(
                ("search", name), "a grid needs a list of choices; a range goes with sampler: random or tpe."
            )


def _check_together(sweep: Sweep) -> None:
    """Raise `UserError` where settings that fit by themselves do not fit each other."""
    for point in corners(sweep.space, sweep.reference, sweep.sampler):
        try:
            sweep.base.trial(point)
        except UserError as error:
            words = ", ".join(f"{name}={value}" for name, value in point.items())
            raise sweep.document.error(("search",), f"with {words}: {error}") from None
