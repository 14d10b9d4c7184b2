"""`gwbench data`: the strain data on this machine."""

from __future__ import annotations

import click

from gwbench.cli.data.continuous import continuous
from gwbench.cli.data.fetch import fetch
from gwbench.cli.data.make import import_, make
from gwbench.cli.data.plot import plot
from gwbench.cli.data.stored import clear, info, list_, verify


class _Verbs(click.Group):
    """Verbs, some of which are named by two words, such as `make continuous`, beside `make NAME`."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        both = " ".join(args[:2])
        if both in self.commands:
            args = [both, *args[2:]]
        return super().resolve_command(ctx, args)


@click.group(cls=_Verbs)
def data() -> None:
    """Make, import, download, list, verify, plot and remove strain data on this machine.

    Datasets are kept in the folder $GWBENCH_CACHE, or else in the user's cache folder.
    """


for command in (make, import_, fetch, list_, info, verify, plot, clear):
    data.add_command(command)
data.add_command(continuous, "make continuous")
