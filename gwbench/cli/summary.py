"""A record in the terminal."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gwbench.cli import terminal
from gwbench.experiment.runner import DEFAULT_OUT
from gwbench.experiment.sections import EvaluationSettings
from gwbench.registry import FLOOR_TAG, NETWORK_TAG, REGISTRY
from gwbench.registry.compatibility import parts_of, why_not
from gwbench.reporting.leaderboard.metrics import DEFAULT_METRIC, METRICS, MetricSpec
from gwbench.reporting.training_length import length_notes, signals_text

if TYPE_CHECKING:
    from rich.console import Console

    from gwbench.evaluation.metrics import Metrics
    from gwbench.experiment.record import RunRecord


def show_record(record: RunRecord) -> None:
    """Print a finished run: its figures, where time went, and what to do next."""
    from rich.markup import escape
    from rich.table import Table

    from gwbench.reporting.records.task_figure import figure_text

    assert record.data is not None
    console = terminal.console()
    console.print(
        f"\n[bold]{escape(record.spec.title)}[/] on {escape(record.spec.dataset.name)}, seed {record.spec.seed}"
    )
    if record.metrics:
        _show_metrics(record, record.metrics, console)
    else:
        figures = Table(box=None, show_header=False, pad_edge=False)
        for name, value in (record.task_metrics or {}).items():
            figures.add_row(escape(name), escape(figure_text(value)))
        console.print(figures)

    if record.training:
        final = record.training.collapse[-1]
        steps, windows = record.budget or (0, 0)
        console.print(
            f"loss {record.training.loss[0]:.4g} -> {record.training.loss[-1]:.4g} over {len(record.training.loss)} "
            f"epochs ({steps:,} steps, {windows:,} windows); "
            f"spread {final['spread']:.2f} of 1, effective rank {final['effective_rank']:.1f}"
        )
        if record.training.warning:
            console.print(f"[yellow]{escape(record.training.warning)}[/]")
        _show_length(record, console)
    times = ", ".join(f"{name} {phase.seconds:.0f} s" for name, phase in record.phases.items())
    console.print(f"time: {escape(times)}")
    for note in record.data.notes:
        console.print(f"[dim]{escape(note)}[/]")
    console.print(f"record: {escape(str(record.folder))}", soft_wrap=True)
    if record.objects:  # which no command line can name
        console.print(f"again: {escape(record.command)}", soft_wrap=True)
    else:
        console.print(f"next: {escape(_next_step(record))}", soft_wrap=True)


def _show_length(record: RunRecord, console: Console) -> None:
    """How training went on from another run, why it stopped, and its learning curve, where it has them."""
    from rich.markup import escape
    from rich.table import Table

    for note in length_notes(record):
        console.print(escape(note), soft_wrap=True)
    if signals := signals_text(record):
        console.print(f"on validation, without labels: {escape(signals)}", soft_wrap=True)
    if not record.learning_curve:
        return
    curve = Table(title="learning curve, on validation", title_justify="left", box=None, pad_edge=False)
    for column in ("epoch", "step", "windows", "AUC", "95 % interval"):
        curve.add_column(column, justify="right")
    for point in record.learning_curve:
        counts = (f"{point.epoch:,}", f"{point.step:,}", f"{point.windows:,}")
        curve.add_row(*counts, f"{point.val_auc:.4f}", f"{point.low:.4f} to {point.high:.4f}")
    console.print(curve)


def _show_metrics(record: RunRecord, metrics: Metrics, console: Console) -> None:
    """The figures of scores of signals and noise, and those by SNR."""
    from rich.table import Table
    from rich.text import Text

    assert record.data is not None
    figures = Table(box=None, show_header=False, pad_edge=False)
    for metric in METRICS.values():
        if metric.note is None:
            continue
        if text := _reading(metric, record):
            styles = ("bold", "bold green") if metric.name == DEFAULT_METRIC else ("", "")
            figures.add_row(Text(metric.title, styles[0]), Text(text, styles[1]), metric.note(record))
    scored_by = "probe" if record.spec.uses_labels else "own score"
    figures.add_row(scored_by, f"{record.data.labelled:,} labels; {metrics.n_test:,} test windows")
    console.print(figures)

    if metrics.per_snr_bin:
        bins = Table(title="by optimal network SNR", title_justify="left", box=None, pad_edge=False)
        for column in ("SNR", "signals", "AUC", "TPR at FPR 0.01"):
            bins.add_column(column, justify="right")
        for part in metrics.per_snr_bin:
            span = f"{part.low:g} to {part.high:g}" if part.high is not None else f"from {part.low:g}"
            efficiency = part.tpr_at_fpr.get("0.01")
            bins.add_row(span, f"{part.n:,}", f"{part.auc.value:.3f}", f"{efficiency.value:.3f}" if efficiency else "-")
        console.print(bins)


def _reading(metric: MetricSpec, record: RunRecord) -> str:
    """A metric of a run, with its interval if it has one; empty where there is nothing to say."""
    from gwbench.evaluation.statistics import Interval

    reading: Any = metric.read(record)
    if reading is None:
        return metric.absent
    if isinstance(reading, Interval):
        return f"{reading.value:.4f} [{reading.low:.4f}, {reading.high:.4f}]"
    return metric.text(reading if isinstance(reading, int | float) else reading.value)


def _next_step(record: RunRecord) -> str:
    """The command that gives this figure its meaning: the floor for a method, a method for a baseline."""
    plain: dict[str, Any] = {"extends": None, "encoder_from": None}
    if not record.spec.uses_labels:  # what it is compared with has a probe
        plain["evaluation"] = EvaluationSettings(neighbours=record.spec.evaluation.neighbours)
    words = shlex.split(record.spec.model_copy(update=plain).command())
    out = str(Path(record.folder).parent) if record.folder else DEFAULT_OUT
    words += ["--out", out] if out != DEFAULT_OUT else []
    if record.spec.baseline:
        words = _without(words, "--baseline", "baseline.")
        if record.spec.encoder_groups == "network" and not record.spec.pairing:
            objective = ("objective", REGISTRY.default("objective"))
            names = [
                plugin.name
                for plugin in REGISTRY.list("pairing")
                if NETWORK_TAG in plugin.tags and not why_not(parts_of([("pairing", plugin.name), objective]))
            ]
            words += ["--pairing", names[0]] if names else []
        return "pre-train the same encoder: " + shlex.join(words)
    floor = _without(
        words, "--pairing", "pairing.", "--loss", "objective.", "--augment", "augmentation.", "--precision", "training."
    )
    names = [plugin.name for plugin in REGISTRY.list("baseline") if FLOOR_TAG in plugin.tags]
    if not names:
        return "gwbench list"
    return "see the floor: " + shlex.join([*floor[:2], "--baseline", names[0], *floor[2:]])


def _without(words: list[str], *unwanted: str) -> list[str]:
    """A command without some options, named by flag ("--loss") or by the start of a setting ("objective.")."""
    kept = words[:2]
    for flag, value in zip(words[2::2], words[3::2], strict=True):
        if flag not in unwanted and not (flag == "--set" and value.startswith(tuple(unwanted))):
            kept += [flag, value]
    return kept
