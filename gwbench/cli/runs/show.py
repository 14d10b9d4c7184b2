"""`gwbench runs show`."""

from __future__ import annotations

from pathlib import Path

import click

from gwbench.cli.completion import run_name
from gwbench.cli.options import json_option
from gwbench.cli.runs.options import out_option
from gwbench.cli.terminal import console, echo
from gwbench.cli.verb import verb
from gwbench.errors import UserError
from gwbench.utils.printable import printable_json


@verb()
@click.argument("run", type=run_name("out"))
@out_option
@json_option
def show(run: str, out: Path, as_json: bool) -> None:
    """Show the record of a run as `gwbench run` does.

    \b
    gwbench runs show NAME
    gwbench runs show 0ba2c02d --json
    """  # noqa: D301 - click reads the control character
    from gwbench.experiment.run_folders import named_run

    found = named_run(run, out)
    if found.record is None:
        raise UserError(f"The run in {found.path} is {found.state}: {found.problem}.")
    if as_json:
        echo(printable_json(found.record.model_dump_json(indent=2)))
        return
    if found.record.status == "ok":
        from gwbench.cli.summary import show_record

        show_record(found.record)
        return
    from rich.text import Text

    lines = console()
    title = f"{found.record.spec.title} on {found.record.spec.dataset.name}, seed {found.record.spec.seed}"
    lines.print(Text(title, "bold"))
    lines.print(Text(f"failed: {found.record.reason}", "red"), soft_wrap=True)
    lines.print(Text(f"record: {found.path}"), soft_wrap=True)
    lines.print(Text(f"again: {found.record.command}"), soft_wrap=True)
