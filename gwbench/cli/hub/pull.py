"""`gwbench hub pull`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from gwbench.cli.options import UserPath, json_option
from gwbench.cli.terminal import echo
from gwbench.cli.verb import verb


@verb(spellings={"--out": "--to"})
@click.argument("repo", metavar="USER/NAME")
@click.option("--to", type=UserPath(), help="Folder to write.  [default: runs/NAME]")
@click.option("--revision", metavar="REVISION", help="Branch, tag or commit.  [default: main]")
@json_option
def pull(repo: str, to: Path | None, revision: str | None, as_json: bool) -> None:
    """Fetch the run USER/NAME from the hub, or from a folder written as ./FOLDER, into a folder of runs.

    All files are checked, and nothing that comes with a run is executed: to use plugins that came with it, read their
    sources in its folder plugins/ and name them with --plugin of the verb that needs them.

    \b
    gwbench hub pull USER/NAME
    gwbench predict runs/NAME windows.npy --out scores.csv
    """  # noqa: D301 - click reads the control character
    from gwbench.sharing.hub import pull as fetched

    place = fetched(repo, to=to, revision=revision)
    echo(json.dumps({"run": str(place)}, indent=2) if as_json else f"run: {place}")
