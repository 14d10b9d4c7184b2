"""`gwbench data`: the strain data on this machine."""

from __future__ import annotations

import click

from gwbench.cli.data.fetch import fetch
from gwbench.cli.data.make import import_, make
from gwbench.cli.data.plot import plot
from gwbench.cli.data.stored import clear, info, list_, verify


@click.group()
def data() -> None:
    """Make, import, download, list, verify, plot and remove strain data on this machine.

    Datasets are kept in the folder $GWBENCH_CACHE, or else in the user's cache folder.
    """


for command in (make, import_, fetch, list_, info, verify, plot, clear):
    data.add_command(command)
