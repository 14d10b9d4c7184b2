"""`gwbench check`."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from gwbench.cli.completion import any_plugin, kind_name
from gwbench.cli.options import json_option, parse_settings, plugin_option
from gwbench.cli.terminal import console, echo
from gwbench.cli.verb import verb
from gwbench.utils.printable import printable

if TYPE_CHECKING:
    from gwbench.conformance import Finding
    from gwbench.registry import Plugin

COLOURS = {"passed": "green", "failed": "bold red", "skipped": "dim"}


@verb()
@click.argument("name_or_file", type=any_plugin())
@click.option("--kind", type=kind_name(),
              help="Check only the plugin of this kind, if several have the name or are in the file.")  # fmt: skip
@click.option("--set", "pairs", multiple=True, metavar="KIND.PARAMETER=VALUE",
              help="Set a parameter, such as encoder.width=64. Repeatable.")  # fmt: skip
@click.option("--device", default="cpu", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
@plugin_option
@json_option
def check(
    name_or_file: str,
    kind: str | None,
    pairs: tuple[str, ...],
    device: str,
    plugins: tuple[str, ...],
    as_json: bool,
) -> None:
    """Check that a plugin keeps the contract of its kind.

    The exit code is 1 if it does not, or if nothing could be checked, for example a dataset without files.

    \b
    gwbench check NAME
    gwbench check my_encoder.py
    """  # noqa: D301 - click reads the control character
    from gwbench.training.distributed import check_launch_variables

    check_launch_variables()
    from gwbench.conformance import cases
    from gwbench.experiment.environment import resolve_device

    results: dict[str, tuple[Plugin, list[Finding]]] = {}
    for case in cases(name_or_file, kind and kind.removesuffix("s"), parse_settings(pairs), resolve_device(device)):
        plugin = case.subject.plugin
        results.setdefault(f"{plugin.kind} {plugin.name}", (plugin, []))[1].append(case.run())
    if as_json:
        echo(json.dumps([_fields(*each) for each in results.values()], indent=2))
    else:
        for plugin, findings in results.values():
            _show(plugin, findings)
    unchecked = [plugin for plugin, findings in results.values() if not _checked(findings)]
    for plugin in unchecked:
        click.echo(
            printable(f"Nothing of {plugin.kind} {plugin.name!r} was checked: every check was skipped."),
            err=True,
        )
    if unchecked or any(finding.result == "failed" for _, findings in results.values() for finding in findings):
        sys.exit(1)


def _checked(findings: list[Finding]) -> bool:
    """Whether any check was made."""
    return any(finding.result != "skipped" for finding in findings)


def _show(plugin: Plugin, findings: list[Finding]) -> None:
    from rich.markup import escape
    from rich.table import Table

    out = console()
    out.print(f"[bold]{plugin.kind} {escape(plugin.name)}[/], {escape(str(plugin.origin))}\n", soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    for column in ("check", "result", "found"):
        table.add_column(column, overflow="fold", ratio=None if column == "result" else 1)
    for finding in findings:
        colour = COLOURS[finding.result]
        table.add_row(escape(finding.check), f"[{colour}]{finding.result}[/]", escape(finding.found))
    out.print(table)
    results: list[str] = [finding.result for finding in findings]
    counts = ", ".join(f"{results.count(result)} {result}" for result in COLOURS)
    out.print(f"\n{counts}\n")


def _fields(plugin: Plugin, findings: list[Finding]) -> dict[str, object]:
    return {
        "kind": plugin.kind,
        "name": plugin.name,
        "origin": str(plugin.origin),
        "checks": [{"check": each.check, "result": each.result, "found": each.found} for each in findings],
    }
