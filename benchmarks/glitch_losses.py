"""What runs lose to glitches, which strike each detector by itself: test windows with glitches beside those without.

    gwbench suite run benchmarks/glitches.yaml --out runs
    python benchmarks/glitch_losses.py runs/A runs/B

Reads the test scores of finished runs on one dataset with glitches, such as the preset `glitches`, and which of its
test windows hold one. For either kind it prints the ROC-AUC and the share of signals found at a false-positive
rate of 0.01 among windows of that kind; the difference is what a run loses. The last column asks the question of a
search: of noise windows with glitches, the share that pass the threshold which one in a hundred of those without pass.
Intervals are percentiles of a bootstrap over the test windows, the same resamples for every run.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

import gwbench
from gwbench.data.dataset import Split
from gwbench.errors import UserError
from gwbench.evaluation.bootstrap import bootstrap_intervals
from gwbench.evaluation.statistics import Interval, auc, threshold_at_fpr, tpr_at_fpr
from gwbench.experiment.record import RunRecord, read_record
from gwbench.utils.progress import Progress, TerminalProgress
from gwbench.utils.untrusted_arrays import open_archive, read_array
from gwbench.utils.untrusted_files import UnusableError

RATE = 0.01
"""False-positive rate at which the share of signals found is told."""

COUNT = "glitches_"
"""How the parameters begin that tell how many glitches a detector's window holds."""

KEPT = "predictions.npz"

Floats = NDArray[np.float64]

COLUMNS = {
    "auc clean": "AUC without glitches",
    "auc glitchy": "AUC with glitches",
    "auc loss": "lost",
    "- auc loss": "lost more than the first",
    "tpr clean": "TPR without",
    "tpr glitchy": "TPR with",
    "tpr loss": "TPR lost",
    "passed": "glitches that pass",
}


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--cache-dir", type=click.Path(path_type=Path), help="Folder of generated data.")
@click.option("--quiet", is_flag=True)
def main(runs: tuple[Path, ...], cache_dir: Path | None, quiet: bool) -> None:
    """Compare RUNS, folders of finished runs on the same data."""
    progress = Progress() if quiet else TerminalProgress()
    try:
        records = [read_record(run) for run in runs]
        test = test_windows(records, cache_dir, progress)
        glitchy = has_glitch(test)
        scores = [test_scores(run, test) for run in runs]
    except UserError as error:
        raise click.ClickException(str(error)) from error
    counts = [int(((test.label == label) & (glitchy == with_one)).sum()) for with_one in (False, True)
              for label in (0, 1)]  # fmt: skip
    click.echo("without glitches {:,} noise windows and {:,} signals; with glitches {:,} and {:,}\n".format(*counts))
    titles = [f"{record.spec.title}{'' if record.spec.uses_labels else ', 0 labels'}" for record in records]
    for row in table(titles, losses(test.label, glitchy, scores)):
        click.echo(row)


def test_windows(records: Sequence[RunRecord], cache_dir: Path | None, progress: Progress) -> Split:
    """The test windows of runs on the same data, made again where the cache has them no more.

    Raises:
        UserError: a run failed, or is on other data.
    """
    first = records[0]
    for record in records:
        if record.status != "ok" or record.data is None or first.data is None:
            raise UserError(f"The run in {record.folder} failed: {record.reason}.")
        if record.data.content_hash != first.data.content_hash:
            raise UserError(f"The runs in {first.folder} and {record.folder} are on other data.")
    spec = first.spec
    splits = gwbench.open_dataset(
        spec.dataset.name, seed=spec.data_seed, cache=cache_dir, progress=progress, **spec.dataset.parameters
    )
    return splits.test


def has_glitch(test: Split) -> NDArray[np.bool_]:
    """[N] whether a detector's window, margins included, holds a glitch.

    Raises:
        UserError: the dataset does not tell.
    """
    counts = [np.asarray(values) for name, values in test.parameters.items() if name.startswith(COUNT)]
    if not counts:
        raise UserError("The dataset tells of no glitches: use --set dataset.preset=glitches.")
    return np.asarray(np.sum(counts, axis=0) > 0)


def test_scores(run: Path, test: Split) -> Floats:
    """[N] scores of the test windows.

    Raises:
        UserError: they are not there, or not those of these windows.
    """
    windows = len(test.label)
    try:
        with open_archive(run / KEPT) as archive:
            label, score = (read_array(archive, name, 16 * windows) for name in ("label", "score"))
    except UnusableError as error:
        raise UserError(f"{run / KEPT}: {error}.") from None
    if not np.array_equal(label, test.label) or score.shape != label.shape:
        raise UserError(f"{run / KEPT} is not of the dataset's test windows.")
    return np.asarray(score, np.float64)


def losses(label: NDArray[np.int8], glitchy: NDArray[np.bool_], scores: Sequence[Floats]) -> list[dict[str, Interval]]:
    """For every run the figures of `COLUMNS`; behind "- " the difference from the first run.

    Args:
        label: [N] 1 signal, 0 noise.
        glitchy: [N] whether a window holds a glitch.
        scores: [N] of every run.
    """

    def figures(rows: NDArray[np.intp]) -> dict[str, float]:
        y, bad = label[rows], glitchy[rows]
        found: dict[str, float] = {}
        for run, every in enumerate(scores):
            score = every[rows]
            for kind, some in (("clean", ~bad), ("glitchy", bad)):
                found[f"{run} auc {kind}"] = auc(y[some], score[some])
                found[f"{run} tpr {kind}"] = tpr_at_fpr(y[some], score[some], RATE).value
            for figure in ("auc", "tpr"):
                found[f"{run} {figure} loss"] = found[f"{run} {figure} clean"] - found[f"{run} {figure} glitchy"]
            threshold = threshold_at_fpr(score[~bad & (y == 0)], RATE)
            found[f"{run} passed"] = float((score[bad & (y == 0)] > threshold).mean())
            found[f"{run} - auc loss"] = found[f"{run} auc loss"] - found["0 auc loss"]
        return found

    every = bootstrap_intervals(figures, len(label))
    return [{name: every[f"{run} {name}"] for name in COLUMNS} for run in range(len(scores))]


def table(titles: Sequence[str], figures: Sequence[dict[str, Interval]]) -> list[str]:
    """Lines of a Markdown table."""
    rows = ["| " + " | ".join(["method", *COLUMNS.values()]) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for title, found in zip(titles, figures, strict=True):
        cells = [_text(found[name], "+" if name.startswith("-") else "") for name in COLUMNS]
        rows.append("| " + " | ".join([title, *cells]) + " |")
    return rows


def _text(interval: Interval, sign: str) -> str:
    return f"{interval.value:{sign}.3f} [{interval.low:{sign}.3f}, {interval.high:{sign}.3f}]"


if __name__ == "__main__":
    main()
