"""`gwbench predict`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gwbench.cli.options import UserPath, json_option, plugin_option
from gwbench.cli.streams import results
from gwbench.cli.terminal import echo
from gwbench.cli.verb import verb
from gwbench.utils import progress

if TYPE_CHECKING:
    from collections.abc import Mapping

SOME_DAMAGED = 1
"""Exit code where some windows could not be read."""

SHOWN = 20
"""How many of the windows that could not be read are named on standard error."""


@verb()
@click.argument("run", type=UserPath())
@click.argument("inputs", nargs=-1, required=True, type=UserPath())
@click.option("--out", "output", type=UserPath(), help="File of the scores: .csv, .hdf5 or .parquet.  [default: print]")
@click.option("--conditioning", type=click.Choice(["run", "refitted"]), default="run", show_default=True,
              help="Whiten by the noise of the run's training split, or measure that of these windows.")  # fmt: skip
@click.option("--split", "splits", multiple=True, type=click.Choice(["train", "val", "test"]),
              help="Which split of a dataset to score. Repeatable.  [default: all]")  # fmt: skip
@json_option
@plugin_option
def predict(
    run: Path,
    inputs: tuple[Path, ...],
    output: Path | None,
    conditioning: str,
    splits: tuple[str, ...],
    as_json: bool,
    plugins: tuple[str, ...],
) -> None:
    """Score the windows of strain in INPUTS by the finished run in folder RUN.

    An input is a folder of the G2Net challenge (with test/ or train/ in it, or one of these, or flat), a file of
    windows (.npy, .npz or HDF5 of [N, D, T], or [D, T] for one), a folder of such files, or a dataset that
    `gwbench data make` or `import` wrote.

    FILE.csv is a submission to the challenge: id and target, the probability of a signal. FILE.hdf5 and FILE.parquet
    hold id, score (log-odds), probability and embedding. Beside the file lies FILE.csv.json: run, inputs and what could
    not be read. A window that cannot be read has the target 0.5 in CSV and NaN elsewhere. After an
    interruption, the same command continues; when all is done, it does nothing.

    Exit codes: 0 every window was scored; 1 some could not be read and are named on standard error; 2 none could be
    read, or the command has a mistake.

    \b
    gwbench predict runs/NAME challenge/ --out submission.csv
    gwbench predict runs/NAME windows.npy --out scores.hdf5
    """  # noqa: D301 - click reads the control character
    from gwbench.search.predict import predictor
    from gwbench.search.predict.to_file import predict_to_file

    asked: dict[str, Any] = {
        "conditioning": conditioning,
        "plugins": plugins,
        "progress": progress.TerminalProgress(),
        **({"splits": splits} if splits else {}),
    }
    if output is not None:
        record = predict_to_file(run, inputs, output, **asked)
        damaged: Mapping[str, str] = record.damaged
        echo(record.model_dump_json(indent=2) if as_json else f"{record.windows:,} windows: {output}")
    elif as_json:
        prediction = predictor.predict(run, inputs, **asked)
        damaged = prediction.damaged
        echo(json.dumps(prediction.document(), indent=2))
    else:
        damaged = predictor.print_scores(results(), run, inputs, **asked)
    if damaged:
        asked["progress"].say(f"{len(damaged):,} window{'' if len(damaged) == 1 else 's'} could not be read:")
        for reason in [*damaged.values()][:SHOWN]:
            asked["progress"].say(reason)
        if len(damaged) > SHOWN:
            asked["progress"].say(f"and {len(damaged) - SHOWN:,} more.")
        sys.exit(SOME_DAMAGED)
