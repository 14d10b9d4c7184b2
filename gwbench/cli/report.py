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
def report(run: str, output: Path | None) -> None:
    """Write a page about the run in folder RUN: what was done, the results, and how to repeat it.

    The page is one HTML file that contains all of its figures and opens in any browser without a network connection.
    If the run failed, the page says why.

    \b
    gwbench report runs/NAME
    """  # noqa: D301 - click reads the control character
    from gwbench.reporting.html.report import REPORT, render_report

    if output is not None and output.suffix.lower() not in SUFFIXES:
        raise UserError(f"--output {output}: a report is HTML. Give a name that ends in {' or '.join(SUFFIXES)}.")
    folder = Path(run) if Path(run).is_dir() else Path(run).parent
    page = render_report(run, progress.default())
    place = output or folder / REPORT
    with atomic(place) as path:
        path.write_text(page, encoding="utf-8")
    echo(f"report: {place}")
