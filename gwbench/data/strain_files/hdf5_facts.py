"""What an HDF5 file says of a series: its start, its sample rate and its detector, whoever wrote it.

They are looked for in the attributes of the dataset, then of the groups around it up to the file's root, and there
also among scalar datasets and in a group `meta`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from gwbench.data.hdf5_tree import Found, Tree, children
from gwbench.data.strain_files.detector_names import detector_named, detector_of_path
from gwbench.errors import UserError
from gwbench.utils.printable import printable

if TYPE_CHECKING:
    import h5py

Value = TypeVar("Value")

SPACING = ("xspacing", "deltat", "dx", "dt", "timestep", "samplinginterval", "sampleinterval")
"""Names, without case and punctuation, of the seconds between two samples, as GWOSC, pycbc and gwpy write them."""

RATE = ("samplerate", "samplingrate", "samplefrequency", "samplingfrequency", "fs", "srate", "rate")
"""Names of the samples per second."""

START = (
    *("xstart", "starttime", "x0", "epoch", "t0", "gpsstart", "starttimegps", "gpsstarttime", "tstart", "segmentstart"),
    *("start", "gpstime", "gps", "gpsepoch"),
)
"""Names of the GPS time of the first sample."""

FREQUENCY = ("deltaf", "df", "f0")
"""Names of what a frequency series says."""

DURATION = ("duration", "durationseconds")
"""Names of the length in seconds."""

DETECTOR = ("detector", "ifo", "interferometer", "instrument", "channel", "name", "observatory", "site")
"""Names of what names the detector."""

META = ("meta", "metadata")
"""Groups that hold facts as datasets."""

NUMBER = re.compile(r"[^\d+\-.]*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(?:s|sec|Hz|1 ?/ ?s|s\^?-1)?\s*\)?")
"""A number in a text, with or without its unit: gwpy's "4096.0 Hz", "LIGOTimeGPS(1126259446)"."""

SECONDS_AND_NANOSECONDS = re.compile(r"[^\d+\-.]*(\d+)\s*,\s*(\d+)\s*\)?")

GPS_NAME = re.compile(r"\d{9,10}(\.\d+)?")
"""A dataset's name that is its start, as in the MLGWSC-1 challenge."""

RECORDED = 1e8
"""GPS time before which there was no strain: `epoch` of a whole file may be something else."""

LATEST = 1e10
"""GPS time, in 300 years: whatever is above is no GPS time."""

MEMBERS = 1000
"""Members of a group that are looked at for facts."""

SINGLE = 1.2e-7
"""Relative accuracy of a number in float32."""

DENOMINATORS = 1000
"""A sample rate that is known to float32 alone is taken for the fraction with the smallest denominator up to this."""

LONGEST = 100
"""Letters of a text that is a number."""

COARSE = 1e-3
"""Seconds: a start in float32 that is no better than this is not known."""


@dataclass(frozen=True)
class Facts:
    """What is said of one dataset.

    Args:
        tree: the open file.
        found: the dataset.
    """

    tree: Tree
    found: Found

    @cached_property
    def sample_rate(self) -> float | None:
        """Hz; None where nothing says it."""
        return _first(map(self._rate, (self._own, *self._around)))

    @property
    def has_own_rate(self) -> bool:
        """Whether the dataset itself says its sample rate."""
        return any(name in self._own for name in (*SPACING, *RATE))

    @property
    def is_no_time_series(self) -> bool:
        """Whether its own attributes say that it is a frequency series, as gwpy and pycbc write it, or bits."""
        unit = _text(self._own["xunit"][1]) if "xunit" in self._own else None
        if unit is not None and "hz" in unit.lower():
            return True
        return "bits" in self._own or (any(name in self._own for name in FREQUENCY) and not self.has_own_rate)

    @cached_property
    def start(self) -> float | None:
        """GPS time of the first sample; None where nothing says it. A start of 0, as gwpy writes it, says nothing."""
        self._number(self._own, START, strict=True)
        named = [{"name": (name, Number(float(name)))} for name in self.names if GPS_NAME.fullmatch(name)]
        for values, names in ((self._own, START), *((name, ("name",)) for name in named)):
            if (said := self._gps(values, names, 0.0)) is not None:
                return said
        return _first(self._gps(values, START, RECORDED) for values in self._around)

    @cached_property
    def detector(self) -> str | None:
        """Its detector, by an attribute of its own, its name, and what is around it."""
        return self._detector(self._own) or detector_of_path(self.parts) or _first(map(self._detector, self._around))

    @property
    def names(self) -> list[str]:
        """The last part of every path to it."""
        return [path.rsplit("/", 1)[-1] for path in self.found.names]

    @property
    def parts(self) -> list[str]:
        """The parts of its paths, the dataset's own name first."""
        return [part for path in self.found.names for part in reversed(path.split("/"))]

    def names_beside(self) -> list[str]:
        """The names of what lies in the same group."""
        return list(children(self.found.groups[0], MEMBERS))

    @property
    def spacing_said(self) -> Any:
        """What stands where the sample rate should, for messages."""
        return next((self._own[name][1] for name in (*SPACING, *RATE) if name in self._own), None)

    @cached_property
    def _own(self) -> Mapping[str, tuple[str, Any]]:
        return _attributes(self.found.dataset)

    @cached_property
    def _around(self) -> list[Mapping[str, tuple[str, Any]]]:
        groups = list({group.id: group for group in self.found.groups}.values())
        for group in groups:
            if group.id not in self.tree.facts:
                self.tree.facts[group.id] = _facts_of(self.tree, group)
        return [self.tree.facts[group.id] for group in groups]

    def _rate(self, values: Mapping[str, tuple[str, Any]]) -> float | None:
        strict = values is self._own
        spacing = self._number(values, SPACING, strict)
        if spacing is not None and spacing.value > 0:
            return spacing.inverse
        rate = self._number(values, RATE, strict)
        if rate is not None and rate.value > 0:
            return rate.rounded
        duration = self._number(values, DURATION)
        if duration is not None and duration.value > 0:
            samples = self.found.dataset.size / duration.value
            return float(round(samples)) if abs(samples / max(round(samples), 1) - 1) < 1e-6 else None
        return None

    def _detector(self, values: Mapping[str, tuple[str, Any]]) -> str | None:
        texts = (_text(values[name][1]) for name in DETECTOR if name in values)
        return _first(detector_named(text) for text in texts if text is not None)

    def _gps(self, values: Mapping[str, tuple[str, Any]], names: Sequence[str], least: float) -> float | None:
        """The first of these facts that is a GPS time."""
        numbers = (number_of(values[name][1]) for name in names if name in values)
        return next((said.value for said in numbers if said is not None and said.is_gps and said.value >= least), None)

    def _number(
        self, values: Mapping[str, tuple[str, Any]], names: Sequence[str], strict: bool = False
    ) -> Number | None:
        for name in names:
            if name in values:
                spelled, value = values[name]
                number = number_of(value)
                if number is None and strict:
                    raise UserError(
                        f"The strain file {self.tree.path}: attribute {spelled}={_shown(value)} is not a number."
                    )
                if number is not None and np.isfinite(number.value):
                    return number
        return None


@dataclass(frozen=True)
class Number:
    """A number, and whether it is known to float32 alone."""

    value: float
    single: bool = False

    @property
    def is_gps(self) -> bool:
        """Whether it can be a GPS time: above 0, and good to `COARSE`."""
        coarse = self.single and float(np.spacing(np.float32(self.value))) > COARSE
        return 0 < self.value < LATEST and not coarse

    @property
    def inverse(self) -> float:
        """The sample rate of this spacing."""
        return self._sensible(1 / self.value)

    @property
    def rounded(self) -> float:
        """The sample rate that this is."""
        return self._sensible(self.value)

    def _sensible(self, rate: float) -> float:
        if not np.isfinite(rate):
            return rate
        # A number that float32 holds exactly may have come out of it.
        if self.single or float(np.float32(self.value)) == self.value:
            for denominator in range(1, DENOMINATORS + 1):
                candidate = float(Fraction(round(rate * denominator), denominator))
                if abs(candidate - rate) <= SINGLE * rate:
                    return round(candidate, 6)
        return round(rate, 6)


def number_of(value: Any) -> Number | None:
    """A number, however it is written: a scalar, an array of one, a text, or seconds and nanoseconds."""
    if isinstance(value, np.ndarray):
        if value.size == 2 and value.dtype.kind in "iu":
            seconds, nanoseconds = (int(part) for part in value.ravel())
            return Number(seconds + 1e-9 * nanoseconds)
        if value.size != 1:
            return None
        value = value.ravel()[0]
    if isinstance(value, Number):
        return value
    if isinstance(value, np.void) and value.dtype.names is not None and len(value.dtype.names) == 2:
        return number_of(np.array([value[name] for name in value.dtype.names]))
    if isinstance(value, np.floating):
        return Number(float(value), value.dtype.itemsize < 8)
    if isinstance(value, int | float | np.integer | np.bool_):
        return Number(float(value))
    text = _text(value)
    if text is None or len(text) > LONGEST:
        return None
    if pair := SECONDS_AND_NANOSECONDS.fullmatch(text.strip()):
        return Number(int(pair[1][:12]) + 1e-9 * int(pair[2][:12]))
    match = NUMBER.fullmatch(text.strip())
    return Number(float(match[1])) if match else None


def _facts_of(tree: Tree, group: h5py.Group) -> Mapping[str, tuple[str, Any]]:
    """The attributes of a group and its datasets of one value, and those of a group `meta` in it."""
    facts = dict(_attributes(group))
    for place in (group, *(tree.get(group, name) for name in META)):
        if place is None or not hasattr(place, "attrs"):
            continue
        if place is not group:
            facts = {**_attributes(place), **facts}
        facts = {**_scalars(tree, place), **facts}
    return facts


def _scalars(tree: Tree, group: Any) -> Mapping[str, tuple[str, Any]]:
    """The datasets of one or two values whose names are those of facts."""
    wanted = {*SPACING, *RATE, *START, *DURATION, *DETECTOR}
    facts: dict[str, tuple[str, Any]] = {}
    if hasattr(group, "keys"):
        for name in children(group, MEMBERS):
            if _key(name) in wanted:
                item = tree.get(group, name)
                if hasattr(item, "shape") and item.shape is not None and 0 < item.size <= 2:
                    facts.setdefault(_key(name), (name, tree.read(item, 2)))
    return facts


def _attributes(item: Any) -> Mapping[str, tuple[str, Any]]:
    """The attributes of at most a few values, by their names without case and punctuation, with their spelling."""
    values: dict[str, tuple[str, Any]] = {}
    for name in children(item.attrs, MEMBERS):
        with suppress(KeyError, OSError, TypeError, ValueError, UnicodeError, RuntimeError):  # damaged, or an odd type
            shape = item.attrs.get_id(name).shape
            if shape is not None and np.prod(shape, dtype=float) <= 16:
                values.setdefault(_key(name), (name, item.attrs[name]))
    return values


def _first(values: Iterable[Value | None]) -> Value | None:
    return next((value for value in values if value is not None), None)


def _text(value: Any) -> str | None:
    """A text, also as bytes or as an array of one."""
    if isinstance(value, np.ndarray):
        return _text(value.ravel()[0]) if value.size == 1 else None
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return str(value) if isinstance(value, str) else None


def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _shown(value: Any) -> str:
    return printable(repr(value), LONGEST)


__all__ = ["Facts", "Number", "number_of"]
