"""`gwbench sweep`: which settings are best on validation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gwbench.cli.options import FILE_SPELLINGS, UserPath, parse_settings, plugin_option
from gwbench.cli.terminal import echo
from gwbench.cli.verb import Verb
from gwbench.errors import UserError
from gwbench.utils.printable import printable_json, printable_lines
from gwbench.utils.progress import Progress, TerminalProgress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gwbench.suite.sweep.results import TrialResult
    from gwbench.suite.sweep.schema import Sweep

FAILED = 1
"""Exit code: some trials failed."""

SPELLINGS = {**FILE_SPELLINGS, "--probe-every": "probe_every"}
"""What the file has for options of `gwbench run`."""


@click.command(cls=Verb, spellings=SPELLINGS)
@click.argument("file", type=UserPath())
@click.option("--out", type=UserPath(), metavar="PATH",
              help="File of results, a line of JSON per trial.  [default: FILE with the suffix .jsonl]")  # fmt: skip
@click.option("--trials", type=click.IntRange(min=1), metavar="N", help="How many trials, instead of the file's.")
@click.option("--set", "pairs", multiple=True, metavar="SECTION.NAME=VALUE",
              help="Set a parameter of all trials, over the file's base. Repeatable.")  # fmt: skip
@plugin_option
@click.option("--device", help="auto, cpu, cuda, cuda:N or mps.  [default: the file's, or auto]")
@click.option("--cache-dir", type=UserPath(),
              help="Folder for generated data.  [default: $GWBENCH_CACHE, or else the user's cache]")  # fmt: skip
@click.option("--retry-failed", is_flag=True, help="Try the trials again that failed.")
@click.option("--dry-run", is_flag=True, help="Check the file, show what is done and left, and run nothing.")
@click.option("--table", is_flag=True,
              help="Show the results that are there, also those of other code or data, and run nothing.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@click.pass_context
def sweep(
    context: click.Context,
    /,
    file: Path,
    out: Path | None,
    trials: int | None,
    pairs: tuple[str, ...],
    plugins: tuple[str, ...],
    device: str | None,
    cache_dir: Path | None,
    retry_failed: bool,
    dry_run: bool,
    table: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Try settings of a method and compare them on the validation split.

    FILE is YAML: a run (`base`), and what is searched (`search`) on a grid, at random, or by optuna's TPE (pip install
    'gwbench-ssl[sweep]'). The test split is never read. The default settings are tried first, and the others are
    compared with them, window by window, corrected for how many there are.

    Every trial is a line of the results. However it was stopped, the same command continues: a trial that is there is
    not done again, and the one that was under way begins anew.

    Exit codes: 0 all trials are done; 1 some failed; 2 a mistake that you can correct; 130 interrupted.

    \b
    gwbench sweep sweep.yaml
    gwbench sweep sweep.yaml --trials 40
    gwbench sweep sweep.yaml --dry-run
    gwbench sweep sweep.yaml --json > sweep.json
    """  # noqa: D301 - click reads the control character
    if table and dry_run:
        raise UserError("--table and --dry-run each show something else. Give one of them.")
    from gwbench.suite.sweep.run import carry_out, recorded, results_path, state
    from gwbench.suite.sweep.schema import read_sweep

    asked = read_sweep(file, device=device, settings=parse_settings(pairs), trials=trials, cache=cache_dir)
    path = results_path(asked, out)
    if dry_run:
        _show_dry(asked, state(asked, path, retry_failed=retry_failed).done, as_json=as_json)
        return
    if table:
        found = recorded(asked, path)
        if not found.done:
            raise UserError(f"{path} holds no trial of {file}. `gwbench sweep {file}` makes them.")
    else:
        progress = Progress() if quiet or as_json else TerminalProgress()
        found = carry_out(asked, path, progress, retry_failed=retry_failed)
    if found.foreign and not as_json:
        click.echo(
            printable_lines(
                f"{found.foreign} lines of {path} are left out: they are of other settings"
                + ("." if table else ", other code or other data than now.")
            ),
            err=True,
        )
    from gwbench.suite.sweep.comparison import compare
    from gwbench.suite.sweep.text import as_json_text, as_text

    compared = compare(found.done, asked.reference, larger_is_better=asked.larger_is_better)
    echo(
        printable_json(as_json_text(asked, compared, found.outdated))
        if as_json
        else as_text(asked, compared, found.outdated)
    )
    context.exit(FAILED if any(result.status == "failed" for result in compared.unfinished) else 0)


def _show_dry(asked: Sweep, done: Sequence[TrialResult], *, as_json: bool) -> None:
    """Say what is there and what is left."""
    from gwbench.suite.sweep.run import left
    from gwbench.suite.sweep.text import plan_as_json, words

    settings, unknown = left(asked, done)
    if as_json:
        echo(printable_json(plan_as_json(asked, done, settings, unknown)))
        return
    for result in done:
        figure = f": {result.value:.4f}" if result.value is not None else ""
        echo(f"{result.status:<11}  {words(result.settings)}{figure}")
    for each in settings:
        echo(f"would run    {words(each)}")
    if unknown:
        echo(f"would run    {unknown} more, chosen by what comes of those before")
    listed = f", of {asked.listed} that the file lists" if asked.left_out else ""
    echo(f"{asked.name}: {asked.sampler}: {len(done)} trials done, {len(settings) + unknown} left{listed}")
