"""A verb of the command line: its standard output is its own, and its errors name its own options.

Most messages arise far below the command line and name settings and options as `gwbench run` has them, such as
conditioning.high and --out. A verb that spells one otherwise says so (`spellings`). An option that a verb has not is
given with the verb that has it, such as "--rerun of `gwbench run`".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import click

from gwbench.cli.streams import working
from gwbench.errors import UserError

OPTION = re.compile(r"(?<![\w`/.-])--[a-z][a-z-]*[a-z]")
SNIPPET = re.compile(r"(`[^`]*`)")
"""Commands within a message, which are not this verb's."""


class Verb(click.Command):
    """A verb.

    Args:
        spellings: what a message of this verb says for a setting or an option of others, such as
            {"conditioning.high": "--high"}.
    """

    def __init__(self, *args: Any, spellings: Mapping[str, str] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._spellings = dict(spellings or {})

    def invoke(self, ctx: click.Context) -> Any:
        """Carry out the verb, in whose standard output nobody else prints.

        Raises:
            UserError: in this verb's own words.
        """
        with working():
            try:
                return super().invoke(ctx)
            except UserError as error:
                message = self.in_own_words(str(error))
                if message == str(error):
                    raise
                raise UserError(message) from error
            except Exception as error:
                if cause := _metadata_at_fault(error):
                    raise UserError(cause) from error
                raise

    def in_own_words(self, message: str) -> str:
        """A message that names only options which this verb has."""
        own = {option for parameter in self.params for option in parameter.opts}
        parts = SNIPPET.split(message)
        for place in range(0, len(parts), 2):
            for others, ours in self._spellings.items():
                parts[place] = re.sub(rf"(?<![\w`/.-]){re.escape(others)}(?![\w-])", ours, parts[place])
            parts[place] = OPTION.sub(partial(_with_owner, own), parts[place])
        return "".join(parts)


def _metadata_at_fault(error: Exception) -> str:
    """The message where a library failed because some package's entry points cannot be read; else empty.

    torch, triton and pydantic look among those of all packages when they are imported.
    """
    where = error.__traceback__
    while where is not None and where.tb_next is not None:
        where = where.tb_next
    if where is None or not where.tb_frame.f_globals.get("__name__", "").startswith("importlib.metadata"):
        return ""
    from gwbench.registry.installed import unreadable

    named = "; ".join(f"{package} ({reason})" for package, reason in unreadable().items())
    return (
        f"Libraries that gwbench needs fail on broken entry points of {named}. Uninstall it or mend it."
        if named
        else ""
    )


def _with_owner(own: Iterable[str], found: re.Match[str]) -> str:
    """An option; with the verb that has it, where this one does not."""
    option = found[0]
    if option in own:
        return option
    owner = next((verb for verb, options in _options_of_others().items() if option in options), None)
    return f"{option} of `{owner}`" if owner else option


def _options_of_others() -> dict[str, set[str]]:
    """The options of every verb: first of those that messages of lower layers have in mind."""
    from gwbench.cli.main import VERBS
    from gwbench.cli.main import gwbench as command_line

    verbs: dict[str, click.Command] = {}
    context = click.Context(command_line)
    for name in sorted(VERBS, key=lambda name: name not in ("run", "suite", "data")):
        command = command_line.get_command(context, name)
        if isinstance(command, click.Group):
            verbs |= {f"gwbench {name} {each}": one for each, one in command.commands.items()}
        elif command is not None:
            verbs[f"gwbench {name}"] = command
    return {name: {option for each in verb.params for option in each.opts} for name, verb in verbs.items()}


def verb(name: str | None = None, **attributes: Any) -> Callable[[Callable[..., Any]], Verb]:
    """`click.command` that makes a `Verb`."""
    return click.command(name, cls=Verb, **attributes)
