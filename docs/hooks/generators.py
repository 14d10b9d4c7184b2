"""The reference pages that are made from the code: the command line, the settings and the plugins."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator

import click

from gwbench.cli.main import gwbench as command_line
from gwbench.cli.option_groups import GroupedVerb
from gwbench.experiment.sections import OWN_SECTIONS
from gwbench.registry import KINDS, REGISTRY
from gwbench.registry.class_contract import docstring
from gwbench.registry.meanings import meanings, settings_of
from gwbench.registry.parameters import parameters

INDENTED = re.compile(r"\n\n((?: {4,}.*\n?(?:\n(?= {4}))?)+)")


def commands() -> str:
    """Every verb with its arguments and options."""
    context = click.Context(command_line, info_name="gwbench")
    return "\n".join(line for verb in command_line.list_commands(context) for line in _verb(verb, context, 2))


def settings() -> str:
    """The settings that belong to no plugin."""
    lines: list[str] = []
    for section, model in OWN_SECTIONS.items():
        lines += [f"## {section}", "", _line(docstring(model)), ""]
        rows = [
            (
                f"`{section}.{each.parameter.name}`",
                each.parameter.type,
                f"`{each.parameter.default_text}`",
                each.meaning,
            )
            for each in settings_of(model)
        ]
        lines += [*_table(("setting", "type", "default", "meaning"), rows), ""]
    return "\n".join(lines)


def plugins() -> str:
    """Every plugin that ships, by kind, with its parameters."""
    lines: list[str] = []
    for kind in KINDS:
        shipped = [plugin for plugin in REGISTRY.list(kind) if plugin.problem is None]
        lines += [f"## {kind.capitalize()}s", ""]
        for listed in shipped:
            plugin = REGISTRY.get(kind, listed.name)
            assert plugin.target is not None
            lines += [f"### {kind} `{plugin.name}`", "", _text(docstring(plugin.target)), ""]
            said = meanings(plugin.target)
            rows = [
                (f"`{kind}.{each.name}`", each.type, f"`{each.default_text}`", said.get(each.name, ""))
                for each in parameters(plugin)
            ]
            if rows:
                lines += [*_table(("parameter", "type", "default", "meaning"), rows), ""]
            facts = [f"version {plugin.version}"]
            facts += [f"tags: {', '.join(plugin.tags)}"] if plugin.tags else []
            facts += [f"source: {plugin.citation}"] if plugin.citation else []
            lines += [f"*{_escaped('; '.join(facts))}.*", ""]
    return "\n".join(lines)


def python() -> str:
    """The public names, as mkdocstrings shows them."""
    import gwbench

    # Modules, such as gwbench.contracts, are for plugins: they have a page of their own.
    homes = {name: gwbench._HOMES[name].partition(":") for name in gwbench.__all__ if name in gwbench._HOMES}
    parts = []
    for name, (module, _, attribute) in homes.items():
        parts += [f"## `gwbench.{name}`", "", f"::: {module}.{attribute or name}"]
        parts += ["    options:", "      show_root_heading: false", "      show_root_toc_entry: false", ""]
    return "\n".join(parts)


def _verb(name: str, parent: click.Context, level: int) -> Iterator[str]:
    assert isinstance(parent.command, click.Group)
    command = parent.command.get_command(parent, name)
    if command is None:  # listed, but not installed
        return
    context = click.Context(command, info_name=name, parent=parent)
    yield f"{'#' * level} gwbench {context.command_path.removeprefix('gwbench ')}"
    yield ""
    yield _help(command.help or "")
    yield ""
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            yield from _verb(each, context, level + 1)
        return
    yield f"```text\n{context.command_path} {' '.join(command.collect_usage_pieces(context))}\n```"
    yield ""
    yield from _options(command, context)


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    left = {parameter.name: parameter for parameter in command.get_params(context)}
    groups = command.groups if isinstance(command, GroupedVerb) else {}
    titled = [(title, [left.pop(name) for name in names if name in left]) for title, names in groups.items()]
    titled.append(("Other" if titled else "", list(left.values())))
    for title, members in titled:
        rows = [
            (f"`{record[0]}`", record[1].replace("  [default", " [default"))
            for each in members
            if "--help" not in each.opts and (record := each.get_help_record(context))
        ]
        if rows:
            yield from _table((title or "option", "meaning"), rows)
            yield ""


def _help(text: str) -> str:
    r"""A verb's help as Markdown; what click does not wrap (a block behind \b) is code."""
    blocks = text.replace("\r\n", "\n").split("\n\n")
    made = []
    for block in blocks:
        if block.lstrip().startswith("\b"):
            made.append("```text\n" + inspect.cleandoc(block.replace("\b", "")) + "\n```")
        else:
            made.append(_escaped(" ".join(block.split())))
    return "\n\n".join(made)


def _text(text: str) -> str:
    """A docstring without its lists of arguments, as Markdown."""
    kept = re.split(r"\n(?:Args|Attributes|Returns|Raises|Yields):\n", text)[0].strip()
    return "\n\n".join(
        f"```text\n{block}\n```" if block.startswith("    ") else _escaped(" ".join(block.split()))
        for block in re.split(r"\n\n+", kept)
    )


def _line(text: str) -> str:
    return _escaped(text.partition("\n")[0])


def _table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    titles = list(titles)
    lines = [f"| {' | '.join(titles)} |", f"|{'---|' * len(titles)}"]
    return lines + [f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows]


def _cell(text: str) -> str:
    return _escaped(text).replace("|", "\\|").replace("\n", " ")


def _escaped(text: str) -> str:
    """Text whose marks say nothing to Markdown, but for `code`."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else re.sub(r"([*_<>\[\]])", r"\\\1", part) for part in parts)


GENERATORS: dict[str, Callable[[], str]] = {
    "commands": commands,
    "settings": settings,
    "plugins": plugins,
    "python": python,
}
"""By the name that a page gives."""
