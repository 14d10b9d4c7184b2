"""`gwbench list`."""

from __future__ import annotations

import json

import click

from gwbench.cli.completion import kind_name
from gwbench.cli.options import plugin_option
from gwbench.cli.terminal import echo, width
from gwbench.cli.verb import verb
from gwbench.registry import KINDS, REGISTRY, Plugin
from gwbench.utils.printable import printable

LONGEST = 2000
"""Characters of a plugin's words that are shown."""


@verb(
    "list",
    help=f"""List plugins: {", ".join(kind.plural for kind in KINDS.values())}.

Only what --plugin names is imported. A plugin that cannot be used is listed with the reason.""",
)
@click.argument("kind", required=False, type=kind_name())
@click.option("--pattern", default="*", show_default=True, help="Only names that match this pattern, such as 'cnn*'.")
@plugin_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_plugins(kind: str | None, pattern: str, plugins: tuple[str, ...], as_json: bool) -> None:
    """Print the plugins of a kind, or of all."""
    kind = kind and kind.removesuffix("s")
    listed = REGISTRY.list(kind, pattern)
    broken = REGISTRY.broken
    if as_json:
        echo(json.dumps({"plugins": [_fields(plugin) for plugin in listed], "broken": broken}, indent=2))
        return
    formatter = click.HelpFormatter(width=width())
    names = max((len(plugin.name) for plugin in listed), default=0)
    for each in dict.fromkeys(plugin.kind for plugin in listed):
        with formatter.section(KINDS[each].plural):
            rows = [(plugin.name.ljust(names), _line(plugin)) for plugin in listed if plugin.kind == each]
            formatter.write_dl([(click.style(printable(name), fg="cyan"), line) for name, line in rows])
    formatter.write_paragraph()
    for source, reason in broken.items():
        formatter.write_text(click.style(printable(f"{source} cannot be used: {reason}", LONGEST), fg="red"))
    formatter.write_text(
        "`gwbench show KIND NAME` shows a plugin's parameters, paper and origin."
        if listed
        else f"No {printable(kind or 'plugin')} matches {printable(repr(pattern))}. `gwbench list` shows all plugins."
    )
    echo(formatter.getvalue().strip(), styled=True)


def _line(plugin: Plugin) -> str:
    if plugin.problem:
        return click.style(printable(f"cannot be used: {plugin.problem}", LONGEST), fg="red")
    tags = f" [{', '.join(plugin.tags)}]" if plugin.tags else ""
    return printable(plugin.summary, LONGEST) + click.style(printable(tags, LONGEST), dim=True)


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
