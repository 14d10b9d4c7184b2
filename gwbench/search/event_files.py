"""Event files: what a search found, as MLGWSC-1's HDF5 (`time`, `stat`, `var`), as CSV, or as a search record."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gwbench.data.hdf5_files import SUFFIXES
from gwbench.errors import UserError
from gwbench.search.number_columns import first_bytes, read_columns
from gwbench.search.record import SEARCH, RankedTrigger, SearchRecord, read_search_record
from gwbench.utils.files import atomic

COLUMNS = ("time", "stat", "var")
WHAT = "events file"


@dataclass(frozen=True, eq=False)
class EventList:
    """Events of a search, in any order.

    Attributes:
        time: [N] GPS s.
        stat: [N]; larger is louder.
        var: [N] s; an injection within it counts as found.
    """

    time: NDArray[np.float64]
    stat: NDArray[np.float64]
    var: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.time)

    @classmethod
    def of(cls, triggers: Iterable[RankedTrigger]) -> EventList:
        """The events of a record's triggers."""
        table = np.array([(each.time, each.score, each.var) for each in triggers], np.float64).reshape(-1, 3)
        return cls(*table.T.copy())

    @classmethod
    def joined(cls, lists: Sequence[EventList]) -> EventList:
        """Several lists as one."""
        return cls(*(np.concatenate([getattr(one, name) for one in lists]) for name in COLUMNS))


@dataclass(frozen=True, eq=False)
class EventFile:
    """Events and where they come from: the search record, where the file is one."""

    path: Path
    events: EventList
    record: SearchRecord | None = None


def read_events(path: Path) -> EventFile:
    """The events in an HDF5 file of MLGWSC-1, a CSV file with these columns, a search record or a folder of one.

    Raises:
        UserError: there is no such file, or it is none of these.
    """
    if path.is_dir() or path.name == SEARCH or first_bytes(path).lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"{"):
        record = read_search_record(path)
        return EventFile(path / SEARCH if path.is_dir() else path, EventList.of(record.triggers), record)
    columns = read_columns(path, COLUMNS, (), WHAT)
    events = EventList(**columns)
    if (events.var < 0).any():
        raise UserError(f"The {WHAT} {path}: var, in seconds, is negative in {int((events.var < 0).sum()):,} rows.")
    return EventFile(path, events)


def write_events(path: Path, triggers: Sequence[RankedTrigger]) -> None:
    """Write triggers to .hdf, .hdf5 or .h5 as MLGWSC-1's evaluation reads them, or to .csv with all that is known.

    In HDF5 the events are in order of time, in CSV the loudest first.

    Raises:
        UserError: another suffix, or the file cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix in SUFFIXES:
        _write_hdf5(path, EventList.of(sorted(triggers, key=lambda each: each.time)))
    elif suffix == ".csv":
        _write_csv(path, triggers)
    else:
        raise UserError(f"Events are written as {', '.join((*SUFFIXES, '.csv'))}, not as {path.name}.")


def _write_hdf5(path: Path, events: EventList) -> None:
    import h5py

    with atomic(path) as temporary, h5py.File(temporary, "w", locking=False) as file:  # `atomic` holds the file
        for name in COLUMNS:
            file.create_dataset(name, data=getattr(events, name))


def _write_csv(path: Path, triggers: Sequence[RankedTrigger]) -> None:
    detectors = list(dict.fromkeys(name for each in triggers for name in each.detectors))
    parts = [f"{name}_{field}" for name in detectors for field in ("time", "score")]
    with atomic(path) as temporary, temporary.open("w", newline="") as stream:
        rows = csv.writer(stream, lineterminator="\n")
        rows.writerow([*COLUMNS, "rank", "probability", "far", "far_low", "far_high", "ifar", *parts])
        for each in triggers:
            known = [each.rank, each.probability, each.far, each.far_low, each.far_high, each.ifar]
            for name in detectors:
                part = each.detectors.get(name)
                known += [None, None] if part is None else [part.time, part.score]
            rows.writerow([each.time, each.score, each.var, *("" if one is None else one for one in known)])
