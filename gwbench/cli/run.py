"""`gwbench run`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gwbench.cli.completion import DEVICES, GROUPS, LOGGERS, PRECISIONS, one_of, run_name, setting_pair
from gwbench.cli.option_groups import GroupedVerb
from gwbench.cli.options import UserPath, kind_options, parse_settings, plugin_option
from gwbench.cli.run_request import RunRequest, run_request
from gwbench.cli.terminal import echo
from gwbench.errors import UserError
from gwbench.experiment.sections import EvaluationSettings
from gwbench.registry import METHOD_KINDS
from gwbench.training.settings import TrainingSettings
from gwbench.utils.printable import printable_json, printable_lines
from gwbench.utils.progress import Progress, TerminalProgress

TRAINING, EVALUATION = TrainingSettings(), EvaluationSettings()

OPTION_GROUPS = {
    "Method": (
        *("augmentations" if kind == "augmentation" else kind for kind in METHOD_KINDS),
        *("encoder_groups", "encoder_from", "conditioner"),
    ),
    "Training": ("epochs", "batch_size", "lr", "precision", "extend", "probe_every"),
    "Evaluation": ("task", "label_fraction"),
    "Data": ("dataset", "data_seed", "limit", "workers", "cache_dir"),
    "All settings": ("pairs", "config", "print_config", "seed", "plugins"),
    "Machine": ("device", "devices", "num_nodes", "deterministic"),
    "Output": ("out", "loggers", "rerun", "dry_run", "as_json", "quiet"),
}
"""The options as help shows them."""


@click.command(cls=GroupedVerb, groups=OPTION_GROUPS)
@kind_options
@click.option("--set", "pairs", multiple=True, metavar="SECTION.NAME=VALUE", type=setting_pair(),
              help="Set a parameter, such as encoder.width=64 or training.epochs=20. Repeatable. `gwbench show KIND "
                   "NAME` and `gwbench show training|evaluation|conditioning` list them.")  # fmt: skip
@click.option("--config", type=UserPath(), metavar="FILE",
              help="Read the run from a YAML file. Options beside it win over the file.")  # fmt: skip
@click.option("--print-config", is_flag=True, help="Print the run as such a file, with every setting, and run nothing.")
@plugin_option
@click.option("--epochs", type=int,
              help="Passes over the training split; of a baseline that trains by itself, its own.  "
                   f"[default: {TRAINING.epochs}]")  # fmt: skip
@click.option("--batch-size", type=int, help=f"Windows per step.  [default: {TRAINING.batch_size}]")
@click.option("--lr", type=float, help=f"Peak learning rate.  [default: {TRAINING.lr:g}]")
@click.option("--extend", type=run_name("out"), metavar="RUN",
              help="Go on from a finished run, by its folder or the beginning of its identity, to --epochs in all: a "
                   "run of its own, in which the learning rate rises and falls once more.")  # fmt: skip
@click.option("--probe-every", type=click.IntRange(min=1), metavar="N",
              help="Probe on validation before training, after every N epochs and at the end: the record then holds a "
                   "learning curve. It changes no weight.")  # fmt: skip
@click.option(
    "--label-fraction",
    type=float,
    help="Share of the training labels for the probe; 0: no probe, but the objective's own score, where it has one.  "
    f"[default: {EVALUATION.label_fraction:g}]",
)
@click.option("--encoder-groups", default="shared", show_default=True, type=one_of(GROUPS),
              help="shared: one encoder for all detectors; each: one per detector; 'H1,L1|V1': one per group; "
                   "network: one that sees all detectors at once.")  # fmt: skip
@click.option("--encoder-from", type=run_name("out"), metavar="RUN",
              help="Probe the encoder of a finished run, by its folder or the beginning of its identity, on other "
                   "data; nothing is pre-trained.")  # fmt: skip
@click.option("--conditioner", type=click.Choice(["refit", "run"]), default="refit", show_default=True,
              help="With --encoder-from: refit: measured on the new data's training split, without labels; run: that "
                   "run's own.")  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of labels, weights, batches and views.")
@click.option("--data-seed", type=int, default=0, show_default=True, help="Seed of the data.")
@click.option("--limit", type=click.IntRange(min=2), metavar="N",
              help="A small try: at most N windows of each split, and batches no larger. Its record says so, and it "
                   "never ranks beside runs on all windows.")  # fmt: skip
@click.option(
    "--device", default="auto", show_default=True, type=one_of(DEVICES), help="auto, cpu, cuda, cuda:N or mps."
)
@click.option("--devices", type=int, default=1, show_default=True,
              help="GPUs, or processes on a CPU, over which every batch of pre-training is split.")  # fmt: skip
@click.option("--num-nodes", type=int, default=1, show_default=True,
              help="Machines with --devices each; torchrun or srun must start this command on them.")  # fmt: skip
@click.option("--deterministic", is_flag=True,
              help="Use only algorithms that give the same bits again on the same machine and threads.")  # fmt: skip
@click.option("--precision", default="auto", show_default=True, type=one_of(PRECISIONS), help="auto, fp32 or bf16.")
@click.option("--workers", type=click.IntRange(min=1), help="Threads that generate data.  [default: one per core]")
@click.option("--out", default="runs", show_default=True, type=UserPath(), help="Folder for the run folders.")
@click.option(
    "--cache-dir",
    type=UserPath(),
    help="Folder for generated data.  [default: $GWBENCH_CACHE, or else the user's cache]",
)
@click.option("--logger", "loggers", multiple=True, metavar="NAME", type=one_of(LOGGERS),
              help="Also log the run's metrics while it runs. csv and tensorboard write into its folder; wandb reads "
                   "WANDB_PROJECT, WANDB_MODE (offline), ...; mlflow reads MLFLOW_TRACKING_URI, ..., and by default "
                   "writes to mlflow.db beside the run folders. Repeatable.")  # fmt: skip
@click.option("--rerun", is_flag=True, help="Repeat the run even if it is done.")
@click.option("--dry-run", is_flag=True,
              help="Check everything and print windows, steps, memory and an estimate of the time; make no data and "
                   "leave no record.")  # fmt: skip
@click.option(
    "--json", "as_json", is_flag=True, help="Print only the record, as JSON; with --dry-run, what that finds."
)
@click.option("--quiet", is_flag=True, help="Show no progress.")
@click.pass_context
def run(
    context: click.Context,
    /,
    pairs: tuple[str, ...],
    config: Path | None,
    print_config: bool,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Pre-train an encoder without labels, probe it with few labels, and record the result.

    If you do not name an encoder, pairing, loss or dataset, the default shown below is used. The defaults take minutes
    on a laptop. Repeating the command shows the finished result; after an interruption it resumes from the last
    finished epoch.

    \b
    gwbench run --encoder NAME --loss NAME --set encoder.width=64
    gwbench run --pairing NAME --augment NAME --epochs 20 --seed 1
    gwbench run --baseline NAME
    gwbench run --plugin my_encoder.py --encoder my-encoder
    gwbench run --print-config > run.yaml; gwbench run --config run.yaml --dry-run
    gwbench run --extend RUN --epochs 40
    """  # noqa: D301 - click reads the control character
    request = run_request(context, options, parse_settings(pairs), config)
    for note in () if quiet else request.notes:
        click.echo(printable_lines(note), err=True)
    if print_config:
        if options["encoder_from"]:
            raise UserError("--print-config writes a run that pre-trains its encoder: leave it or --encoder-from out.")
        if options["extend"]:
            raise UserError("--print-config writes a run that begins anew: leave it or --extend out.")
        echo(_as_file(request), nl=False)
        return

    from gwbench.training.distributed import is_follower

    silent = is_follower(options["devices"], options["num_nodes"])
    progress = Progress() if quiet or silent else TerminalProgress()
    if dry_run:
        _show_plan(request, progress, as_json=as_json)
        return
    from gwbench.experiment.run import run as carry_out

    arguments = {**request.options, "probe_every": request.options["probe_every"] or 0}
    cache = arguments.pop("cache_dir")
    record = carry_out(settings=request.settings, cache=cache, progress=progress, **arguments)
    if silent:
        return
    if as_json:
        echo(printable_json(record.model_dump_json(indent=2)))
        return
    from gwbench.cli.summary import show_record

    show_record(record)


def _as_file(request: RunRequest) -> str:
    """The run as the text of a file for --config."""
    from gwbench.experiment.environment import resolve_device
    from gwbench.suite.run_file_text import OPTIONS, run_file_text

    spec = request.spec(resolve_device(request.options["device"]))
    values = {name: request.options[name] for name in OPTIONS}
    return run_file_text(spec, {name: _plain(value) for name, value in values.items()})


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else str(value) if isinstance(value, Path) else value


def _show_plan(request: RunRequest, progress: Progress, *, as_json: bool) -> None:
    """Say what the run would do."""
    from gwbench.cli.run_plan import plan_as_json, show_plan
    from gwbench.experiment.data_cache import DataCache
    from gwbench.experiment.dry_run import plan_run
    from gwbench.experiment.environment import resolve_device
    from gwbench.experiment.loggers import check_loggers
    from gwbench.experiment.run_mode import RunMode
    from gwbench.training import distributed

    options = request.options
    check_loggers(options["loggers"])
    device = resolve_device(options["device"])
    data_cache = DataCache(options["cache_dir"], options["workers"])
    plan = plan_run(
        request.spec(device, data_cache),
        device=device,
        process_group=distributed.resolve(options["devices"], options["num_nodes"], device),
        out=options["out"],
        data_cache=data_cache,
        mode=RunMode(options["probe_every"] or 0),
        progress=progress,
    )
    if as_json:
        echo(plan_as_json(plan))
    else:
        show_plan(plan)
