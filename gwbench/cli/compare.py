"""`gwbench compare`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from gwbench.cli.options import UserPath, json_option
from gwbench.cli.terminal import console, echo
from gwbench.cli.verb import verb
from gwbench.reporting.escape import plain

if TYPE_CHECKING:
    from gwbench.reporting.leaderboard.compare import Comparison


@verb()
@click.argument("run_a", type=UserPath())
@click.argument("run_b", type=UserPath())
@json_option
def compare(run_a: str, run_b: str, as_json: bool) -> None:
    """Test the run in folder RUN_A against the one in RUN_B, and show what differs.

    If both runs scored the same test windows, DeLong's paired test says whether their AUCs differ. The test is about
    these two trained networks; `gwbench leaderboard` compares methods over their seeds.

    Exit codes: 0 the runs were compared, with a test or a reason why there is none; 2 one of them cannot be read, or
    says what its own test scores do not give.
    """
    from gwbench.reporting.leaderboard.compare import compare_runs

    comparison = compare_runs(run_a, run_b)
    if as_json:
        echo(json.dumps(comparison.model_dump(mode="json"), indent=2))
    else:
        _show(comparison)


def _show(comparison: Comparison) -> None:
    from rich.table import Table
    from rich.text import Text

    out = console()
    for name, side in (("A", comparison.a), ("B", comparison.b)):
        out.print(Text(f"{name}: {plain(side.title)} on {plain(side.dataset)}, seed {side.seed}", "bold"))
        if side.auc:
            out.print(f"   ROC-AUC {side.auc.value:.4f} ({side.auc.low:.4f} to {side.auc.high:.4f})")
        if side.auc and side.unchecked:
            out.print(Text(f"   not checked against test scores: {plain(side.unchecked)}", "yellow"))
        if side.failed:
            out.print(Text(f"   failed: {plain(side.failed)}", "red"))
        out.print(Text(f"   {plain(side.folder)}", "dim"), soft_wrap=True)
    if comparison.test:
        test = comparison.test
        out.print(
            f"\nA - B: {test.difference:+.4f} ({100 * test.level:g} % interval {test.low:+.4f} to {test.high:+.4f}), "
            f"p = {test.p:.2g} (DeLong, paired on the same test windows)"
        )
    else:
        out.print(Text(f"\nNo paired test: {plain(comparison.untested)}."))
    for title in ("spec", "data", "code", "environment"):
        differences = getattr(comparison, title)
        if not differences:
            out.print(f"\n{title}: the same")
            continue
        table = Table(box=None, pad_edge=False, title=f"\n{title}", title_justify="left", title_style="bold")
        for column in (title, "A", "B"):
            table.add_column(column if column != title else "", overflow="fold")
        for each in differences:
            table.add_row(*(Text(plain(text)) for text in (each.name, each.a, each.b)))
        out.print(table)
