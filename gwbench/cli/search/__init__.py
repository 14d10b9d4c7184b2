"""`gwbench search`: searches of continuous strain, gwbench's own and anybody's."""

from __future__ import annotations

import click

from gwbench.cli.search.efficiency import efficiency
from gwbench.cli.search.evaluate import evaluate


@click.group()
def search() -> None:
    """Evaluate searches of continuous strain, gwbench's own and anybody's."""


search.add_command(efficiency)
search.add_command(evaluate)
