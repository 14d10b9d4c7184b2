"""`gwbench suite`: benchmarks described in YAML."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gwbench.cli.options import FILE_SPELLINGS, UserPath, parse_settings, plugin_option
from gwbench.cli.terminal import console, echo
from gwbench.cli.verb import Verb
from gwbench.utils.printable import printable

if TYPE_CHECKING:
    from gwbench.suite.ray_executor import RayCluster
    from gwbench.suite.run import CellStatus, Plan, Result

F = TypeVar("F", bound=Callable[..., Any])

FAILED, BUDGET = 1, 3
"""Exit codes: some cells failed; none failed, but the budget ran out before some of them."""

SHOWN = 8
"""How many of the combinations that make no sense are shown."""


def _common(command: F) -> F:
    """The argument and the options of both verbs."""
    for decorate in reversed(
        (
            click.argument("file", type=UserPath()),
            click.option("--only", multiple=True, metavar="PATTERN",
                         help="Only cells whose label contains PATTERN; wildcards are allowed. Repeatable."),
            click.option("--set", "pairs", multiple=True, metavar="SECTION.NAME=VALUE",
                         help="Set a parameter in all cells that have it, such as dataset.path=FOLDER. Repeatable."),
            plugin_option,
            click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps."),
            click.option("--out", default="runs", show_default=True, type=UserPath(),
                         help="Folder for the run folders."),
            click.option("--cache-dir", type=UserPath(),
                         help="Folder for generated data.  [default: $GWBENCH_CACHE, or else the user's cache]"),
        )
    ):  # fmt: skip
        command = decorate(command)
    return command


@click.group()
def suite() -> None:
    """Run benchmarks described in YAML. Only missing runs are done."""


@suite.command(cls=Verb, spellings=FILE_SPELLINGS)
@_common
@click.option(
    "--executor",
    default="local",
    show_default=True,
    type=click.Choice(["local", "ray"]),
    help="local: processes on this machine; ray: workers on the nodes of a Ray cluster.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    help="How many cells run at once; they share the cores.  [default: 1; with ray, as many as fit on the cluster]",
)
@click.option(
    "--ray-address",
    metavar="ADDRESS",
    help="The Ray cluster: auto, or HOST:PORT of its head.  "
    "[default: $RAY_ADDRESS, or else a Ray started on this machine for this command]",
)
@click.option("--cpus-per-cell", "cpus", type=click.IntRange(min=1),
              help="CPUs, and threads, of each cell with ray.  [default: as many as let --jobs cells run at once, or "
                   "one cell per GPU, or else 1]")  # fmt: skip
@click.option("--logger", "loggers", multiple=True, metavar="NAME",
              help="Also log the metrics of each cell, as `gwbench run` does: csv, tensorboard, wandb or mlflow. "
                   "Repeatable.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Show what would be run, and run nothing.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@click.pass_context
def run(
    context: click.Context,
    /,
    executor: str,
    jobs: int | None,
    ray_address: str | None,
    cpus: int | None,
    dry_run: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Run the cells of FILE that are missing or failed.

    However it was stopped, the same command continues: finished cells are read from their records, and pre-training
    resumes from its last epoch. A cell that fails leaves a record with the reason, and the other cells still run.

    With `--executor ray`, --out must be a folder that has the same path on this machine and on all nodes, and gwbench
    must be installed on the nodes. With --cache-dir on shared storage, data are made once instead of once per node.
    With `--device cuda` each cell has a GPU to itself; `--device auto` chooses by what this machine has. A cell whose
    worker or node dies continues elsewhere.

    Exit codes: 0 all cells are done; 1 some failed; 2 a mistake that you can correct; 3 none failed, but the file's
    budget ran out before all were done; 130 interrupted.

    \b
    gwbench suite run benchmarks/quickstart.yaml
    gwbench suite run benchmarks/quickstart.yaml --only 'NAME' --jobs 4 --dry-run
    gwbench suite run benchmarks/quickstart.yaml --executor ray --ray-address auto --out /shared/runs
    """  # noqa: D301 - click reads the control character
    if executor == "local" and (ray_address or cpus):
        raise click.UsageError("--ray-address and --cpus-per-cell go with --executor ray.", context)
    from gwbench.training.distributed import check_launch_variables

    check_launch_variables()
    plan = _plan(dict(options), elsewhere=executor == "ray")
    if dry_run:
        _show_dry(plan)
        return
    from gwbench.suite.display import Display, TerminalDisplay
    from gwbench.suite.run import execute

    if not quiet:
        click.echo(printable(_heading(plan)), err=True)
    with _cluster(plan, ray_address, jobs, cpus) if executor == "ray" and plan.missing else nullcontext() as cluster:
        display = Display() if quiet else TerminalDisplay()
        result = execute(plan, jobs=jobs or 1, display=display, executor=cluster)
    _show_result(plan, result)
    failed = bool(result.failed)
    if plan.searches:
        failed |= _search(_plan(options, elsewhere=executor == "ray"), jobs or 1, quiet=quiet)
    context.exit(FAILED if failed else BUDGET if result.left else 0)


@suite.command(cls=Verb, spellings=FILE_SPELLINGS)
@_common
def status(**options: Any) -> None:
    """Show which cells of FILE are done, failed, interrupted or missing."""
    plan = _plan(options)

    if plan.about:
        echo(plan.about)
    for cell_status in plan.cell_statuses:
        console().print(_row(cell_status), markup=False, soft_wrap=True)
    for row in _search_rows(plan):
        echo(row)
    _show_skipped(plan)
    echo(_heading(plan))


def _plan(options: dict[str, Any], *, elsewhere: bool = False) -> Plan:
    from gwbench.suite.run import plan

    settings = parse_settings(options.pop("pairs"))
    file, cache = options.pop("file"), options.pop("cache_dir")
    return plan(file, cache=cache, settings=settings, elsewhere=elsewhere, **options)


def _cluster(plan: Plan, address: str | None, jobs: int | None, cpus: int | None) -> AbstractContextManager[RayCluster]:
    from gwbench.suite.ray_executor import ray_cluster

    return ray_cluster(plan.options, address=address or os.environ.get("RAY_ADDRESS") or None, jobs=jobs, cpus=cpus)


def _row(cell_status: CellStatus) -> str:
    record = cell_status.record
    row = f"{cell_status.status:<11}  {cell_status.cell.label}"
    if record and record.metrics:
        auc = record.metrics.auc
        return f"{row}: AUC {auc.value:.4f} [{auc.low:.4f}, {auc.high:.4f}]"
    return f"{row}: {record.reason}" if record else row


def _search(plan: Plan, processes: int, *, quiet: bool) -> bool:
    """Do the searches of a plan; whether any failed."""
    from gwbench.suite.searches import execute_searches
    from gwbench.utils.progress import Progress, TerminalProgress

    result = execute_searches(plan, Progress() if quiet else TerminalProgress(), processes=processes)
    for cell, reason in result.failed:
        echo(f"failed: {cell.label}: {reason}")
    words = f"{result.done} done now, {result.before} before"
    words += f", {len(result.failed)} failed" if result.failed else ""
    echo(f"{plan.name}: searches: {words}; `gwbench leaderboard {plan.options.out}` ranks them")
    return bool(result.failed)


def _search_rows(plan: Plan) -> list[str]:
    """How many of the finished cells have done each search."""
    if not plan.searches:
        return []
    from gwbench.suite.searches import search_cells

    cells = search_cells(plan)[0]
    rows = []
    for entry in plan.searches:
        own = [cell for cell in cells if cell.entry is entry]
        rows.append(f"{'search':<11}  {entry.name}: {sum(cell.recorded for cell in own)} of {len(own)} done")
    return rows


def _heading(plan: Plan) -> str:
    """The counts in one line."""
    counts = {status: plan.count(status) for status in ("done", "failed", "interrupted", "missing")}
    words = [f"{count} {status}" for status, count in counts.items() if count]
    words += [f"{len(plan.skipped)} combinations skipped"] if plan.skipped else []
    words += [f"{plan.excluded} excluded"] if plan.excluded else []
    return f"{plan.name}: {len(plan.cell_statuses)} cells: {', '.join(words)}"


def _show_dry(plan: Plan) -> None:
    for cell in plan.missing:
        echo(f"would run  {cell.label}")
    for entry in plan.searches:
        echo(f"would search  {entry.name} by every cell that is done")
    _show_skipped(plan)
    echo(_heading(plan))


def _show_skipped(plan: Plan) -> None:
    for label, reason in plan.skipped[:SHOWN]:
        echo(f"skipped      {label}: {reason}")
    if len(plan.skipped) > SHOWN:
        echo(f"skipped      {len(plan.skipped) - SHOWN} more")


def _show_result(plan: Plan, result: Result) -> None:
    for cell, reason in result.failed:
        echo(f"failed: {cell.label}: {reason}")
    words = [f"{result.done} done now", f"{plan.count('done')} before"]
    words += [f"{len(result.failed)} failed"] if result.failed else []
    words += [f"{result.left} left by the budget of {plan.budget:g} s"] if result.left and plan.budget else []
    echo(f"{plan.name}: {len(plan.cell_statuses)} cells: {', '.join(words)}; records in {plan.options.out}")
