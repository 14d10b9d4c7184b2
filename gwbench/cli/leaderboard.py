"""`gwbench leaderboard`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from gwbench.cli.options import UserPath, plugin_option
from gwbench.cli.ranking_tables import leaderboard_tables, search_tables
from gwbench.cli.terminal import echo, width
from gwbench.cli.verb import verb
from gwbench.errors import UserError
from gwbench.registry import METHOD_KINDS
from gwbench.reporting.escape import plain
from gwbench.reporting.leaderboard.metrics import DEFAULT_METRIC, OPTIONAL_COLUMNS, RANKING
from gwbench.reporting.leaderboard.sorting import SORTS
from gwbench.reporting.suffixes import SUFFIXES, format_of
from gwbench.utils.files import atomic
from gwbench.utils.paths import user_path

if TYPE_CHECKING:
    from gwbench.reporting.leaderboard.schema import Leaderboard

SOME_SKIPPED = 1
"""Exit code where some records could not be read."""

OVERALL_FORMATS = ("terminal", "md", "csv", "json")
"""Formats of the ranking over data sets."""

SHOWN = 20
"""How many of the records that were skipped are named on standard error."""


def _one_of(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def _over_all(board: Leaderboard | None, form: str) -> str:
    """The ranking over data sets as text."""
    from gwbench.reporting.leaderboard.overall import overall
    from gwbench.reporting.leaderboard.overall_formats import OVERALL, overall_terminal

    if board is None:
        raise UserError("--global ranks runs over data sets, and there are searches alone.")
    ranking = overall(board)
    return overall_terminal(ranking, width()) if form == "terminal" else OVERALL[form](ranking)


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
@click.option("--global", "over_all", is_flag=True, help="One ranking over all data sets: mean ranks, missing cells.")
@click.option("--output", metavar="PATH", help="Write to this file; to a folder (SITE/), pages of all tables.")
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
    over_all: bool,
    output: str | None,
    plugins: tuple[str, ...],
) -> None:
    """Rank the methods of the runs in or below the folders RUNS.

    There is one table per dataset and one row per method: mean and scatter over seeds, an interval that includes the
    scatter of seeds and of test windows, a paired test against the best method, and the cost.

    Searches of continuous strain in these folders (search.json of `gwbench scan` and `gwbench search evaluate`) have
    tables of their own, one per set of injections, ranked by sensitive distance.

    The figures of every record are worked out again from its test scores; one that says anything else is passed over.

    Exit codes: 0 every record was read; 1 some could not be read and are named on standard error; 2 none could be read,
    or the command has a mistake.

    \b
    gwbench leaderboard runs
    gwbench leaderboard runs --output leaderboard.md
    gwbench leaderboard runs --output leaderboard.html
    gwbench leaderboard runs --output site/
    gwbench leaderboard runs --global
    """  # noqa: D301 - click reads the control character
    from gwbench.reporting.leaderboard.rows import Options
    from gwbench.reporting.searches.joined import rank_all, write_rankings

    place = user_path(output) if output else None
    folder = place if place and output and (output.endswith("/") or place.is_dir()) else None
    if folder and (form or over_all):
        given = "--global" if over_all else f"--format {form}"
        raise UserError(f"--output {output} is a folder of pages, which {given} does not go with. Name a file.")
    form = form or (format_of(place) if place and not folder else "terminal")
    if over_all and form not in OVERALL_FORMATS:
        raise UserError(f"--global is written as {_one_of(OVERALL_FORMATS)}, not as {form}. Or name a folder: site/.")
    rankings = rank_all(runs, Options(metric, by, group_by, label_fraction, columns), at_far)
    if folder:
        from gwbench.reporting.html.site import write_site

        text = f"pages: {write_site(rankings, folder)[0]}\n"
        place = None
    elif over_all:
        text = _over_all(rankings.runs, form)
    elif form == "terminal":
        text = leaderboard_tables(rankings.runs) if rankings.runs else ""
        text += search_tables(rankings.searches) if rankings.searches else ""
    else:
        text = write_rankings(rankings, form)
    if place:
        with atomic(place) as path:
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
