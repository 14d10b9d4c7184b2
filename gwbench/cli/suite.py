"""`gwbench suite`: benchmarks written down as YAML."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gwbench.cli.options import parse_settings, plugin_option

if TYPE_CHECKING:
    from gwbench.suite.run import Plan, Result, Standing

F = TypeVar("F", bound=Callable[..., Any])

FAILED, BUDGET = 1, 3
"""Exit codes: some cells failed; all went well, but the budget left some."""

SHOWN = 8
"""Combinations that make no sense which are shown."""


def _common(command: F) -> F:
    """The argument and the options of both verbs."""
    for decorate in reversed(
        (
            click.argument("file", type=click.Path(path_type=Path)),
            click.option("--only", multiple=True, metavar="PATTERN",
                         help="Only cells with PATTERN in their label, wildcards allowed. Repeatable."),
            click.option("--set", "pairs", multiple=True, metavar="SECTION.NAME=VALUE",
                         help="Set a parameter in all cells that have it, such as dataset.path=FOLDER. Repeatable."),
            plugin_option,
            click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps."),
            click.option("--out", default="runs", show_default=True, type=click.Path(), help="Folder of run folders."),
            click.option("--cache-dir", type=click.Path(),
                         help="Folder of generated data.  [default: the user's cache]"),
        )
    ):  # fmt: skip
        command = decorate(command)
    return command


@click.group()
def suite() -> None:
    """Run benchmarks written down as YAML: what is missing of them, and no more."""


@suite.command()
@_common
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(min=1),
              help="Processes, among which the cores are shared out.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Show what would be run.")
@click.option("--quiet", is_flag=True, help="No progress.")
@click.pass_context
def run(context: click.Context, /, jobs: int, dry_run: bool, quiet: bool, **options: Any) -> None:
    """Carry out the cells of FILE that are missing or failed.

    Stopped by whatever means, the same command goes on: finished cells are read from their records, a pre-training
    goes on from its last epoch. A cell that fails leaves a record with the reason, and the others go on.

    Exit codes: 0 all cells are done; 1 some failed; 2 a mistake that you can mend; 3 none failed, but the file's budget
    left some; 130 interrupted.

    \b
    gwbench suite run benchmarks/quickstart.yaml
    gwbench suite run benchmarks/quickstart.yaml --only 'NAME' --jobs 4 --dry-run
    """  # noqa: D301 - click reads the control character
    plan = _plan(options)
    if dry_run:
        _show_dry(plan)
        return
    from gwbench.suite.display import Display, TerminalDisplay
    from gwbench.suite.run import carry_out

    if not quiet:
        click.echo(_heading(plan), err=True)
    result = carry_out(plan, jobs=jobs, display=Display() if quiet else TerminalDisplay())
    _show_result(plan, result)
    context.exit(FAILED if result.failed else BUDGET if result.left else 0)


@suite.command()
@_common
def status(**options: Any) -> None:
    """Show how the cells of FILE stand: done, failed, interrupted or missing."""
    plan = _plan(options)
    from gwbench.cli.terminal import console

    if plan.about:
        click.echo(plan.about)
    for standing in plan.standings:
        console().print(_row(standing), markup=False, soft_wrap=True)
    _show_skipped(plan)
    click.echo(_heading(plan))


def _plan(options: dict[str, Any]) -> Plan:
    from gwbench.suite.run import plan

    settings = parse_settings(options.pop("pairs"))
    return plan(options.pop("file"), cache=options.pop("cache_dir"), settings=settings, **options)


def _row(standing: Standing) -> str:
    record = standing.record
    row = f"{standing.status:<11}  {standing.cell.label}"
    if record and record.metrics:
        auc = record.metrics.auc
        return f"{row}: AUC {auc.value:.4f} [{auc.low:.4f}, {auc.high:.4f}]"
    return f"{row}: {record.reason}" if record else row


def _heading(plan: Plan) -> str:
    """The counts in one line."""
    counts = {status: plan.count(status) for status in ("done", "failed", "interrupted", "missing")}
    words = [f"{count} {status}" for status, count in counts.items() if count]
    words += [f"{len(plan.skipped)} combinations skipped"] if plan.skipped else []
    words += [f"{plan.excluded} excluded"] if plan.excluded else []
    return f"{plan.name}: {len(plan.standings)} cells: {', '.join(words)}"


def _show_dry(plan: Plan) -> None:
    for cell in plan.missing:
        click.echo(f"would run  {cell.label}")
    _show_skipped(plan)
    click.echo(_heading(plan))


def _show_skipped(plan: Plan) -> None:
    for label, reason in plan.skipped[:SHOWN]:
        click.echo(f"skipped      {label}: {reason}")
    if len(plan.skipped) > SHOWN:
        click.echo(f"skipped      {len(plan.skipped) - SHOWN} more")


def _show_result(plan: Plan, result: Result) -> None:
    for cell, reason in result.failed:
        click.echo(f"failed: {cell.label}: {reason}")
    words = [f"{result.done} done now", f"{plan.count('done')} before"]
    words += [f"{len(result.failed)} failed"] if result.failed else []
    words += [f"{result.left} left by the budget of {plan.budget:g} s"] if result.left and plan.budget else []
    click.echo(f"{plan.name}: {len(plan.standings)} cells: {', '.join(words)}; records in {plan.place.out}")
