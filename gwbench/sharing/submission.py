"""`gwbench submit`: finished runs as entries of a folder of results, such as benchmarks/results."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gwbench._version import __version__
from gwbench.errors import UserError
from gwbench.experiment.record import CONDITIONER, PREDICTIONS, RECORD, SCORER, WEIGHTS, RunRecord, load_record
from gwbench.registry import REGISTRY, Plugin
from gwbench.registry.installed import package_of
from gwbench.reporting.records.data_asked import same_data
from gwbench.reporting.records.discover import find_records
from gwbench.sharing.completeness import SEEDS, missing_runs, refuse_copies
from gwbench.sharing.entry_files import paths_left, published_files, write_if_new
from gwbench.sharing.entry_layout import MANIFEST, RUNS, SOURCES
from gwbench.sharing.verify import finished_record, runs_below, verify
from gwbench.utils.files import file_digest
from gwbench.utils.sibling_modules import sibling_files
from gwbench.utils.untrusted_files import AbsentError, UnusableError, link_target
from gwbench.utils.untrusted_text import read_json

HEAVY = (WEIGHTS, SCORER, CONDITIONER)
"""What a run scores new strain with, which an entry holds where it is asked to."""

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,60}")


@dataclass(frozen=True)
class Submission:
    """What was submitted.

    Attributes:
        folder: of the table, RESULTS/NAME.
        written: files that were written, relative to it; empty where all was there already.
        runs: folders of the runs, relative to it.
        left_out: bytes of weights that were left out; their hashes are in the records.
        missing: what the table lacks before a row of it can stand, one sentence each.
        notes: what whoever submits should know.
    """

    folder: Path
    written: tuple[str, ...]
    runs: tuple[str, ...]
    left_out: int
    missing: tuple[str, ...]
    notes: tuple[str, ...]


def submit(runs: Iterable[str | Path], to: str | Path, *, name: str | None = None, weights: bool = False) -> Submission:
    """Copy finished runs, proved, into a folder of results.

    Args:
        runs: their folders, or folders that hold some.
        to: the folder of results.
        name: of the table; by default the one of the same data that is there, or else one made of the dataset's name.
        weights: whether encoders, scorers and conditioners are copied too.

    Raises:
        UserError: a run cannot stand in a table: it failed, was a small try, or does not give what its record says.
    """
    records = [_provable(folder) for folder in runs_below(runs)]
    refuse_copies(records)
    results = Path(to)
    table = results / _table(results, records, name)
    files: dict[str, bytes] = {}
    entries: dict[str, Any] = {}
    notes: list[str] = []
    left_out = 0
    for record in records:
        source = Path(str(record.folder))
        run = _run_folder(record)
        heavy = {each: link_target(source / each) for each in HEAVY if (source / each).exists()}
        hashes = {each: file_digest(path) for each, path in heavy.items()}
        small = published_files(source, hashes)
        copied = {**small, **({each: path.read_bytes() for each, path in heavy.items()} if weights else {})}
        left_out += 0 if weights else sum(path.stat().st_size for path in heavy.values())
        files |= {f"{RUNS}/{run}/{each}": content for each, content in copied.items()}
        plugins = [_plugin(each.kind, each.name, each.source_hash, files) for each in record.plugins]
        entries[run] = _entry(record, plugins, copied, {} if weights else hashes)
        notes += [f"{run}: the path {each} is part of the run's identity and stays"
                  for each in paths_left(json.loads(small[RECORD]))]  # fmt: skip
    _refuse_others(table, entries)
    files[MANIFEST] = _manifest(table / MANIFEST, entries)
    written = tuple(each for each, content in files.items() if write_if_new(table / each, content))
    return Submission(
        folder=table,
        written=written,
        runs=tuple(f"{RUNS}/{run}" for run in entries),
        left_out=left_out,
        missing=tuple(missing_runs(_records_of(table), records)),
        notes=tuple(dict.fromkeys(notes)),
    )


def _provable(folder: Path) -> RunRecord:
    """The record of a run that may stand in a table."""
    record = finished_record(folder)
    where = f"The run in {folder} cannot be submitted"
    if record.spec.limit is not None:
        raise UserError(f"{where}: it is a small try of {record.spec.limit} windows. Run it without --limit.")
    if record.objects:
        given = ", ".join(f"{each.kind} {each.class_name}" for each in record.objects)
        raise UserError(f"{where}: it was given objects ({given}), which nobody else has. Write them as plugins.")
    if record.metrics is None:
        raise UserError(f"{where}: its task is {record.spec.task.name if record.spec.task else 'another'}, and tables "
                        "are of ROC-AUC.")  # fmt: skip
    if not (folder / PREDICTIONS).exists() if folder.is_dir() else False:
        raise UserError(f"{where}: its test scores ({PREDICTIONS}) are not there. Run it again with --rerun.")
    proof = verify(folder)
    if not proof.ok:
        wrong = "; ".join(f"{each.name}: {each.detail}" for each in proof.failed) or proof.summary
        raise UserError(f"{where}: {wrong}. `gwbench verify {folder}` shows all checks.")
    return record


def _table(results: Path, records: Sequence[RunRecord], name: str | None) -> str:
    """The name of the table: all runs are on its data."""
    first, others = records[0], records[1:]
    if not all(same_data(first, each) for each in others):
        raise UserError("These runs are on more than one set of data. Submit those of each by a command of its own.")
    if name is not None and not NAME.fullmatch(name):
        raise UserError(f"--name {name!r} is no name of a table: small letters, digits, '-', '_' and '.'.")
    there = _first_of_tables(results)
    same = sorted(each for each, known in there.items() if same_data(first, known))
    if name is None:
        dataset = re.sub(r"[^a-z0-9]+", "-", first.spec.dataset.name.lower()).strip("-")
        assert first.data
        return same[0] if same else f"{dataset}-{first.data.content_hash[:8]}"
    if name in there and not same_data(first, there[name]):
        hint = f" The table of these data is {same[0]}." if same else " Give another --name."
        raise UserError(f"The table {results / name} is of other data than these runs.{hint}")
    return name


def _first_of_tables(results: Path) -> dict[str, RunRecord]:
    """Of every table in a folder, by its name, the first record on data that can be read."""
    found: dict[str, RunRecord] = {}
    for table in sorted(results.glob(f"*/{RUNS}")) if results.is_dir() else ():
        first = next((record for record in _records_of(table.parent) if record.data), None)
        if first is not None:
            found[table.parent.name] = first
    return found


def _records_of(table: Path) -> Iterable[RunRecord]:
    for path, problem in find_records([table / RUNS]) if (table / RUNS).is_dir() else ():
        if problem is None:
            try:
                yield load_record(path).record
            except UnusableError:
                continue


def _run_folder(record: RunRecord) -> str:
    """The name of a run's folder, ending in the run's identity."""
    found = Path(str(record.folder)).resolve().name
    ending = f"-{record.run_id[:8]}"
    if not found.endswith(ending):
        found = re.sub(
            r"[^a-z0-9]+", "-", f"{record.spec.title} {record.spec.dataset.name} s{record.spec.seed}".lower()
        )
        found = found.strip("-")[:100] + ending
    return found


# --- plugins ------------------------------------------------------------------------------------------------


def _plugin(kind: str, name: str, source_hash: str, files: dict[str, bytes]) -> dict[str, Any]:
    """Where a plugin comes from; the files of one that is of no package are added to `files`."""
    try:
        plugin = REGISTRY.get(kind, name)
    except UserError as error:
        raise UserError(
            f"{error} A submission holds the source of every plugin: name its file with --plugin."
        ) from None
    entry = {"kind": kind, "name": name, "version": plugin.version, "source_hash": source_hash}
    if not plugin.is_of(source_hash):
        raise UserError(
            f"The {kind} {name!r} has changed since the run, so that its source would not be that of the result. Run "
            "it again, or load the file that it was made with."
        )
    module = plugin.target.__module__.partition(".")[0] if plugin.target else ""
    if module == "gwbench":
        return {**entry, "from": f"gwbench {__version__}"}
    if package := package_of(plugin):
        return {**entry, "from": package}
    return {**entry, "from": _add_source(plugin, files)}


def _add_source(plugin: Plugin, files: dict[str, bytes]) -> str:
    """Add a plugin's file, and those beside it that it imports; returns its place in the entry."""
    path = Path(plugin.origin.file)
    if not path.is_file():
        raise UserError(f"The {plugin.kind} {plugin.name!r} has no file that could be submitted. Write it into one.")
    folder = f"{SOURCES}/{re.sub(r'[^A-Za-z0-9_-]', '-', path.stem)}-{plugin.source_hash[:8]}"
    for each in (path.resolve(), *sibling_files(path.resolve())):
        if not each.is_relative_to(path.resolve().parent):
            raise UserError(f"The plugin {path} imports {each}, which does not lie beside it. Make a package of them.")
        files[f"{folder}/{each.relative_to(path.resolve().parent)}"] = each.read_bytes()
    return f"{folder}/{path.name}"


# --- the manifest -------------------------------------------------------------------------------------------


def _entry(record: RunRecord, plugins: Sequence[Any], files: dict[str, bytes], left_out: dict[str, str]) -> Any:
    return {
        "run_id": record.run_id,
        "method": record.spec.title,
        "seed": record.spec.seed,
        "label_fraction": record.spec.evaluation.label_fraction,
        "plugins": list(plugins),
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        "left_out": left_out,
    }


def _manifest(path: Path, entries: dict[str, Any]) -> bytes:
    """What belongs to which run, with what an earlier submission wrote."""
    try:
        document = read_json(path)
        before = document["runs"] if isinstance(document, dict) and isinstance(document.get("runs"), dict) else {}
    except AbsentError:
        before = {}
    except UnusableError as error:
        raise UserError(f"{path} cannot be read: {error}. Remove it, and submit again.") from None
    runs = dict(sorted({**before, **entries}.items()))
    return (json.dumps({"schema_version": 1, "runs": runs}, indent=2, ensure_ascii=True) + "\n").encode()


def _refuse_others(table: Path, entries: dict[str, Any]) -> None:
    """Refuse to replace another run's folder."""
    for run, entry in entries.items():
        try:
            there = load_record(table / RUNS / run / RECORD).record
        except AbsentError:
            continue
        except UnusableError as error:
            raise UserError(f"{table / RUNS / run} holds what is no record ({error}). Remove it first.") from None
        if there.run_id != entry["run_id"]:
            raise UserError(f"{table / RUNS / run} holds another run, {there.run_id}. Choose another --name.")


__all__ = ["SEEDS", "Submission", "submit"]
