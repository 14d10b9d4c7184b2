"""`gwbench list`."""

from __future__ import annotations

import json

import click

from gwbench.cli.options import plugin_option
from gwbench.registry import REGISTRY, Plugin


@click.command("list")
@click.argument("kind", required=False)
@click.option("--pattern", default="*", show_default=True, help="Wildcards for the name, such as 'cnn*'.")
@plugin_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_plugins(kind: str | None, pattern: str, plugins: tuple[str, ...], as_json: bool) -> None:
    """List plugins: encoders, pairings, augmentations, objectives, baselines, datasets.

    Nothing is imported but what --plugin names; a plugin that cannot be used is listed with the reason.
    """
    kind = kind.removesuffix("s") if kind else None
    found = REGISTRY.list(kind, pattern)
    broken = REGISTRY.broken
    if as_json:
        click.echo(json.dumps({"plugins": [_fields(plugin) for plugin in found], "broken": broken}, indent=2))
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False)
    for column in ("kind", "name", "summary", "tags"):
        table.add_column(column, overflow="fold")
    for plugin in found:
        summary = f"[red]cannot be used: {escape(plugin.problem)}[/]" if plugin.problem else escape(plugin.summary)
        table.add_row(plugin.kind, f"[bold]{escape(plugin.name)}[/]", summary, escape(", ".join(plugin.tags)))
    console.print(table if found else "No plugin matches.")
    for source, reason in broken.items():
        console.print(f"[red]{escape(source)} failed to import: {escape(reason)}[/]")


def _fields(plugin: Plugin) -> dict[str, object]:
    return {
        "kind": plugin.kind,
        "name": plugin.name,
        "summary": plugin.summary,
        "citation": plugin.citation,
        "version": plugin.version,
        "tags": list(plugin.tags),
        "origin": str(plugin.origin),
        "problem": plugin.problem,
    }
