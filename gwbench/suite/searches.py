"""The searches of a suite: every finished cell scans the same strain, and what it reaches is recorded beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gwbench.data.store.cache_dir import CacheDir
from gwbench.data.strain_files.finding import find_strain_files
from gwbench.errors import UserError
from gwbench.experiment.record import SCORER
from gwbench.search.record import SEARCH, write_search_record
from gwbench.utils.files import atomic
from gwbench.utils.progress import Progress
from gwbench.utils.untrusted_files import UnusableError
from gwbench.utils.untrusted_text import read_json

if TYPE_CHECKING:
    from gwbench.search.record import SearchRecord
    from gwbench.suite.run import CellStatus, Plan
    from gwbench.suite.search_entries import SearchEntry

SEARCHES, ASKED = "searches", "asked.json"
"""The folder of the results within a run's folder; and the file beside each that says what was asked for."""

SCANS = "scans"
"""The folder of the scans within the cache: their scores, which a search that was stopped goes on from."""


class SearchCell(NamedTuple):
    """One search by one finished run."""

    entry: SearchEntry
    cell_status: CellStatus

    @property
    def label(self) -> str:
        """What is searched by which cell."""
        return f"{self.entry.name} by {self.cell_status.cell.label}"

    @property
    def folder(self) -> Path:
        """Where its record is or will be."""
        return self.cell_status.folder / SEARCHES / self.entry.name

    @property
    def recorded(self) -> bool:
        """Whether there is a record, of whatever settings."""
        return (self.folder / SEARCH).is_file()


class StrainSet(NamedTuple):
    """The files of a search."""

    foreground: tuple[str, ...]
    background: tuple[str, ...]
    injections: Path | None


@dataclass
class SearchResult:
    """What has come of the searches: how many were done now and before, and why others failed."""

    done: int = 0
    before: int = 0
    failed: list[tuple[SearchCell, str]] = field(default_factory=list)


def search_cells(plan: Plan) -> tuple[list[SearchCell], list[str]]:
    """The searches that the finished cells of a plan can do; and the labels of the cells that keep no scorer."""
    done = [each for each in plan.cell_statuses if each.status == "done"] if plan.searches else []
    able = [each for each in done if (each.folder / SCORER).is_file()]
    return (
        [SearchCell(entry, each) for entry in plan.searches for each in able],
        [each.cell.label for each in done if each not in able],
    )


def execute_searches(plan: Plan, progress: Progress, *, processes: int = 1) -> SearchResult:
    """Do the searches of a plan that are missing, one after another; one that fails does not keep the others.

    Args:
        plan: looked up after its cells were carried out.
        progress: shows bars and messages.
        processes: that share the strain of a scan.
    """
    result = SearchResult()
    cells, unable = search_cells(plan)
    for label in unable:
        progress.say(f"{label} keeps no scorer and searches nothing.")
    sets: dict[str, StrainSet] = {}
    for number, cell in enumerate(cells, 1):
        progress.say(f"search {number} of {len(cells)}: {cell.label}")
        try:
            if cell.entry.name not in sets:
                sets[cell.entry.name] = _strain_of(cell.entry, processes, progress)
            strain = sets[cell.entry.name]
            asked = _asked(cell, strain)
            if _is_done(cell, asked):
                result.before += 1
                continue
            record = _search(cell, strain, plan, processes, progress)
            cell.folder.mkdir(parents=True, exist_ok=True)
            write_search_record(cell.folder, record)
            with atomic(cell.folder / ASKED) as temporary:
                temporary.write_text(json.dumps(asked, indent=2) + "\n")
            result.done += 1
        except UserError as error:
            progress.say(f"{cell.label} failed: {error}")
            result.failed.append((cell, str(error)))
    return result


def _strain_of(entry: SearchEntry, workers: int, progress: Progress) -> StrainSet:
    """The files of a search, made where that is asked for."""
    if entry.make is None:
        return StrainSet(entry.foreground, entry.background, Path(entry.injections) if entry.injections else None)
    from gwbench.simulation.continuous_set import make_continuous

    folder = make_continuous(entry.make, workers=workers, progress=progress).folder
    return StrainSet((str(folder / "foreground.hdf"),), (str(folder / "background.hdf"),), folder / "injections.hdf")


def _asked(cell: SearchCell, strain: StrainSet) -> dict[str, Any]:
    """What a search depends on; files by their size and time, so that one that changed is searched again."""
    record = cell.cell_status.record
    assert record is not None
    return {
        "run": [record.run_id, record.created],
        "search": cell.entry.model_dump(mode="json"),
        "files": [[str(path), *_state(path)] for path in _files(strain)],
    }


def _files(strain: StrainSet) -> Iterator[Path]:
    for places in (strain.foreground, strain.background):
        yield from find_strain_files(places, option="searches")
    if strain.injections:
        yield strain.injections


def _state(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError as error:
        raise UserError(f"The file {path} cannot be read: {error.strerror}.") from None
    return status.st_size, status.st_mtime_ns


def _is_done(cell: SearchCell, asked: dict[str, Any]) -> bool:
    try:
        return (cell.folder / SEARCH).is_file() and read_json(cell.folder / ASKED) == asked
    except UnusableError:
        return False


def _search(cell: SearchCell, strain: StrainSet, plan: Plan, processes: int, progress: Progress) -> SearchRecord:
    """The record of one search: a scan of the foreground, judged by one of the background where there is one."""
    from gwbench.search.evaluate import evaluate_search
    from gwbench.search.event_files import read_events
    from gwbench.search.injection_files import read_injections
    from gwbench.search.scan import scan

    entry = cell.entry
    slides = 0 if strain.background and entry.slides is None else entry.slides

    def scanned(places: Sequence[str]) -> SearchRecord:
        return scan(
            cell.cell_status.folder,
            places,
            event=entry.event,
            stride=entry.stride,
            conditioning=entry.conditioning,
            slides=slides,
            plugins=plan.options.plugins,
            device=plan.options.device,
            processes=processes,
            searches=CacheDir(plan.options.cache).root / SCANS,
            progress=progress,
        )

    foreground = scanned(strain.foreground)
    if strain.injections is None:
        return foreground
    background = [scanned(strain.background)] if strain.background else []
    files = [[read_events(Path(str(record.folder)) / SEARCH) for record in some] for some in ([foreground], background)]
    return evaluate_search(
        files[0],
        (strain.injections, read_injections(strain.injections)),
        background=files[1],
        command=foreground.command,
        progress=progress,
    )


__all__ = ["SearchCell", "SearchResult", "execute_searches", "search_cells"]
