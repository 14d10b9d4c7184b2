"""`gwbench run`."""

from __future__ import annotations

from typing import Any

import click

from gwbench.cli.options import UserPath, kind_options, parse_settings, plugin_option
from gwbench.cli.terminal import echo
from gwbench.cli.verb import verb
from gwbench.errors import UserError
from gwbench.utils.printable import printable_json
from gwbench.utils.progress import Progress, TerminalProgress

SHORTCUTS = {
    "epochs": "training.epochs",
    "batch_size": "training.batch_size",
    "lr": "training.lr",
    "label_fraction": "evaluation.label_fraction",
}
"""Options that are short names of settings."""


@verb()
@kind_options
@click.option("--set", "pairs", multiple=True, metavar="SECTION.NAME=VALUE",
              help="Set a parameter, such as encoder.width=64 or training.epochs=20. Repeatable.")  # fmt: skip
@plugin_option
@click.option("--epochs", type=int, help="Passes over the training split.")
@click.option("--batch-size", type=int, help="Windows per step.")
@click.option("--lr", type=float, help="Peak learning rate.")
@click.option("--label-fraction", type=float, help="Share of the training labels for the probe.  [default: 0.25]")
@click.option("--encoder-groups", default="shared", show_default=True,
              help="shared: one encoder for all detectors; each: one per detector; 'H1,L1|V1': one per group; "
                   "network: one that sees all detectors at once.")  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of labels, weights, batches and views.")
@click.option("--data-seed", type=int, default=0, show_default=True, help="Seed of the data.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
@click.option("--devices", type=int, default=1, show_default=True,
              help="GPUs, or processes on a CPU, over which every batch of pre-training is split.")  # fmt: skip
@click.option("--num-nodes", type=int, default=1, show_default=True,
              help="Machines with --devices each; torchrun or srun must start this command on them.")  # fmt: skip
@click.option("--precision", default="auto", show_default=True, help="auto, fp32 or bf16.")
@click.option("--workers", type=click.IntRange(min=1), help="Threads that generate data.  [default: one per core]")
@click.option("--out", default="runs", show_default=True, type=UserPath(), help="Folder for the run folders.")
@click.option(
    "--cache-dir",
    type=UserPath(),
    help="Folder for generated data.  [default: $GWBENCH_CACHE, or else the user's cache]",
)
@click.option("--logger", "loggers", multiple=True, metavar="NAME",
              help="Also log the run's metrics while it runs. csv and tensorboard write into its folder; wandb reads "
                   "WANDB_PROJECT, WANDB_MODE (offline), ...; mlflow reads MLFLOW_TRACKING_URI, ..., and by default "
                   "writes to mlflow.db beside the run folders. Repeatable.")  # fmt: skip
@click.option("--rerun", is_flag=True, help="Repeat the run even if it is done.")
@click.option("--json", "as_json", is_flag=True, help="Print only the record, as JSON.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
def run(pairs: tuple[str, ...], cache_dir: str | None, as_json: bool, quiet: bool, **options: Any) -> None:
    """Pre-train an encoder without labels, probe it with few labels, and record the result.

    If you do not name an encoder, pairing, loss or dataset, the one with the tag "default" in `gwbench list` is used.
    The defaults take minutes on a laptop. Repeating the command shows the finished result; after an interruption it
    resumes from the last finished epoch.

    \b
    gwbench run --encoder NAME --loss NAME --set encoder.width=64
    gwbench run --pairing NAME --augment NAME --epochs 20 --seed 1
    gwbench run --baseline NAME
    gwbench run --plugin my_encoder.py --encoder my-encoder
    """  # noqa: D301 - click reads the control character
    settings: dict[str, Any] = dict(parse_settings(pairs))
    for option, key in SHORTCUTS.items():
        value = options.pop(option)
        if value is None:
            continue
        if key in settings:
            raise UserError(f"--{option.replace('_', '-')} and --set {key} both set {key}. Give one of them.")
        settings[key] = value

    from gwbench.experiment import runner
    from gwbench.training.distributed import is_follower

    silent = is_follower(options["devices"], options["num_nodes"])
    progress = Progress() if quiet or silent else TerminalProgress()
    record = runner.run(settings=settings, cache=cache_dir, progress=progress, **options)
    if silent:
        return
    if as_json:
        echo(printable_json(record.model_dump_json(indent=2)))
        return
    from gwbench.cli.summary import show_record

    show_record(record)
