"""Publish a suite: its records and test scores, and the tables made of them, into benchmarks/results.

    gwbench suite run benchmarks/quickstart.yaml --jobs 2
    python benchmarks/publish.py benchmarks/quickstart.yaml

copies what a table needs of every finished run (record, labels, scores and SNRs of the test windows; no weights, no
embeddings) to benchmarks/results/quickstart/runs. It writes the tables and
the suite's title beside it, and the README's block of that name if there is one.
`python benchmarks/publish.py --tables` makes all tables again from what is published; a test checks that they come out
the same byte for byte.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import click

from gwbench.cli.options import parse_settings
from gwbench.reporting.escape import markdown
from gwbench.reporting.formats import FORMATS
from gwbench.reporting.leaderboard.build import build
from gwbench.reporting.leaderboard.columns import columns_of, heading, legend
from gwbench.reporting.leaderboard.rows import Options
from gwbench.reporting.leaderboard.schema import Leaderboard
from gwbench.reporting.leaderboard.text_formats import bars
from gwbench.reporting.records.suite_titles import ENDING, SuiteTitle, title_text
from gwbench.sharing.entry_files import copy_run, short_scores
from gwbench.suite.run import Plan, plan
from gwbench.suite.schema import read_suite

ROOT = Path(__file__).parent.parent
RESULTS = Path("benchmarks/results")
"""Relative to the root of the repository, as the tables name their records."""

README = Path("README.md")

TABLES = {"md": "leaderboard.md", "csv": "leaderboard.csv", "json": "leaderboard.json", "latex": "leaderboard.tex"}

_short = short_scores

SHORT = 5
"""Least `Column.keep` in the README's table, whose columns are those that a narrow terminal keeps longest."""


@click.command()
@click.argument("suites", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--runs", default="runs", type=click.Path(path_type=Path), help="Where the suite ran.")
@click.option("--set", "pairs", multiple=True, metavar="SECTION.NAME=VALUE", help="As the suite was run with.")
@click.option("--tables", "tables_only", is_flag=True, help="Only make the tables again, of everything published.")
def main(suites: tuple[Path, ...], runs: Path, pairs: tuple[str, ...], tables_only: bool) -> None:
    """Publish SUITES."""
    if tables_only == bool(suites):
        raise click.UsageError("Give the suites to publish, or --tables alone.")
    suites, runs, settings = tuple(path.resolve() for path in suites), runs.resolve(), parse_settings(pairs)
    os.chdir(ROOT)
    for suite in suites:
        found = plan(suite, out=runs, settings=settings)
        if not any(cell_status.status == "done" for cell_status in found.cell_statuses):
            raise click.UsageError(f"No cell of {found.name} is done in {runs}; what is published stays as it is.")
        copied = copy(found, RESULTS / found.name / "runs")
        click.echo(f"{found.name}: {copied} of {len(found.cell_statuses)} cells published")
    names = [path.name for path in sorted(RESULTS.iterdir())] if tables_only else [path.stem for path in suites]
    for name in names:
        for path, text in tables(name).items():
            path.write_text(text, encoding="utf-8")


def copy(found: Plan, target: Path) -> int:
    """Copy what a table needs of the finished cells, replacing what was published; returns how many there are."""
    shutil.rmtree(target, ignore_errors=True)
    done = [cell_status for cell_status in found.cell_statuses if cell_status.status == "done"]
    for cell_status in done:
        folder = target / cell_status.folder.name
        copy_run(cell_status.folder, folder)
    return len(done)


def tables(name: str) -> dict[Path, str]:
    """The files made from a published suite's records, by their path relative to the repository's root (the cwd)."""
    board = build([RESULTS / name / "runs"], Options())
    made = {RESULTS / name / file: FORMATS[form](board) for form, file in TABLES.items()}
    made |= _title(name)
    readme = README.read_text(encoding="utf-8")
    block = re.compile(rf"(<!-- results of {re.escape(name)} -->\n).*?(<!-- end of results -->)", re.DOTALL)
    if block.search(readme):
        made[README] = block.sub(lambda found: found[1] + summary(board) + found[2], readme)
    return made


def _title(name: str) -> dict[Path, str]:
    """What a page of the suite's results is headed with, by its file; nothing where the suite is not at hand."""
    path = Path("benchmarks") / f"{name}.yaml"
    if not path.is_file():
        return {}
    file = read_suite(path).file
    runs = tuple(sorted(folder.name for folder in (RESULTS / name / "runs").iterdir()))
    title = SuiteTitle(name=name, title=file.title, about=file.about, runs=runs)
    return {RESULTS / name / f"{name}{ENDING}": title_text(title)}


def summary(board: Leaderboard) -> str:
    """The first table with its most important columns, in Markdown."""
    table = board.tables[0]
    columns = [column for column in columns_of(table, board) if not column.keep or column.keep >= SHORT]
    lines = [markdown(heading(table)), ""]
    lines.append(bars(markdown(column.title) for column in columns))
    lines.append(bars("---" if column.left else "---:" for column in columns))
    lines += [bars(markdown(column.text(row)) for column in columns) for row in table.rows]
    return "\n".join([*lines, "", *(f"- {markdown(line)}" for line in legend(table, board)[:4])]) + "\n"


if __name__ == "__main__":
    main()
