"""`gwbench runs`: the runs on this machine."""

from __future__ import annotations

import click

from gwbench.cli.runs.list import list_
from gwbench.cli.runs.remove import prune, rm
from gwbench.cli.runs.show import show


@click.group()
def runs() -> None:
    """List, show and remove runs.

    A run is named by its folder, by that folder's name in --out, or by the beginning of its identity.
    """


for command in (list_, show, rm, prune):
    runs.add_command(command)
