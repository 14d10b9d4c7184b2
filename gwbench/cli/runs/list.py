"""`gwbench runs list`."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gwbench.cli.completion import plugin_name
from gwbench.cli.options import json_option
from gwbench.cli.runs.options import out_option, size_text
from gwbench.cli.terminal import console, echo
from gwbench.cli.verb import verb

if TYPE_CHECKING:
    from gwbench.experiment.run_folders import RunFolder

STATES = ("done", "failed", "interrupted", "running", "damaged")

SORTS: dict[str, Callable[[RunFolder], Any]] = {
    "name": lambda run: run.name,
    "created": lambda run: run.record.created if run.record else "",
    "auc": lambda run: -(_auc(run) or -1.0),
    "size": lambda run: -run.size,
    "seconds": lambda run: -_seconds(run),
}
"""The orders of the table: figures from the largest on, times from the oldest on."""


@verb("list")
@click.option("--status", "states", multiple=True, type=click.Choice(STATES),
              help="Only runs in this state. Repeatable.")  # fmt: skip
@click.option("--method", metavar="PATTERN", help="Only methods whose title contains PATTERN; wildcards are allowed.")
@click.option("--dataset", metavar="NAME", type=plugin_name("dataset"), help="Only runs on this dataset.")
@click.option("--seed", type=int, help="Only runs of this seed.")
@click.option("--sort", type=click.Choice(tuple(SORTS)), default="name", show_default=True, help="Order of the rows.")
@out_option
@json_option
def list_(
    states: tuple[str, ...],
    method: str | None,
    dataset: str | None,
    seed: int | None,
    sort: str,
    out: Path,
    as_json: bool,
) -> None:
    """List the runs in or below a folder: their state, method, figures and size.

    \b
    gwbench runs list --status failed
    gwbench runs list --method 'NAME*' --sort auc
    """  # noqa: D301 - click reads the control character
    from gwbench.experiment.run_folders import find_run_folders

    found = find_run_folders(out)
    runs = [
        run
        for run in found
        if (not states or run.state in states)
        and (method is None or (run.record and fnmatch.fnmatchcase(run.record.spec.title, f"*{method}*")))
        and (dataset is None or (run.record and run.record.spec.current().dataset.name == dataset))
        and (seed is None or (run.record and run.record.spec.seed == seed))
    ]
    runs.sort(key=lambda run: (SORTS[sort](run), run.name))
    if as_json:
        echo(json.dumps([_fields(run) for run in runs], indent=2))
        return
    if not runs:
        echo(f"No runs in {out}." if not found else f"None of the {len(found)} runs in {out} is one of these.")
        return
    _show(runs)
    echo(f"{len(runs)} runs, {size_text(sum(run.size for run in runs))} in {out}")


def _show(runs: list[RunFolder]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for title in ("state", "method", "dataset", "seed", "AUC", "created", "size", "folder"):
        right = title in ("seed", "AUC", "size")
        table.add_column(title, justify="right" if right else "left", overflow="fold", no_wrap=title != "method")
    for run in runs:
        record, auc = run.record, _auc(run)
        table.add_row(
            run.state,
            Text(record.spec.title if record else run.problem, "" if record else "dim"),
            Text(record.spec.dataset.name if record else "-"),
            str(record.spec.seed) if record else "-",
            f"{auc:.4f}" if auc is not None else "-",
            Text(record.created[:16].replace("T", " ") if record else "-"),
            size_text(run.size),
            Text(run.name),
        )
    console().print(table)


def _fields(run: RunFolder) -> dict[str, Any]:
    record = run.record
    return {
        "folder": str(run.path),
        "state": run.state,
        "problem": "" if record else run.problem,
        "run_id": record.run_id if record else None,
        "method": record.spec.title if record else None,
        "dataset": record.spec.dataset.name if record else None,
        "seed": record.spec.seed if record else None,
        "auc": _auc(run),
        "reason": record.reason if record else None,
        "created": record.created if record else None,
        "seconds": _seconds(run) if record else None,
        "size": run.size,
        "leftovers": [str(path) for path in run.leftovers],
    }


def _auc(run: RunFolder) -> float | None:
    metrics = run.record.metrics if run.record else None
    return metrics.auc.value if metrics else None


def _seconds(run: RunFolder) -> float:
    return sum(phase.seconds for phase in run.record.phases.values()) if run.record else 0.0
