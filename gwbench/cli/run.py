"""`gwbench run`."""

from __future__ import annotations

from typing import Any

import click

from gwbench.cli.options import kind_options, parse_settings, plugin_option
from gwbench.errors import UserError
from gwbench.utils.progress import Progress, TerminalProgress

SHORTCUTS = {
    "epochs": "training.epochs",
    "batch_size": "training.batch_size",
    "lr": "training.lr",
    "label_fraction": "evaluation.label_fraction",
}
"""Options that are settings under a shorter name."""


@click.command()
@kind_options
@click.option("--set", "pairs", multiple=True, metavar="SECTION.NAME=VALUE",
              help="Set a parameter, such as encoder.width=64 or training.epochs=20. Repeatable.")  # fmt: skip
@plugin_option
@click.option("--epochs", type=int, help="Passes over the training split.")
@click.option("--batch-size", type=int, help="Windows per step.")
@click.option("--lr", type=float, help="Peak learning rate.")
@click.option("--label-fraction", type=float, help="Share of the training labels for the probe.  [default: 0.25]")
@click.option("--encoder-groups", default="shared", show_default=True,
              help="One encoder for all detectors: shared; one each: each; groups such as 'H1,L1|V1'; or one that sees "
                   "all detectors at once: network.")  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, help="Of labels, weights, batches and views.")
@click.option("--data-seed", type=int, default=0, show_default=True, help="Of the data.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
@click.option("--devices", type=int, default=1, show_default=True,
              help="GPUs, or processes on a CPU, that share every batch of pre-training.")  # fmt: skip
@click.option("--num-nodes", type=int, default=1, show_default=True,
              help="Machines with so many devices each; torchrun or srun starts this command on them.")  # fmt: skip
@click.option("--precision", default="auto", show_default=True, help="auto, fp32 or bf16.")
@click.option("--workers", type=click.IntRange(min=1), help="Threads that generate data.  [default: one per core]")
@click.option("--out", default="runs", show_default=True, type=click.Path(), help="Folder of run folders.")
@click.option("--cache-dir", type=click.Path(), help="Folder of generated data.  [default: the user's cache]")
@click.option("--logger", "loggers", multiple=True, metavar="NAME",
              help="Where the run's figures also go while it goes on: csv or tensorboard, in its folder; wandb, which "
                   "reads WANDB_PROJECT, WANDB_MODE (offline), ...; mlflow, which reads MLFLOW_TRACKING_URI, ..., by "
                   "default in mlflow.db beside the run folders. Repeatable.")  # fmt: skip
@click.option("--rerun", is_flag=True, help="Do the run again though it is done.")
@click.option("--json", "as_json", is_flag=True, help="Print the record alone, as JSON.")
@click.option("--quiet", is_flag=True, help="No progress.")
def run(pairs: tuple[str, ...], cache_dir: str | None, as_json: bool, quiet: bool, **options: Any) -> None:
    """Pre-train an encoder without labels, probe it with few, record what came of it.

    Encoder, pairing, loss and dataset that are not named are those that `gwbench list` shows with the tag "default";
    they take minutes on a laptop. The same command again shows the finished result; interrupted, it goes on from the
    last finished epoch.

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
        click.echo(record.model_dump_json(indent=2))
        return
    from gwbench.cli.summary import show_record

    show_record(record)
