"""`gwbench show`."""

from __future__ import annotations

import click

from gwbench.cli.completion import kind_name, plugin_of_argument
from gwbench.cli.options import plugin_option
from gwbench.cli.terminal import console
from gwbench.cli.verb import verb
from gwbench.errors import UserError, did_you_mean
from gwbench.experiment.sections import OWN_SECTIONS
from gwbench.registry import KINDS, REGISTRY
from gwbench.registry.class_contract import docstring


@verb()
@click.argument("kind", type=kind_name(*OWN_SECTIONS))
@click.argument("name", required=False, type=plugin_of_argument("kind"))
@plugin_option
def show(kind: str, name: str | None, plugins: tuple[str, ...]) -> None:
    """Show one plugin: its docstring, parameters with types and defaults, citation and origin.

    KIND may also be training, evaluation or conditioning: then their settings are shown, and there is no NAME.

    \b
    gwbench show encoder NAME
    gwbench show training
    """  # noqa: D301 - click reads the control character
    if kind in OWN_SECTIONS:
        if name is not None:
            raise UserError(f"{kind} is a section of settings and has no {name!r}: leave that out.")
        _show_section(kind)
        return
    kind = kind.removesuffix("s")
    if kind not in KINDS:
        known = (*KINDS, *OWN_SECTIONS)
        raise UserError(f"There is no plugin kind {kind!r}.{did_you_mean(kind, known)} There are: {', '.join(known)}.")
    if name is None:
        raise UserError(f"Which {kind}? `gwbench show {kind} NAME`; `gwbench list {kind}` shows the names.")
    _show_plugin(kind, name)


def _show_section(section: str) -> None:
    """The settings of a section: name, type, default, meaning."""
    from rich.markup import escape
    from rich.table import Table

    from gwbench.registry.meanings import settings_of

    model = OWN_SECTIONS[section]
    out = console()
    out.print(f"[bold]{section}[/]: {escape(docstring(model).partition(chr(10))[0])}\n")
    table = Table(box=None, pad_edge=False)
    for column in ("setting", "type", "default", "meaning"):
        table.add_column(column, overflow="fold")
    for each in settings_of(model):
        parameter = each.parameter
        name = f"--set {section}.{parameter.name}="
        table.add_row(name, escape(parameter.type), escape(parameter.default_text), escape(each.meaning))
    out.print(table)


def _show_plugin(kind: str, name: str) -> None:
    from rich.markup import escape
    from rich.table import Table

    from gwbench.registry.parameters import parameters

    plugin = REGISTRY.get(kind, name)
    out = console()
    out.print(f"[bold]{kind} {escape(name)}[/], version {plugin.version}\n")
    out.print(escape(_description(plugin.target) if plugin.target else ""), soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    for column in ("parameter", "type", "default"):
        table.add_column(column, overflow="fold")
    for parameter in parameters(plugin):
        table.add_row(f"--set {kind}.{parameter.name}=", escape(parameter.type), escape(parameter.default_text))
    out.print()
    out.print(table if table.row_count else "no parameters")
    out.print(f"\ncitation: {escape(plugin.citation or 'none')}", soft_wrap=True)
    out.print(f"tags: {escape(', '.join(plugin.tags) or 'none')}")
    out.print(f"origin: {escape(str(plugin.origin))}", soft_wrap=True)


def _description(target: type) -> str:
    """A plugin's docstring; with the parameters' meaning from where it inherits its constructor."""
    text = docstring(target)
    owner = next((cls for cls in getattr(target, "__mro__", ()) if "__init__" in vars(cls)), None)
    _, arguments, meaning = (docstring(owner) if owner else "").partition("\nArgs:\n")
    if owner is target or not arguments or arguments in text:
        return text
    return f"{text}\n{arguments}{meaning}"
