"""The outcome of a sweep as text: a Markdown table, what it means, and the command of the best; or JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gwbench.experiment.settings import as_argument
from gwbench.suite.sweep.comparison import LEVEL, ComparedTrial, SweepComparison
from gwbench.suite.sweep.specs import figure_name

if TYPE_CHECKING:
    from gwbench.experiment.spec import RunSpec
    from gwbench.suite.sweep.results import TrialResult
    from gwbench.suite.sweep.schema import Sweep


def as_text(sweep: Sweep, compared: SweepComparison, outdated: int = 0) -> str:
    """Heading, table and verdict.

    Args:
        sweep: what was searched.
        compared: its outcome.
        outdated: how many of the trials are of another base, other code or other data than the file gives now.
    """
    lines = [*_heading(sweep, compared)]
    if outdated:
        trials = len(compared.trials) + len(compared.unfinished)
        lines.append(f"{outdated} of these {trials} trials were made with another base, other code or other data than "
                     "the file gives now, which the line above describes.")  # fmt: skip
    lines += ["", *_table(sweep, compared), ""]
    for result in compared.unfinished:
        why = result.reason if result.status == "failed" else f"below the median after epoch {result.curve[-1].epoch}"
        lines.append(f"{result.status}: {words(result.settings)}: {why}")
    lines += verdict(sweep, compared)
    return "\n".join(lines)


def plan_as_json(sweep: Sweep, done: Sequence[TrialResult], left: Sequence[Mapping[str, Any]], unknown: int) -> str:
    """What is done and what would be run: settings that are known, and how many more depend on what comes of them."""
    document = {
        "sweep": sweep.name,
        "sampler": sweep.sampler,
        "done": [_plain(result) for result in done],
        "left": [dict(settings) for settings in left],
        "unknown": unknown,
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def as_json_text(sweep: Sweep, compared: SweepComparison, outdated: int = 0) -> str:
    """All of it, but for packed scores; the arguments are those of `as_text`."""
    best = compared.best
    document = {
        "sweep": sweep.name,
        "title": sweep.file.title,
        "about": sweep.file.about,
        "sampler": sweep.sampler,
        "scored_on": "validation",
        "figure": _figure(sweep),
        "budget": budget(sweep.base.spec({}, sweep.base.seeds[0])),
        "seeds": list(sweep.base.seeds),
        "default": dict(sweep.reference),
        "outdated": outdated,
        "compared": compared.compared,
        "level": LEVEL,
        "trials": [_as_document(trial) for trial in compared.trials],
        "unfinished": [_plain(result) for result in compared.unfinished],
        "best": _as_document(best) if best else None,
        "verdict": verdict(sweep, compared),
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def budget(spec: RunSpec) -> str:
    """How long a run pre-trains, in words."""
    training = spec.training
    if training is None:
        return "no pre-training"
    if training.windows is not None:
        return f"{training.windows:,} windows seen"
    epochs = f"{training.epochs} epoch{'s' if training.epochs > 1 else ''}"
    return f"until a plateau, {epochs} at most" if training.stop != "none" else epochs


def verdict(sweep: Sweep, compared: SweepComparison) -> list[str]:
    """What the best is, how to run it, and whether it is better than the reference."""
    best, reference = compared.best, compared.reference
    if best is None:
        return ["No trial has come to its end."]
    what = "first trial" if sweep.points else "default"
    lines = [f"Best on validation: {words(best.result.settings)}: {_interval(best.figure)}."]
    if best.is_reference:
        lines.append(f"That is the {what} itself.")
    elif reference is None:
        lines.append(f"Nothing says whether it is better than the {what}, which has not come to its end.")
    elif best.difference is None or best.p is None:
        lines.append(f"It cannot be compared with the {what} window by window ({_interval(reference.figure)}).")
    else:
        corrected = f", corrected for {compared.compared} trials" if compared.compared > 1 else ""
        known = "Better than" if best.distinguishable else "Not distinguishable from"
        lines.append(
            f"{known} the {what}: difference {_signed(best.difference.value)} "
            f"[{_signed(best.difference.low)}, {_signed(best.difference.high)}], p = {best.p:.2g}{corrected}."
        )
    if compared.seeds == 1 and best.difference:
        lines.append("One seed each: the test speaks of these networks; another seed may order the settings otherwise.")
    if best.result.command:
        lines.append(best.result.command)
    return lines


# --- parts ---


def _heading(sweep: Sweep, compared: SweepComparison) -> Iterator[str]:
    spec = sweep.base.spec({}, sweep.base.seeds[0])
    if sweep.file.title:
        yield sweep.file.title
    seeds = f"{len(sweep.base.seeds)} seeds" if len(sweep.base.seeds) > 1 else "1 seed"
    windows = {trial.result.windows for trial in compared.trials} - {0}
    on = f"{max(windows):,} validation windows" if len(windows) == 1 else "the validation split"
    count = len(compared.trials) + len(compared.unfinished)
    chosen = f"{sweep.sampler}, the first {sweep.trials} of {sweep.listed}" if sweep.left_out else sweep.sampler
    yield (
        f"{sweep.name}: {spec.title} on {spec.dataset.name}, {budget(spec)}, {seeds} a trial; {count} trials "
        f"({chosen}), scored on {on}. The test split is not read."
    )


def _table(sweep: Sweep, compared: SweepComparison) -> Iterator[str]:
    """The trials that came to their end, as aligned Markdown."""
    compares = any(trial.difference for trial in compared.trials)
    heads = [f"`{name}`" for name in sweep.names] + [f"validation {_figure(sweep)} [95 %]"]
    if compares:
        heads += ["difference from the " + ("first" if sweep.points else "default") + " [95 % together]", "p"]
    rows = [[*heads, "s"]]
    for trial in compared.trials:
        settings = trial.result.settings
        row = [_cell(settings[name]) if name in settings else "" for name in sweep.names]
        row.append(_interval(trial.figure))
        if compares and trial.difference and trial.p is not None:
            low, high = _signed(trial.difference.low), _signed(trial.difference.high)
            row += [f"{_signed(trial.difference.value)} [{low}, {high}]", f"{trial.p:.2g}"]
        elif compares:
            row += ["first" if sweep.points and trial.is_reference else "default" if trial.is_reference else "", ""]
        rows.append([*row, f"{trial.result.seconds:.0f}"])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for number, row in enumerate(rows):
        yield "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        if number == 0:
            yield "|" + "|".join("-" * (width + 2) for width in widths) + "|"


def _figure(sweep: Sweep) -> str:
    return figure_name(sweep.base.spec({}, sweep.base.seeds[0]).build_task())


def _interval(figure: Any) -> str:
    if figure.low == figure.high:
        return f"{figure.value:.4f}"
    return f"{figure.value:.4f} [{figure.low:.4f}, {figure.high:.4f}]"


def _signed(value: float) -> str:
    return f"{value:+.4f}"


def words(settings: Mapping[str, Any]) -> str:
    """Settings in words."""
    return ", ".join(f"{name}={_cell(value)}" for name, value in settings.items()) or "the base"


def _cell(value: Any) -> str:
    """A value as a command line or a file has it."""
    if isinstance(value, dict):
        inner = ", ".join(f"{name}={_cell(each)}" for name, each in value.items() if name != "name")
        return f"{value.get('name', '')} ({inner})"
    if isinstance(value, list):
        return ", ".join(map(_cell, value)) or "none"
    if value is None:
        return "none"
    return (
        as_argument(value).lower()
        if isinstance(value, bool)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )


def _plain(result: TrialResult) -> dict[str, Any]:
    """A line of the results without what is packed."""
    fields = result.model_dump(mode="json", exclude_defaults=True, exclude={"labels"})
    for score in fields.get("scores", ()):
        score.pop("ranks", None)
    return fields


def _as_document(trial: ComparedTrial) -> dict[str, Any]:
    named: Sequence[tuple[str, Any]] = (("figure", trial.figure), ("difference", trial.difference))
    figures = {
        name: {"value": each.value, "low": each.low, "high": each.high} if each else None for name, each in named
    }
    return {
        **_plain(trial.result),
        "default": trial.is_reference,
        "value": trial.figure.value,
        **figures,
        "p": trial.p,
        "distinguishable": trial.distinguishable,
    }
