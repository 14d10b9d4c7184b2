"""Help whose options stand in groups, each with its default."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from gwbench.cli.verb import Verb
from gwbench.errors import UserError


class GroupedVerb(Verb):
    """A verb with many options.

    Args:
        groups: by the title of a group, the names of its options, such as "encoder"; others stand under "Other".
    """

    def __init__(self, *args: Any, groups: Mapping[str, Sequence[str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.groups = groups

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Called by click."""
        left = {parameter.name: parameter for parameter in self.get_params(ctx)}
        titled = [(title, [left.pop(name) for name in names if name in left]) for title, names in self.groups.items()]
        for title, parameters in [*titled, ("Other", list(left.values()))]:
            records = [record for parameter in parameters if (record := parameter.get_help_record(ctx))]
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


class LazyDefaultOption(click.Option):
    """An option whose default is looked up where help is shown.

    Args:
        default_text: gives it; empty where there is none.
    """

    def __init__(self, *args: Any, default_text: Callable[[], str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._default_text = default_text

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Called by click."""
        record = super().get_help_record(ctx)
        try:
            default = self._default_text()
        except UserError:
            default = ""
        return (record[0], f"{record[1]}  [default: {default}]") if record and default else record
