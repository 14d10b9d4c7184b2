"""The file that a scan's user asks for: events, or the whole search record, by its suffix."""

from __future__ import annotations

from pathlib import Path

from gwbench.data.hdf5_files import SUFFIXES
from gwbench.errors import UserError
from gwbench.search.event_files import write_events
from gwbench.search.record import SearchRecord, write_search_record

KNOWN = (*SUFFIXES, ".csv", ".json")


def check_output(path: Path) -> None:
    """Refuse a file whose suffix says no format, or that is a folder, before work is done."""
    if path.suffix.lower() not in KNOWN:
        raise UserError(f"--out {path}: expected a suffix of {', '.join(KNOWN)}, which says the format.")
    if path.is_dir():
        raise UserError(f"--out {path} is a folder: name a file in it, such as {path / 'events.hdf5'}.")


def write_output(path: Path, record: SearchRecord) -> None:
    """Write events as HDF5 or CSV, or the search record as JSON. Raises `UserError` as `check_output`."""
    check_output(path)
    if path.suffix.lower() == ".json":
        write_search_record(path, record)
    else:
        write_events(path, record.triggers)


__all__ = ["check_output", "write_output"]
