"""The settings that a sweep chooses from: lists of choices, and ranges."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gwbench.errors import UserError, did_you_mean

if TYPE_CHECKING:
    import numpy as np

DIGITS = 3
"""Significant digits of a number that is drawn, so that a command with it can be read and typed."""

ROUNDING = 1e-8
"""Share of a step by which a value may lie beside it, as optuna has it."""

CHECKED = 256
"""Combinations that are checked beforehand where a sampler draws; where there are more, each setting by itself."""

RANGE_KEYS = ("low", "high", "log", "step")


@dataclass(frozen=True)
class SweepChoices:
    """A list.

    Attributes:
        values: plain data; no two are equal.
    """

    values: tuple[Any, ...]

    @property
    def ends(self) -> tuple[Any, ...]:
        """What is checked before anything is trained: all of them."""
        return self.values

    def holds(self, value: Any) -> bool:
        """Whether a value is among them."""
        return any(_same(value, each) for each in self.values)

    def draw(self, share: float) -> Any:
        """The choice at a share in [0, 1) of the list."""
        return self.values[int(share * len(self.values))]


@dataclass(frozen=True)
class SweepRange:
    """A range of numbers, both ends included.

    Attributes:
        low, high: its ends.
        log: whether equal ratios are equally likely, instead of equal distances.
        step: distance between neighbouring values; None for any value between the ends.
        whole: whether the setting takes whole numbers.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None
    whole: bool = False

    @property
    def ends(self) -> tuple[float, ...]:
        """What is checked before anything is trained."""
        return self.low, self.top

    @property
    def top(self) -> float:
        """The largest value: the upper end, or the last step below it."""
        return self.high if self.step is None else self.rounded(self.low + self.step * (self._steps() - 1))

    def holds(self, value: Any) -> bool:
        """Whether a value lies between the ends, and on a step where there are steps."""
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not self.low <= value <= self.high or (self.whole and value != int(value)):
            return False
        steps = (value - self.low) / self.step if self.step is not None else 0.0
        return bool(abs(steps - round(steps)) < ROUNDING)

    def draw(self, share: float) -> float:
        """The number at a share in [0, 1) of the range."""
        if self.step is not None:
            return self.rounded(self.low + self.step * math.floor(share * self._steps()))
        if self.whole and self.log:
            return self.rounded(math.floor(self.low * ((self.high + 1) / self.low) ** share))
        if self.whole:
            return self.rounded(self.low + math.floor(share * (self.high - self.low + 1)))
        if self.log:
            return self.rounded(self.low * (self.high / self.low) ** share)
        return self.rounded(self.low + share * (self.high - self.low))

    def _steps(self) -> int:
        """How many values there are at a distance of one step."""
        assert self.step is not None
        return math.floor((self.high - self.low) / self.step * (1 + 1e-12)) + 1

    def rounded(self, value: float) -> float:
        """A value with few digits that is in the range."""
        if self.whole:
            return int(min(max(round(value), self.low), self.high))
        digits = 12 if self.step is not None else DIGITS  # a step says itself how fine the values are
        return min(max(float(f"{value:.{digits}g}"), self.low), self.high)


SweepDimension = SweepChoices | SweepRange


@dataclass(frozen=True)
class SweepSpace:
    """All settings that are searched, by name.

    Attributes:
        dimensions: what each may be, in the file's order.
    """

    dimensions: Mapping[str, SweepDimension]

    @property
    def size(self) -> int | None:
        """How many points it has; None where it has a range."""
        if any(isinstance(each, SweepRange) for each in self.dimensions.values()):
            return None
        return math.prod(len(each.ends) for each in self.dimensions.values())

    def grid(self) -> Iterator[dict[str, Any]]:
        """Every combination of the choices, or of the ends of ranges."""
        for values in itertools.product(*(each.ends for each in self.dimensions.values())):
            yield dict(zip(self.dimensions, values, strict=True))

    def draw(self, generator: np.random.Generator) -> dict[str, Any]:
        """A point at random."""
        return {name: each.draw(float(generator.random())) for name, each in self.dimensions.items()}

    def holds(self, settings: Mapping[str, Any]) -> bool:
        """Whether settings are one of its points."""
        return settings.keys() == self.dimensions.keys() and all(
            each.holds(settings[name]) for name, each in self.dimensions.items()
        )


def corners(space: SweepSpace, reference: Mapping[str, Any], sampler: str) -> list[dict[str, Any]]:
    """Points that show whether all of a space fit: all of a grid, all of few corners, or each end by itself."""
    if not space.dimensions:
        return []
    if sampler == "grid":
        return list(space.grid())
    few = list(itertools.islice(space.grid(), CHECKED + 1))
    if len(few) <= CHECKED:
        return few
    first = {name: each.ends[0] for name, each in space.dimensions.items()}
    middle = {name: value if space.dimensions[name].holds(value) else first[name] for name, value in reference.items()}
    return [{**middle, name: end} for name, each in space.dimensions.items() for end in each.ends]


def read_dimension(given: Any, default: Any, resolved: Callable[[Any], Any]) -> SweepDimension:
    """What a sweep file says of one setting.

    Args:
        given: a list, or a mapping with low and high.
        default: the setting's value where nothing is searched, which tells whether it takes whole numbers.
        resolved: the value as a run has it; raises `UserError` where it does not fit.

    Raises:
        UserError: it is neither, or its values do not fit.
    """
    if isinstance(given, list):
        return _choices(given, resolved)
    if not isinstance(given, dict):
        raise UserError(
            f"{given!r} is neither a list of choices nor a range such as {{low: 0.05, high: 1, log: true}}."
        )
    for key in given:
        if key not in RANGE_KEYS:
            raise UserError(f"a range has no {key!r}.{did_you_mean(key, RANGE_KEYS)} It has {', '.join(RANGE_KEYS)}.")
    if missing := [key for key in ("low", "high") if key not in given]:
        raise UserError(f"the range has no {' and no '.join(missing)}, such as in {{low: 0.05, high: 1, log: true}}.")
    log, step = given.get("log", False), given.get("step")
    low, high = resolved(given["low"]), resolved(given["high"])
    for name, value in (("low", low), ("high", high)):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UserError(f"{name}={value!r} is no number: list the choices instead.")
    if not isinstance(log, bool):
        raise UserError(f"log={log!r} is neither true nor false.")
    if low >= high:
        raise UserError(f"low={low:g} is not below high={high:g}.")
    if log and low <= 0:
        raise UserError(f"low={low:g}: the logarithm needs numbers above 0.")
    whole = isinstance(low, int) and isinstance(high, int) and not isinstance(default, float)
    if step is not None and (isinstance(step, bool) or not isinstance(step, int | float) or not step > 0):
        raise UserError(f"step={step!r} is no number above 0.")
    if step is not None and not step <= high - low:
        raise UserError(f"step={step:g} is larger than the range, {high - low:g}.")
    if step is not None and log:
        raise UserError("step and log exclude each other: list the choices instead.")
    if step is not None and whole and not float(step).is_integer():
        raise UserError(f"step={step!r} is not whole, and the setting takes whole numbers.")
    return SweepRange(low, high, log, step, whole)


def _choices(given: list[Any], resolved: Callable[[Any], Any]) -> SweepChoices:
    if not given:
        raise UserError("the list is empty: give at least one choice.")
    values = [resolved(each) for each in given]
    for position, value in enumerate(values):
        if any(_same(value, other) for other in values[:position]):
            raise UserError(f"{value!r} is in the list twice.")
    return SweepChoices(tuple(values))


def _same(one: Any, other: Any) -> bool:
    """Whether two values are the same setting: 1 and 1.0 are, 1 and true are not."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)
