"""`gwbench hub push`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from gwbench.cli.options import UserPath, json_option, plugin_option
from gwbench.cli.terminal import echo
from gwbench.cli.verb import verb


@verb(spellings={"--out": "USER/NAME or ./FOLDER"})
@click.argument("run", type=UserPath())
@click.argument("to", metavar="USER/NAME")
@click.option("--private", is_flag=True, help="Make a new repository private.")
@click.option("--revision", metavar="BRANCH", help="Write to this branch.  [default: main]")
@click.option(
    "--license", "license_", metavar="ID", help="Licence of the weights for the card, such as mit or cc-by-4.0."
)
@click.option("--dry-run", is_flag=True, help="Show the files and the card, and write nothing.")
@json_option
@plugin_option
def push(
    run: Path,
    to: str,
    private: bool,
    revision: str | None,
    license_: str | None,
    dry_run: bool,
    as_json: bool,
    plugins: tuple[str, ...],
) -> None:
    """Publish the finished run in folder RUN as USER/NAME on the hub, or in a folder written as ./FOLDER.

    What is published: weights and scorer (safetensors), conditioning, the record without this machine's paths, the test
    scores without embeddings, sources of plugins that are of no package, config.json, and README.md, the card.

    \b
    gwbench hub push runs/NAME USER/NAME --private
    gwbench hub push runs/NAME ./shared-run --license mit
    """  # noqa: D301 - click reads the control character
    from gwbench.sharing.hub import push as published

    done = published(run, to, private=private, revision=revision, license=license_, plugins=plugins, dry_run=dry_run)
    if as_json:
        extra = {"card": done.card} if dry_run else {"changed": done.changed}
        shown = {"where": done.where or None, "files": done.files, **extra}
        echo(json.dumps(shown, indent=2))
        return
    for name, size in done.files.items():
        echo(f"{size:>12,}  {name}")
    echo(f"\n{done.card}" if dry_run else f"{'published' if done.changed else 'unchanged'}: {done.where}")
