"""`gwbench show`."""

from __future__ import annotations

import click

from gwbench.cli.options import plugin_option
from gwbench.cli.terminal import console
from gwbench.cli.verb import verb
from gwbench.registry import REGISTRY
from gwbench.registry.class_contract import docstring


@verb()
@click.argument("kind")
@click.argument("name")
@plugin_option
def show(kind: str, name: str, plugins: tuple[str, ...]) -> None:
    """Show one plugin: its docstring, parameters with types and defaults, citation and origin.

    \b
    gwbench show encoder NAME
    """  # noqa: D301 - click reads the control character
    from rich.markup import escape
    from rich.table import Table

    from gwbench.registry.parameters import parameters

    kind = kind.removesuffix("s")
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
