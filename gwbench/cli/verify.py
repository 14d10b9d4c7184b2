"""`gwbench verify`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gwbench.cli.options import UserPath, cache_option, json_option, plugin_option
from gwbench.cli.terminal import console, echo
from gwbench.cli.verb import verb
from gwbench.reporting.escape import plain

if TYPE_CHECKING:
    from gwbench.sharing.verify import RunProof

NOT_PROVED = 1
"""Exit code where a check failed, or the figures could not be checked."""

STYLES = {"passed": "green", "failed": "bold red", "not checkable": "yellow"}


@verb(spellings={"--out": "--cache-dir"})
@click.argument("runs", nargs=-1, required=True, type=UserPath())
@click.option("--rerun-probe", is_flag=True,
              help="Make the data again, embed them by the saved encoder, refit the probe, and compare.")  # fmt: skip
@click.option("--device", default="cpu", show_default=True, help="Where the encoder computes: cpu, cuda or mps.")
@cache_option
@plugin_option
@json_option
def verify(
    runs: tuple[Path, ...],
    rerun_probe: bool,
    device: str,
    cache_dir: Path | None,
    plugins: tuple[str, ...],
    as_json: bool,
) -> None:
    """Prove the results of the runs in the folders RUNS, or say what does not hold.

    The metrics are worked out again from the test scores, the run's identity from its spec, and the files' hashes from
    the files; the code of its plugins is compared with what is installed. A folder of runs stands for all runs below.

    With --rerun-probe the data are made again and their hash compared, the saved encoder embeds them, the probe is
    fitted on the same labels, and its scores and metrics are compared. A baseline that trains nothing is carried out
    again; one that trains is scored again by the scorer it kept. What the pre-training did is not repeated.

    Exit codes: 0 all is proved; 1 a check failed, or the figures could not be checked; 2 there is no such run.

    \b
    gwbench verify runs/NAME
    gwbench verify runs/NAME --rerun-probe
    """  # noqa: D301 - click reads the control character
    from gwbench.experiment.environment import resolve_device
    from gwbench.sharing.verify import runs_below
    from gwbench.sharing.verify import verify as check

    where = resolve_device(device)
    found = [check(run, rerun_probe=rerun_probe, cache=cache_dir, device=where) for run in runs_below(runs)]
    if as_json:
        documents = [{"ok": each.ok, **each.model_dump(mode="json")} for each in found]
        echo(json.dumps({"ok": all(each.ok for each in found), "runs": documents}, indent=2))
    else:
        for each in found:
            _show(each)
    if not all(each.ok for each in found):
        sys.exit(NOT_PROVED)


def _show(found: RunProof) -> None:
    from rich.table import Table
    from rich.text import Text

    out = console()
    out.print(Text(f"{plain(found.title)}, run {plain(found.run_id)}", "bold"))
    out.print(Text(f"   {plain(found.folder)}", "dim"), soft_wrap=True)
    table = Table(box=None, pad_edge=False, show_header=False)
    for fold in (False, False, True):
        table.add_column(overflow="fold", no_wrap=not fold)
    for check in found.checks:
        table.add_row(
            Text(plain(check.name)), Text(check.status, STYLES[check.status]), Text(plain(check.detail, 1000))
        )
    out.print(table)
    out.print(Text(f"{found.summary}\n", "green" if found.ok else "bold red"))
