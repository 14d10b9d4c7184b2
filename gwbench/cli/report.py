"""`gwbench report`."""

from __future__ import annotations

from pathlib import Path

import click

from gwbench.cli.options import UserPath
from gwbench.cli.terminal import echo
from gwbench.cli.verb import verb
from gwbench.errors import UserError
from gwbench.utils import progress
from gwbench.utils.files import atomic

SUFFIXES = (".html", ".htm")


@verb(spellings={"--out": "--output"})
@click.argument("run", type=UserPath())
@click.option("--output", type=UserPath(), help="File of the page.  [default: report.html in the run's folder]")
@click.option("--strain", multiple=True, metavar="FILE",
              help="Of a search, strain to draw its loudest triggers from. Repeatable.")  # fmt: skip
def report(run: Path, output: Path | None, strain: tuple[str, ...]) -> None:
    """Write a page about the run in folder RUN: what was done, the results, and how to repeat it.

    RUN may also be a search: the search.json of `gwbench scan` or `gwbench search evaluate`, or the folder that holds
    one. Its page shows how far it reaches, its triggers and its background.

    The page is one HTML file that contains all of its figures and opens in any browser without a network connection.
    If the run failed, the page says why.

    \b
    gwbench report runs/NAME
    gwbench report searches/NAME --strain foreground.hdf5
    """  # noqa: D301 - click reads the control character
    from gwbench.reporting.html.report import REPORT, render_report
    from gwbench.reporting.searches.recognise import is_search

    if output is not None and output.suffix.lower() not in SUFFIXES:
        raise UserError(f"--output {output}: a report is HTML. Give a name that ends in {' or '.join(SUFFIXES)}.")
    folder = run if run.is_dir() else run.parent
    if is_search(run):
        from gwbench.reporting.html.search_report import render_search

        page = render_search(run, progress.default(), strain)
    elif strain:
        raise UserError(f"--strain is for the page of a search, and {run} is none.")
    else:
        page = render_report(run, progress.default())
    place = output or folder / REPORT
    with atomic(place) as path:
        path.write_text(page, encoding="utf-8")
    echo(f"report: {place}")
