"""How far out runs still tell signals from noise, on windows that no run has seen: 20,000 noise windows and signals.

    python benchmarks/tail.py runs/A runs/B
    python benchmarks/tail.py runs/A runs/B --windows 8000 --by-chirp-mass

A test split of 4,000 windows holds two false alarms at a rate of one in a thousand. Noise is cheap to simulate, so this
makes windows of the first run's dataset with another seed, half of them noise, scores them with each run's own
conditioner, encoder and probe, and prints the AUC, the share of signals found, and differences from the first run.
Intervals are percentiles of a bootstrap over the windows, the same resamples for every run, so that they hold the
scatter of the threshold. The runs' test splits are not read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

import gwbench
from gwbench.data.dataset import Split
from gwbench.errors import UserError
from gwbench.evaluation.bootstrap import bootstrap_intervals
from gwbench.evaluation.statistics import Interval, auc, tpr_at_fpr
from gwbench.experiment.record import read_record
from gwbench.utils.progress import Progress, TerminalProgress

RATES = (0.01, 0.001)
"""False-positive rates at which the share of signals found is told."""

CHUNK = 500
"""Windows scored at once."""

CHIRP_MASSES = (0.0, 20.0, 25.0, 30.0, 35.0, 40.0, 45.0, 50.0, np.inf)
"""Edges of the bins of chirp mass, in solar masses."""

Floats = NDArray[np.float64]


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--windows", default=40_000, show_default=True, help="Half of them are noise.")
@click.option("--data-seed", default=77, show_default=True, help="Of the windows; another than the runs' own.")
@click.option("--by-chirp-mass", is_flag=True, help="Also the share found by chirp mass.")
@click.option("--quiet", is_flag=True)
def main(runs: tuple[Path, ...], windows: int, data_seed: int, by_chirp_mass: bool, quiet: bool) -> None:
    """Score fresh windows with RUNS, folders of finished runs on the same dataset."""
    progress = Progress() if quiet else TerminalProgress()
    try:
        split = fresh_windows(runs, windows, data_seed, progress)
        scores = [scored(run, split, progress) for run in runs]
    except UserError as error:
        raise click.ClickException(str(error)) from error
    names = [run.name for run in runs]
    click.echo(f"{int((split.label == 0).sum()):,} noise windows, {int((split.label == 1).sum()):,} signals\n")
    for row in table(names, figures_of(split.label, scores)):
        click.echo(row)
    if by_chirp_mass:
        click.echo("")
        for row in masses(names, split, scores):
            click.echo(row)


def fresh_windows(runs: Sequence[Path], windows: int, data_seed: int, progress: Progress) -> Split:
    """Windows of the first run's dataset, made with another seed.

    Raises:
        UserError: a run was made with that seed, or on another dataset.
    """
    specs = [read_record(run).spec for run in runs]
    for run, spec in zip(runs, specs, strict=True):
        if spec.data_seed == data_seed:
            raise UserError(f"{run} was itself made with the data seed {data_seed}: give another --data-seed.")
        if spec.dataset.name != specs[0].dataset.name:
            raise UserError(f"{run} is a run on {spec.dataset.name}, {runs[0]} one on {specs[0].dataset.name}.")
    sizes = {"train": 16, "val": 16, "test": windows}
    parameters = {**specs[0].dataset.parameters, **sizes}
    return gwbench.open_dataset(specs[0].dataset.name, seed=data_seed, progress=progress, **parameters).test


def scored(run: Path, split: Split, progress: Progress) -> Floats:
    """[N] log-odds of the windows by a run's own conditioner, encoder and probe."""
    scorer = gwbench.load_scorer(run)
    parts = []
    with progress.task(f"Score with {run.name}", len(split.label), "windows") as task:
        for begin in range(0, len(split.label), CHUNK):
            parts.append(scorer.score(split.strain[begin : begin + CHUNK]).log_odds)
            task.advance(len(parts[-1]))
    return np.concatenate(parts)


def figures_of(label: NDArray[np.int8], scores: Sequence[Floats]) -> list[dict[str, Interval]]:
    """For every run: figures, and behind "- " their differences from the first run."""

    def figures(rows: NDArray[np.intp]) -> dict[str, float]:
        found = {}
        for run, score in enumerate(scores):
            found[f"{run} auc"] = auc(label[rows], score[rows])
            found |= {f"{run} {rate:g}": tpr_at_fpr(label[rows], score[rows], rate).value for rate in RATES}
        return found | {f"- {key}": found[key] - found["0" + key[key.index(" ") :]] for key in found}

    every = bootstrap_intervals(figures, len(label))
    kinds = ("auc", *(f"{rate:g}" for rate in RATES))
    return [
        {sign + kind: every[f"{sign}{run} {kind}"] for kind in kinds for sign in ("", "- ")}
        for run in range(len(scores))
    ]


def table(names: Sequence[str], figures: Sequence[dict[str, Interval]]) -> list[str]:
    """Lines of a Markdown table."""
    heads = ["run", "AUC", *(f"TPR at FPR {rate:g}" for rate in RATES)]
    rows = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for place, (name, found) in enumerate(zip(names, figures, strict=True)):
        cells = [name]
        for kind, form in (("auc", _in(4)), *((f"{rate:g}", _in(3)) for rate in RATES)):
            difference = "" if place == 0 else f"; {form(found['- ' + kind], '+')}"
            cells.append(form(found[kind], "") + difference)
        rows.append("| " + " | ".join(cells) + " |")
    return [*rows, "", "Behind the semicolon: difference from the first run, on the same windows."]


def masses(names: Sequence[str], split: Split, scores: Sequence[Floats]) -> list[str]:
    """Lines of a table of the share of signals found at the lowest rate, by chirp mass."""
    first, second = (np.asarray(split.parameters[name]) for name in ("mass_1", "mass_2"))
    chirp = (first * second) ** 0.6 / (first + second) ** 0.2
    heads = ["chirp mass", "signals", *names]
    rows = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for low, high in pairwise(CHIRP_MASSES):
        within = (split.label == 1) & (chirp >= low) & (chirp < high)
        if within.any():
            kept = within | (split.label == 0)
            shares = [tpr_at_fpr(split.label[kept], score[kept], RATES[-1]) for score in scores]
            title = f"{low:g} to {high:g}" if np.isfinite(high) else f"from {low:g}"
            rows.append(f"| {title} | {within.sum():,} | " + " | ".join(_in(2)(each, "") for each in shares) + " |")
    return rows


def _in(decimals: int) -> Callable[[Interval, str], str]:
    """How an interval is written."""

    def text(interval: Interval, sign: str) -> str:
        form = f"{sign}.{decimals}f"
        return f"{interval.value:{form}} [{interval.low:{form}}, {interval.high:{form}}]"

    return text


if __name__ == "__main__":
    main()
