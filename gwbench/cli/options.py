"""Options that several verbs have."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click

from gwbench.cli.completion import plugin_name
from gwbench.cli.option_groups import LazyDefaultOption
from gwbench.cli.streams import working
from gwbench.errors import UserError
from gwbench.registry import DEFAULT_TAG, KINDS, REGISTRY
from gwbench.utils.paths import user_path

F = TypeVar("F", bound=Callable[..., Any])

FILE_SPELLINGS = {
    "--epochs": "training.epochs",
    "--batch-size": "training.batch_size",
    "--lr": "training.lr",
    "--label-fraction": "evaluation.label_fraction",
    "--encoder-groups": "encoder_groups",
    "--precision": "precision",
}
"""What a YAML file of runs has for options of `gwbench run`."""


class UserPath(click.ParamType):  # type: ignore[type-arg] # not generic in older clicks
    """A path, which may begin with `~` or `~user`: after `--out=` the shell leaves that as it is."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path.

        Raises:
            UserError: there is no such user.
        """
        return user_path(value)


def plugin_option(command: F) -> F:
    """`--plugin FILE_OR_MODULE`, loaded before the command runs."""

    def load(_context: click.Context, _option: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
        with working():
            for source in value:
                REGISTRY.load_source(source)
        return value

    return click.option(
        "--plugin",
        "plugins",
        multiple=True,
        metavar="FILE_OR_MODULE",
        callback=load,
        help="Load plugins from a file or a module. Repeatable.",
    )(command)


def kind_options(command: F) -> F:
    """An option for every kind of plugin that a run has, such as `--encoder NAME`."""
    for kind in reversed(KINDS.values()):
        if kind.about:
            spellings = dict.fromkeys((kind.flag, f"--{kind.name}"))
            target = kind.plural if kind.several else kind.name
            about = kind.about + (" Repeatable." if kind.several else "")
            command = click.option(
                *spellings,
                target,
                multiple=kind.several,
                help=about,
                metavar="NAME",
                type=plugin_name(kind.name),
                cls=LazyDefaultOption,
                default_text=partial(_default_plugin, kind.name),
            )(command)
    return command


def _default_plugin(kind: str) -> str:
    """The plugin that a run has where none of its kind is named; empty where it has none."""
    if not any(DEFAULT_TAG in plugin.tags for plugin in REGISTRY.list(kind)):
        return ""
    return REGISTRY.default(kind)


def parse_settings(pairs: Iterable[str]) -> dict[str, str]:
    """KEY=VALUE texts as a mapping.

    Raises:
        UserError: a text has no "=", or a key comes twice.
    """
    settings: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UserError(
                f"--set {pair!r} is not of the form SECTION.NAME=VALUE, such as encoder.width=32 or dataset.train=4000."
            )
        if key in settings:
            raise UserError(f"--set {key} is given twice: {settings[key]!r} and {value!r}.")
        settings[key] = value
    return settings


def cache_option(command: F) -> F:
    """`--cache-dir FOLDER`."""
    option = click.option(
        "--cache-dir",
        type=UserPath(),
        help="Folder of the datasets.  [default: $GWBENCH_CACHE, or else the user's cache]",
    )
    return option(command)


def json_option(command: F) -> F:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")(command)
