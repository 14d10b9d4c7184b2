"""Compare settings on the validation split; the test split is never read.

    python benchmarks/sweep.py benchmarks/sweeps/objectives.txt

A sweep is a text file with one trial per line, written as options of `gwbench run`. The results of a trial are appended
to the .jsonl file beside it, so that the same command continues where it was stopped. The scores of every method, a
baseline's too, are those of the validation split, on which the probe's strength is also chosen. They serve to compare
settings, and are slightly too good as estimates.
"""

from __future__ import annotations

import json
import shlex
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from gwbench.cli.options import parse_settings
from gwbench.cli.run import SHORTCUTS
from gwbench.cli.run import run as run_command
from gwbench.evaluation.statistics import auc_interval
from gwbench.experiment import environment
from gwbench.experiment.blinding import hide_test
from gwbench.experiment.context import ExperimentContext
from gwbench.experiment.data_cache import DataCache
from gwbench.experiment.spec import RunSpec
from gwbench.experiment.train_encoder import train_encoder
from gwbench.utils.progress import Progress, TerminalProgress


@click.command()
@click.argument("sweep", type=click.Path(exists=True, path_type=Path))
@click.option("--only", default="", help="Trials that hold this text.")
@click.option("--quiet", is_flag=True)
def main(sweep: Path, only: str, quiet: bool) -> None:
    """Run the trials of SWEEP that are not done, and print all of them as a table."""
    results = sweep.with_suffix(".jsonl")
    lines = [line.strip() for line in sweep.read_text().splitlines()]
    trials = [line for line in lines if line and not line.startswith("#")]
    shared = Shared(Progress() if quiet else TerminalProgress())
    for line in trials:
        if line in _done(results) or only not in line:
            continue
        found = {"trial": line, **shared.carry_out(line)}
        with results.open("a") as stream:
            stream.write(json.dumps(found) + "\n")
        click.echo(json.dumps(found))
    done = _done(results)
    click.echo("| trial | labels | validation AUC [95 %] | pre-training |\n|---|---|---|---|")
    for line in filter(done.__contains__, trials):
        for row in _rows(done[line]):
            click.echo(row)


class Shared:
    """What trials share: the data, conditioned once."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self._data_cache = DataCache(many=True)

    def carry_out(self, line: str) -> dict[str, Any]:
        """Validation AUC of one trial at every label fraction asked for ("--label-fraction" may come several times)."""
        words = shlex.split(line)
        fractions = []
        while "--label-fraction" in words:
            at = words.index("--label-fraction")
            fractions.append(float(words[at + 1]))
            del words[at : at + 2]
        spec, device = _spec(words)
        data = self._data_cache.conditioned(spec, self.progress)
        splits = data.splits
        result: dict[str, Any] = {"auc": {}}
        encoder = None
        for fraction in fractions or [spec.evaluation.label_fraction]:
            judged = spec.evaluation.model_copy(update={"label_fraction": fraction})
            spec = spec.model_copy(update={"evaluation": judged})
            context = ExperimentContext.create(spec, data, device, self.progress)
            # whatever scores the test split scores validation
            context = replace(
                context,
                splits=hide_test(replace(splits, test=splits.val), spec),
                strain={**context.strain, "test": context.strain["val"]},
            )
            begun = time.monotonic()
            if spec.training and encoder is None:
                encoder = context.new_encoder()
                with tempfile.TemporaryDirectory() as folder:
                    trained = train_encoder(context, encoder, Path(folder))
                result |= {"seconds": trained.seconds, "windows_per_second": trained.windows_per_second}
                result |= {"loss": trained.loss, "rank": [row["effective_rank"] for row in trained.collapse]}
            context = replace(context, encoder=encoder)
            scores = spec.baseline.build("baseline").scores(context) if spec.baseline else context.probe(encoder)
            if not spec.training:
                result["seconds"] = time.monotonic() - begun
            found = auc_interval(splits.val.label, scores.test)
            result["auc"][str(len(context.labelled))] = [found.value, found.low, found.high]
        return result


def _spec(words: list[str]) -> tuple[RunSpec, str]:
    given = run_command.make_context("gwbench run", words).params
    settings: dict[str, Any] = dict(parse_settings(given["pairs"]))
    settings |= {key: given[option] for option, key in SHORTCUTS.items() if given[option] is not None}
    names = ("dataset", "encoder", "pairing", "augmentations", "objective", "baseline")
    device = environment.resolve_device(given["device"])
    spec = RunSpec.create(
        **{name: given[name] for name in names},
        settings=settings,
        encoder_groups=given["encoder_groups"],
        seed=given["seed"],
        data_seed=given["data_seed"],
    )
    return spec.model_copy(update={"precision": environment.resolve_precision(given["precision"], device)}), device


def _done(results: Path) -> dict[str, dict[str, Any]]:
    if not results.exists():
        return {}
    return {row["trial"]: row for row in map(json.loads, results.read_text().splitlines())}


def _rows(row: dict[str, Any]) -> Iterator[str]:
    for labels, (value, low, high) in row["auc"].items():
        yield f"| `{row['trial']}` | {labels} | {value:.3f} [{low:.3f}, {high:.3f}] | {row['seconds']:.0f} s |"


if __name__ == "__main__":
    main()
