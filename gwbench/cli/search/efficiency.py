"""`gwbench search efficiency`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from gwbench.cli.options import UserPath, json_option, plugin_option
from gwbench.cli.terminal import console, echo
from gwbench.cli.verb import verb
from gwbench.errors import UserError


@verb()
@click.argument("runs", nargs=-1, required=True, type=UserPath(), metavar="RUN...")
@click.option("--far", "rates", type=float, multiple=True, metavar="RATE",
              help="False alarms a month of 30 days. Repeatable.  [default: 10000, 1000 and 180]")  # fmt: skip
@click.option("--hours", type=float, default=4.0, show_default=True,
              help="Hours of noise; H hours say nothing of rates below one event in H.")  # fmt: skip
@click.option("--stride", type=float, default=0.1, show_default=True, metavar="SECONDS", help="Time between windows.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the noise.")
@plugin_option
@json_option
def efficiency(
    runs: tuple[Path, ...],
    rates: tuple[float, ...],
    hours: float,
    stride: float,
    seed: int,
    plugins: tuple[str, ...],
    as_json: bool,
) -> None:
    """Show how many of the test signals runs find at the false-alarm rates of searches, beside their AUC.

    Each run scores hours of its own dataset's simulated noise. Events are peaks of the score with no louder one within
    a second. The share of test signals above the threshold of a rate is the metric tpr-at-far; it is kept beside the
    run's record, and computed once.

    \b
    gwbench search efficiency runs/A runs/B --far 1000
    """  # noqa: D301 - click reads the control character
    from rich.table import Table
    from rich.text import Text

    from gwbench.search.far_efficiency import RATES, tpr_at_far
    from gwbench.utils.progress import TerminalProgress

    if not all(0 < rate < 1e12 for rate in rates):
        raise UserError("--far: expected false alarms a month above 0, such as 1000.")
    if not 0 < hours < 1e5:
        raise UserError(f"--hours {hours:g}: expected hours above 0, such as 4.")
    results = [
        tpr_at_far(
            run,
            rates=rates or RATES,
            hours=hours,
            stride=stride,
            seed=seed,
            plugins=plugins,
            progress=TerminalProgress(),
        )
        for run in runs
    ]
    if as_json:
        echo(json.dumps([result.model_dump(mode="json") for result in results], indent=2))
        return
    known = sorted({point.far for result in results for point in result.points}, reverse=True)
    table = Table(box=None, pad_edge=False)
    for title in ("method", "run", "ROC-AUC", *(f"TPR at {far:g} a month" for far in known)):
        table.add_column(title, justify="left" if title in ("method", "run") else "right")
    for run, result in zip(runs, results, strict=True):
        by_rate = {point.far: point for point in result.points}
        cells = [
            f"{point.value:.3f} [{point.low:.3f}, {point.high:.3f}]" if (point := by_rate.get(far)) else "-"
            for far in known
        ]
        table.add_row(Text(result.title), run.name, f"{result.auc:.4f}", *cells)
    console().print(table)
