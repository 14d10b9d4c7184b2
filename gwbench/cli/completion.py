"""Words that the shell may complete: names of plugins, of settings, of runs (docs/how-to/completion.md).

A completion has to answer at once, so nothing here imports a plugin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from gwbench.registry import KINDS, REGISTRY
from gwbench.utils.printable import printable

LONGEST = 80
"""Characters of what a shell shows beside a name."""

LOGGERS = ("csv", "tensorboard", "wandb", "mlflow")
DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "fp32", "bf16")
GROUPS = ("shared", "each", "network")

Items = Callable[[click.Context, str], Iterable[tuple[str, str]]]
"""(word, what to show beside it) for a context and what has been typed of the word."""


class CompletedText(click.ParamType):  # type: ignore[type-arg] # not generic in older clicks
    """Text that the shell completes.

    Args:
        items: the words there are.
        name: what help calls it.
    """

    def __init__(self, items: Items, name: str = "text") -> None:
        self._items, self.name = items, name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text as it is: what names nothing is refused by who knows the nearest name."""
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The words that begin as what has been typed."""
        found: list[CompletionItem] = []
        with suppress(Exception):  # a shell's prompt is no place for a message
            for word, about in self._items(ctx, incomplete):
                if word.startswith(incomplete) and word.isprintable():
                    found.append(CompletionItem(word, help=printable(about, LONGEST)))
        return found


def plugin_name(kind: str) -> CompletedText:
    """The name of a plugin of a kind."""
    return CompletedText(lambda _context, _typed: _plugins(kind))


def plugin_of_argument(argument: str) -> CompletedText:
    """The name of a plugin of the kind that an argument before it names, or of a section of settings."""
    return CompletedText(lambda context, _typed: _plugins(str(context.params.get(argument) or "").removesuffix("s")))


def any_plugin() -> CompletedText:
    """The name of a plugin of any kind; files that the shell completes are given as `./FILE`."""
    return CompletedText(lambda _context, _typed: [pair for kind in KINDS for pair in _plugins(kind)])


def kind_name(*others: str) -> CompletedText:
    """The name of a kind of plugin, or one of some other words."""
    return CompletedText(lambda _context, _typed: [(word, "") for word in (*KINDS, *others)])


def one_of(words: Iterable[str]) -> CompletedText:
    """One of some words; others are allowed."""
    known = [(word, "") for word in words]
    return CompletedText(lambda _context, _typed: known)


def setting_pair() -> CompletedText:
    """SECTION.NAME=VALUE: the settings of sections, and the beginnings of those of plugins."""

    def items(_context: click.Context, _typed: str) -> Iterable[tuple[str, str]]:
        from gwbench.experiment.sections import OWN_SECTIONS
        from gwbench.registry.meanings import settings_of

        for section, model in OWN_SECTIONS.items():
            for each in settings_of(model):
                yield f"{section}.{each.parameter.name}=", each.meaning
        yield from ((f"{kind}.", f"a parameter of the {kind}: `gwbench show {kind} NAME`") for kind in KINDS)

    return CompletedText(items)


def run_name(option: str) -> CompletedText:
    """The folder of a run, by its name in the folder that an option names."""

    def items(context: click.Context, _typed: str) -> Iterable[tuple[str, str]]:
        root = Path(str(context.params.get(option) or "runs"))
        yield from ((path.parent.name, "") for path in sorted(root.glob("*/record.json")))

    return CompletedText(items)


def _plugins(kind: str) -> list[tuple[str, str]]:
    return [(plugin.name, plugin.summary) for plugin in REGISTRY.list(kind)] if kind in KINDS else []
