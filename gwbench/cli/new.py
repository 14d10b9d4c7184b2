"""`gwbench new`."""

from __future__ import annotations

import click

from gwbench.cli.completion import kind_name, one_of
from gwbench.cli.options import UserPath, plugin_option
from gwbench.cli.terminal import echo
from gwbench.cli.verb import verb
from gwbench.registry import KINDS
from gwbench.registry.scaffold import TEMPLATES, write_plugin


@verb(
    help=f"""Write a working plugin and its test, to start your own from.

The plugin passes `gwbench check` without further edits.

KIND is {", ".join(list(KINDS)[:-1])} or {list(KINDS)[-1]}; NAME is kebab-case.

A dataset comes in two templates: "simulation" makes its windows, "files" reads them from files of yours.

\b
gwbench new encoder my-encoder
gwbench new dataset my-strain --template files
"""
)
@click.argument("kind", type=kind_name())
@click.argument("name")
@click.option("--template", metavar="NAME", type=one_of(name for each in TEMPLATES.values() for name in each),
              help="Which example to start from, of a kind that has several.  [default: the first]")  # fmt: skip
@click.option("--out", default=".", show_default=True, type=UserPath(), help="Folder for the two files.")
@plugin_option
def new(kind: str, name: str, template: str | None, out: str, plugins: tuple[str, ...]) -> None:
    """Write the two files and say what to do next."""
    written = write_plugin(kind.removesuffix("s"), name, out, template)
    echo(f"Wrote {written.plugin} and {written.test}. Next:")
    for command in written.commands:
        echo(f"  {command}")
