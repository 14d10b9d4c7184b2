"""What `gwbench run --dry-run` prints."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from gwbench.cli.terminal import console

if TYPE_CHECKING:
    from gwbench.experiment.dry_run import RunPlan

GIB = 2**30
STATUS = {
    "done": "done already: the run would show the record that is there",
    "failed": "failed before: it would be tried again",
    "interrupted": "interrupted: it would go on from its last epoch",
    "missing": "not there yet",
}


def plan_as_json(plan: RunPlan) -> str:
    """The plan as JSON."""
    return json.dumps({**asdict(plan), "total_seconds": plan.total_seconds}, indent=2)


def show_plan(plan: RunPlan) -> None:
    """Print the plan as lines."""
    from rich.table import Table
    from rich.text import Text

    out = console()
    out.print(Text(f"{plan.title}: nothing was run"), style="bold", soft_wrap=True)
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in _lines(plan):
        table.add_row(name, Text(value, overflow="fold"))
    out.print(table)


def _lines(plan: RunPlan) -> list[tuple[str, str]]:
    windows = ", ".join(f"{name} {count:,}" for name, count in plan.windows.items())
    seconds = plan.window / plan.sample_rate
    made = f"to be made, {_size(plan.data_bytes)}" if plan.data_bytes else plan.data
    lines = [
        ("folder", f"{plan.folder} ({STATUS[plan.status]})"),
        ("windows", f"{windows}; {seconds:g} s of {', '.join(plan.detectors)} at {plan.sample_rate:g} Hz; {made}"),
        ("labels", f"{plan.labels:,} at most for the probe" if plan.labels else "none"),
    ]
    if plan.parameters:
        lines.append(("encoder", f"{plan.parameters:,} parameters, {plan.embed_dim} numbers per window for the probe"))
    if plan.steps:
        lines.append(("steps", f"{plan.steps:,} of {plan.batch_size} windows in {plan.epochs} epochs of pre-training"))
    memory = f"about {_size(plan.memory_bytes)} besides the libraries', of {_size(plan.free_bytes)} free"
    if plan.conditioned_bytes:
        memory += f"; conditioned strain of {_size(plan.conditioned_bytes)} is kept "
        memory += "in memory" if plan.conditioned_in == "memory" else "on disk"
    lines.append(("memory", memory))
    if plan.total_seconds is None:
        lines.append(("time", "not known: no run of this kind is there yet, and nothing of it can be measured"))
    else:
        parts = ", ".join(f"{name} {_duration(each)}" for name, each in plan.seconds.items() if each >= 0.5)
        lines.append(
            ("time", f"about {_duration(plan.total_seconds)}{f' ({parts})' if parts else ''}, {plan.seconds_from}")
        )
    return lines


def _size(size: int) -> str:
    return f"{size / GIB:.2f} GiB" if size >= GIB / 10 else f"{size / 2**20:.1f} MiB"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
