"""`gwbench new`."""

from __future__ import annotations

import click

from gwbench.cli.options import UserPath, plugin_option
from gwbench.cli.terminal import echo
from gwbench.cli.verb import verb
from gwbench.registry import KINDS


@verb(
    help=f"""Write a working plugin and its test, to start your own from.

The plugin passes `gwbench check` without further edits.

KIND is {", ".join(list(KINDS)[:-1])} or {list(KINDS)[-1]}; NAME is kebab-case.

\b
gwbench new encoder my-encoder
"""
)
@click.argument("kind")
@click.argument("name")
@click.option("--out", default=".", show_default=True, type=UserPath(), help="Folder for the two files.")
@plugin_option
def new(kind: str, name: str, out: str, plugins: tuple[str, ...]) -> None:
    """Write the two files and say what to do next."""
    from gwbench.registry.scaffold import write_plugin

    written = write_plugin(kind.removesuffix("s"), name, out)
    echo(f"Wrote {written.plugin} and {written.test}. Next:")
    for command in written.commands:
        echo(f"  {command}")
