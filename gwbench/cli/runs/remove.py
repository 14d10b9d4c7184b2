"""`gwbench runs rm|prune`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gwbench.cli.completion import run_name
from gwbench.cli.runs.options import confirm, out_option, size_text
from gwbench.cli.terminal import echo
from gwbench.cli.verb import verb
from gwbench.errors import UserError
from gwbench.utils.printable import printable

if TYPE_CHECKING:
    from gwbench.experiment.run_folders import RunFolder

yes_option = click.option("--yes", is_flag=True, help="Do not ask for confirmation.")


@verb()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=run_name("out"))
@yes_option
@out_option
def rm(runs: tuple[str, ...], yes: bool, out: Path) -> None:
    """Remove runs, with all that is in their folders.

    A folder that is no run's, that holds other runs or that a process is writing is left as it is.
    """
    from gwbench.experiment.run_folders import named_run, remove_run

    found = list({run.path.resolve(): run for run in (named_run(name, out) for name in runs)}.values())
    for run in found:
        if run.state == "running":
            raise UserError(f"A process is carrying out the run in {run.path}. Stop it first. Nothing was removed.")
    total = size_text(sum(run.size for run in found))
    listed = "".join(f"\n  {printable(run.path)}  {run.state}, {size_text(run.size)}" for run in found)
    if not confirm(f"Remove {_count(found)} ({total})?{listed}\n", yes=yes):
        echo("Nothing was removed.")
        return
    for run in found:
        remove_run(run)
    echo(f"Removed {_count(found)}, {total}.")


@verb()
@click.option("--interrupted", is_flag=True, help="Also remove interrupted runs, which could be resumed.")
@click.option("--dry-run", is_flag=True, help="Show what would be removed, and remove nothing.")
@yes_option
@out_option
def prune(interrupted: bool, dry_run: bool, yes: bool, out: Path) -> None:
    """Remove failed runs, and of finished runs the checkpoints and superseded records that are left.

    Runs that a process is writing, and damaged ones, are left as they are.
    """
    from gwbench.experiment.run_folders import find_run_folders, remove_leftovers, remove_run, size_of

    every = find_run_folders(out)
    states = ("failed", "interrupted") if interrupted else ("failed",)
    whole = [run for run in every if run.state in states]
    parts = [run for run in every if run.leftovers and run.state not in states]
    lines = [f"{printable(run.path)}  {run.state}, {size_text(run.size)}" for run in whole]
    lines += [f"{printable(path)}  {size_text(size_of([path]))}" for run in parts for path in run.leftovers]
    if not lines:
        echo(f"Nothing to remove in {out}: no failed runs and no leftovers.")
        return
    total = size_text(sum(run.size for run in whole) + size_of(path for run in parts for path in run.leftovers))
    if dry_run:
        for line in lines:
            echo(f"would remove  {line}")
        echo(f"{total} in all; nothing was removed.")
        return
    if not confirm(f"Remove these ({total})?\n" + "".join(f"  {line}\n" for line in lines), yes=yes):
        echo("Nothing was removed.")
        return
    for run in whole:
        remove_run(run)
    for run in parts:
        remove_leftovers(run)
    echo(f"Removed {_count(whole)}, and leftovers of {_count(parts)}: {total}.")


def _count(runs: list[RunFolder]) -> str:
    return f"{len(runs)} run{'' if len(runs) == 1 else 's'}"
