"""`gwbench leaderboard`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import click

from gwbench.cli.options import UserPath, plugin_option
from gwbench.cli.ranking_tables import leaderboard_tables, search_tables
from gwbench.cli.terminal import echo
from gwbench.cli.verb import verb
from gwbench.registry import METHOD_KINDS
from gwbench.reporting.escape import plain
from gwbench.reporting.leaderboard.metrics import DEFAULT_METRIC, OPTIONAL_COLUMNS, RANKING
from gwbench.reporting.leaderboard.sorting import SORTS
from gwbench.reporting.suffixes import SUFFIXES, format_of
from gwbench.utils.files import atomic

SOME_SKIPPED = 1
"""Exit code where some records could not be read."""

SHOWN = 20
"""How many of the records that were skipped are named on standard error."""


def _one_of(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


@verb(spellings={"--out": "--output"})
@click.argument("runs", nargs=-1, required=True, type=UserPath())
@click.option("--format", "form", type=click.Choice(list(SUFFIXES)),
              help="Format of the output.  [default: by the suffix of --output, else terminal]")  # fmt: skip
@click.option("--metric", default=DEFAULT_METRIC, show_default=True, help=f"Rank by {_one_of(RANKING)}.")
@click.option("--sort", "by", default="rank", show_default=True, help=f"Order rows by {_one_of(SORTS)}.")
@click.option("--group-by", type=click.Choice(METHOD_KINDS), help="Put rows together that share a plugin of this kind.")
@click.option("--label-fraction", type=float,
              help="Rank methods at this share of labels.  [default: the share that most runs have]")  # fmt: skip
@click.option("--column", "columns", multiple=True, metavar="NAME",
              help=f"Show a further column: {_one_of(OPTIONAL_COLUMNS)} (seen in pre-training).")  # fmt: skip
@click.option("--at-far", type=click.FloatRange(min=0, min_open=True), metavar="RATE",
              help="Rank searches at this many false alarms a month of 30 days.  [default: 1000, or where most "
              "were judged]")  # fmt: skip
@click.option("--output", type=UserPath(), help="Write to this file.")
@plugin_option
def leaderboard(
    runs: tuple[str, ...],
    form: str | None,
    metric: str,
    by: str,
    group_by: str | None,
    label_fraction: float | None,
    columns: tuple[str, ...],
    at_far: float | None,
    output: Path | None,
    plugins: tuple[str, ...],
) -> None:
    """Rank the methods of the runs in or below the folders RUNS.

    There is one table per dataset and one row per method: mean and scatter over seeds, an interval that includes the
    scatter of seeds and of test windows, a paired test against the best method, and the cost.

    Searches of continuous strain in these folders (search.json of `gwbench scan` and `gwbench search evaluate`) have
    tables of their own, one per set of injections, ranked by sensitive distance.

    Exit codes: 0 every record was read; 1 some could not be read and are named on standard error; 2 none could be read,
    or the command has a mistake.

    \b
    gwbench leaderboard runs
    gwbench leaderboard runs --output leaderboard.md
    gwbench leaderboard runs --output leaderboard.html
    """  # noqa: D301 - click reads the control character
    from gwbench.reporting.leaderboard.rows import Options
    from gwbench.reporting.searches.joined import rank_all, write_rankings

    form = form or (format_of(output) if output else "terminal")
    rankings = rank_all(runs, Options(metric, by, group_by, label_fraction, columns), at_far)
    if form == "terminal":
        text = leaderboard_tables(rankings.runs) if rankings.runs else ""
        text += search_tables(rankings.searches) if rankings.searches else ""
    else:
        text = write_rankings(rankings, form)
    if output:
        with atomic(output) as path:
            path.write_text(click.unstyle(text) if form == "terminal" else text, encoding="utf-8")
    else:
        echo(text, nl=False, styled=True)
    named = rankings.passed_over()
    for line in named[: SHOWN + 1]:
        click.echo(plain(line), err=True)
    if len(named) > SHOWN + 1:
        click.echo(f"and {len(named) - SHOWN - 1} more; --format json names them all", err=True)
    if named:
        sys.exit(SOME_SKIPPED)
