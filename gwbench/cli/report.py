"""`gwbench report`."""

from __future__ import annotations

from pathlib import Path

import click

from gwbench.utils import progress
from gwbench.utils.files import atomic


@click.command()
@click.argument("run", type=click.Path())
@click.option("--output", type=click.Path(path_type=Path), help="The page.  [default: report.html in the run's folder]")
def report(run: str, output: Path | None) -> None:
    """Write the page of the run in folder RUN: what was done, what came of it, and how to do it again.

    One HTML file with all of its figures, for any browser, without a network. A run that failed gets a page that says
    why.

    \b
    gwbench report runs/NAME
    """  # noqa: D301 - click reads the control character
    from gwbench.reporting.html.report import REPORT, render_report

    folder = Path(run) if Path(run).is_dir() else Path(run).parent
    page = render_report(run, progress.default())
    place = output or folder / REPORT
    with atomic(place) as path:
        path.write_text(page, encoding="utf-8")
    click.echo(f"report: {place}")
