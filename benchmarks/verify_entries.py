"""Verify the entries that a pull request adds to benchmarks/results, without executing anything of it.

    python -m benchmarks.verify_entries --head CHECKOUT/benchmarks/results --base benchmarks/results

compares two folders of results and looks at the files that differ. What it reads is data: JSON, arrays of numbers, and
the source of plugins, which is parsed for its hash and never imported. So the code that verifies is that of the base
branch, and a pull request cannot change how it is judged. Without --base everything in --head is looked at.
`.github/workflows/verify-entries.yml` runs it.

Of every changed run: the checks of `gwbench verify`, none of which may fail. Of its table: nothing that does not belong
there, seeds 0, 1 and 2 and the floor of every new method, and tables that are those of the records, byte for byte.
Exit codes: 0 all is well; 1 something is not, which is printed; 2 a folder is not there.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from benchmarks.publish import TABLES
from gwbench.errors import UserError
from gwbench.experiment.record import PREDICTIONS, RECORD, RunRecord, load_record
from gwbench.reporting.formats import FORMATS
from gwbench.reporting.leaderboard.build import build
from gwbench.reporting.leaderboard.rows import Options
from gwbench.reporting.records.data_asked import same_data
from gwbench.sharing.completeness import missing_runs, refuse_copies
from gwbench.sharing.entry_layout import MANIFEST, RUNS, SOURCES
from gwbench.sharing.verify import verify
from gwbench.utils.printable import printable
from gwbench.utils.untrusted_files import UnusableError

NAME = r"[A-Za-z0-9][A-Za-z0-9._+-]*"
PLACES = re.compile(
    rf"{NAME}/(?:{RUNS}/{NAME}/(?:{RECORD}|{PREDICTIONS})|{SOURCES}/{NAME}/(?:{NAME}/)*{NAME}\.py|{MANIFEST}"
    rf"|{NAME}\.suite\.json|{'|'.join(map(re.escape, TABLES.values()))})"
)
"""What may lie in a folder of results, relative to it."""

LARGEST = 4 * 2**20
"""Bytes of any of these files but the tables."""


@click.command()
@click.option("--head", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="The folder of results with the entries.")  # fmt: skip
@click.option("--base", type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="The folder of results without them.")  # fmt: skip
def main(head: Path, base: Path | None) -> None:
    """Verify the entries in which HEAD differs from BASE."""
    os.environ.pop("GWBENCH_PLUGINS", None)  # nothing is loaded beside what is installed
    changed, problems = changed_files(head, base), 0
    click.echo(f"{len(changed)} files of {head} differ")
    for line in problems_of(head, changed):
        problems += 1
        click.echo(printable(line, 2000))
    click.echo("every entry is verified" if not problems else f"{problems} problems")
    sys.exit(1 if problems else 0)


def changed_files(head: Path, base: Path | None) -> list[str]:
    """Paths that are new, gone or different, relative to the folder of results; links count as files."""
    ours, theirs = (dict(_files(each)) if each else {} for each in (head, base))
    return sorted(name for name in ours.keys() | theirs.keys() if not _same(ours.get(name), theirs.get(name)))


def problems_of(head: Path, changed: list[str]) -> Iterator[str]:
    """What is wrong with the files that differ, one sentence each."""
    tables = sorted({name.partition("/")[0] for name in changed})
    runs = sorted({"/".join(name.split("/")[:3]) for name in changed if name.split("/")[1:2] == [RUNS]})
    odd = list(_out_of_place(head, changed))
    yield from odd
    if odd:
        return  # nothing of it is read
    records: dict[str, list[RunRecord]] = {}
    for run in runs:
        if not (head / run).exists():
            yield f"{run}: a published run is taken away; say why in the pull request, and have it done by a maintainer"
            continue
        record, found = _verified(head / run)
        yield from (f"{run}: {each}" for each in found)
        if record is not None:
            records.setdefault(run.partition("/")[0], []).append(record)
    for table in tables:
        if (head / table).is_dir():
            yield from (f"{table}: {each}" for each in _of_table(head, table, records.get(table, [])))


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    for root, folders, files in os.walk(folder, followlinks=False):
        for name in [*files, *(each for each in folders if (Path(root) / each).is_symlink())]:
            path = Path(root) / name
            yield path.relative_to(folder).as_posix(), path


def _same(a: Path | None, b: Path | None) -> bool:
    if a is None or b is None or a.is_symlink() or b.is_symlink() or not (a.is_file() and b.is_file()):
        return False
    return a.stat().st_size == b.stat().st_size and a.read_bytes() == b.read_bytes()


def _out_of_place(head: Path, changed: list[str]) -> Iterator[str]:
    for name in changed:
        path = head / name
        if path.is_symlink():
            yield f"{name}: a link"
        elif not PLACES.fullmatch(name):
            yield f"{name}: nothing of this name belongs there (weights stay outside the repository)"
        elif path.exists() and not path.is_file():
            yield f"{name}: not a plain file"
        elif path.is_file() and path.stat().st_size > LARGEST and path.name not in TABLES.values():
            yield f"{name}: {path.stat().st_size:,} bytes, more than {LARGEST:,}"


def _verified(folder: Path) -> tuple[RunRecord | None, list[str]]:
    """The record of a run, and what is wrong with it."""
    try:
        found = verify(folder)
        record = load_record(folder / RECORD).record
    except (UserError, UnusableError) as error:
        return None, [str(error)]
    wrong = [f"{each.name}: {each.detail}" for each in found.failed]
    if not found.ok and not wrong:
        wrong.append(found.summary)
    wrong += [f"{each.name}: {each.detail}" for each in found.checks if _not_known(each.name, each.status, record)]
    if record.spec.limit is not None:
        wrong.append(f"a small try of {record.spec.limit} windows")
    return record, wrong


def _not_known(name: str, status: str, record: RunRecord) -> bool:
    """Whether a plugin's code is neither that of gwbench, nor in the entry, nor of a package that can be looked at."""
    packaged = {f"code of {used.kind} {used.name}" for used in record.plugins if used.package}
    return name.startswith("code of ") and status != "passed" and name not in packaged


def _of_table(head: Path, table: str, records: list[RunRecord]) -> Iterator[str]:
    folder = head / table
    there = []
    for path in sorted(folder.glob(f"{RUNS}/*/{RECORD}")):
        try:
            there.append(load_record(path).record)
        except UnusableError as error:
            yield f"{path.parent.name}: {error}"
    good = [record for record in there if record.data]
    if not all(same_data(good[0], record) for record in good):
        yield "its runs are on more than one set of data; give each a table of its own"
    yield from (f"missing: {each}" for each in missing_runs(there, records))
    try:
        refuse_copies(there)
        yield from _tables(head, table)
    except UserError as error:
        yield str(error)


def _tables(head: Path, table: str) -> Iterator[str]:
    """Whether the tables are those of the records, as `benchmarks/publish.py --tables` makes them.

    They name the records relative to the root of the repository, so they are made there.
    """
    before, root = Path.cwd(), head.resolve().parents[1]
    os.chdir(root)
    try:
        board = build([head.resolve().relative_to(root) / table / RUNS], Options())
        yield from (f"{each.path}: {each.reason}" for each in board.skipped)
        for form, name in TABLES.items():
            path = Path(head.resolve().relative_to(root) / table / name)
            if path.is_symlink() or not path.is_file() or path.read_bytes() != FORMATS[form](board).encode():
                yield f"{name} is not that of the records: python benchmarks/publish.py --tables makes it"
    finally:
        os.chdir(before)


if __name__ == "__main__":
    main()
