"""`gwbench submit`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from gwbench.cli.options import UserPath, json_option, plugin_option
from gwbench.cli.terminal import echo
from gwbench.cli.verb import verb
from gwbench.reporting.escape import plain

INCOMPLETE = 1
"""Exit code where the entry is written and its table lacks runs."""


@verb(spellings={"--out": "--to"})
@click.argument("runs", nargs=-1, required=True, type=UserPath())
@click.option("--to", required=True, type=UserPath(), help="Folder of results, such as benchmarks/results.")
@click.option("--name", help="Name of the table.  [default: the table of the same data, or the dataset's name]")
@click.option("--weights/--no-weights", default=False, show_default=True,
              help="Copy encoders and scorers too; else their hashes alone are in the entry.")  # fmt: skip
@plugin_option
@json_option
def submit(
    runs: tuple[Path, ...], to: Path, name: str | None, weights: bool, plugins: tuple[str, ...], as_json: bool
) -> None:
    """Make the runs in the folders RUNS entries of a folder of results.

    An entry holds the record, the test scores, the source of plugins that are of no package, and the weights or their
    hashes. Every run is verified first; one that failed, was a small try (--limit) or does not give what its record
    says is refused. In the copy of the record, paths become names of files. The same command twice changes nothing.

    Exit codes: 0 the entry is complete; 1 it is written, and its table lacks seeds or a floor; 2 a run is refused.

    \b
    gwbench submit runs/NAME --to benchmarks/results
    gwbench submit runs/* --to benchmarks/results --plugin mine.py
    """  # noqa: D301 - click reads the control character
    from gwbench.sharing.submission import submit as make_entry

    made = make_entry(runs, to, name=name, weights=weights)
    if as_json:
        fields = {"written": made.written, "runs": made.runs, "left_out_bytes": made.left_out,
                  "missing": made.missing, "notes": made.notes}  # fmt: skip
        echo(json.dumps({"folder": str(made.folder), **fields}, indent=2))
    else:
        for each in made.runs:
            echo(f"entry: {made.folder / each}")
        echo(f"{len(made.written)} files written" if made.written else "nothing to write: all of it was there")
        if made.left_out:
            size = f"{made.left_out / 2**20:.1f} MiB"
            echo(f"weights left out: {size}, their hashes are in the records (--weights adds them)")
        for title, lines in (("note", made.notes), ("missing", made.missing)):
            for line in lines:
                echo(plain(f"{title}: {line}", 1000))
        echo(f"next: gwbench verify {made.folder}; gwbench leaderboard {made.folder}")
    if made.missing:
        sys.exit(INCOMPLETE)
