"""`gwbench export`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from gwbench.cli.options import UserPath, json_option, plugin_option
from gwbench.cli.terminal import echo
from gwbench.cli.verb import verb
from gwbench.utils import progress


@verb()
@click.argument("run", type=UserPath())
@click.option("--format", "how", type=click.Choice(["onnx", "torchscript", "torch-export"]), default="onnx",
              show_default=True, help="What programs are to load it.")  # fmt: skip
@click.option("--what", type=click.Choice(["encoder", "scorer", "whole"]), default="encoder", show_default=True,
              help="The encoder alone; with the run's probe, too; or with its conditioning, too.")  # fmt: skip
@click.option("--out", "output", type=UserPath(), help="File: .onnx, .pt or .pt2.  [default: in the run's folder]")
@json_option
@plugin_option
def export(run: Path, how: Any, what: Any, output: Path | None, as_json: bool, plugins: tuple[str, ...]) -> None:
    """Write the finished run in folder RUN as one file that other programs run without gwbench.

    An encoder takes conditioned strain [B, D, T] and gives the embedding [B, F]. A scorer gives the embedding, the
    log-odds [B] and the probability [B] of a signal. The whole takes strain as it is, [B, D, T + 2 margin], and
    conditions it first. A batch may have any size, and all is float32.

    The file is compared with the run, and kept only where they agree: to 1e-4 in ONNX, else to 1e-5.

    \b
    gwbench export runs/NAME
    gwbench export runs/NAME --format torchscript --what whole --out search.pt
    """  # noqa: D301 - click reads the control character
    from gwbench.sharing.export import export as written

    made = written(run, format=how, what=what, path=output, plugins=plugins, progress=progress.TerminalProgress())
    if as_json:
        echo(json.dumps(made.document(), indent=2))
        return
    echo(f"{what}: {made.path} ({how}, largest difference {made.largest_difference:.1e})")
